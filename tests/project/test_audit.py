"""What the package may not do, and the page on what it is built on."""

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# --- the code -------------------------------------------------------------------------------------


FORBIDDEN = re.compile(
    r"(eval|exec|compile|__import__|os\.(system|popen|exec\w+)|(pickle|marshal|shelve|joblib)\.\w+"
    r"|yaml\.(load|unsafe_load|full_load|load_all)|\w+\.read_pickle|tempfile\.mktemp"
    r"|subprocess\.(getoutput|getstatusoutput))"
)


def forbidden(text):
    """Calls of a program that would execute what they are given, or trust a name in /tmp."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {one.arg: ast.unparse(one.value) for one in node.keywords}
            safe = "Safe" in options.get("Loader", "") or "Safe" in "".join(
                map(ast.unparse, node.args[1:])
            )
            if FORBIDDEN.fullmatch(name) and not (name == "yaml.load" and safe):
                yield name
            if name == "torch.load" and options.get("weights_only") != "True":
                yield name
            if options.get("shell", "False") != "False":
                yield f"{name}(shell)"
            if options.get("allow_pickle", "False") != "False":
                yield f"{name}(allow_pickle)"
        elif isinstance(node, ast.Constant) and str(node.value).startswith("/tmp"):
            yield node.value


def test_package_executes_no_text_and_unpickles_nothing():
    found = {
        path.name: names
        for path in sorted((ROOT / "hpstudy").rglob("*.py"))
        if (names := list(forbidden(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)",
        "yaml.load(x)",
        "yaml.load(x, Loader=yaml.Loader)",
        "torch.load(path)",
        "subprocess.run(x, shell=True)",
        "numpy.load(x, allow_pickle=True)",
        "pickle.load(x)",
        "tempfile.mktemp()",
        "open('/tmp/x')",
    ],
)
def test_the_search_finds_what_must_not_be_there(text):
    assert len(list(forbidden(text))) == 1


# --- dependencies ---------------------------------------------------------------------------------


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package):
    """What a package says of its licence, in the order in which packages should say it."""
    said = metadata.metadata(package)
    kinds = [one for one in said.get_all("Classifier", []) if one.startswith("License ::")]
    short = (said.get("License") or "").strip().partition("\n")[0]
    return said.get("License-Expression") or (kinds[0].split(" :: ")[-1] if kinds else short)


def test_page_on_dependencies_names_each_with_its_pin_and_its_licence():
    page = (ROOT / "book/dependencies.md").read_text(encoding="utf-8")
    entry = r"(?m)^`([\w.-]+)` ([\w.]+), (.+)\n: (.+) \*At worst:\* (.+)$"
    rows = {name: row for name, *row in re.findall(entry, page)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    assert set(rows) == {re.match(r"[\w.-]+", line)[0] for line in asked}
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {plain(name): pin for name, pin in re.findall(r"(?m)^([\w.-]+)==([\w.]+)", text)}
    assert {name: row[0] for name, row in rows.items()} == {
        name: pins[plain(name)] for name in rows
    }
    assert page.count("*At worst:*") == len(rows)
    there = {plain(one.metadata["Name"]): one.version for one in metadata.distributions()}
    same = [name for name in rows if there.get(plain(name)) == rows[name][0]]
    assert {name: rows[name][1] for name in same} == {name: licence(name) for name in same}
