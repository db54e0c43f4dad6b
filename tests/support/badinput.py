"""Bad inputs, each with the one sentence that must refuse it.

Each case runs in an empty folder, so that sentences name files as a user does.
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
        Kind of input: "params file", "command line", ...
    what : str
        The input in a few words.
    make : callable
        Writes its files to the working directory.
    act : callable
        Reads them: raises an HpstudyError, or returns the error of a command.
    sentence : str
        Sentence that must refuse it.
    """

    kind: str
    what: str
    make: Callable[[], object]
    act: Callable[[], object]
    sentence: str


def refusal(case: Case, folder: Path) -> tuple[str, bool]:
    """Sentence that refuses a case in an empty folder, and whether its files are unchanged."""
    with contextlib.chdir(folder):
        case.make()
        before = files()
        try:
            sentence = str(case.act())
        except HpstudyError as error:
            sentence = str(error)
        return sentence.replace(str(folder), "FOLDER"), files() == before


def row(case: Case, sentence: str) -> dict[str, str]:
    """Row of the table in the book."""
    return {"kind": case.kind, "input": case.what, "sentence": sentence}


def files() -> dict[str, int]:
    """Sizes of all files below the working directory but those of a store and of Python."""
    paths = (path for path in Path().rglob("*") if not {"runs", "__pycache__"} & {*path.parts})
    return {str(path): path.lstat().st_size for path in paths}


def run_command(*arguments: object) -> tuple[int, str, str]:
    """Exit status, output and errors of `hpstudy` with these arguments."""
    from hpstudy.cli import main

    output, errors, status = io.StringIO(), io.StringIO(), None
    with (
        mock.patch.object(sys, "argv", ["hpstudy", *map(str, arguments)]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    return status or 0, output.getvalue(), errors.getvalue()


def command(*arguments: str) -> str:
    """Sentence with which `hpstudy` refuses these arguments."""
    status, output, errors = run_command(*arguments)
    assert (status, output) == (2, ""), (status, errors)
    name, _, sentence = errors.partition(": ")
    assert name == "hpstudy" and sentence.endswith("\n")
    return sentence[:-1]


def write(name: str, content: str | bytes) -> None:
    """Write a file, with its folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def nothing() -> None:
    """Make no file."""


def all_cases() -> list[Case]:
    """All cases."""
    from badcommands import COMMANDS, PAPERMILL
    from baddata import DATA_SETS
    from badfiles import DATA, STORES, WEIGHTS
    from badnetworks import NETWORKS
    from badparams import PARAMS
    from badresults import PUBLISHED
    from badtables import TABLES
    from badtrainers import TRAINERS
    from badyaml import FILES

    before = [*PARAMS, *FILES, *PAPERMILL, *COMMANDS, *TABLES, *PUBLISHED]
    return [*before, *DATA, *DATA_SETS, *NETWORKS, *TRAINERS, *WEIGHTS, *STORES]
