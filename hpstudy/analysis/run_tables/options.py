"""What is said of tables of runs beside them: axes, names of columns, which rows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from hpstudy.analysis.landscape import check_axes
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, listed, unknown

ACCURACIES = ("top1", "top5", "best_top1")
TRUTHS = ("diverged", "stopped")
COLUMNS = ("variant", "seed", *ACCURACIES, *TRUTHS, "state", "run", "epoch")
"""What a table may say of a run beside its place on the axes."""


def parse_axes(text: str) -> tuple[str, ...]:
    """Axes of a landscape from text such as "lr,weight_decay": the one drawn upwards first.

    Raises
    ------
    HpstudyError
        If they are not one or two different hyperparameters; names them.
    """
    axes = tuple(word.strip() for word in text.split(","))
    check_axes(axes)
    return axes


def parse_columns(text: str, axes: Sequence[str] | None = None) -> dict[str, str]:
    """Names of columns from text such as "lr=params_lr,top1=value" or "dense.csv:top1=acc".

    Parameters
    ----------
    text : str
        Pairs of a name of ours and one of the table's, separated by commas; a pair that contains
        a comma stands in double quotes. A file and a colon before a pair make it of that file.
    axes : sequence of str, optional
        Names of the axes, which belong to ours; lr and weight_decay if not given.

    Returns
    -------
    dict of str to str
        Our name, with a file and a colon before it where one is given -> the table's.

    Raises
    ------
    HpstudyError
        If a pair is none, or one of our names is unknown or comes twice.
    """
    known = (*(axes or AXES), *COLUMNS)
    columns: dict[str, str] = {}
    # A shell leaves the line breaks of a long option in it.
    line = " ".join(text.splitlines())
    for pair in next(csv.reader([line], skipinitialspace=True)) or [""]:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise HpstudyError(
                f"--columns takes pairs such as lr=params_lr, separated by commas; not {pair!r}."
            )
        if ours.rpartition(":")[2] not in known:
            raise unknown("column name in --columns", ours.rpartition(":")[2], known)
        if ours in columns:
            raise HpstudyError(f"--columns names {ours} twice: {columns[ours]} and {theirs}.")
        columns[ours] = theirs
    return columns


def columns_of(columns: dict[str, str], table: str) -> dict[str, str]:
    """Names of the columns of one table: those said of all, and those said of it.

    Raises
    ------
    HpstudyError
        If one column is named for two things.
    """
    scopes = {"", *calls(table)}
    split = [(*ours.rpartition(":")[::2], theirs) for ours, theirs in columns.items()]
    split.sort(key=lambda one: one[0] != "")
    mine = {ours: theirs for scope, ours, theirs in split if scope in scopes}
    names = list(mine.values())
    for ours, theirs in mine.items():
        if names.count(theirs) > 1:
            both = [name for name, column in mine.items() if column == theirs]
            raise HpstudyError(
                f"--columns names {theirs} for {' and '.join(both)}; a column is one thing. For "
                f"a sweep of one hyperparameter say --axes {ours}."
            )
    return mine


def check_scopes(columns: dict[str, str], tables: Iterable[str]) -> None:
    """Refuse names of columns that are said of a file that is none of the tables."""
    tables = list(tables)
    for ours in columns:
        scope = ours.rpartition(":")[0]
        if scope and not any(scope in calls(table) for table in tables):
            raise unknown("file in --columns", scope, tables)


def calls(table: str) -> tuple[str, ...]:
    """What a table may be called: as it was given, its file's name, that without its ending."""
    return table, Path(table).name, Path(table).stem


def parse_where(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Column -> the values of the rows that are kept, from texts such as "optimizer=sgd".

    Raises
    ------
    HpstudyError
        If a text is no such pair; names it.
    """
    where: dict[str, list[str]] = {}
    for pair in pairs:
        column, equals, value = (part.strip() for part in pair.partition("="))
        if not (column and equals):
            raise HpstudyError(f"--where takes a pair such as optimizer=sgd; not {pair!r}.")
        where.setdefault(column, []).append(value)
    return where


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names of columns, from one text with commas or from several texts."""
    texts = [names] if isinstance(names, str) else names
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def one_of(option: str, value: str | None, valid: tuple[str, ...]) -> None:
    """Refuse a value of an option that has no such value."""
    if value is not None and value not in valid:
        raise HpstudyError(f"{option} takes {listed(valid)}; not {value!r}.")
