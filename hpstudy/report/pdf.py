"""Print an HTML file as a PDF with this machine's Chromium or Chrome."""

import os
import shutil
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Time within which a page must be drawn.
SECONDS = 120

FOOTER = (
    '<div style="width:100%;text-align:center;font:8px sans-serif;color:#555">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)
# On paper text is read at three quarters of its size on a screen; the window has the width of A4
# between its margins, so that figures are drawn for it.
PAPER: dict[str, Any] = {
    "width": "210mm",
    "height": "297mm",
    "margin": dict.fromkeys(("top", "bottom", "left", "right"), "0.7in"),
    "scale": 0.75,
    "print_background": True,
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": FOOTER,
    "tagged": True,
    "outline": True,
}
# The book's script gives up the room of a figure once the figure is in its place.
DRAWN = """
[...document.querySelectorAll(".hpstudy-figure")].every(
  (box) => box.querySelector(".js-plotly-plot .main-svg") && !box.style.minHeight
)
"""
# Formulas and fonts are loaded after the page; what is wider than the paper is shrunk. A link to
# another page leads to its place in this one, and files beside the page are not linked.
SETTLED = """
async () => {
  await window.MathJax?.startup.promise;
  await document.fonts.ready;
  for (const link of document.querySelectorAll("a[href]")) {
    if (link.protocol === "file:" && link.pathname !== location.pathname) {
      const page = link.getAttribute("href").replace(/\\.html$/, "");
      const place = document.querySelector(`[id^="document-"][id$="${CSS.escape(page)}"]`);
      place ? link.setAttribute("href", `#${place.id}`) : link.removeAttribute("href");
    }
  }
  for (const table of document.querySelectorAll(".hpstudy-table table")) {
    const room = table.parentElement.clientWidth;
    if (table.offsetWidth > room) {
      table.style.zoom = room / table.offsetWidth;
    }
  }
}
"""


def find_chromium() -> str:
    """Path of this machine's Chromium or Chrome; refuses without it or the package playwright."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        raise HpstudyError(
            "a PDF needs the package playwright: pip install 'hpstudy[pdf]'"
        ) from None
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        raise HpstudyError(
            f"a PDF is printed by a browser, but none of {', '.join(CHROMIUMS)} is found: install "
            "Chromium, as by apt-get install chromium"
        )
    return path


def print_pdf(page: Path, target: Path) -> None:
    """Print an HTML file with all its figures as a PDF: A4, numbered sheets, the light theme.

    Raises
    ------
    HpstudyError
        If there is no Chromium, a script of the page fails, the page asks another host for
        anything, or the browser ends or takes longer than two minutes.
    """
    command = find_chromium()
    from playwright.sync_api import Error, sync_playwright

    faults: list[str] = []

    def check(url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            faults.append(f"the page asks another host: {url}")

    part = target.with_suffix(".part.pdf")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=command, args=["--host-resolver-rules=MAP * ~NOTFOUND"]
            )
            tab = browser.new_page(viewport={"width": 879, "height": 1317}, color_scheme="light")
            tab.emulate_media(media="print")
            tab.set_default_timeout(SECONDS * 1000)
            tab.on("request", lambda request: check(request.url))
            tab.on("pageerror", lambda error: faults.append(f"a script of the page fails: {error}"))
            tab.goto(page.resolve().as_uri())
            tab.wait_for_function(DRAWN)
            tab.evaluate(SETTLED)
            if faults:
                raise HpstudyError(faults[0].splitlines()[0])
            tab.pdf(path=part, **PAPER)
            browser.close()
    except Error as error:
        raise HpstudyError(
            f"the browser {command} does not print the page: {str(error).splitlines()[0]}"
        ) from None
    os.replace(part, target)
