"""Execute the report notebooks on published tables, bind them to the book, and print it."""

import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from hpstudy.analysis.study_results import StudyResults, read_results
from hpstudy.errors import HpstudyError
from hpstudy.report.execute import Page, execute, plain_lines, run_process
from hpstudy.report.pdf import print_pdf
from hpstudy.workspace import find_root

logger = logging.getLogger(__name__)

OWN = "runs/book"
"""Folder of the user's results and pages, which git ignores; laid out like `book`."""
REPORTS = ("index", "advice", "risk", "thesis", "cost", "record", "withstands")
WRITTEN = (
    "method",
    "machines",
    "limits",
    "params",
    "api",
    "architecture",
    "dependencies",
    "references",
)
SOURCES = ("*.md", "*.bib", "_static")


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
        Whether a warning of Sphinx, such as a missing reference, is an error.

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
        _publish_results(own / "results", book)
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
    """Print the pages that `build_book` has laid out as one PDF; parameters as there.

    Returns
    -------
    Path
        `book/_build/hpstudy.pdf` in the clone, with an outline and links between the pages.

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
    source = notebooks / "study.ipynb"
    # The longest first, so that the two workers finish together.
    pages = [
        Page(
            source,
            f"studies/{name}",
            {"study": name, "results": folders},
            f"{results.title}: {name}",
        )
        for name, results in studies.items()
    ]
    return pages + [
        Page(notebooks / f"{name}.ipynb", name, {"results": folders}) for name in REPORTS
    ]


def _publish_results(own: Path, book: Path) -> None:
    """Copy the user's results over the published ones."""
    (book / "results").mkdir(exist_ok=True)
    for path in sorted([*own.glob("*.csv"), *own.glob("*.json")]):
        logger.info(f"publishing {path.name}")
        shutil.copyfile(path, book / "results" / path.name)


def _lay_out(book: Path, stage: Path) -> None:
    """Put the written pages of the published book into a stage emptied of all but results."""
    stage.mkdir(parents=True, exist_ok=True)
    for old in stage.iterdir():
        if old.name == "results":
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
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
