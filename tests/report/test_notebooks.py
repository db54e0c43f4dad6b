"""Notebook sources hold no logic and no outputs; pages of the book are executed copies."""

import ast
import re

import nbformat
import pytest
from papermill import inspect_notebook
from synthetic import REPOSITORY

SOURCES = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
PAGES = sorted([*(REPOSITORY / "book").glob("*.ipynb"), *(REPOSITORY / "book").glob("*/*.ipynb")])
PARAMETER = re.compile(r'[a-z_]+: [a-z]+ = (".*?"|\[.*?\]|-?\d+(\.\d+)?|True|False)  # \S.*')


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def source(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def page(request):
    return nbformat.read(request.param, as_version=4)


def test_there_are_notebooks():
    names = {path.stem for path in SOURCES}
    assert names >= {"index", "study", "risk", "thesis", "record", "explore", "sweep"}


def test_source_carries_no_outputs(source):
    nbformat.validate(source)
    assert all(not cell.outputs and cell.execution_count is None for cell in code(source))


def test_source_holds_no_logic(source):
    for cell in code(source):
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.Try, ast.Lambda)
        assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]
        imported = [alias.name for node in ast.walk(tree) for alias in getattr(node, "names", [])]
        assert "torch" not in imported and "sys.path" not in cell.source


def test_captions_have_at_most_240_characters(source):
    for cell in code(source):
        for call in [node for node in ast.walk(ast.parse(cell.source)) if is_show(node)]:
            texts = [node for node in ast.walk(call.args[1]) if isinstance(node, ast.Constant)]
            assert sum(len(node.value) for node in texts) <= 240


def is_show(node):
    called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "show"
    return called and len(node.args) > 1


def test_source_begins_with_a_title_and_a_summary(source):
    first = source.cells[0]
    assert first.cell_type == "markdown"
    # A kicker may stand above the title.
    assert re.match(r"(<p class=\"hp-kicker\">[^\n]+\n\n)?# [^\n]+\n\n\S", first.source)


def test_lead_of_the_first_page_has_at_most_100_words_and_three_numbers():
    index = nbformat.read(REPOSITORY / "notebooks" / "index.ipynb", as_version=4)
    lead = index.cells[0].source.rpartition("\n\n")[2]
    assert len(lead.split()) <= 100
    glued = re.findall(r"\{glue:text\}`(\w+)`", lead)
    assert len(glued) + len(re.findall(r"\d", lead)) <= 3


def test_source_ends_with_the_section_of_the_thesis(source):
    last = source.cells[-1]
    assert last.cell_type == "markdown" and "Thesis:" in last.source


def test_parameters_are_plain_lines_that_papermill_reads(source):
    tagged = [cell for cell in code(source) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    lines = tagged[0].source.splitlines()
    assert lines and all(PARAMETER.fullmatch(line) for line in lines)
    names = {line.partition(":")[0] for line in lines}
    path = next(path for path in SOURCES if nbformat.read(path, as_version=4) == source)
    assert set(inspect_notebook(str(path))) == names


def test_page_is_executed_without_errors(page):
    assert any(cell.outputs for cell in code(page))
    assert all(cell.execution_count for cell in code(page) if cell.source)
    kinds = {output.output_type for cell in code(page) for output in cell.outputs}
    assert "error" not in kinds
    streams = [o for c in code(page) for o in c.outputs if o.output_type == "stream"]
    assert not [output for output in streams if output.name == "stderr"]


def test_page_names_no_time_and_no_folder_of_a_machine(page):
    text = nbformat.writes(page)
    assert "papermill" not in page.metadata
    assert '"start_time"' not in text and "iopub" not in text
    assert not re.search(r'"(/[a-z]+/|[A-Z]:\\\\)', text)
    assert not re.search(r"/(home|tmp|root|Users)/", text)


def test_every_number_in_the_prose_of_a_page_is_defined_in_it(page):
    wanted = set()
    for cell in page.cells:
        if cell.cell_type == "markdown":
            wanted |= set(re.findall(r"\{glue:text\}`([a-z_]+)`", cell.source))
    glued = {
        output.metadata.scrapbook.name
        for cell in code(page)
        for output in cell.outputs
        if "scrapbook" in output.get("metadata", {})
    }
    assert wanted <= glued
