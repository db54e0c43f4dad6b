"""Tables of runs from anywhere, read into one with every value checked."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import GOALS, check_axes, unify_settings
from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.columns import (
    Source,
    find_axes,
    find_metric,
    find_others,
    use_means,
    use_named,
)
from hpstudy.analysis.run_tables.epochs import one_row_each, short_runs
from hpstudy.analysis.run_tables.files import is_source, read_cells, read_source
from hpstudy.analysis.run_tables.metric import settle_goal, settle_units
from hpstudy.analysis.run_tables.notes import (
    Note,
    note,
    note_on_means,
    notes_on_settings,
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
from hpstudy.analysis.run_tables.settings import check_means, join_runs, settings_of
from hpstudy.errors import HpstudyError, listed


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class RunTable:
    """Runs of one or more networks, and how their tables were read.

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
    notes : list of Note
        Which columns were taken for what, the metric, what was left out.
    """

    table: pd.DataFrame
    dense: str
    axes: tuple[str, ...]
    metric: str
    goal: str
    percent: bool
    notes: list[Note]


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
        CSV files, or sources such as "optuna:study.db" (`files.read_source`). A file without a
        column that names networks is of one network, of the file's name.
    dense : str, optional
        Variant of the dense network; "unpruned", "dense" or the only one of the first table if
        not given.
    columns : dict of str to str, or str, optional
        Our name -> the tables' where they differ, as `options.parse_columns` returns or reads.
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
        Number of runs that a row is the mean of, or its column.

    Returns
    -------
    RunTable

    Raises
    ------
    HpstudyError
        If a table, a column or the dense network is missing, a cell is not a value, or an option
        is needed to read the tables in one way only; names it.
    """
    axes = parse_axes(axes) if isinstance(axes, str) else axes
    columns = parse_columns(columns, axes) if isinstance(columns, str) else columns or {}
    one_of("--goal", goal, GOALS)
    one_of("--epoch", epoch, ("last", "best"))
    if (std is None) != (runs is None):
        raise HpstudyError(
            "means need both --std COLUMN and --runs, a number or a column of counts."
        )
    if axes is not None:
        check_axes(axes)
    sources, conditions = _open(tables), parse_where(where)
    check_scopes(columns, [source.label for source in sources])
    notes = keep_rows(sources, conditions)
    by = resolved("--variant-by", split_names(variant_by), sources)
    averaged = resolved("--average-over", split_names(average_over), sources)
    for source in sources:
        source.named = columns_of(columns, source.label)
        use_named(source)
        if std is not None:
            use_means(source, std, str(runs))
    swept = find_axes(sources, axes)
    for source in sources:
        find_metric(source, metric, goal)
        source.used = averaged.get(source.label, [])
        find_others(source, (*conditions, *by.get(source.label, [])))
    variants, variant_columns = name_variants(sources, by)
    left: Counter[str] = Counter()
    rows = [
        typed_rows(source, variant, swept, left)
        for source, variant in zip(sources, variants, strict=True)
    ]
    goal = settle_goal(sources, rows, goal, percent)
    for number, source in enumerate(sources):
        whole, epochs = one_row_each(source, rows[number], swept, epoch, goal)
        short, lengths = short_runs(source, whole, any_length)
        left["shorter than the longest (--any-length keeps them)"] += int(short.sum())
        rows[number] = _ended(whole[~short])
        notes += epochs + lengths
    in_percent, fractions = settle_units(sources, rows, goal, percent)
    table, seed_columns, loose = join_runs(sources, rows, swept, averaged)
    if std is not None:
        check_means(table, swept)
    kept_axes = _varying(table, swept)
    name = _metric_name(sources[0])
    dense = _dense(table, rows[0], dense, name)
    repeats = int(settings_of(table, kept_axes).duplicated().sum())
    errors = names.says(sources[0].uses.get("std", ""), "standard error")
    notes = [
        note(
            "read",
            rows=len(table),
            variants=list(table["variant"].unique()),
            columns=_renamed(sources, kept_axes, variant_columns, seed_columns),
            repeats=0 if seed_columns else repeats,
            standard_error=sources[0].uses["std"] if errors else "",
        ),
        note(
            "metric",
            columns=list(dict.fromkeys(source.uses["metric"] for source in sources)),
            better="more" if goal == "maximize" else "less",
            unit="in percent" if in_percent else "in its own unit",
            dense=dense,
            fractions=fractions,
        ),
        *notes,
        *([note("left out", counts=dict(+left))] if +left else []),
        *([note("noise", columns=loose)] if loose else []),
        *notes_on_settings(table, swept, kept_axes),
        *(note_on_means(sources) if std is None and not repeats else []),
    ]
    table = table.rename(columns={"metric": name})
    order = ("variant", *kept_axes, "seed", name, "std", "runs", *ACCURACIES, *TRUTHS)
    table = table[[column for column in dict.fromkeys(order) if column in table]]
    return RunTable(table.reset_index(drop=True), dense, kept_axes, name, goal, in_percent, notes)


def _open(tables: str | Path | Iterable[str | Path]) -> list[Source]:
    """Cells of all tables."""
    labels = [str(table) for table in ([tables] if isinstance(tables, str | Path) else tables)]
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
    lines = [line for source in sources for line in source.cells.index]
    if len(set(lines)) < len(lines):
        for source in sources:
            source.cells.index = source.cells.index + f" of {source.label}"
    return sources


def _ended(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs whose metric is NaN where they diverged or were stopped."""
    lost = ~np.isfinite(rows["metric"]) & ~rows["stopped"]
    diverged = rows["diverged"] | lost
    return rows.assign(diverged=diverged, metric=rows["metric"].where(~diverged & ~rows["stopped"]))


def _varying(table: pd.DataFrame, axes: tuple[str, ...]) -> tuple[str, ...]:
    """Axes without one that has a single value; where none varies, the first."""
    single = [axis for axis in axes if unify_settings(table[axis]).nunique() == 1]
    return tuple(axis for axis in axes if len(axes) == 1 or axis not in single[-1:])


def _renamed(
    sources: list[Source], axes: tuple[str, ...], variant: list[str], seed: list[str]
) -> dict[str, list[str]]:
    """Our names -> the columns of other names that were taken for them."""
    taken = {axis: [source.uses[axis] for source in sources] for axis in axes}
    taken |= {"variant": variant, "seed": seed}
    unique = {ours: list(dict.fromkeys(columns)) for ours, columns in taken.items()}
    return {ours: columns for ours, columns in unique.items() if set(columns) - {ours}}


def _metric_name(source: Source) -> str:
    column = source.uses["metric"]
    return "top1" if column in ("top1", source.named.get("top1")) else column


def _dense(table: pd.DataFrame, first: pd.DataFrame, dense: str | None, metric: str) -> str:
    """Variant of the dense network, which has values in the table."""
    variants = [str(name) for name in table["variant"].unique()]
    if dense is None:
        usual = [name for name in ("unpruned", "dense") if name in variants]
        alone = first["variant"].unique()
        if not usual and len(alone) > 1:
            raise HpstudyError(
                "no variant is called unpruned or dense; name the dense network by --dense "
                f"VARIANT; variants there: {listed(variants)}."
            )
        dense = str(usual[0] if usual else alone[0])
    if dense not in variants:
        raise HpstudyError(
            f"there are no rows of the dense network {dense!r}; name it by --dense; variants "
            f"there: {listed(variants)}."
        )
    if table.loc[table["variant"] == dense, "metric"].isna().all():
        raise HpstudyError(f"no run of the dense network {dense!r} has a value of {metric}.")
    return dense
