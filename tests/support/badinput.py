"""Bad input, what a reader would call it, and the one sentence that it must be refused with.

The sentences were written before any was seen. Each case is made in an empty folder and acts in
it, so that files are named as a user would name them.
"""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from hpstudy.errors import HpstudyError


class Case(NamedTuple):
    """One bad input.

    Attributes
    ----------
    kind : str
        Of input: "params file", "command line", ...
    what : str
        The input in a few words.
    make : callable
        Puts its files into the working directory.
    act : callable
        Hands them in: raises an HpstudyError, or returns what a command says.
    sentence : str
        What it must be refused with.
    """

    kind: str
    what: str
    make: Callable[[], object]
    act: Callable[[], object]
    sentence: str


def refusal(case: Case, folder: Path) -> tuple[str, bool]:
    """Sentence of a case that is made in an empty folder, and whether its files are as before."""
    with contextlib.chdir(folder):
        case.make()
        before = files()
        try:
            said = str(case.act())
        except HpstudyError as error:
            said = str(error)
        return said.replace(str(folder), "FOLDER"), files() == before


def row(case: Case, said: str) -> dict[str, str]:
    """Row of the table that the book shows."""
    return {"kind": case.kind, "input": case.what, "sentence": said}


def files() -> dict[str, int]:
    """Sizes of all files below the working directory; an empty store is no work."""
    paths = (path for path in Path().rglob("*") if path.parts[0] != "runs")
    return {str(path): path.lstat().st_size for path in paths}


def command(*arguments: str) -> str:
    """What `hpstudy` says on standard error, after its own name."""
    from hpstudy.cli import main

    output, errors, status = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["hpstudy", *arguments]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    assert (status, output.getvalue()) == (2, ""), (status, errors.getvalue())
    name, _, said = errors.getvalue().partition(": ")
    assert name == "hpstudy" and said.endswith("\n")
    return said[:-1]


def write(name: str, content: str | bytes) -> None:
    """Write a file, with its folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def nothing() -> None:
    """Make no file."""


def all_cases() -> list[Case]:
    """The whole table."""
    from badcommands import COMMANDS, PAPERMILL
    from badfiles import DATA, STORES, WEIGHTS
    from badparams import PARAMS
    from badtables import PUBLISHED, TABLES

    return [*PARAMS, *PAPERMILL, *COMMANDS, *TABLES, *PUBLISHED, *DATA, *WEIGHTS, *STORES]
