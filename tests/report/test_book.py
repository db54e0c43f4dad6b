"""The book: executed, bound without a warning, drawn by a browser that reaches no other host."""

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import synthetic
import yaml
from browser import chromium, served, visit

from hpstudy.analysis.study_results import read_results
from hpstudy.report.build import build_book, contents
from hpstudy.report.execute import NOT_STARTED, Page, execute
from hpstudy.workspace import show_messages

pytestmark = pytest.mark.slow
PUBLISHED = synthetic.REPOSITORY / "book"


def files(folder: Path) -> dict[str, str]:
    """Checksum of every file of a folder, but for what is built there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_build" not in path.parts
    }


def pages_of(book: Path) -> list[str]:
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for chapter in toc["chapters"])]


def crawl(html: Path, width: int) -> dict[str, int]:
    """Look at every page in a browser; number of figures it draws on each."""
    found = {}
    with chromium() as browser, served(html) as address:
        context = browser.new_context(viewport={"width": width, "height": 900})
        for path in sorted(html.rglob("*.html")):
            page = path.relative_to(html).as_posix()
            if "_static" in path.parts:
                continue
            tab, outside, errors = visit(context, address, page)
            assert outside == [], f"{page} asks another host"
            assert errors == [], f"{page} has errors"
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
            found[page] = tab.locator(".hpstudy-figure .js-plotly-plot").count()
            tab.close()
    return found


def plain_build(root: Path) -> subprocess.CompletedProcess:
    """Completed `jupyter-book build book` at the root of a clone, warnings being errors."""
    main = "from jupyter_book.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", main, "build", "book", "-W", "-n", "--keep-going"],
        cwd=root,
        capture_output=True,
        text=True,
        env=synthetic.environment(),
    )


class Messages(logging.Handler):
    """Texts of all messages, for fixtures that outlive a test."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A clone with one's own (synthetic) results and the book built from them, strictly."""
    clone = synthetic.clone(tmp_path_factory.mktemp("clone"), ["resnet56"])
    before = files(clone / "book")
    show_messages()
    messages = Messages()
    logging.getLogger("hpstudy").addHandler(messages)
    index = build_book(clone, strict=True)
    logging.getLogger("hpstudy").removeHandler(messages)
    return clone, index, messages.texts, before


def test_own_study_changes_nothing_that_is_tracked(built):
    clone, index, _, before = built
    assert files(clone / "book") == before
    assert index == clone / "book" / "_build" / "html" / "index.html"


def test_book_has_a_page_for_each_own_study_and_logs_its_steps(built):
    clone, index, messages, _ = built
    pages = pages_of(clone / "runs" / "book")
    assert pages[0] == "index" and "studies/synthetic-resnet56" in pages
    assert all((index.parent / f"{page}.html").is_file() for page in pages)
    assert "executing index" in messages and messages[-1] == "binding the book"


def test_page_of_a_study_has_its_name_and_its_scale(built):
    _, index, _, _ = built
    text = (index.parent / "studies" / "synthetic-resnet56.html").read_text()
    assert "<h1>ResNet-56: synthetic-resnet56" in text
    assert "smaller than the thesis" in text and "8×8" in text
    # The cell of parameters and the one that papermill adds are not shown.
    assert "results: list" not in text and "# Parameters" not in text


def test_numbers_on_the_first_page_are_glued_in(built):
    _, index, _, _ = built
    text = index.read_text()
    assert "glue:" not in text and text.count("pasted-text") == 2


@pytest.mark.browser
def test_every_page_draws_its_figures_and_asks_no_other_host(built):
    _, index, _, _ = built
    found = crawl(index.parent, width=400)
    assert found["index.html"] == 2 and found["risk.html"] == 2
    assert found["studies/synthetic-resnet56.html"] == 7


@pytest.mark.browser
def test_panels_stand_below_each_other_on_a_narrow_screen(built):
    _, index, _, _ = built
    across = {}
    with chromium() as browser, served(index.parent) as address:
        for width in (400, 1280):
            context = browser.new_context(viewport={"width": width, "height": 900})
            tab, _, _ = visit(context, address, "index.html")
            tab.wait_for_timeout(300)
            tops = tab.evaluate(
                "[...document.querySelectorAll('.annotation')].slice(0, 2)"
                ".map(title => title.getBoundingClientRect().top)"
            )
            across[width] = abs(tops[0] - tops[1]) < 5
    assert across == {400: False, 1280: True}


@pytest.mark.browser
def test_dark_theme_gives_figures_light_ink(built):
    _, index, _, _ = built
    ink = {}
    with chromium() as browser, served(index.parent) as address:
        for theme in ("light", "dark"):
            tab, _, _ = visit(browser.new_context(color_scheme=theme), address, "risk.html")
            tab.wait_for_timeout(300)
            fill = tab.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill")
            ink[theme] = sum(int(part) for part in fill[4:-1].split(",")[:3]) / 3
    assert ink["light"] < 100 and ink["dark"] > 150


def test_publishing_writes_the_book_that_the_plain_command_builds(tmp_path, monkeypatch):
    clone = synthetic.clone(tmp_path, ["resnet56"])
    book = clone / "book"
    # It is the plain command below that binds these pages.
    monkeypatch.setattr("hpstudy.report.build._bind", lambda *args: None)
    monkeypatch.setattr("hpstudy.report.build._check", lambda *args: None)
    build_book(clone, publish=True)
    name = "synthetic-resnet56"
    assert set(files(book / "results")) == {f"{name}.csv", f"{name}.json"}
    assert pages_of(book)[:3] == ["index", "advice", f"studies/{name}"]
    once = files(book)
    done = plain_build(clone)
    assert done.returncode == 0, done.stderr
    assert (book / "_build" / "html" / "studies" / f"{name}.html").is_file()
    # Binding executed nothing and changed nothing.
    assert files(book) == once


def test_equal_tables_give_equal_pages(built, tmp_path):
    clone, _, _, _ = built
    folders = {"results": ["book/results", "runs/book/results"]}
    page = Page(clone / "notebooks" / "risk.ipynb", "risk", folders)
    (path,) = execute([page], tmp_path, clone)
    assert path.read_text() == (clone / "runs" / "book" / "risk.ipynb").read_text()


def test_unknown_parameter_is_refused_before_anything_runs(tmp_path, refused):
    source = synthetic.REPOSITORY / "notebooks" / "study.ipynb"
    page = Page(source, "studies/one", {"studdy": "one"})
    said = refused(execute, [page], tmp_path, tmp_path)
    assert "'studdy'" in said and "did you mean 'study'" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failures, starts", [(1, 2), (2, 3)])
def test_kernel_that_does_not_start_is_started_again(
    failures, starts, tmp_path, monkeypatch, caplog
):
    begun = []

    def run_process(command, root):
        begun.append(command)
        if len(begun) <= failures:
            return subprocess.CompletedProcess(command, 1, "", f"RuntimeError: {NOT_STARTED}\n")
        page = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("study = ''", metadata={"tags": ["parameters"]})]
        )
        nbformat.write(page, command[4])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("hpstudy.report.execute.run_process", run_process)
    source = synthetic.REPOSITORY / "notebooks" / "study.ipynb"
    execute([Page(source, "studies/one", {"study": "one"})], tmp_path, tmp_path)
    assert len(begun) == starts
    assert caplog.messages.count("the kernel of studies/one did not start") == failures


def test_kernel_that_never_starts_is_refused(tmp_path, refused, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", f"RuntimeError: {NOT_STARTED}\n")
    monkeypatch.setattr("hpstudy.report.execute.run_process", lambda command, root: failed)
    source = synthetic.REPOSITORY / "notebooks" / "study.ipynb"
    page = Page(source, "studies/one", {"study": "one"})
    said = refused(execute, [page], tmp_path, tmp_path)
    assert "study.ipynb fails" in said and NOT_STARTED in said


def test_failing_notebook_leaves_the_pages_as_they_are(tmp_path, refused):
    clone = synthetic.clone(tmp_path, ["resnet56"])
    path = clone / "notebooks" / "study.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells.insert(0, nbformat.v4.new_code_cell("raise ValueError('no such thing')"))
    nbformat.write(book, path)
    before = files(clone)
    said = refused(build_book, clone)
    assert "study.ipynb fails" in said and "no such thing" in said
    assert files(clone) == before


def test_book_without_results_is_refused(tmp_path, refused):
    clone = synthetic.clone(tmp_path)
    shutil.rmtree(clone / "runs")
    assert "no results yet" in refused(build_book, clone)


def test_contents_list_the_studies_in_the_order_of_the_thesis(tmp_path):
    synthetic.write(tmp_path, points=3, seeds=1)
    toc = yaml.safe_load(contents(read_results([tmp_path])))
    files = [chapter["file"] for chapter in toc["chapters"]]
    assert files[1:3] == ["studies/synthetic-resnet56", "studies/synthetic-mobilenetv2"]


def test_nothing_that_draws_the_book_imports_torch():
    modules = ("analysis.comparison", "plots", "report.build", "report.explorer", "workspace")
    lines = [f"import hpstudy.{name}" for name in modules]
    lines += ["import sys, json", "print(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        env=synthetic.environment(),
        check=True,
    )
    loaded = json.loads(done.stdout)
    assert "hpstudy.report.build" in loaded
    assert not {"torch", "torchvision", "torch_pruning"} & set(loaded)


@pytest.mark.browser
@pytest.mark.skipif(
    not (PUBLISHED / "index.ipynb").is_file(), reason="no results have been published yet"
)
def test_published_book_builds_as_written_and_draws_every_figure(tmp_path):
    copy = shutil.copytree(
        PUBLISHED, tmp_path / "book", ignore=shutil.ignore_patterns("_build"), symlinks=True
    )
    shutil.copyfile(synthetic.REPOSITORY / "_config.yml", tmp_path / "_config.yml")
    done = plain_build(tmp_path)
    assert done.returncode == 0, done.stderr
    found = crawl(copy / "_build" / "html", width=1280)
    assert found["index.html"] == 1
    studies = read_results([PUBLISHED / "results"])
    assert found["risk.html"] == 2 * len(studies)
    assert all(found[f"studies/{name}.html"] >= 3 for name in studies)
