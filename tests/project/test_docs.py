"""Docstrings match the code, generated pages are current, pages need no torch."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import params_page
import pytest
import readme_table

import hpstudy

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(hpstudy.__path__, f"{hpstudy.__name__}.")
)
WITHOUT_TORCH = ("cli", "errors", "config", "analysis", "plots", "report")


def public_objects(module_name):
    """Every public function, class, method and property that a module defines, by name."""
    module = importlib.import_module(module_name)
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module_name:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value
        if inspect.isclass(value):
            for key, member in vars(value).items():
                member = getattr(member, "__func__", getattr(member, "fget", member))
                if not key.startswith("_") and inspect.isfunction(member):
                    yield f"{name}.{key}", member


def documented_names(value, title):
    """Names in a section of a numpydoc docstring, or None without the section."""
    lines = inspect.cleandoc(value.__doc__ or "").splitlines()
    starts = [
        number
        for number, line in enumerate(lines)
        if line == title and lines[number + 1].startswith("---")
    ]
    if not starts:
        return None
    names = []
    for line, following in zip(lines[starts[0] + 2 :], [*lines[starts[0] + 3 :], ""], strict=True):
        if following.startswith("---"):
            break
        if line and not line[0].isspace():
            names += [name.strip().lstrip("*") for name in line.partition(" :")[0].split(",")]
    return names


# --- documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_documented_parameters_and_attributes_are_those_of_the_code(module):
    wrong = {}
    for name, value in public_objects(module):
        parameters = documented_names(value, "Parameters")
        signature = [
            key for key in inspect.signature(value).parameters if key not in ("self", "cls")
        ]
        if parameters not in (None, signature):
            wrong[name] = parameters, signature
        # Attributes that only __init__ assigns are not declared.
        fields = getattr(value, "__annotations__", ())
        attributes = set(documented_names(value, "Attributes") or ())
        if fields and (missing := attributes - set(fields) - set(dir(value))):
            wrong[name] = missing
    assert wrong == {}


@pytest.mark.slow
def test_verdicts_in_readme_and_limits_are_those_of_the_published_tables():
    table = readme_table.published()
    for name, lines in {
        "README.md": readme_table.rows(table),
        "book/limits.md": readme_table.counts(table),
    }.items():
        own = (ROOT / name).read_text(encoding="utf-8").splitlines()
        # python tests/support/readme_table.py writes them.
        missing = [line for line in lines if line not in own]
        assert missing == [], name


def test_reference_of_params_files_matches_their_schema():
    # python tests/support/params_page.py writes it.
    assert params_page.PAGE.read_text(encoding="utf-8") == params_page.page()
    assert params_page.SCHEMA.read_text(encoding="utf-8") == params_page.schema()


# --- imports --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pages_need_no_torch():
    modules = [name for name in MODULES if name.split(".")[1] in WITHOUT_TORCH]
    # A finder that raises: a None in sys.modules would look like an installed module.
    code = (
        "import importlib.abc, sys\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'torch_pruning'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"import {', '.join(modules)}\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
