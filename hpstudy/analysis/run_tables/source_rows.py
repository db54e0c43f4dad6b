"""What all sources of runs share: cells as text, databases opened to be read, names after a #."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.errors import HpstudyError, listed, nearest, shown


def flat(values: dict[str, Any], joint: str = ".", prefix: str = "") -> dict[str, Any]:
    """Values of a nested mapping by their path; `joint` stands between the names of a path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, joint, f"{prefix}{name}{joint}")
        else:
            found[f"{prefix}{name}"] = value
    return found


def as_text(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Table of text from labels of rows and their values; None and what is missing are blank."""
    rows = list(rows)
    cells = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for _, row in rows
    ]
    return pd.DataFrame(cells, index=[label for label, _ in rows], dtype=object).fillna("")


def existing(text: str, place: str) -> Path:
    """Path of a place, with ~ for the home folder, if it exists."""
    path = Path(place.removeprefix("file://")).expanduser()
    if not path.exists():
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, names)
        hint = f" (did you mean {shown(str(path.with_name(close)))}?)" if close else ""
        raise HpstudyError(f"{text}: there is no {shown(place)}{hint}.")
    return path


def open_sqlite(text: str, path: Path, needed: str, tool: str) -> sqlite3.Connection:
    """Database that is only read, if it has a table that the tool's have."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    except sqlite3.Error as error:
        raise HpstudyError(
            f"{text}: {path} cannot be read as an SQLite database ({error})."
        ) from None
    if needed not in tables:
        database.close()
        raise HpstudyError(f"{text}: {path} is no database of {tool}: it has no table {needed!r}.")
    return database


def chosen(text: str, kind: str, names: list[str]) -> str:
    """Study or experiment: the one that `text` names behind its #, or the only one."""
    place, _, name = text.partition("#")
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    if not names:
        raise HpstudyError(f"{text} has no {kind}.")
    problem = f"has no {kind} {shown(name)}, but" if name else "has"
    close = nearest(name, names) or names[0]
    raise HpstudyError(f"{place} {problem} {listed(names)}; type for example '{place}#{close}'.")


def damaged(path: Path, problem: object, remedy: str = "restore the file") -> HpstudyError:
    """Error about a file that cannot be read."""
    return HpstudyError(f"{path} is damaged: {problem}; {remedy}, or move it elsewhere.")
