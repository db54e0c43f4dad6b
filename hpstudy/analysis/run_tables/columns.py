"""Which column of a table of runs holds what: as the user says, and as its name says."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.cells import to_number
from hpstudy.analysis.run_tables.names import ACCURACIES, ALIASES, TRUTHS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, did_you_mean, listed, unknown


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

    @property
    def rows(self) -> pd.DataFrame:
        """Cells of the runs."""
        return self.cells.loc[self.runs.index]

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


# --- what the user says ---------------------------------------------------------------------------


def use_named(sources: list[Source], columns: dict[str, str]) -> None:
    """Use the columns that the user names: of each table its own before those of all tables."""
    scopes = [(*ours.rpartition(":")[::2], column) for ours, column in columns.items()]
    # A table is called as it was given, by its file's name, or by that without its ending.
    calls = [("", x.label, Path(x.label).name, Path(x.label).stem) for x in sources]
    for scope, _, _ in scopes:
        if not any(scope in called for called in calls):
            raise unknown("file in --columns", scope, [source.label for source in sources])
    for source, called in zip(sources, calls, strict=True):
        own = {ours: column for call in called for scope, ours, column in scopes if scope == call}
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
    option: str, named: str | Iterable[str], sources: list[Source]
) -> dict[Source, list[str]]:
    """Columns that an option names, of each table that has any of them."""
    texts = [named] if isinstance(named, str) else named
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
        name, value = names.pair(pair, "--where takes a pair such as optimizer=sgd", blank=True)
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


# --- what names say -------------------------------------------------------------------------------


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
