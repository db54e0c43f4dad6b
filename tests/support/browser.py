"""A local server and a headless Chromium that is let through to it alone."""

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@contextmanager
def served(folder: Path):
    """Address at which this machine alone can read `folder`."""
    handler = functools.partial(_Silent, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium():
    """Headless browser; skips the test where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine to look at the pages with")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


def visit(context, address: str, page: str):
    """Open one page and wait for its figures; (page, outside requests, errors)."""
    outside: list[str] = []
    errors: list[str] = []

    def gate(route):
        url = route.request.url
        if url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(url)
            route.abort()

    tab = context.new_page()
    tab.route("**/*", gate)
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("response", lambda got: errors.append(got.url) if got.status >= 400 else None)
    tab.goto(address + page)
    tab.wait_for_load_state("load")
    every_figure = (
        "[...document.querySelectorAll('.hpstudy-figure')]"
        ".every(box => box.querySelector('.js-plotly-plot .main-svg .trace, .contourlayer path'))"
    )
    tab.wait_for_function(every_figure, timeout=20_000)
    tab.wait_for_load_state("networkidle")
    return tab, outside, errors
