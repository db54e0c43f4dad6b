"""A page of the book as a PDF, printed by the Chromium of this machine, spoken to over a pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    # Messages go through descriptors 3 and 4: no port is opened, and nothing has to be installed.
    "--remote-debugging-pipe",
    # The sandbox does not start as root, nor in most containers; nothing but the book is shown.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # What the page or the browser itself may ask of another host is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PIPED = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
SECONDS = 120
"""After which a browser that has not printed is ended."""

# A4, in inches. On paper text is read at three quarters of its size on a screen.
WIDTH, HEIGHT, MARGIN = 8.27, 11.69, 0.7
SCALE = 0.75
PIXELS = 96
FOOTER = (
    '<div style="width:100%;text-align:center;font:8px sans-serif;color:#555">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)
# Waits for all that is drawn after the page has been loaded, and shrinks what is wider than paper.
# The book's script takes the room that it kept for a figure away once the figure is in its place.
DRAWN = """
(async () => {
  const figures = [...document.querySelectorAll(".hpstudy-figure")];
  const placed = (box) => box.querySelector(".js-plotly-plot .main-svg") && !box.style.minHeight;
  while (!figures.every(placed)) {
    await new Promise((again) => setTimeout(again, 50));
  }
  if (window.MathJax) {
    await MathJax.startup.promise;
  }
  await document.fonts.ready;
  for (const table of document.querySelectorAll(".hpstudy-table table")) {
    const room = table.parentElement.clientWidth;
    if (table.offsetWidth > room) {
      table.style.zoom = room / table.offsetWidth;
    }
  }
})()
"""


def find_chromium() -> str:
    """Path of this machine's Chromium or Chrome.

    Raises
    ------
    HpstudyError
        If none of the usual commands is found.
    """
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        raise HpstudyError(
            f"a PDF is printed by a browser, and no {', '.join(CHROMIUMS[:-1])} or "
            f"{CHROMIUMS[-1]} is found: install Chromium, or print from the browser that you have."
        )
    return path


def print_pdf(page: Path, target: Path) -> None:
    """Print a page with all its figures: A4, numbered sheets, the light theme.

    Parameters
    ----------
    page : Path
        HTML file, with what it loads beside it.
    target : Path
        PDF file to write; one that is there is replaced only by a whole one.

    Raises
    ------
    HpstudyError
        If there is no Chromium, a script of the page fails, the page asks another host for
        anything, or the browser ends or takes longer than two minutes.
    """
    with tempfile.TemporaryDirectory(prefix="hpstudy-", ignore_cleanup_errors=True) as profile:
        browser = _Browser(find_chromium(), profile)
        try:
            content = browser.print(page.resolve().as_uri())
        finally:
            browser.close()
    part = target.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, target)


class _Browser:
    """Headless browser with one page, told what to do in Chromium's DevTools protocol."""

    def __init__(self, command: str, profile: str) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", PIPED, "sh", command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        # A browser that hangs is ended, and what waits for it then reads the end of the pipe.
        self._watch = threading.Timer(SECONDS, self._process.kill)
        self._watch.start()
        self._unread = b""
        self._sent = 0
        self._session: dict[str, str] = {}
        self._events: list[dict] = []

    def print(self, address: str) -> bytes:
        """Content of a PDF of the page at `address`."""
        targets = self._call("Target.getTargets")["targetInfos"]
        tab = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Network"):
            self._call(f"{domain}.enable")
        # Before the page is loaded, so that its figures are drawn for paper at once.
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        self._call("Emulation.setEmulatedMedia", media="print", features=light)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=int((WIDTH - 2 * MARGIN) * PIXELS / SCALE),
            height=int((HEIGHT - 2 * MARGIN) * PIXELS / SCALE),
            deviceScaleFactor=1,
            mobile=False,
        )
        self._call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())
        self._call("Runtime.evaluate", expression=DRAWN, awaitPromise=True)
        self._refuse_faults()
        margins = {f"margin{side}": MARGIN for side in ("Top", "Bottom", "Left", "Right")}
        printed = self._call(
            "Page.printToPDF",
            paperWidth=WIDTH,
            paperHeight=HEIGHT,
            scale=SCALE,
            **margins,
            printBackground=True,
            displayHeaderFooter=True,
            headerTemplate="<span></span>",
            footerTemplate=FOOTER,
            generateTaggedPDF=True,
            generateDocumentOutline=True,
        )
        return base64.b64decode(printed["data"])

    def close(self) -> None:
        """End the browser and wait for its end."""
        self._watch.cancel()
        # It ends itself, and its children first, when nobody speaks to it any more; a child that
        # outlives it would still write into the folder that is about to be removed.
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _refuse_faults(self) -> None:
        for event in self._events:
            said = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = said["exceptionDetails"]
                reason = details.get("exception", {}).get("description", details["text"])
                raise HpstudyError(f"a script of the page fails: {reason.splitlines()[0]}")
            if event["method"] == "Network.requestWillBeSent":
                url = said["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:")):
                    raise HpstudyError(f"the page asks another host: {url}")

    def _call(self, method: str, **params: Any) -> dict:
        """Result of one command; events that come before it are kept."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params, **self._session}
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise self._ended() from None
        while (answer := self._read()).get("id") != self._sent:
            self._events.append(answer)
        if "error" in answer:
            raise HpstudyError(f"the browser refuses {method}: {answer['error']['message']}")
        return answer["result"]

    def _read(self) -> dict:
        """Next message: an answer, which has an id, or an event."""
        while b"\0" not in self._unread:
            chunk = os.read(self._process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise self._ended()
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def _ended(self) -> HpstudyError:
        return HpstudyError(
            f"the browser {self._process.args[4]} ended or did not print the page "
            f"within {SECONDS} seconds."
        )
