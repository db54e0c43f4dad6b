"""Params files that are bad as text or as files (`badinput.Case`)."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
import yaml
from badinput import Case, nothing, write


def load(name: str = "study.yaml") -> Any:
    """Read a params file."""
    from hpstudy.config.study import Study

    return Study.load(name)


def text(what: str, content: str | bytes, sentence: str) -> Case:
    """Case of a params file with this content."""
    return Case("params file", what, partial(write, "study.yaml", content), load, sentence)


def replaced(old: str, new: str) -> str:
    """Text of the smallest params file with one part replaced."""
    whole = yaml.safe_dump(tiny.STUDY)
    assert old in whole
    return whole.replace(old, new)


def _large() -> None:
    with Path("study.yaml").open("wb") as file:
        file.truncate(2**30)


FILES = [
    text(
        "data with a control character",
        replaced("name: fashion-mnist-8k", 'name: "folder:x\\x1b"'),
        "study.yaml: data.name must be text of printed characters, not 'folder:x\\x1b'.",
    ),
    text(
        "a time as a number of epochs",
        replaced("epochs: 1", "epochs: 1:30"),
        "study.yaml: recipe.epochs must be a valid integer, not '1:30'.",
    ),
    text(
        "a hexadecimal seed",
        replaced("seeds:\n- 0", "seeds: [0x10]"),
        "study.yaml: seeds.0 must be a valid integer, not '0x10'.",
    ),
    text(
        "a date as a number of epochs",
        replaced("epochs: 1", "epochs: 2024-01-01"),
        "study.yaml: recipe.epochs must be a valid integer, not '2024-01-01'.",
    ),
    text("an empty file", "", "study.yaml must hold keys and values, not None."),
    text("a list", "- 1\n- 2\n", "study.yaml must hold keys and values, not [1, 2]."),
    text(
        "a list that holds itself",
        replaced("seeds:\n- 0", "seeds: &a [*a]"),
        "study.yaml: seeds.0 must be a valid integer, not [[...]].",
    ),
    text(
        "a key twice",
        replaced("seeds:", "seeds: [1]\nseeds:"),
        "line 29 of study.yaml is not valid YAML: the key 'seeds' comes twice.",
    ),
    text(
        "two thousand brackets",
        "a: " + "[" * 2_000,
        "study.yaml is not valid YAML: it is nested too deeply, or a value does not fit its tag.",
    ),
    text(
        "a tag that runs a command",
        "a: !!python/object/apply:os.system ['touch x']\n",
        "line 1 of study.yaml is not valid YAML: could not determine a constructor for "
        "the tag 'tag:yaml.org,2002:python/object/apply:os.system'.",
    ),
    text(
        "an open bracket",
        "a: [1",
        "line 1 of study.yaml is not valid YAML: while parsing a flow sequence, expected "
        "',' or ']', but got '<stream end>'.",
    ),
    text(
        "a tab before a key",
        "a:\n\tb: 1\n",
        "line 2 of study.yaml is not valid YAML: while scanning for the next token, found "
        "character '\\t' that cannot start any token.",
    ),
    text(
        "two documents",
        "a: 1\n---\nb: 1\n",
        "line 2 of study.yaml is not valid YAML: expected a single document in the "
        "stream, but found another document.",
    ),
    text(
        "a null byte",
        b"a: 1\nname: x\0y\n",
        "line 2 of study.yaml is not valid YAML: the character '\\x00' is not allowed.",
    ),
    text("UTF-16", "name: x\n".encode("utf-16"), "study.yaml is not text in UTF-8."),
    text("Latin-1", "name: caf\xe9\n".encode("latin-1"), "study.yaml is not text in UTF-8."),
    Case(
        "params file",
        "a file of a gibibyte",
        _large,
        load,
        "study.yaml has more than 65,536 bytes, which no such file needs.",
    ),
    Case(
        "params file",
        "a folder",
        partial(Path.mkdir, Path("study.yaml")),
        load,
        "study.yaml is a folder, not a file.",
    ),
    Case(
        "params file",
        "a missing file",
        lambda: write("params/quick/resnet56.yaml", "a: 1"),
        partial(load, "params/quick/resnt56.yaml"),
        "no params file at params/quick/resnt56.yaml (did you mean 'params/quick/resnet56.yaml'?).",
    ),
    Case(
        "params file",
        "a name with a line break",
        nothing,
        partial(load, "a\nb.yaml"),
        r"no params file at a\nb.yaml.",
    ),
    Case(
        "params file",
        "a name of 300 letters",
        nothing,
        partial(load, "x" * 300),
        f"'{'x' * 99}… cannot be read: File name too long.",
    ),
]
