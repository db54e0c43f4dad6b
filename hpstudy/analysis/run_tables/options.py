"""What the user says of tables of runs: axes, names of columns, which rows."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from hpstudy.analysis.landscape import check_axes
from hpstudy.analysis.run_tables.cells import to_number
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import COLUMNS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, did_you_mean, listed, unknown


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

    `text` is such as "lr=params_lr,top1=value" or "dense.csv:top1=acc"; a pair with a comma stands
    in double quotes. The `axes`, lr and weight_decay by default, belong to our names.

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


def use_named(sources: list[Source], columns: dict[str, str]) -> None:
    """Use the columns that the user names: of each table its own before those of all tables."""
    scopes = [(*ours.rpartition(":")[::2], column) for ours, column in columns.items()]
    # A table is called as it was given, by its file's name, or by that without its ending.
    calls = [("", x.label, Path(x.label).name, Path(x.label).stem) for x in sources]
    for scope, _, _ in scopes:
        if not any(scope in names for names in calls):
            raise unknown("file in --columns", scope, [source.label for source in sources])
    for source, names in zip(sources, calls, strict=True):
        own = {ours: column for call in names for scope, ours, column in scopes if scope == call}
        for ours, column in own.items():
            if len(both := [name for name, other in own.items() if other == column]) > 1:
                raise HpstudyError(
                    f"--columns names {column} for {' and '.join(both)}; a column is one thing. "
                    f"For a sweep of one hyperparameter add --axes {ours}."
                )
            if column not in source.cells:
                raise source.has_no(column, ours, ours)
            source.use(ours, column)
        source.named = own


def resolved(
    option: str, names: str | Iterable[str], sources: list[Source]
) -> dict[Source, list[str]]:
    """Columns that an option names, of each table that has any of them."""
    texts = [names] if isinstance(names, str) else names
    columns: dict[Source, list[str]] = {}
    for name in [word.strip() for text in texts for word in text.split(",") if word.strip()]:
        own = {source: column for source in sources if (column := source.column(name))}
        if not own:
            valid = list(dict.fromkeys(column for source in sources for column in source.cells))
            raise HpstudyError(
                f"{option} names the column {name!r}{did_you_mean(name, valid)}, which "
                f"{listed(source.label for source in sources)} lacks; there: {listed(valid)}."
            )
        for source, column in own.items():
            columns.setdefault(source, []).append(column)
    return columns


def keep_rows(sources: list[Source], pairs: str | Iterable[str]) -> list[str]:
    """Leave out rows of other values than those of pairs such as "optimizer=sgd"; the columns."""
    where: dict[str, list[str]] = {}
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        name, value = _pair(pair, "--where takes a pair such as optimizer=sgd", blank=True)
        where.setdefault(name, []).append(value)
    for name, values in where.items():
        for source, (column,) in resolved("--where", [name], sources).items():
            text = source.cells[column]
            same = pd.Series(False, index=text.index)
            for value in values:
                rows = text == value
                with suppress(ValueError):
                    rows |= pd.to_numeric(text, errors="coerce") == to_number(value)
                if not rows.any():
                    raise HpstudyError(
                        f"no row of {source.label} has {name}={value}; values there: "
                        f"{listed(text[text != ''].unique())}."
                    )
                same |= rows
            source.cells = source.cells[same]
            if not same.all():
                source.notes.append(
                    f"{source.label}: {same.sum():,} of {len(same):,} rows are taken, those with "
                    f"{name}={' or '.join(values)}."
                )
    return list(where)


def _pair(text: str, usage: str, blank: bool = False) -> tuple[str, str]:
    """Both sides of "name=value", of which only the value may be blank."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and (value or blank)):
        raise HpstudyError(f"{usage}; not {text!r}.")
    return name, value
