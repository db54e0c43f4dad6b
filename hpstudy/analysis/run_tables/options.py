"""What the user says of tables of runs: axes, names of columns, which rows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from hpstudy.analysis.landscape import check_axes
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, listed, unknown

ACCURACIES = ("top1", "top5", "best_top1")
TRUTHS = ("diverged", "stopped")
COLUMNS = ("variant", "seed", *ACCURACIES, *TRUTHS, "state", "run", "epoch")
"""What the columns of a table may say of a run, besides its setting."""


def parse_axes(text: str) -> tuple[str, ...]:
    """Axes of a landscape from text such as "lr,weight_decay": the one drawn upwards first.

    Raises
    ------
    HpstudyError
        If they are not one or two different hyperparameters.
    """
    axes = tuple(word.strip() for word in text.split(","))
    check_axes(axes)
    return axes


def parse_columns(text: str, axes: Sequence[str] | None = None) -> dict[str, str]:
    """Names of columns from text such as "lr=params_lr,top1=value" or "dense.csv:top1=acc".

    Parameters
    ----------
    text : str
        Pairs of our name and the table's, separated by commas; a pair with a comma stands in double
        quotes. A file and a colon before a pair limit it to that file.
    axes : sequence of str, optional
        Names of the axes, which belong to ours; lr and weight_decay if not given.

    Returns
    -------
    dict of str to str
        Our name, after a file and a colon where given -> the table's.

    Raises
    ------
    HpstudyError
        If a pair is incomplete, or our name is unknown or comes twice.
    """
    columns: dict[str, str] = {}
    # A shell leaves the line breaks of a long option in it.
    line = " ".join(text.splitlines())
    for pair in next(csv.reader([line], skipinitialspace=True)) or [""]:
        ours, theirs = _pair(
            pair, "--columns takes pairs such as lr=params_lr, separated by commas"
        )
        name = ours.rpartition(":")[2]
        if name not in (valid := (*(axes or AXES), *COLUMNS)):
            raise unknown("column name in --columns", name, valid)
        if ours in columns:
            raise HpstudyError(f"--columns names {ours} twice: {columns[ours]} and {theirs}.")
        columns[ours] = theirs
    return columns


def columns_of(columns: dict[str, str], table: str) -> dict[str, str]:
    """Names of the columns of one table: those of all tables, and its own before them."""
    own: dict[str, str] = {}
    for scope in ("", *calls(table)):
        for ours, theirs in columns.items():
            if ours.rpartition(":")[0] == scope:
                own[ours.rpartition(":")[2]] = theirs
    for ours, theirs in own.items():
        if list(own.values()).count(theirs) > 1:
            both = [name for name, column in own.items() if column == theirs]
            raise HpstudyError(
                f"--columns names {theirs} for {' and '.join(both)}; a column is one thing. For "
                f"a sweep of one hyperparameter add --axes {ours}."
            )
    return own


def check_scopes(columns: dict[str, str], tables: list[str]) -> None:
    """Refuse names of columns for a file that is not among the tables."""
    for ours in columns:
        scope = ours.rpartition(":")[0]
        if scope and not any(scope in calls(table) for table in tables):
            raise unknown("file in --columns", scope, tables)


def calls(table: str) -> tuple[str, ...]:
    """Names of a table: as it was given, its file's name, that without its ending."""
    return table, Path(table).name, Path(table).stem


def parse_where(pairs: str | Iterable[str]) -> dict[str, list[str]]:
    """Column -> the values of the rows that are kept, from texts such as "optimizer=sgd"."""
    where: dict[str, list[str]] = {}
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        column, value = _pair(pair, "--where takes a pair such as optimizer=sgd", blank=True)
        where.setdefault(column, []).append(value)
    return where


def split_names(names: str | Iterable[str]) -> list[str]:
    """Names of columns, from one text with commas or from several texts."""
    texts = [names] if isinstance(names, str) else names
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def one_of(option: str, value: str | None, valid: tuple[str, ...]) -> None:
    """Refuse a value that an option does not have."""
    if value is not None and value not in valid:
        raise HpstudyError(f"{option} takes {listed(valid)}; not {value!r}.")


def _pair(text: str, usage: str, blank: bool = False) -> tuple[str, str]:
    """Both sides of "name=value", of which only the value may be blank."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and (value or blank)):
        raise HpstudyError(f"{usage}; not {text!r}.")
    return name, value
