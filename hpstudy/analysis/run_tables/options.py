"""What the user says of tables of runs: axes, names of columns, which rows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from hpstudy.analysis.landscape import check_axes
from hpstudy.analysis.run_tables.names import COLUMNS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, unknown


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
    """Our names, after a file and a colon where given -> the tables' names of columns.

    Parameters
    ----------
    text : str
        Such as "lr=params_lr,top1=value" or "dense.csv:top1=acc"; a pair with a comma stands in
        double quotes.
    axes : sequence of str, optional
        Axes, whose names belong to ours; lr and weight_decay if not given.

    Raises
    ------
    HpstudyError
        If a pair is incomplete, or our name is unknown or comes twice.
    """
    columns: dict[str, str] = {}
    # A shell leaves the line breaks of a long option in it.
    line = " ".join(text.splitlines())
    for pair in next(csv.reader([line], skipinitialspace=True)) or [""]:
        usage = "--columns takes pairs such as lr=params_lr, separated by commas"
        ours, theirs = _pair(pair, usage)
        name = ours.rpartition(":")[2]
        if name not in (valid := (*(axes or AXES), *COLUMNS)):
            raise unknown("column name in --columns", name, valid)
        if ours in columns:
            raise HpstudyError(f"--columns names {ours} twice: {columns[ours]} and {theirs}.")
        columns[ours] = theirs
    return columns


def columns_by_table(columns: dict[str, str], tables: list[str]) -> list[dict[str, str]]:
    """Names of the columns of each table: those of all tables, and its own before them.

    Raises
    ------
    HpstudyError
        If a name is for a file that is not among the tables, or two are of one column.
    """
    # A table is called as it was given, by its file's name, or by that without its ending.
    calls = {table: ("", table, Path(table).name, Path(table).stem) for table in tables}
    scopes = [(*ours.rpartition(":")[::2], column) for ours, column in columns.items()]
    for scope, _, _ in scopes:
        if not any(scope in names for names in calls.values()):
            raise unknown("file in --columns", scope, tables)
    by_table = []
    for names in calls.values():
        own = {ours: column for call in names for scope, ours, column in scopes if scope == call}
        for ours, column in own.items():
            if len(both := [name for name, other in own.items() if other == column]) > 1:
                raise HpstudyError(
                    f"--columns names {column} for {' and '.join(both)}; a column is one thing. "
                    f"For a sweep of one hyperparameter add --axes {ours}."
                )
        by_table.append(own)
    return by_table


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


def _pair(text: str, usage: str, blank: bool = False) -> tuple[str, str]:
    """Both sides of "name=value", of which only the value may be blank."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and (value or blank)):
        raise HpstudyError(f"{usage}; not {text!r}.")
    return name, value
