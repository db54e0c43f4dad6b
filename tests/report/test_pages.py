"""Pages of the book: which are executed, in which kernels, and where they stand."""

import nbformat
import papermill
import pytest
import synthetic
import yaml

import hpstudy.report.build
from hpstudy.analysis.study_results import read_results
from hpstudy.report.build import build_book, contents
from hpstudy.report.execute import Page, execute
from hpstudy.report.papermill_worker import NOT_STARTED, STARTS, Kernel

STUDY = "studies/synthetic-resnet56"


def test_settings_stand_below_their_study_and_parts_have_captions(tmp_path):
    synthetic.write(tmp_path, points=3, seeds=1)
    toc = yaml.safe_load(contents(read_results([tmp_path])))
    assert toc["root"] == "index" and all(part["caption"] for part in toc["parts"])
    studies = toc["parts"][0]["chapters"]
    assert [study["file"] for study in studies][:1] == [STUDY]
    assert studies[0]["sections"][0] == {
        "file": f"{STUDY}/uniform-0.6",
        "title": "Uniform, 60 %",
    }


@pytest.fixture
def executed(monkeypatch):
    """Pages that builds execute, none of which is really executed or bound."""
    pages = []

    def execute(asked, folder, root):
        pages.append([page.target for page in asked])
        targets = [folder / f"{number}.ipynb" for number in range(len(asked))]
        for page, target in zip(asked, targets, strict=True):
            target.write_text(page.title)
        return targets

    monkeypatch.setattr(hpstudy.report.build, "execute", execute)
    monkeypatch.setattr(hpstudy.report.build, "_bind", lambda *args: None)
    monkeypatch.setattr(hpstudy.report.build, "_check", lambda *args: None)
    return pages


def test_a_study_that_has_run_has_its_own_pages_executed_and_those_that_are_not_there(
    tmp_path, executed
):
    clone = synthetic.clone(tmp_path, ["resnet56", "mobilenetv2"])
    build_book(clone)
    build_book(clone, studies=["synthetic-resnet56"])
    whole, own = executed
    assert {"index", STUDY, f"{STUDY}/uniform-0.6", "studies/synthetic-mobilenetv2"} <= set(whole)
    assert own == [page for page in whole if page == STUDY or page.startswith(f"{STUDY}/")]
    (clone / "runs" / "book" / "cost.ipynb").unlink()
    build_book(clone, studies=[])
    assert executed[-1] == ["cost"]


def test_published_pages_stand_in_for_those_that_are_not_executed(tmp_path, executed):
    clone = synthetic.clone(tmp_path, ["resnet56"])
    (clone / "book" / "index.ipynb").write_text("published")
    build_book(clone, studies=["synthetic-resnet56"])
    stage = clone / "runs" / "book"
    assert "index" not in executed[0] and (stage / "index.ipynb").read_text() == "published"
    title = (stage / STUDY / "uniform-0.6.ipynb").read_text()
    assert title == "ResNet-56, uniform, 60 % of FLOPs"


@pytest.mark.parametrize("failures", [0, 1, STARTS - 1, STARTS])
def test_kernel_that_does_not_start_is_started_again(failures, tmp_path, monkeypatch):
    managers = []

    def execute_notebook(notebook, target, parameters, km, **options):
        managers.append(km)
        if len(managers) <= failures:
            raise RuntimeError(NOT_STARTED)

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    source = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), source)
    reason = Kernel().execute(str(source), str(tmp_path / "done.ipynb"), {})
    assert reason == (NOT_STARTED if failures == STARTS else "")
    assert len(set(managers)) == min(failures + 1, STARTS)


def notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), *cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(book, path)
    return path


@pytest.mark.slow
def test_pages_share_kernels_and_nothing_else(tmp_path, monkeypatch, refused):
    monkeypatch.setattr("hpstudy.report.execute.WORKERS", 1)
    first = notebook(tmp_path / "first.ipynb", "n: int = 1  # number", "kept = n; kept")
    second = notebook(tmp_path / "second.ipynb", "n: int = 1  # number", "'kept' in globals(), n")
    bad = notebook(tmp_path / "bad.ipynb", "n: int = 1  # number", "1 / 0")
    pages = [
        Page(first, "a", {"n": 7}, "B"),
        Page(second, "b", {}),
        Page(first, "c", {"n": 7}, "B"),
    ]
    a, b, c = execute(pages, tmp_path, tmp_path)
    assert a.read_bytes() == c.read_bytes()
    cells = nbformat.read(a, as_version=4).cells
    assert cells[0].source == "# B" and [cell.get("execution_count") for cell in cells[1:]] == [
        1,
        2,
        3,
    ]
    assert nbformat.read(b, as_version=4).cells[-1].outputs[0].data["text/plain"] == "(False, 1)"
    assert "bad.ipynb fails for d: ZeroDivisionError" in refused(
        execute, [Page(bad, "d", {}), *pages], tmp_path, tmp_path
    )
