"""Which column of a table of runs holds what: as the user says, otherwise by its usual names."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.names import ALIASES
from hpstudy.analysis.run_tables.options import ACCURACIES, TRUTHS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, did_you_mean, listed


@dataclass(eq=False)
class Source:
    """Cells of one table, and what its columns are."""

    # As the user named it, and the variant of its runs where no column says one.
    label: str
    name: str
    # Text, indexed by the words that name its lines.
    cells: pd.DataFrame
    # Between the cells of the file.
    separator: str = ","
    # Number of columns of a name, where there are several.
    repeated: dict[str, int] = field(default_factory=dict)
    # Our name ("lr", "metric", ...) -> the table's: as the user named it, and of all that is used.
    named: dict[str, str] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    # Columns that may number the repeats of a setting, the likeliest first.
    seeds: list[str] = field(default_factory=list)
    # Columns of which the user says what they are for.
    used: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.cells.columns)

    @property
    def spare(self) -> list[str]:
        """Names of the columns that are not used."""
        used = {*self.uses.values(), *self.seeds, *self.used}
        return [column for column in self.columns if column not in used]

    def texts(self, ours: str) -> pd.Series:
        """Cells of a column that is used."""
        return self.cells[self.uses[ours]]

    def column(self, name: str) -> str | None:
        """Column of a name, or the only one that has it after a tracking tool's prefix."""
        columns = [name] if name in self.cells else names.named(self.columns, (names.bare(name),))
        return columns[0] if len(columns) == 1 else None

    def use(self, ours: str, column: str) -> None:
        """Take a column of the table for one of ours."""
        if (count := self.repeated.get(column, 1)) > 1:
            raise HpstudyError(
                f"{self.label} has the column {column} {count} times; rename all but the one "
                f"that is the {ours}."
            )
        self.uses[ours] = column

    def take(self, ours: str, aliases: str, columns: Iterable[str]) -> None:
        """Use the likeliest of some columns by its name, unless one is used already."""
        if ours not in self.uses and (usual := names.named(list(columns), ALIASES[aliases])):
            self.use(ours, usual[0])

    def refusal(self, problem: str, remedy: str) -> HpstudyError:
        """Error about a column that the table lacks, with those that it has."""
        return HpstudyError(f"{self.label} {problem}; {remedy}; it has: {listed(self.columns)}.")


def use_named(source: Source) -> None:
    """Use the columns that the user named, or refuse those that the table lacks."""
    for ours, theirs in source.named.items():
        if theirs not in source.cells:
            raise source.refusal(
                f"has no column {theirs!r}{did_you_mean(theirs, source.columns)} for {ours}",
                f"name it for one file by --columns {source.label}:{ours}=COLUMN",
            )
        source.use(ours, theirs)


def use_means(source: Source, std: str, runs: str) -> None:
    """Use the columns of a table of means: of their deviations, and of their runs or a number."""
    if runs.isdecimal():
        source.cells["_runs"] = runs
        runs = "_runs"
    for ours, name in (("std", std), ("runs", runs)):
        if (column := source.column(name)) is None:
            raise source.refusal(f"has no column {name!r}", f"name another by --{ours} COLUMN")
        source.use(ours, column)


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
            raise _lacking(source, missing, axes is None)
        used = [source.uses[axis] for axis in wanted]
        if len(set(used)) < len(used):
            raise HpstudyError(
                f"both axes, {' and '.join(wanted)}, are the column {used[0]} of {source.label}; "
                f"for a sweep of one hyperparameter add --axes {wanted[0]}."
            )
    return tuple(wanted)


def _lacking(source: Source, axes: list[str], default: bool) -> HpstudyError:
    close = {axis: names.lookalike(axis, source.spare) for axis in axes}
    hints = [f"{axis} (did you mean {close[axis]!r}?)" if close[axis] else axis for axis in axes]
    remedy = "name it by --columns " + ",".join(
        f"{axis}={close[axis] or 'COLUMN'}" for axis in axes
    )
    if default and axes == [AXES[0]]:
        remedy += ", or name the hyperparameters of the sweep by --axes"
    noun = "column" if len(axes) == 1 else "columns"
    return source.refusal(f"lacks the {noun} {', '.join(hints)}", remedy)


def _axis(source: Source, axis: str) -> str | None:
    """Column of an axis: of its own name, or else of one of its usual names."""
    aliases = ALIASES.get(names.plain(axis), (names.plain(axis),))
    columns = [column for column in source.spare if names.origin(column) != "measured"]
    own = [column for column in columns if names.bare(column) == names.plain(axis)]
    usual = [
        column
        for column in columns
        if names.bare(column) in aliases
        or names.plain(names.PART.sub("", column, count=1)) in aliases
    ]
    columns = sorted(own, key=lambda column: column != axis) or usual
    for column in columns[1:]:
        if (source.cells[column] != source.cells[columns[0]]).any():
            raise _several(source, axis, columns, f"--columns {axis}={column}")
    return columns[0] if columns else None


def find_metric(source: Source, metric: str | None, goal: str | None) -> None:
    """Use the column of the metric: as "metric" in `uses`."""
    if metric is not None:
        column = source.named.get(metric) or source.column(metric)
        if column is None:
            raise source.refusal(
                f"has no column {metric!r}{did_you_mean(metric, source.columns)} for --metric",
                f"name it for one file by --columns {source.label}:top1=COLUMN",
            )
        columns = [column]
    elif "top1" in source.uses:
        columns = [source.uses["top1"]]
    else:
        columns = _logged(source, names.metric_columns(source.spare, goal))
        losses = [
            column for column in columns if goal == "minimize" and names.kind(column) == "loss"
        ]
        columns = (losses or ["top1"]) if "top1" in source.cells else columns
    if not columns:
        close = names.lookalike("top1", source.spare)
        raise source.refusal(
            "has no column that is named like a metric", f"name it by --metric {close or 'COLUMN'}"
        )
    if len(columns) > 1:
        raise _several(source, "the metric", columns, f"--metric {columns[0]}")
    for ours, column in source.uses.items():
        if column == columns[0] and ours not in ACCURACIES:
            raise HpstudyError(f"{column} of {source.label} is the {ours}, so not the metric.")
    source.use("metric", columns[0])


def _several(source: Source, what: str, columns: list[str], option: str) -> HpstudyError:
    return HpstudyError(
        f"{source.label} has several columns that may be {what}: {listed(columns)}; choose one by "
        f"{option}."
    )


def _logged(source: Source, columns: list[str]) -> list[str]:
    """Those of some columns that have a value where runs are no parents of others."""
    rows = source.cells
    if parents := names.named(source.columns, ALIASES["parent"]):
        children = rows[rows[parents[0]] != ""]
        rows = rows if children.empty else children
    return [column for column in columns if rows[column].ne("").any()] or columns


def find_others(source: Source, chosen: Iterable[str]) -> None:
    """Use the columns of variant, state, epoch, seeds ..., but none that the user has `chosen`."""
    free = [column for column in source.spare if column not in chosen]
    source.take("variant", "variant", free)
    for ours in (*ACCURACIES, *TRUTHS):
        if ours in free and source.uses.get("metric") != ours:
            source.uses.setdefault(ours, ours)
    source.take("state", "state", free)
    # A number of epochs that was configured is not the one that was reached.
    reached = [column for column in free if not names.says_config(column)]
    source.take("epoch", "epoch", [c for c in reached if source.cells[c].ne("").any()])
    free = [column for column in source.spare if column not in chosen]
    seed = source.uses.pop("seed", None)
    source.seeds = [seed] if seed else names.named(free, ALIASES["seed"])
