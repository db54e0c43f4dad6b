"""Draw the README's figure from the built book: python tests/support/readme_figure.py [PAGE]."""

import sys
from pathlib import Path

from browser import chromium, served, visit

ROOT = Path(__file__).resolve().parents[2]
PAGE = "index.html"


def main(page: str = PAGE) -> None:
    with chromium() as browser, served(ROOT / "book" / "_build" / "html") as address:
        context = browser.new_context(
            viewport={"width": 1280, "height": 1000}, device_scale_factor=1.5
        )
        tab, _, _ = visit(context, address, page)
        figure = tab.locator(".hpstudy-figure").last
        figure.screenshot(path=ROOT / "book" / "_static" / "landscapes.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
