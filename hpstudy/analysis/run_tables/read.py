"""Tables of runs from anywhere, read into one with every value checked."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import GOALS, check_axes, unify_settings
from hpstudy.analysis.run_tables.columns import (
    Source,
    check_said,
    find_axes,
    find_metric,
    find_others,
)
from hpstudy.analysis.run_tables.files import read_cells
from hpstudy.analysis.run_tables.lengths import one_row_each, short_runs
from hpstudy.analysis.run_tables.notes import (
    deviations,
    left_out,
    lengths,
    unaccounted,
    what_is_what,
    which_way,
    zeros,
)
from hpstudy.analysis.run_tables.options import (
    ACCURACIES,
    TRUTHS,
    check_scopes,
    columns_of,
    one_of,
    parse_axes,
    parse_columns,
    parse_where,
    split_names,
)
from hpstudy.analysis.run_tables.rows import keep_rows, name_variants, resolved, typed_rows
from hpstudy.analysis.run_tables.scale import settle_goal, settle_units
from hpstudy.analysis.run_tables.seeds import join_runs
from hpstudy.analysis.run_tables.settings import settings_of
from hpstudy.errors import HpstudyError, listed


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class RunTable:
    """Runs of one or more networks, and what was taken for what.

    Attributes
    ----------
    table : DataFrame of shape (n_runs, n_columns)
        One row per run, or per setting in tables of means: variant, the axes (positive, or 0),
        seed, the metric; then where given std (of one run about the mean, in the metric's unit),
        runs (that the mean is of), top1, top5, best_top1, diverged, stopped. The metric is NaN
        for a run that diverged or was stopped early.
    dense : str
        Variant of the dense network.
    axes : tuple of str
        One or two hyperparameters.
    metric : str
        Column of the metric.
    goal : str
        "maximize" or "minimize".
    percent : bool
        Whether the metric is in percent, from 0 to 100.
    notes : list of str
        Sentences on what was taken for what, the first two, and on what was left out.
    """

    table: pd.DataFrame
    dense: str
    axes: tuple[str, ...]
    metric: str
    goal: str
    percent: bool
    notes: list[str]


def read_runs(
    tables: str | Path | Iterable[str | Path],
    *,
    dense: str | None = None,
    columns: dict[str, str] | str | None = None,
    axes: tuple[str, ...] | str | None = None,
    metric: str | None = None,
    goal: str | None = None,
    percent: bool = False,
    where: str | Iterable[str] = (),
    variant_by: str | Iterable[str] = (),
    average_over: str | Iterable[str] = (),
    epoch: str = "last",
    any_length: bool = False,
    std: str | None = None,
    runs: str | int | None = None,
) -> RunTable:
    """Runs from tables of any common kind.

    Parameters
    ----------
    tables : str, Path, or iterable of them
        CSV files, or sources as `run_sources.read_source` takes them. A file without a column
        that names networks is of one network, of the file's name.
    dense : str, optional
        Variant of the dense network; "unpruned", "dense" or the only one of the first table if
        not given.
    columns : dict of str to str, or str, optional
        Our name -> the tables' for what they name otherwise, as `parse_columns` returns.
    axes : tuple of str, or str, optional
        One or two hyperparameters; lr and weight_decay if not given, or the one that varies.
    metric : str, optional
        Column of the metric; the only one that is named like a metric if not given.
    goal : str, optional
        "maximize" or "minimize"; needed unless the metric is an accuracy.
    percent : bool, default False
        Whether the metric is a fraction, to be multiplied by 100.
    where : str or iterable of str, optional
        Pairs such as "optimizer=sgd": rows of other values are left out.
    variant_by, average_over : str or iterable of str, optional
        Columns whose values are different networks, and over which runs are averaged like seeds.
    epoch : str, default "last"
        "last" or "best": which row counts where there is one per epoch.
    any_length : bool, default False
        Whether runs count that were trained for less than the longest.
    std : str, optional
        Column of the sample standard deviation of runs, where a row is a mean of runs.
    runs : str or int, optional
        How many runs a row is the mean of, or the column that says it.

    Returns
    -------
    RunTable

    Raises
    ------
    HpstudyError
        If a table, a column or the dense network is missing, a value is not one, or something
        needs a word of the user; says which.
    """
    axes = parse_axes(axes) if isinstance(axes, str) else axes
    columns = parse_columns(columns, axes) if isinstance(columns, str) else columns
    where = (where,) if isinstance(where, str) else where
    one_of("--goal", goal, GOALS)
    one_of("--epoch", epoch, ("last", "best"))
    if (std is None) != (runs is None):
        raise HpstudyError(
            "means need both --std COLUMN and --runs, a number or a column of counts."
        )
    if axes is not None:
        check_axes(axes)
    sources, conditions = _open(tables), parse_where(where)
    check_scopes(columns or {}, [source.label for source in sources])
    notes = keep_rows(sources, conditions)
    by = resolved("--variant-by", split_names(variant_by), sources)
    averaged = resolved("--average-over", split_names(average_over), sources)
    for source in sources:
        source.said = columns_of(columns or {}, source.label)
        check_said(source)
        if std is not None:
            _use_means(source, std, str(runs))
    swept = find_axes(sources, axes)
    for source in sources:
        find_metric(source, metric, goal)
        source.used = averaged[source.label]
        find_others(source, (*conditions, *by[source.label]))
    variants, by_what = name_variants(sources, by)
    left: Counter[str] = Counter()
    rows = [typed_rows(*one, swept, left) for one in zip(sources, variants, strict=True)]
    goal = settle_goal(sources, [one["metric"] for one in rows], goal, percent)
    for n, source in enumerate(sources):
        rows[n], said = one_row_each(source, rows[n], swept, epoch, goal)
        short, kept = short_runs(source, rows[n], any_length)
        left["shorter than the longest (--any-length keeps them)"] += sum(short)
        rows[n] = _ended(rows[n][~short])
        notes += [said] * bool(said) + [kept] * bool(kept)
    in_percent, fractions = settle_units(sources, rows, goal, percent)
    table, seeded_by, loose = join_runs(sources, rows, swept, averaged)
    if std is not None and settings_of(table, swept).duplicated().any():
        line = settings_of(table, swept).duplicated().idxmax()
        raise HpstudyError(
            f"{line} is another row of a setting that has one; with --std a row is the mean of "
            "all runs of its setting."
        )
    kept_axes, constant = _varying(table, swept)
    name = "top1" if _is_top1(sources[0]) else sources[0].found["metric"]
    dense = _dense(table, rows[0], dense, name)
    notes = [
        what_is_what(sources, table, kept_axes, by_what, seeded_by),
        which_way(sources, goal, in_percent, fractions, dense),
        *constant,
        *notes,
        *left_out(left),
        *lengths(table),
        *unaccounted(loose, swept),
        *zeros(table, kept_axes),
        *([] if std is not None else deviations(sources, table, swept)),
    ]
    table = table.rename(columns={"metric": name})
    order = ("variant", *kept_axes, "seed", name, "std", "runs", *ACCURACIES, *TRUTHS)
    table = table[[column for column in dict.fromkeys(order) if column in table]]
    return RunTable(table.reset_index(drop=True), dense, kept_axes, name, goal, in_percent, notes)


def _open(tables: str | Path | Iterable[str | Path]) -> list[Source]:
    """Cells of all tables."""
    from hpstudy.analysis.run_tables.sources import is_source, read_source

    labels = [str(one) for one in ([tables] if isinstance(tables, str | Path) else tables)]
    places = [label if is_source(label) else os.path.abspath(label) for label in labels]
    if len(set(places)) < len(places) or not places:
        raise HpstudyError("name each table once, and at least one.")
    sources = []
    for label in labels:
        if is_source(label):
            place, _, part = label.partition(":")[2].partition("#")
            sources.append(Source(label, part or Path(place).name, read_source(label)))
        else:
            sources.append(Source(label, Path(label).stem, *read_cells(Path(label))))
    lines = pd.Index([line for source in sources for line in source.cells.index])
    if not lines.is_unique:
        for source in sources:
            source.cells.index = [f"{line} of {source.label}" for line in source.cells.index]
    return sources


def _use_means(source: Source, std: str, runs: str) -> None:
    for option, name in (("std", std), ("runs", runs)):
        if name.isdecimal() and option == "runs":
            source.cells["_runs"] = name
            source.found["runs"] = "_runs"
        elif column := source.column(name):
            source.use(option, column)
        else:
            raise HpstudyError(
                f"{source.label} has no column {name!r} for --{option}; {source.has}."
            )


def _is_top1(source: Source) -> bool:
    return source.found["metric"] in ("top1", source.said.get("top1"))


def _ended(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs whose metric is NaN where they diverged or were stopped."""
    lost = ~np.isfinite(rows["metric"]) & ~rows["stopped"]
    diverged = rows["diverged"] | lost
    return rows.assign(diverged=diverged, metric=rows["metric"].where(~diverged & ~rows["stopped"]))


def _varying(table: pd.DataFrame, axes: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """Axes without one that has a single value, and what is said of that."""
    single = [axis for axis in axes if unify_settings(table[axis]).nunique() == 1]
    if len(axes) == 1 or not single:
        return axes, []
    # Of one setting nothing varies, and it keeps its first axis.
    axis = single[-1]
    kept = tuple(one for one in axes if one != axis)
    note = f"{axis} is {table[axis].iloc[0]:g} in all runs, so that {kept[0]} is the only axis."
    return kept, [note]


def _dense(table: pd.DataFrame, first: pd.DataFrame, dense: str | None, metric: str) -> str:
    """Variant of the dense network, which has values in the table."""
    variants = [str(name) for name in table["variant"].unique()]
    if dense is None:
        usual = [name for name in ("unpruned", "dense") if name in variants]
        alone = first["variant"].nunique() == 1
        dense = usual[0] if usual else first["variant"].iloc[0] if alone else None
    if dense is None:
        raise HpstudyError(
            "no variant is called unpruned or dense; name the dense network by --dense "
            f"VARIANT; variants there: {listed(variants)}."
        )
    if dense not in variants:
        raise HpstudyError(
            f"there are no rows of the dense network {dense!r}; name it by --dense; variants "
            f"there: {listed(variants)}."
        )
    if table.loc[table["variant"] == dense, "metric"].isna().all():
        raise HpstudyError(f"no run of the dense network {dense!r} has a value of {metric}.")
    return dense
