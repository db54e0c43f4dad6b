"""The book of one's own study: executed, bound without a warning, drawn by a browser."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import synthetic
from browser import chromium, served, visit

import hpstudy.report.build
from hpstudy.analysis.study_results import read_results
from hpstudy.report.build import build_book, contents
from hpstudy.report.execute import Page, execute

pytestmark = pytest.mark.slow
STUDY = "studies/synthetic-resnet56"


# --- pages ----------------------------------------------------------------------------------------


def test_own_study_changes_nothing_that_is_tracked(built):
    assert synthetic.checksums(built.clone / "book") == built.before
    assert built.index == built.clone / "book" / "_build" / "html" / "index.html"


def test_book_has_a_page_for_each_own_study_and_its_pruned_networks(built):
    assert built.pages[0] == "index" and {STUDY, f"{STUDY}/uniform-0.6"} <= set(built.pages)
    assert all((built.html / f"{page}.html").is_file() for page in built.pages)


def test_page_of_a_study_has_its_name_and_hides_its_parameters(built):
    text = (built.html / f"{STUDY}.html").read_text()
    title = text.split("<h1>")[1].split("<a")[0]
    assert "ResNet-56" in title and "8×8" in text
    # The cell of parameters and the one that papermill adds.
    assert "results: list" not in text and "# Parameters" not in text


def test_numbers_on_the_first_page_are_glued_in(built):
    text = built.index.read_text()
    assert "glue:" not in text and text.count("pasted-text") == 3


def test_equal_tables_give_equal_pages(built, tmp_path):
    folders = {"results": ["book/results", "runs/book/results"]}
    page = Page(built.clone / "notebooks" / "advice.ipynb", "advice", folders)
    (path,) = execute([page], tmp_path, built.clone)
    assert path.read_text() == (built.stage / "advice.ipynb").read_text()


def test_publishing_writes_results_pages_and_contents(built, tmp_path, monkeypatch):
    clone = synthetic.clone(tmp_path, ["resnet56"])
    executed = []

    def copied(pages, folder, root):
        """The pages that are executed already stand for a second execution."""
        executed.extend(pages)
        sources = [built.stage / f"{page.target}.ipynb" for page in pages]
        return [Path(shutil.copy(source, folder)) for source in sources]

    monkeypatch.setattr(hpstudy.report.build, "execute", copied)
    monkeypatch.setattr(hpstudy.report.build, "_bind", lambda *args: None)
    monkeypatch.setattr(hpstudy.report.build, "_check", lambda *args: None)
    build_book(clone, publish=True)
    book = clone / "book"
    tables = {path.name for path in (clone / "runs" / "book" / "results").iterdir()}
    assert set(synthetic.checksums(book / "results")) == tables
    assert (book / "_toc.yml").read_text() == (built.stage / "_toc.yml").read_text()
    # Published pages show published tables alone.
    assert all(page.parameters["results"] == ["book/results"] for page in executed)
    assert all((book / f"{page.target}.ipynb").is_file() for page in executed)


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_pages_of_the_own_study_draw_their_figures_beside_each_other_and_stacked(built):
    """Panels stand below each other on a narrow screen."""
    beside = {}
    with chromium() as browser, served(built.html) as address:
        for width in (400, 1280):
            context = browser.new_context(viewport={"width": width, "height": 900})
            for page in (STUDY, "index"):
                tab, outside, errors = visit(context, address, f"{page}.html")
                assert (outside, errors) == ([], []), page
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
                assert tab.locator(".hpstudy-figure .js-plotly-plot").count() >= 1
            tab.wait_for_timeout(300)
            tops = tab.evaluate(
                "[...document.querySelectorAll('.annotation')].slice(0, 2)"
                ".map(title => title.getBoundingClientRect().top)"
            )
            beside[width] = abs(tops[0] - tops[1]) < 5
    assert beside == {400: False, 1280: True}


@pytest.mark.browser
def test_dark_theme_gives_figures_light_ink(built):
    ink = {}
    with chromium() as browser, served(built.html) as address:
        for theme in ("light", "dark"):
            tab, _, _ = visit(browser.new_context(color_scheme=theme), address, "index.html")
            tab.wait_for_timeout(300)
            fill = tab.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill")
            ink[theme] = sum(int(part) for part in fill[4:-1].split(",")[:3]) / 3
    assert ink["light"] < 100 and ink["dark"] > 150


# --- execution ------------------------------------------------------------------------------------


def test_unknown_parameter_is_refused_before_anything_runs(tmp_path, refused):
    source = synthetic.REPOSITORY / "notebooks" / "study.ipynb"
    page = Page(source, "studies/one", {"studdy": "one"})
    sentence = refused(execute, [page], tmp_path, tmp_path)
    assert "'studdy'" in sentence and "did you mean 'study'" in sentence
    assert list(tmp_path.iterdir()) == []


def test_failing_notebook_leaves_the_pages_as_they_are(tmp_path, refused):
    clone = synthetic.clone(tmp_path, ["resnet56"])
    for path in (clone / "notebooks").glob("*.ipynb"):
        book = nbformat.read(path, as_version=4)
        # The others end at once.
        kept = [
            cell
            for cell in book.cells
            if cell.cell_type == "markdown" or "parameters" in cell.metadata.get("tags", ())
        ]
        failing = [nbformat.v4.new_code_cell("raise ValueError('no such thing')")]
        book.cells = kept + failing * (path.name == "study.ipynb")
        nbformat.write(book, path)
    before = synthetic.checksums(clone)
    sentence = refused(build_book, clone)
    assert "study.ipynb fails" in sentence and "no such thing" in sentence
    assert synthetic.checksums(clone) == before


def test_book_without_results_is_refused(tmp_path, refused):
    clone = synthetic.clone(tmp_path)
    shutil.rmtree(clone / "runs")
    assert "no results yet" in refused(build_book, clone)


def test_contents_list_the_studies_in_the_order_of_the_thesis(tmp_path):
    synthetic.write(tmp_path, points=3, seeds=1)
    text = contents(read_results([tmp_path]))
    first, second = (text.index(f"synthetic-{name}") for name in ("resnet56", "mobilenetv2"))
    assert first < second


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
