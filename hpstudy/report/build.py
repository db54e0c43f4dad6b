"""Execute the report notebooks on published tables, bind them to the book, and print it."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from hpstudy.analysis.study_results import (
    MEASUREMENTS,
    NETWORKS,
    StudyResults,
    find_root,
    read_results,
)
from hpstudy.errors import HpstudyError
from hpstudy.report.execute import Page, Progress, execute, last_line, plain, run_process
from hpstudy.report.pdf import print_pdf

__all__ = ["build_book", "find_root", "print_book"]

OWN = "runs/book"
"""Folder of one's own results and pages, which git ignores; laid out like `book`."""
REPORTS = ("index", "advice", "risk", "thesis", "cost", "record", "withstands")
WRITTEN = ("method", "machines", "limits", "dependencies", "references")
SOURCES = ("*.md", "*.bib", "_static")


def build_book(
    root: str | Path | None = None,
    publish: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Execute every report notebook on the published tables and build the book.

    One's own results (in `runs/book/results`) stand in for published ones of the same name.
    Without `publish` no file that git tracks is changed: sources, executed pages and table of
    contents are laid out anew in `runs/book`. With it, results and pages go to `book`.

    Parameters
    ----------
    root : path, optional
        Root of the clone; by default the one around the working directory.
    publish : bool, default False
        Whether to change the published book itself.
    strict : bool, default False
        Whether a warning of Sphinx, a missing reference among them, is an error.
    progress : callable, optional
        Called with a few words before each step.

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
    tell = progress or (lambda words: None)
    own, book = root / OWN, root / "book"
    if publish:
        _publish_results(own / "results", book / "results", tell)
    folders = ["book/results"] if publish else ["book/results", f"{OWN}/results"]
    studies = read_results(root / folder for folder in folders)
    if not studies:
        raise HpstudyError(
            "the book has no results yet: run a study first, "
            "such as hpstudy run params/quick/resnet56.yaml."
        )
    stage = book if publish else own
    with tempfile.TemporaryDirectory(dir=_made(root / "runs")) as scratch:
        pages = _pages(root, studies, folders)
        executed = execute(pages, Path(scratch), root, tell)
        if not publish:
            _lay_out(book, stage)
        for page, path in zip(pages, executed, strict=True):
            _made((stage / page.target).parent)
            os.replace(path, stage / f"{page.target}.ipynb")
    toc = contents(studies)
    (stage / "_toc.yml").write_text(toc, encoding="utf-8")
    tell("binding the book")
    _bind(root, stage, strict)
    html = book / "_build" / "html"
    _check(html, stage, [*(page.target for page in pages), *WRITTEN])
    return html / "index.html"


def print_book(
    root: str | Path | None = None, publish: bool = False, progress: Progress | None = None
) -> Path:
    """Print the pages that `build_book` has laid out as one PDF.

    Parameters
    ----------
    root, publish, progress
        As given to `build_book`.

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
    if progress:
        progress("printing the book")
    _bind(root, root / "book" if publish else root / OWN, strict=False, builder="singlehtml")
    built = root / "book" / "_build"
    print_pdf(built / "singlehtml" / "index.html", built / "hpstudy.pdf")
    return built / "hpstudy.pdf"


def contents(studies: dict[str, StudyResults]) -> str:
    """Table of contents of the book as YAML, with a page for each study."""
    first, *others = REPORTS[1:]
    chapters = [{"file": first}, *({"file": f"studies/{name}"} for name in studies)]
    chapters += [{"file": name} for name in (*others, *WRITTEN)]
    toc = {"format": "jb-book", "root": "index", "chapters": chapters}
    head = "# Written by hpstudy.report; one page a study of book/results.\n"
    return head + yaml.safe_dump(toc, sort_keys=False)


def _pages(root: Path, studies: dict[str, StudyResults], folders: list[str]) -> list[Page]:
    notebooks = root / "notebooks"
    one_each = [
        Page(
            notebooks / "study.ipynb",
            f"studies/{name}",
            {"study": name, "results": folders},
            f"{results.title}: {name}",
        )
        for name, results in studies.items()
    ]
    every = [Page(notebooks / f"{name}.ipynb", name, {"results": folders}) for name in REPORTS]
    # The longest first, so that the two workers finish together.
    return one_each + every


def _publish_results(own: Path, published: Path, tell: Progress) -> None:
    """Copy one's own results over the published ones; make the sizes of the networks if absent."""
    for path in sorted([*own.glob("*.csv"), *own.glob("*.json")]):
        tell(f"publishing {path.name}")
        shutil.copyfile(path, _made(published) / path.name)
    networks = published.parent / MEASUREMENTS / NETWORKS
    if not networks.is_file() and list(published.glob("*.csv")):
        tell("measuring the thesis's networks")
        # In a process of its own, because it needs torch and this module must not.
        code = (
            "import json; from hpstudy.networks.pruning_report import network_sizes; "
            "print(json.dumps(network_sizes(), indent=1))"
        )
        done = run_process([sys.executable, "-c", code], published.parent.parent)
        if done.returncode:
            raise HpstudyError(f"the networks cannot be measured: {last_line(done.stderr)}")
        _made(networks.parent)
        networks.write_text(done.stdout, encoding="utf-8")


def _lay_out(book: Path, stage: Path) -> None:
    """Put the written pages of the published book into a stage emptied of all but results."""
    for old in stage.iterdir() if stage.is_dir() else ():
        if old.name != "results":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    _made(stage)
    for pattern in SOURCES:
        for path in book.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, stage / path.name)
            else:
                shutil.copyfile(path, stage / path.name)


def _bind(root: Path, stage: Path, strict: bool, builder: str = "html") -> None:
    """Build the stage's pages into `book/_build` with Jupyter Book."""
    main = "from jupyter_book.cli.main import main; main()"
    # book/_config.yml, and not the file it links to: paths in it are relative to `book`.
    config = root / "book" / "_config.yml"
    command = [sys.executable, "-c", main, "build", str(stage), "--path-output"]
    command += [str(root / "book"), "--config", str(config), "--builder", builder, "-q"]
    done = run_process(command + ["-W", "--keep-going", "-n"] * strict, root)
    if done.returncode:
        lines = plain(done.stderr).splitlines()
        said = [line for line in lines if "WARNING" in line or "ERROR" in line]
        reason = "; ".join(said[:3]) or last_line(done.stderr or done.stdout)
        raise HpstudyError(f"the book cannot be built: {reason}")


def _check(html: Path, stage: Path, pages: list[str]) -> None:
    """Refuse a book with a page missing, or a page without the figures of its notebook."""
    for page in pages:
        path = html / f"{page}.html"
        if not path.is_file():
            raise HpstudyError(f"the book was built without the page {page}.")
        source = stage / f"{page}.ipynb"
        if not source.is_file():
            continue
        wanted = source.read_text(encoding="utf-8").count('class=\\"hpstudy-figure\\"')
        text = path.read_text(encoding="utf-8")
        drawn = len(
            re.findall(r'class="hpstudy-figure"[^>]*><script type="application/json">{', text)
        )
        if drawn != wanted:
            raise HpstudyError(f"the page {page} shows {drawn} of its {wanted} figures.")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
