"""What all sources of runs share: cells as text, databases opened to be read, names after a #."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.errors import HpstudyError, listed, nearest, shown


def text_table(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Table of text, as if it came from a CSV file.

    Parameters
    ----------
    rows : iterable of (str, mapping)
        Label of a row, and its values by column. Values that are None or missing become blank;
        NaN and the infinities become "nan", "inf" and "-inf".

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        dtype object; columns in the order in which they first appear.
    """
    rows = list(rows)
    cells = [{name: _cell(value) for name, value in row.items()} for _, row in rows]
    return pd.DataFrame(cells, index=[label for label, _ in rows], dtype=object).fillna("")


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def flat(values: Mapping[str, Any], joint: str, prefix: str = "") -> dict[str, Any]:
    """Values of a nested mapping by their path; `joint` stands between the names of a path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, joint, f"{prefix}{name}{joint}")
        else:
            found[f"{prefix}{name}"] = value
    return found


def existing(place: str, typed: str) -> Path:
    """Path that `place` names, with ~ for the home folder.

    Raises
    ------
    HpstudyError
        If there is nothing; names the nearest in the same folder.
    """
    path = Path(place.removeprefix("file://")).expanduser()
    if path.exists():
        return path
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, beside)
    hint = f" (did you mean {shown(str(path.with_name(close)))}?)" if close else ""
    raise HpstudyError(f"{typed}: there is no {shown(place)}{hint}.")


def open_sqlite(path: Path, typed: str, needed: str, tool: str) -> sqlite3.Connection:
    """SQLite database that is only read.

    Parameters
    ----------
    path : Path
    typed : str
        Source as it was typed.
    needed : str
        Table that every database of the tool has.
    tool : str

    Raises
    ------
    HpstudyError
        If it is no database, damaged, or not the tool's.
    """
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    except sqlite3.Error as error:
        raise HpstudyError(
            f"{typed}: {path} cannot be read as an SQLite database ({error})."
        ) from None
    if needed not in tables:
        database.close()
        raise HpstudyError(f"{typed}: {path} is no database of {tool}: it has no table {needed!r}.")
    return database


def chosen(kind: str, name: str, names: list[str], typed: str) -> str:
    """Name of a study or an experiment: the one asked for, or the only one.

    Raises
    ------
    HpstudyError
        If there is none of that name, or none was asked for and there are several; lists them.
    """
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    if not names:
        raise HpstudyError(f"{typed} has no {kind}.")
    place = typed.partition("#")[0]
    problem = f"has no {kind} {shown(name)}, but" if name else "has"
    close = nearest(name, names) or names[0]
    raise HpstudyError(f"{place} {problem} {listed(names)}; type for example '{place}#{close}'.")


def damaged(path: Path, what: object, remedy: str) -> HpstudyError:
    """Error saying what of a file cannot be read, and what to do."""
    return HpstudyError(f"{path} is damaged: {what}; {remedy}.")
