"""Which column of a table of runs holds what, which way its metric is better, and its unit."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.cells import bad_cells
from hpstudy.analysis.run_tables.names import ACCURACIES, ALIASES, TRUTHS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, did_you_mean, listed

# So many accuracies, of which nine in ten are at most 1, are fractions.
_MANY = 10
_GOALS = "add --goal minimize if less of it is better, --goal maximize if more is"


@dataclass(eq=False)
class Source:
    """One table as it is read: its cells, what its columns are, and the runs in its rows."""

    # As the user named it, and the variant of its runs where no column says one.
    label: str
    name: str
    # Text, indexed by the words that name its lines.
    cells: pd.DataFrame
    separator: str = ","
    # Number of columns of a name, where there are several.
    repeated: dict[str, int] = field(default_factory=dict)
    # Our name ("lr", "metric", ...) -> the table's: as the user named it, and of all that is used.
    named: dict[str, str] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    variant_by: list[str] = field(default_factory=list)
    averaged: list[str] = field(default_factory=list)
    # Columns that may number the repeats of a setting, the likeliest first.
    seeds: list[str] = field(default_factory=list)
    # Typed values, with the metric in the column "metric".
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)

    @property
    def spare(self) -> list[str]:
        """Names of the columns that are not used."""
        used = {*self.uses.values(), *self.variant_by, *self.averaged, *self.seeds}
        return [column for column in self.cells if column not in used]

    def texts(self, ours: str) -> pd.Series:
        """Cells of a column that is used."""
        return self.cells[self.uses[ours]]

    def having(self, aliases: Iterable[str]) -> list[str]:
        """Columns with one of some names (`names.named`)."""
        return names.named(list(self.cells), aliases)

    def column(self, name: str) -> str | None:
        """Column of a name, or the only one that has it after a tracking tool's prefix."""
        columns = [name] if name in self.cells else self.having((names.bare(name),))
        return columns[0] if len(columns) == 1 else None

    def use(self, ours: str, column: str) -> None:
        """Take a column of the table for one of ours."""
        if (count := self.repeated.get(column, 1)) > 1:
            raise HpstudyError(
                f"{self.label} has the column {column} {count} times; rename all but the one "
                f"that is the {ours}."
            )
        self.uses[ours] = column

    def use_means(self, std: str, runs: str) -> None:
        """Use the columns of a table of means: of deviations, and of counts or one number."""
        if runs.isdecimal():
            self.cells["_runs"] = runs
            runs = "_runs"
        for ours, name in (("std", std), ("runs", runs)):
            if (column := self.column(name)) is None:
                raise self.lacks(f"has no column {name!r}", f"name another by --{ours} COLUMN")
            self.use(ours, column)

    def has_no(self, name: str, ours: str, scope: str) -> HpstudyError:
        """Error about a column that the user names for one of ours."""
        hint = did_you_mean(name, self.cells)
        remedy = f"name it for one file by --columns {self.label}:{scope}=COLUMN"
        return self.lacks(f"has no column {name!r}{hint} for {ours}", remedy)

    def lacks(self, problem: str, remedy: str) -> HpstudyError:
        """Error about a column that the table lacks, with those that it has."""
        columns = listed(list(self.cells))
        return HpstudyError(f"{self.label} {problem}; {remedy}; it has: {columns}.")

    def several(self, what: str, columns: list[str], option: str) -> HpstudyError:
        """Error about columns that may each be what is looked for."""
        return HpstudyError(
            f"{self.label} has several columns that may be {what}: {listed(columns)}; choose one "
            f"by {option}."
        )


def find_axes(sources: list[Source], axes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Use the columns of the axes: lr and weight_decay, or lr alone, where the user names none."""
    wanted = axes or AXES
    for source in sources:
        for axis in wanted:
            if axis not in source.uses and (column := _axis(source, axis)):
                source.use(axis, column)
    if axes is None and not any(AXES[1] in source.uses for source in sources):
        wanted = AXES[:1]
    for source in sources:
        if missing := [axis for axis in wanted if axis not in source.uses]:
            close = {axis: names.lookalike(axis, source.spare) for axis in missing}
            hints = [f"{axis} (did you mean {x!r}?)" if x else axis for axis, x in close.items()]
            remedy = "name it by --columns "
            remedy += ",".join(f"{axis}={x or 'COLUMN'}" for axis, x in close.items())
            if axes is None and missing == [AXES[0]]:
                remedy += ", or name the hyperparameters of the sweep by --axes"
            noun = "column" if len(missing) == 1 else "columns"
            raise source.lacks(f"lacks the {noun} {', '.join(hints)}", remedy)
        used = [source.uses[axis] for axis in wanted]
        if len(set(used)) < len(used):
            raise HpstudyError(
                f"both axes, {' and '.join(wanted)}, are the column {used[0]} of {source.label}; "
                f"for a sweep of one hyperparameter add --axes {wanted[0]}."
            )
    return tuple(wanted)


def _axis(source: Source, axis: str) -> str | None:
    """Column of an axis: of its own name, or else of one of its usual names."""
    plain = names.plain(axis)
    aliases = set(ALIASES.get(plain, (plain,)))
    columns = [column for column in source.spare if names.origin(column) != "measured"]
    own = [column for column in columns if names.bare(column) == plain]
    usual = [
        column
        for column in columns
        if aliases & {names.bare(column), names.plain(names.PART.sub("", column, count=1))}
    ]
    columns = sorted(own, key=lambda column: column != axis) or usual
    for column in columns[1:]:
        if (source.cells[column] != source.cells[columns[0]]).any():
            raise source.several(axis, columns, f"--columns {axis}={column}")
    return columns[0] if columns else None


def find_metric(source: Source, metric: str | None, goal: str | None) -> None:
    """Use the column of the metric: as "metric" in `uses`."""
    if metric is not None:
        column = source.named.get(metric) or source.column(metric)
        if column is None:
            raise source.has_no(metric, "--metric", "top1")
        columns = [column]
    elif "top1" in source.uses:
        columns = [source.uses["top1"]]
    else:
        columns = names.metric_columns(source.spare, goal)
        rows = source.cells
        if parents := source.having(ALIASES["parent"]):
            children = rows[rows[parents[0]] != ""]
            rows = rows if children.empty else children
        columns = [column for column in columns if rows[column].ne("").any()] or columns
        if "top1" in source.cells:
            losses = [c for c in columns if goal == "minimize" and names.kind(c) == "loss"]
            columns = losses or ["top1"]
    if not columns:
        remedy = f"name it by --metric {names.lookalike('top1', source.spare) or 'COLUMN'}"
        raise source.lacks("has no column that is named like a metric", remedy)
    if len(columns) > 1:
        raise source.several("the metric", columns, f"--metric {columns[0]}")
    for ours, column in source.uses.items():
        if column == columns[0] and ours not in ACCURACIES:
            raise HpstudyError(f"{column} of {source.label} is the {ours}, so not the metric.")
    source.use("metric", columns[0])


def find_others(source: Source, chosen: Iterable[str]) -> None:
    """Use the columns of variant, state, epoch, seeds ..., but none that the user has `chosen`."""

    def take(ours: str, columns: list[str]) -> None:
        if ours not in source.uses and (usual := names.named(columns, ALIASES[ours])):
            source.use(ours, usual[0])

    free = [column for column in source.spare if column not in chosen]
    take("variant", free)
    for ours in (*ACCURACIES, *TRUTHS):
        if ours in free and source.uses.get("metric") != ours:
            source.uses.setdefault(ours, ours)
    take("state", free)
    # A number of epochs that was configured is not the one that was reached.
    take("epoch", [c for c in free if not names.says_config(c) and source.cells[c].ne("").any()])
    seed = source.uses.pop("seed", None)
    free = [column for column in source.spare if column not in chosen]
    source.seeds = [seed] if seed else names.named(free, ALIASES["seed"])


# --- the metric -----------------------------------------------------------------------------------


def settle_goal(sources: list[Source], goal: str | None, percent: bool) -> str:
    """Whether the metric is maximized or minimized, as the user, the study or its name says."""
    if goal is not None:
        return goal
    known = {source.cells.attrs.get("goals", {}).get(source.uses["metric"]) for source in sources}
    if len(known) == 1 and None not in known:
        return str(known.pop())
    for source in sources:
        column, values = source.uses["metric"], source.runs["metric"]
        kind, finite = names.kind(column), values[np.isfinite(values)]
        of, problem = f"{column} of {source.label}", ""
        if kind == "loss":
            problem = f"the metric {of} is a loss or an error by its name"
        elif not (kind == "accuracy" or percent or source.named.get("top1") == column):
            problem = f"the name of the metric {of} does not say which way is better"
        elif len(odd := finite[(finite < 0) | (finite > 100)]):
            raise _bad_metric(source, odd, "which no accuracy is", f"correct it, or {_GOALS}")
        elif kind != "accuracy" and not percent and 1 < finite.max() <= 10:
            problem = (
                f"{of} goes from {finite.min():g} to {finite.max():g}, which is too little for "
                "percentages and too much for fractions"
            )
        if problem:
            raise HpstudyError(f"{problem}; {_GOALS}.")
    return "maximize"


def _bad_metric(source: Source, odd: pd.Series, reason: str, remedy: str) -> HpstudyError:
    """Error about values of the metric, as they are written."""
    return bad_cells(source.texts("metric")[odd.index], source.uses["metric"], reason, remedy)


def settle_units(sources: list[Source], goal: str, percent: bool) -> tuple[bool, list[str]]:
    """Multiply fractions of accuracies by 100: metric, deviations, further accuracies.

    `percent` is whether the user says that they are fractions. Returns whether the metric is in
    percent, and the labels of the tables that had fractions.
    """
    written = [source.texts("metric").str.endswith("%") for source in sources]
    values = pd.concat([source.runs["metric"] for source in sources])
    values = values[np.isfinite(values)]
    usual = all(names.kind(source.uses["metric"]) in ("accuracy", "open") for source in sources)
    usual |= all("top1" in source.named for source in sources)
    accuracies = goal == "maximize" and usual and values.between(0, 100).all()
    if not accuracies and not percent and not any(signed.any() for signed in written):
        return False, []
    fractions = []
    for source, signed in zip(sources, written, strict=True):
        metric, signed = source.runs["metric"], signed[source.runs.index]
        bad = metric[np.isfinite(metric) & (signed | ~metric.between(0, 1))]
        if percent and len(bad):
            reason = "but with --percent must be a fraction from 0 to 1"
            raise _bad_metric(source, bad, reason, "leave out --percent")
        largest = metric[np.isfinite(metric) & ~signed].max()
        scaled = [name for name in ACCURACIES if name in source.runs]
        scaled = [name for name in scaled if percent or 0 < source.runs[name].max() <= 1]
        if percent or (accuracies and not signed.any() and 0 < largest <= 1):
            scaled += source.runs.columns.intersection(["metric", "std"]).tolist()
            fractions.append(source.label)
        elif accuracies:
            _check_mixture(source)
        # 100 x 0.931 is 93.10000000000001.
        source.runs[scaled] = (100 * source.runs[scaled]).round(9)
    return True, fractions


def _check_mixture(source: Source) -> None:
    """Refuse slips: a few values above 1 among fractions, a few fractions among percentages."""
    runs = source.runs
    known = runs["metric"][np.isfinite(runs["metric"]) & ~runs["diverged"]]
    if len(known) >= _MANY and 0.9 <= (known <= 1).mean() < 1:
        remedy = (
            "correct it if these are fractions, or add --goal maximize --roi with numbers in its "
            "own unit"
        )
        raise _bad_metric(source, known[known > 1], "among values of at most 1", remedy)
    best = known.max()
    alike = known[(known < 1) & (100 * known).between(0.75 * best, 1.1 * best)]
    if len(alike):
        remedy = "write fractions as percentages, and mark a run that diverged in a column diverged"
        raise _bad_metric(source, alike, f"among percentages up to {best:g}", remedy)
