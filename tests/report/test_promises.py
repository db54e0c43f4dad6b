"""The page on faults: every promise names its tests, and every measurement its program."""

import ast
import json
import re
import shlex
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGE = nbformat.read(ROOT / "notebooks" / "withstands.ipynb", as_version=4)
PROMISES = [
    command for cell in PAGE.cells for command in re.findall(r"`(pytest [^`]+)`", cell.source)
]


@pytest.mark.parametrize("command", PROMISES)
def test_promise_names_tests_that_exist(command):
    program, *words = shlex.split(command)
    assert program == "pytest"
    files = [word for word in words if word.startswith("tests/")]
    chosen = words[words.index("-k") + 1].split(" or ") if "-k" in words else ["test_"]
    for file in files:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert any(word in name for word in chosen for name in names if name.startswith("test_"))


def test_page_has_a_promise_for_every_fault():
    assert len(PROMISES) == 15


@pytest.mark.parametrize("name", ["cluster", "recipe", "reruns", "scaling", "soak"])
def test_measurement_names_the_program_that_repeats_it(name):
    path = ROOT / "book" / "measurements" / f"{name}.json"
    command = json.loads(path.read_text(encoding="utf-8"))["command"]
    assert (ROOT / shlex.split(command)[1]).is_file()


def test_no_module_reads_the_clock_that_may_be_set():
    clock = re.compile(r"\btime\.(time(_ns)?|localtime|gmtime|ctime)\(|\b(datetime|date)\.\w+\(")
    assert clock.search("began = time.time()") and clock.search("datetime.now()")
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "hpstudy").rglob("*.py")}
    assert [name for name, text in files.items() if clock.search(text)] == []
