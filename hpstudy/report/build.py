"""The book: execute the report notebooks on published tables, bind them, print them."""

import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hpstudy.analysis.study_results import StudyResults, read_results
from hpstudy.errors import HpstudyError
from hpstudy.report.execute import Page, execute, plain_lines, run_process
from hpstudy.workspace import find_root

logger = logging.getLogger(__name__)

OWN = "runs/book"
"""Folder of the user's results and pages, which git ignores; laid out like `book`."""
REPORTS = (
    "index",
    "advice",
    "literature",
    "thesis",
    "background",
    "cost",
    "record",
    "withstands",
)
METHODS = ("method", "machines", "limits", "params")
WRITTEN = (*METHODS, "api", "architecture", "dependencies", "references")
SOURCES = ("*.md", "*.bib", "_static")
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
# Formulas and fonts are loaded after the page; what is wider than the paper is shrunk, and files
# beside the page are not linked.
SETTLED = """
async () => {
  await window.MathJax?.startup.promise;
  await document.fonts.ready;
  document.querySelectorAll("a.download").forEach((link) => link.removeAttribute("href"));
  for (const table of document.querySelectorAll(".hpstudy-table table")) {
    const room = table.parentElement.clientWidth;
    if (table.offsetWidth > room) {
      table.style.zoom = room / table.offsetWidth;
    }
  }
}
"""


def build_book(root: str | Path | None = None, publish: bool = False, strict: bool = False) -> Path:
    """Execute every report notebook on the published tables and build the book.

    The user's results (in `runs/book/results`) replace published ones of the same name. Sources,
    executed pages and table of contents are laid out anew in `runs/book`.

    Parameters
    ----------
    root : path, optional
        Root of the clone; by default the one around the working directory.
    publish : bool, default False
        Whether to write results and pages to `book`, the published book itself.
    strict : bool, default False
        Whether a warning of Sphinx is an error.

    Returns
    -------
    Path
        `book/_build/html/index.html` in the clone.

    Raises
    ------
    HpstudyError
        If there is no result, a notebook fails, or a page or figure is missing afterwards.
        Pages are replaced only when all of them have been executed.
    """
    root = find_root(root)
    own, book = root / OWN, root / "book"
    if publish:
        (book / "results").mkdir(exist_ok=True)
        for path in sorted([*own.glob("results/*.csv"), *own.glob("results/*.json")]):
            logger.info(f"publishing {path.name}")
            shutil.copyfile(path, book / "results" / path.name)
    folders = ["book/results"] if publish else ["book/results", f"{OWN}/results"]
    studies = read_results(root / folder for folder in folders)
    if not studies:
        raise HpstudyError(
            "the book has no results yet: run a study first, "
            "such as hpstudy run params/quick/resnet56.yaml."
        )
    stage = book if publish else own
    (root / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / "runs") as scratch:
        pages = _pages(root / "notebooks", studies, folders)
        executed = execute(pages, Path(scratch), root)
        if not publish:
            _lay_out(book, stage)
        (stage / "studies").mkdir(parents=True, exist_ok=True)
        for page, path in zip(pages, executed, strict=True):
            os.replace(path, stage / f"{page.target}.ipynb")
    (stage / "_toc.yml").write_text(contents(studies), encoding="utf-8")
    logger.info("binding the book")
    _bind(root, stage, strict)
    html = book / "_build" / "html"
    _check(html, stage, [*(page.target for page in pages), *WRITTEN])
    return html / "index.html"


def print_book(root: str | Path | None = None, publish: bool = False) -> Path:
    """Print the pages that `build_book` has laid out as `book/_build/hpstudy.pdf`.

    It has an outline and links between the pages.

    Raises
    ------
    HpstudyError
        If there is no Chromium on this machine, or it cannot print the book (`print_pdf`).
    """
    root = find_root(root)
    logger.info("printing the book")
    _bind(root, root / "book" if publish else root / OWN, strict=False, builder="singlehtml")
    built = root / "book" / "_build"
    print_pdf(built / "singlehtml" / "index.html", built / "hpstudy.pdf")
    return built / "hpstudy.pdf"


def contents(studies: dict[str, StudyResults]) -> str:
    """Table of contents of the book as YAML, with a page for each study."""
    first, *others = REPORTS[1:]
    names = [first, *(f"studies/{name}" for name in studies), *others, *WRITTEN]
    chapters = [{"file": name} for name in names]
    toc = {"format": "jb-book", "root": "index", "chapters": chapters}
    text: str = yaml.safe_dump(toc, sort_keys=False)
    return "# Written by hpstudy.report; one page a study of book/results.\n" + text


def _pages(notebooks: Path, studies: dict[str, StudyResults], folders: list[str]) -> list[Page]:
    # Those of studies take longest, and come first, so that the two workers finish together.
    own = [
        Page(
            notebooks / "study.ipynb",
            f"studies/{name}",
            {"study": name, "results": folders},
            f"{results.title}: {name}",
        )
        for name, results in studies.items()
    ]
    return own + [Page(notebooks / f"{name}.ipynb", name, {"results": folders}) for name in REPORTS]


def _lay_out(book: Path, stage: Path) -> None:
    """Put the written pages of the published book into a stage emptied of all but results."""
    stage.mkdir(parents=True, exist_ok=True)
    for old in stage.iterdir():
        if not old.is_dir():
            old.unlink()
        elif old.name != "results":
            shutil.rmtree(old)
    for path in (path for pattern in SOURCES for path in book.glob(pattern)):
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, stage / path.name)


def _bind(root: Path, stage: Path, strict: bool, builder: str = "html") -> None:
    """Build the stage's pages into `book/_build` with Jupyter Book."""
    main = "from jupyter_book.cli.main import main; main()"
    # book/_config.yml, and not the file it links to: paths in it are relative to `book`.
    config = root / "book" / "_config.yml"
    command = [sys.executable, "-c", main, "build", str(stage), "--path-output"]
    command += [str(root / "book"), "--config", str(config), "--builder", builder, "-q"]
    if strict:
        command += ["-W", "--keep-going", "-n"]
    done = run_process(command, root)
    if done.returncode:
        lines = plain_lines(done.stdout + done.stderr)
        faults = [line for line in lines if "WARNING" in line or "ERROR" in line]
        raise HpstudyError(f"the book cannot be built: {'; '.join(faults[:3] or lines[-1:])}")


def _check(html: Path, stage: Path, pages: list[str]) -> None:
    """Refuse a book with a page missing, or a page without the figures of its notebook."""
    figure = re.compile(r'class="hpstudy-figure"[^>]*><script type="application/json">{')
    for page in pages:
        path, source = html / f"{page}.html", stage / f"{page}.ipynb"
        if not path.is_file():
            raise HpstudyError(f"the book was built without the page {page}.")
        if source.is_file():
            wanted = source.read_text(encoding="utf-8").count('class=\\"hpstudy-figure\\"')
            drawn = len(figure.findall(path.read_text(encoding="utf-8")))
            if drawn != wanted:
                raise HpstudyError(f"the page {page} shows {drawn} of its {wanted} figures.")


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
