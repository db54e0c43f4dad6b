"""Dependencies: those imported are declared, pinned, and described in the book."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normalised(name):
    """Name of a package as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package_of(requirement):
    return normalised(re.match(r"[\w.-]+", requirement)[0])


def release(version):
    """Version as numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


# Lowest version, as numbers, of every package that pyproject.toml asks for.
DECLARED = {
    package_of(line): release(re.search(r">=([\d.]+)(,<\d+)?$", line)[1])
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
}
PINS = {
    normalised(name): version
    for name, version in re.findall(
        r"(?m)^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8")
    )
}


def licence(package):
    """Licence in the metadata of an installed package: expression, classifier or text."""
    fields = metadata.metadata(package)
    classifiers = [text for text in fields.get_all("Classifier", []) if text.startswith("License")]
    classified = classifiers and classifiers[0].split(" :: ")[-1]
    text = (fields.get("License") or "").strip().partition("\n")[0]
    return fields.get("License-Expression") or classified or text


def test_page_on_dependencies_names_each_with_its_pin_and_its_licence():
    page = (ROOT / "book/dependencies.md").read_text(encoding="utf-8")
    entry = r"(?m)^`([\w.-]+)` ([\w.]+), (.+)\n: .+ \*At worst:\* .+$"
    entries = {normalised(name): texts for name, *texts in re.findall(entry, page)}
    requirements = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    assert set(entries) == set(map(package_of, requirements))
    assert {name: version for name, (version, _) in entries.items()} == {
        name: PINS[name] for name in entries
    }
    assert page.count("*At worst:*") == len(entries)
    installed = {normalised(package.name): package.version for package in metadata.distributions()}
    pinned = [name for name in entries if installed.get(name) == PINS[name]]
    assert {name: entries[name][1] for name in pinned} == {name: licence(name) for name in pinned}


def test_conda_environment_installs_pyproject_and_declares_nothing_twice():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    packages = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    assert pip == ["-c constraints.txt", "-e .[test]"]
    assert f"python{PROJECT['requires-python']}" in packages
    assert not {re.split(r"[<>=]", entry)[0] for entry in packages} & set(DECLARED)


def test_every_direct_dependency_is_pinned_at_an_allowed_version():
    assert {
        name: PINS.get(name)
        for name, lowest in DECLARED.items()
        if release(PINS.get(name, "0")) < lowest
    } == {}
    # Jupyter Book 2 does not read _config.yml.
    assert release(PINS["jupyter-book"]) < (2,)


IMPORT = re.compile(r"(?m)^\s*(?:from (\w+)[\w.]* import|import (\w+))")
DISTRIBUTIONS = metadata.packages_distributions()


@pytest.mark.parametrize("folder", ["hpstudy", "tests", "benchmarks"])
def test_every_imported_package_is_declared(folder):
    # The requirements of a declared package are installed with it, as nbformat with papermill.
    available = set(DECLARED)
    for package in DECLARED:
        available |= set(map(package_of, metadata.requires(package) or []))
    files = sorted((ROOT / folder).rglob("*.py"))
    own = {"hpstudy", *(path.stem for path in (*files, *(ROOT / "benchmarks").glob("*.py")))}
    undeclared = set()
    for path in files:
        for match in IMPORT.finditer(path.read_text(encoding="utf-8")):
            module = match[1] or match[2]
            if module in own or module in sys.stdlib_module_names:
                continue
            if not set(map(normalised, DISTRIBUTIONS.get(module, [module]))) & available:
                undeclared.add((path.name, module))
    assert undeclared == set()


def test_every_file_that_is_no_code_is_installed():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = whole["tool"]["setuptools"]["package-data"]["hpstudy"]
    files = (path for path in (ROOT / "hpstudy").rglob("*") if path.is_file())
    others = [path.relative_to(ROOT / "hpstudy") for path in files if ".py" not in path.suffix]
    assert others and not [path for path in others if not any(map(path.match, patterns))]
