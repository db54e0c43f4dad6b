"""Anyone's tables of runs, read into one table with every value checked."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import (
    GOALS,
    Landscape,
    check_axes,
    landscapes,
    unify_settings,
)
from hpstudy.analysis.run_tables import names, rows
from hpstudy.analysis.run_tables.cells import read_cells
from hpstudy.analysis.run_tables.columns import (
    Source,
    find_axes,
    find_metric,
    find_others,
    keep_rows,
    resolved,
    use_named,
)
from hpstudy.analysis.run_tables.joining import join_runs, settle_goal, settle_units
from hpstudy.analysis.run_tables.names import ACCURACIES, ALIASES, TRUTHS
from hpstudy.analysis.run_tables.tracker_logs import is_source, read_source
from hpstudy.errors import HpstudyError, listed

# The longest runs of two variants are as long as each other from this share of the epochs on.
_EQUAL = 0.9


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
    percent : bool
        Whether the metric is in percent, from 0 to 100.
    notes : list of str
        Sentences: which columns were taken for what, the metric, what was left out.
    columns : dict of str to str
        Columns of the last table that hold the axes and the seed, by our names.
    """

    table: pd.DataFrame
    dense: str
    axes: tuple[str, ...]
    metric: str
    goal: str
    percent: bool
    notes: list[str]
    columns: dict[str, str] = field(default_factory=dict)

    def landscapes(self) -> dict[str, Landscape]:
        """Landscapes of its networks, the dense one first (`hpstudy.landscapes`)."""
        limit = {"maximize": 100.0, "minimize": 0.0}[self.goal] if self.percent else None
        return landscapes(self.table, self.metric, self.dense, self.axes, self.goal, limit)


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
        CSV files, or sources such as "optuna:study.db" (`tracker_logs.read_source`). A file without
        a column that names networks is of one network, of the file's name.
    dense : str, optional
        Variant of the dense network; by default "unpruned", "dense" or the first table's only one.
    columns : dict of str to str, or str, optional
        Our name -> the tables' where they differ (`names.parse_columns`).
    axes : tuple of str, or str, optional
        One or two hyperparameters; by default lr and weight_decay, or the one that varies.
    metric, goal : str, optional
        Column of the metric, and "maximize" or "minimize"; by default what its name says.
    percent : bool, default False
        Whether the metric is a fraction, to be multiplied by 100.
    where : str or iterable of str
        Pairs such as "optimizer=sgd": rows of other values are left out.
    variant_by, average_over : str or iterable of str
        Columns whose values are different networks, and over which runs are averaged like seeds.
    epoch : str, default "last"
        "last" or "best": which row counts where there is one per epoch.
    any_length : bool, default False
        Whether runs count that were trained for less than the longest.
    std, runs : str, optional
        Columns of the sample standard deviation and the number of runs that a row is the mean of.

    Raises
    ------
    HpstudyError
        If a table, a column or the dense network is missing, a cell is not a value, or an option
        is needed to read the tables in one way only; names it.
    """
    if isinstance(axes, str):
        axes = tuple(word.strip() for word in axes.split(","))
    if axes is not None:
        check_axes(axes)
    columns = names.parse_columns(columns, axes) if isinstance(columns, str) else columns or {}
    for option, value, valid in (("goal", goal, GOALS), ("epoch", epoch, ("last", "best"))):
        if value is not None and value not in valid:
            raise HpstudyError(f"--{option} takes {listed(valid)}; not {value!r}.")
    if (std is None) != (runs is None):
        raise HpstudyError(
            "means need both --std COLUMN and --runs, a number or a column of counts."
        )
    sources = _open(tables)
    use_named(sources, columns)
    conditions = keep_rows(sources, where)
    for source, chosen in resolved("--variant-by", variant_by, sources).items():
        source.variant_by = chosen
    for source, chosen in resolved("--average-over", average_over, sources).items():
        source.averaged = chosen
    for source in sources:
        if std is not None:
            source.use_means(std, str(runs))
    swept = find_axes(sources, axes)
    for source in sources:
        find_metric(source, metric, goal)
        find_others(source, conditions)
    variants, variant_columns = rows.name_variants(sources)
    left: Counter[str] = Counter()
    for source, variant in zip(sources, variants, strict=True):
        left += rows.read_values(source, variant, swept)
    goal = settle_goal(sources, goal, percent)
    for source in sources:
        rows.keep_one_epoch(source, swept, epoch, goal)
        short = rows.drop_short(source, any_length)
        left["shorter than the longest (--any-length keeps them)"] += short
        lost = ~np.isfinite(source.runs["metric"]) & ~source.runs["stopped"]
        diverged = source.runs["diverged"] | lost
        values = source.runs["metric"].where(~diverged & ~source.runs["stopped"])
        source.runs = source.runs.assign(diverged=diverged, metric=values)
    in_percent, fractions = settle_units(sources, goal, percent)
    table, seed_columns, loose = join_runs(sources, swept)
    if std is not None and (again := rows.settings_of(table, swept).duplicated()).any():
        raise HpstudyError(
            f"{again.idxmax()} is another row of a setting that has one; with --std a row is the "
            "mean of all runs of its setting."
        )
    # Of two axes with a single value the first stays.
    single = [axis for axis in swept if unify_settings(table[axis]).nunique() == 1][-1:]
    axes = tuple(axis for axis in swept if len(swept) == 1 or axis not in single)
    column = sources[0].uses["metric"]
    name = "top1" if column in ("top1", sources[0].named.get("top1")) else column
    dense = _dense(table, sources[0].runs, dense, name)
    repeats = int(rows.settings_of(table, axes).duplicated().sum())
    metrics = listed(dict.fromkeys(source.uses["metric"] for source in sources))
    better = "more" if goal == "maximize" else "less"
    unit = "percent" if in_percent else "its own unit"
    notes = [
        _read_note(sources, table, axes, variant_columns, seed_columns, repeats),
        f"The metric is {metrics}: {better} is better, in {unit}; the dense network is {dense}.",
    ]
    if fractions:
        notes[-1] += f" Fractions are taken times 100, in {listed(fractions)}."
    notes += [note for source in sources for note in source.notes]
    if counts := [f"{reason}: {number:,}" for reason, number in left.items() if number]:
        notes.append(f"Runs left out: {'; '.join(counts)}.")
    if loose:
        notes.append(
            f"Hyperparameters other than the axes vary, and count as noise: {listed(loose)}."
        )
    notes += _notes_on_settings(table, swept, axes)
    if std is None and not repeats:
        notes += _note_on_means(sources)
    table = table.rename(columns={"metric": name})
    order = ("variant", *axes, "seed", name, "std", "runs", *ACCURACIES, *TRUTHS)
    table = table[[key for key in dict.fromkeys(order) if key in table]].reset_index(drop=True)
    uses = {axis: sources[-1].uses[axis] for axis in axes}
    uses["seed"] = seed_columns[0] if len(seed_columns) == 1 else "seed"
    return RunTable(table, dense, axes, name, goal, in_percent, notes, uses)


def _open(tables: str | Path | Iterable[str | Path]) -> list[Source]:
    """Cells of all tables."""
    labels = [str(table) for table in ([tables] if isinstance(tables, str | Path) else tables)]
    places = {label if is_source(label) else os.path.abspath(label) for label in labels}
    if len(places) < len(labels) or not places:
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


# --- notes ----------------------------------------------------------------------------------------


def _read_note(
    sources: list[Source],
    table: pd.DataFrame,
    axes: tuple[str, ...],
    variant: list[str],
    seed: list[str],
    repeats: int,
) -> str:
    """How many rows were read, and the columns of other names that were taken for ours."""
    note = f"{len(table):,} rows of {listed(table['variant'].unique())} were read."
    taken = {axis: [source.uses[axis] for source in sources] for axis in axes}
    taken |= {"variant": variant, "seed": seed}
    columns = [
        f"{ours}: {listed(dict.fromkeys(of))}" for ours, of in taken.items() if set(of) - {ours}
    ]
    if columns:
        note += f" Columns of other names: {'; '.join(columns)}."
    if repeats and not seed:
        note += f" {repeats:,} rows repeat a setting, and no column numbers the repeats."
    if names.says(std := sources[0].uses.get("std", ""), "standard error"):
        note += f" The deviation of a run is {std} times the root of the runs."
    return note


def _notes_on_settings(
    table: pd.DataFrame, swept: tuple[str, ...], axes: tuple[str, ...]
) -> Iterator[str]:
    """Axes with one value or with zeros, and variants of different lengths."""
    for axis in set(swept) - set(axes):
        yield f"{axis} is {table[axis].iloc[0]:g} in all runs; {axes[0]} is the only axis."
    for axis in axes:
        if zeros := int((table[axis] == 0).sum()):
            yield f"Runs with {axis} 0: {zeros:,}. They count, but a logarithmic axis has no 0."
    if "epoch" in table:
        known = table[table["metric"].notna()]
        longest = known.groupby("variant", sort=False)["epoch"].max().dropna()
        if longest.min() < _EQUAL * longest.max():
            texts = "; ".join(f"{variant}: {epoch:g}" for variant, epoch in longest.items())
            yield f"The longest runs of the variants differ in epochs or steps: {texts}."


def _note_on_means(sources: list[Source]) -> Iterator[str]:
    """Deviations that are not used, where each row is the only one of its setting."""
    for source in sources:
        if columns := [column for column in source.spare if names.says(column, "spread")]:
            count = [*names.named(source.spare, ALIASES["count"]), "NUMBER"][0]
            yield (
                f"{source.label} has deviations ({listed(columns)}), which are not used. If its "
                f"rows are means of runs, add --std {columns[0]} --runs {count}."
            )
            return
