"""Promises of the code about itself: documentation, imports, dependencies, tests that can fail."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import params_page
import pytest
import readme_table
import yaml

import hpstudy

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MODULES = sorted(
    module.name.removeprefix("hpstudy.")
    for module in pkgutil.walk_packages(hpstudy.__path__, "hpstudy.")
)
# What redraws pages: these work where torch is not installed.
TORCHLESS = [
    module
    for module in MODULES
    if module.partition(".")[0] in ("cli", "errors", "config", "analysis", "plots", "report")
]


def public(module_name):
    """Every public function, class, method and property that a module defines, by name."""
    module = importlib.import_module(f"hpstudy.{module_name}")
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module_name}.{name}", thing
        if inspect.isclass(thing):
            for key, member in vars(thing).items():
                if not key.startswith("_"):
                    member = getattr(member, "__func__", getattr(member, "fget", member))
                    if inspect.isfunction(member):
                        yield f"{module_name}.{name}.{key}", member


def section(thing, title):
    """Names that a section of a numpydoc docstring lists, or None where there is none."""
    lines = inspect.cleandoc(thing.__doc__ or "").splitlines()
    for k in range(len(lines) - 1):
        if lines[k] == title and set(lines[k + 1]) == {"-"}:
            break
    else:
        return None
    names = []
    for number, line in enumerate(lines[k + 2 :], k + 2):
        if number + 1 < len(lines) and lines[number + 1].startswith("---"):
            break
        if line and not line[0].isspace():
            names += [name.strip().lstrip("*") for name in line.partition(" :")[0].split(",")]
    return names


# --- documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_says_what_it_is(module):
    assert importlib.import_module(f"hpstudy.{module}").__doc__
    silent = [
        name
        for name, thing in public(module)
        # dataclasses would write the signature where there is no docstring.
        if not thing.__doc__ or thing.__doc__.startswith(f"{thing.__name__}(")
    ]
    assert silent == []


@pytest.mark.parametrize("module", MODULES)
def test_documented_parameters_are_those_of_the_signature(module):
    drifted = {}
    for name, thing in public(module):
        documented = section(thing, "Parameters")
        if documented is None:
            continue
        actual = [key for key in inspect.signature(thing).parameters if key not in ("self", "cls")]
        if documented != actual:
            drifted[name] = documented, actual
    assert drifted == {}


@pytest.mark.parametrize("module", MODULES)
def test_documented_attributes_are_those_of_the_class(module):
    drifted = {}
    for name, thing in public(module):
        documented = section(thing, "Attributes")
        if documented is not None and dataclasses.is_dataclass(thing):
            fields = [field.name for field in dataclasses.fields(thing)]
            fields += [key for key, value in vars(thing).items() if isinstance(value, property)]
            if not set(documented) <= set(fields):
                drifted[name] = sorted(set(documented) - set(fields))
    assert drifted == {}


def test_the_walk_over_the_package_sees_what_is_there():
    names = {name for module in MODULES for name, _ in public(module)}
    assert {
        "config.study.Study.load",
        "storage.store.Store.record",
        "training.trainer.Trainer",
        "analysis.landscape.Landscape",
    } <= names
    from hpstudy.training.trainer import Trainer

    assert section(Trainer, "Parameters")[:3] == ["model", "data", "recipe"]
    assert section(Trainer, "Raises") == ["HpstudyError"]
    assert section(public, "Parameters") is None


def test_verdicts_in_readme_and_limits_are_those_of_the_published_tables():
    table = readme_table.published()
    wanted = {"README.md": readme_table.rows(table)}
    wanted["book/limits.md"] = readme_table.counts(table)
    for name, lines in wanted.items():
        missing = set(lines) - set((ROOT / name).read_text(encoding="utf-8").splitlines())
        # python tests/support/readme_table.py writes them.
        assert missing == set(), name


def test_reference_of_params_files_is_that_of_their_schema():
    # python tests/support/params_page.py writes it.
    assert params_page.PAGE.read_text(encoding="utf-8") == params_page.page()
    assert params_page.SCHEMA.read_text(encoding="utf-8") == params_page.schema()


# --- tests ----------------------------------------------------------------------------------------


def can_fail(function):
    """Whether a test holds an assertion, or expects an exception."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("raises", "warns") or called.startswith("assert"):
                return True
    return False


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
def test_every_test_can_fail(path):
    tests = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert tests
    assert [test.name for test in tests if not can_fail(test)] == []
    names = [test.name for test in tests]
    assert sorted(names) == sorted(set(names))


# --- imports --------------------------------------------------------------------------------------


def imported(path):
    """Modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "hpstudy":
                yield from (f"hpstudy.{name.name}" for name in node.names)


def test_pages_are_drawn_without_torch():
    # Absent to whoever looks for them; a None in sys.modules would be there, and be no module.
    code = (
        "import importlib.abc, sys\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'torch_pruning'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"import {', '.join(f'hpstudy.{name}' for name in TORCHLESS)}\n"
        "print('drawn')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout == "drawn\n", done.stderr


# --- dependencies ---------------------------------------------------------------------------------


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared():
    """Lowest version, as numbers, of every package that pyproject.toml asks for."""
    asked = [*project()["dependencies"], *project()["optional-dependencies"]["test"]]
    return {
        match[1].lower(): numbers(match[2])
        for match in (re.match(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)(,<\d+)?$", line) for line in asked)
    }


def plain(name):
    """Name of a package as every index spells it."""
    return name.lower().replace("_", "-")


def numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def test_conda_environment_is_that_of_pyproject():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    plain = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    # Installed from pyproject.toml itself, with the pinned versions: nothing is listed twice.
    assert pip == ["-c constraints.txt", "-e .[test]"]
    assert f"python{project()['requires-python']}" in plain
    assert not {re.split(r"[<>=]", entry)[0] for entry in plain} & set(declared())


def test_every_direct_dependency_is_pinned_at_a_version_that_is_asked_for():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    pins = {name.replace("_", "-"): numbers(version) for name, version in pins.items()}
    assert set(declared()) - set(pins) == set()
    low = {name: (pins[name], least) for name, least in declared().items() if pins[name] < least}
    assert low == {}
    # The second line of Jupyter Book does not read _config.yml.
    assert pins["jupyter-book"] < (2,)


@pytest.mark.parametrize("folder", ["hpstudy", "tests", "benchmarks"])
def test_every_package_that_is_imported_is_asked_for(folder):
    by_module = packages_distributions()
    # What a package that is asked for itself requires comes with it, as nbformat with papermill.
    there = set(declared())
    for package in declared():
        there |= {plain(re.match(r"[\w.-]+", line)[0]) for line in requires(package) or []}
    files = sorted((ROOT / folder).rglob("*.py"))
    own = {"hpstudy", *(path.stem for path in (*files, *(ROOT / "benchmarks").glob("*.py")))}
    undeclared = set()
    for path in files:
        for name in imported(path):
            top = name.partition(".")[0]
            if top in own or top in sys.stdlib_module_names:
                continue
            packages = {plain(package) for package in by_module.get(top, [top])}
            if not packages & there:
                undeclared.add((path.name, top))
    assert undeclared == set()
