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
    # Unlike a route, which would also switch off the browser's cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
DRAWN = """
[...document.querySelectorAll('.hpstudy-figure')].every(
  (box) => box.querySelector('.js-plotly-plot .main-svg .trace, .contourlayer path')
)
"""
SETTLED = """
async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
}
"""


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def do_GET(self):
        # Browsers ask for an icon that no page names.
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


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


def watch(tab, address: str):
    """Lists that fill with a tab's requests to other hosts and its errors."""
    outside: list[str] = []
    errors: list[str] = []
    own = (address, "data:", "blob:")
    tab.on("request", lambda request: request.url.startswith(own) or outside.append(request.url))
    tab.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "response", lambda response: errors.append(response.url) if response.status >= 400 else None
    )
    return outside, errors


def show(tab, url: str) -> None:
    """Open a page in a tab and wait for its figures, formulas and fonts."""
    tab.goto(url)
    tab.wait_for_function(DRAWN)
    tab.evaluate(SETTLED)


def visit(context, address: str, page: str):
    """Open one page in a new tab; returns (tab, requests to other hosts, errors)."""
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    outside, errors = watch(tab, address)
    show(tab, address + page)
    return tab, outside, errors
