"""A local server, and a headless Chromium that reaches no other host."""

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
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
    """Address of a server of `folder` on loopback."""
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
    """Headless browser; the test is skipped without one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def visit(context, address: str, page: str):
    """Open one page and wait for its figures; returns (page, requests to other hosts, errors)."""
    outside: list[str] = []
    errors: list[str] = []

    def block_other_hosts(route):
        url = route.request.url
        if url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(url)
            route.abort()

    tab = context.new_page()
    tab.route("**/*", block_other_hosts)
    tab.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "response", lambda response: errors.append(response.url) if response.status >= 400 else None
    )
    tab.goto(address + page)
    tab.wait_for_load_state("load")
    every_figure = (
        "[...document.querySelectorAll('.hpstudy-figure')]"
        ".every(box => box.querySelector('.js-plotly-plot .main-svg .trace, .contourlayer path'))"
    )
    tab.wait_for_function(every_figure, timeout=20_000)
    tab.wait_for_load_state("networkidle")
    return tab, outside, errors
