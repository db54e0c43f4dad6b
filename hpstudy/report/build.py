"""The book: execute the report notebooks on published tables, bind them, print them."""

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import yaml

from hpstudy.analysis.study_results import StudyResults, read_results
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import short_title
from hpstudy.report.execute import Page, environment, execute, plain_lines, progress_bar
from hpstudy.report.pdf import print_pdf
from hpstudy.workspace import find_root

logger = logging.getLogger(__name__)

OWN = "runs/book"
"""Folder of the user's results and pages, which git ignores; laid out like `book`."""
PARTS = {
    "Studies": (),
    "Your network": (
        "tutorial",
        "advice",
        "tables",
        "own-study",
        "retune",
        "rules",
        "transfer",
        "networks",
        "latency",
        "start",
        "params",
        "machines",
    ),
    "Beside the thesis": ("thesis", "literature"),
    "Method and limits": ("background", "method", "limits", "references"),
    "Appendix": ("cost", "record", "withstands", "dependencies", "architecture", "api"),
}
"""Pages by the captions of the book's contents: executed where there is a notebook of that name.

The studies have pages of their own, and the first page is `index`."""
SOURCES = ("*.md", "*.bib", "_static")
PAGES = ("*.ipynb", "studies/*.ipynb", "studies/*/*.ipynb")


def build_book(
    root: str | Path | None = None,
    publish: bool = False,
    strict: bool = False,
    studies: Container[str] | None = None,
) -> Path:
    """Execute report notebooks on the published tables and build the book.

    The user's results (in `runs/book/results`) replace published ones of the same name. Sources,
    executed pages and table of contents are laid out in `runs/book`.

    Parameters
    ----------
    root : path, optional
        Root of the clone; by default the one around the working directory.
    publish : bool, default False
        Whether to write results and pages to `book`, the published book itself.
    strict : bool, default False
        Whether a warning of Sphinx is an error.
    studies : container of str, optional
        Studies whose pages to execute, besides pages that are not there yet; other pages stay as
        they were, or as they were published. By default every page is executed.

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
    results = read_results(root / folder for folder in folders)
    if not results:
        raise HpstudyError(
            "the book has no results yet: run a study first, "
            "such as hpstudy run params/quick/resnet56.yaml."
        )
    stage = book if publish else own
    (root / "runs").mkdir(exist_ok=True)
    pages = _pages(root / "notebooks", results, folders)
    there = [path.relative_to(top) for top in (book, stage) for path in _files(top, PAGES)]
    stale = [
        page
        for page in pages
        if studies is None
        or page.parameters.get("study", page.parameters.get("name")) in studies
        or Path(f"{page.target}.ipynb") not in there
    ]
    with tempfile.TemporaryDirectory(dir=root / "runs") as scratch:
        executed = execute(stale, Path(scratch), root)
        if not publish:
            _lay_out(book, stage, anew=studies is None)
        for page, path in zip(stale, executed, strict=True):
            target = stage / f"{page.target}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    (stage / "_toc.yml").write_text(contents(results), encoding="utf-8")
    _bind(root, stage, strict)
    html = book / "_build" / "html"
    written = (page for names in PARTS.values() for page in names)
    _check(html, stage, [*(page.target for page in pages), *written])
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
    """Table of contents of the book as YAML: parts with captions, settings below their study."""
    parts = [
        {"caption": caption, "chapters": [{"file": name} for name in names]}
        for caption, names in PARTS.items()
    ]
    parts[0]["chapters"] = [
        {
            "file": f"studies/{name}",
            "sections": [
                {"file": _setting_page(name, variant), "title": short_title(variant)}
                for variant in _pruned(results)
            ],
        }
        for name, results in studies.items()
    ]
    toc = {"format": "jb-book", "root": "index", "parts": parts}
    text: str = yaml.safe_dump(toc, sort_keys=False, allow_unicode=True)
    return "# Written by hpstudy.report; the studies are those of book/results.\n" + text


def _pages(notebooks: Path, studies: dict[str, StudyResults], folders: list[str]) -> list[Page]:
    # Those of studies take longest, and come first, so that the two workers finish together.
    headings = Counter(results.heading for results in studies.values())
    pages = []
    for name, results in studies.items():
        title = results.heading if headings[results.heading] == 1 else f"{results.heading}: {name}"
        parameters = {"study": name, "results": folders}
        pages.append(Page(notebooks / "study.ipynb", f"studies/{name}", parameters, title))
        for variant in _pruned(results):
            title = f"{results.title}, {short_title(variant).lower()} of FLOPs"
            parameters = {"name": name, "pruning": variant, "results": folders}
            target = _setting_page(name, variant)
            pages.append(Page(notebooks / "sweep.ipynb", target, parameters, title))
    for name in ("index", *(name for names in PARTS.values() for name in names)):
        if (source := notebooks / f"{name}.ipynb").is_file():
            pages.append(Page(source, name, {"results": folders}))
    return pages


def _setting_page(study: str, variant: str) -> str:
    return f"studies/{study}/{variant}"


def _pruned(results: StudyResults) -> list[str]:
    return [name for name in dict.fromkeys(results.table["variant"]) if name != DENSE]


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _lay_out(book: Path, stage: Path, anew: bool) -> None:
    """Put the published book's written pages, and executed ones that are not there, into a stage.

    Done `anew`, the stage is first emptied of all but results, and gets written pages only.
    """
    stage.mkdir(parents=True, exist_ok=True)
    for old in stage.iterdir() if anew else ():
        if not old.is_dir():
            old.unlink()
        elif old.name != "results":
            shutil.rmtree(old)
    # Sphinx reads again what is newer than before.
    for path in _files(book, SOURCES):
        if path.is_dir():
            shutil.copytree(path, stage / path.name, dirs_exist_ok=True)
        else:
            shutil.copy2(path, stage / path.name)
    for path in () if anew else _files(book, PAGES):
        target = stage / path.relative_to(book)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _bind(root: Path, stage: Path, strict: bool, builder: str = "html") -> None:
    """Build the stage's pages into `book/_build` with Jupyter Book, with a progress bar."""
    main = "from jupyter_book.cli.main import main; main()"
    # book/_config.yml, and not the file it links to: paths in it are relative to `book`.
    config = root / "book" / "_config.yml"
    command = [sys.executable, "-c", main, "build", str(stage), "--path-output"]
    command += [str(root / "book"), "--config", str(config), "--builder", builder]
    if strict:
        command += ["-W", "--keep-going", "-n"]
    lines: list[str] = []
    part = {"reading sources": 0, "writing output": 50}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=root, env=environment(), text=True, **pipes)
    with progress_bar("binding", 100) as bar, process:
        for line in process.stdout or ():
            lines += (plain := plain_lines(line))
            progress = r"(reading sources|writing output)\.\.\. \[ *(\d+)%\]"
            if done := re.match(progress, "".join(plain)):
                bar.update(part[done[1]] + int(done[2]) // 2 - bar.n)
        bar.update(100 - bar.n)
    if process.returncode:
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
