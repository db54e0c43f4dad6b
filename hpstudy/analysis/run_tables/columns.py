"""Which column of a table of runs is what: what was said of it, otherwise by its usual names."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.options import ACCURACIES, TRUTHS
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, listed, nearest


@dataclass(eq=False)
class Source:
    """Cells of one table, and what its columns are.

    Attributes
    ----------
    label : str
        As the user named it.
    name : str
        Variant of its runs where no column says one.
    cells : DataFrame of str
        By the words that name its lines.
    separator : str
        What stands between the cells of the file.
    repeated : dict of str to int
        How often the header has a name, where it has it more than once.
    said : dict of str to str
        Our name -> the table's, as the user said.
    found : dict of str to str
        Our name -> the table's of what is used: the axes, "metric", "variant", "state", ...
    seeds : list of str
        Columns that tell repeats of a setting apart, the first one that does so best.
    used : list of str
        Columns of which the user says what they are for.
    """

    label: str
    name: str
    cells: pd.DataFrame
    separator: str = ","
    repeated: dict[str, int] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    seeds: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.cells.columns)

    @property
    def spare(self) -> list[str]:
        """Names of the columns that are not used."""
        used = {*self.found.values(), *self.seeds, *self.used}
        return [column for column in self.columns if column not in used]

    @property
    def has(self) -> str:
        """End of a refusal that says what columns there are."""
        return f"it has: {listed(self.columns)}"

    def column(self, name: str) -> str | None:
        """Column of a name, or the one that bears it after a tracking tool's prefix."""
        if name in self.cells:
            return name
        found = names.named(self.columns, (names.bare(name),))
        return found[0] if len(found) == 1 else None

    def texts(self, ours: str) -> pd.Series:
        """Cells of a column that is used."""
        return self.cells[self.found[ours]]

    def use(self, ours: str, column: str) -> None:
        """Take a column of the table for one of ours."""
        count = self.repeated.get(column, 1)
        if count > 1:
            raise HpstudyError(
                f"{self.label} has the column {column} {count} times; rename all but the one "
                f"that is the {ours}."
            )
        self.found[ours] = column


def check_said(source: Source) -> None:
    """Refuse a column that the user named and the table lacks, otherwise use it."""
    for ours, theirs in source.said.items():
        if theirs not in source.columns:
            close = nearest(theirs, source.columns)
            hint = f" (nearest there: {close})" if close else ""
            raise HpstudyError(
                f"{source.label} has no column {theirs!r}{hint} for {ours}; say it of one file "
                f"by --columns {source.label}:{ours}=COLUMN; {source.has}."
            )
        source.use(ours, theirs)


def find_axes(sources: list[Source], axes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Use the columns of the axes; the axes that there are.

    Without any said these are lr and weight_decay, or lr alone where no table has the other.

    Raises
    ------
    HpstudyError
        If a table lacks one, or several of its columns may be it.
    """
    wanted = axes or AXES
    for source in sources:
        for axis in wanted:
            if axis not in source.found and (column := _axis(source, axis)):
                source.use(axis, column)
    if axes is None and not any(AXES[1] in source.found for source in sources):
        wanted = AXES[:1]
    for source in sources:
        missing = [axis for axis in wanted if axis not in source.found]
        if missing:
            raise _lacks(source, missing, axes is None and missing == [AXES[0]])
        used = [source.found[axis] for axis in wanted]
        if len(set(used)) < len(used):
            raise HpstudyError(
                f"both axes, {' and '.join(wanted)}, are the column {used[0]} of {source.label}; "
                f"for a sweep of one hyperparameter say --axes {wanted[0]}."
            )
    return tuple(wanted)


def _axis(source: Source, axis: str) -> str | None:
    columns = names.axis_columns(axis, source.spare)
    first = columns[:1]
    for column in columns[1:]:
        if not source.cells[column].equals(source.cells[first[0]].rename(column)):
            raise HpstudyError(
                f"{source.label} has several columns that may be {axis}: {listed(columns)}; say "
                f"which by --columns {axis}={columns[-1]}."
            )
    return first[0] if first else None


def _lacks(source: Source, missing: list[str], other: bool) -> HpstudyError:
    close = {name: lookalike(name, source.spare) for name in missing}
    hints = [f"{name} (nearest there: {close[name]})" if close[name] else name for name in close]
    pairs = ",".join(f"{name}={close[name] or 'COLUMN'}" for name in missing)
    way = ", or the hyperparameters that were swept by --axes" if other else ""
    noun = "column" if len(missing) == 1 else "columns"
    return HpstudyError(
        f"{source.label} lacks the {noun} {', '.join(hints)}; say it by --columns {pairs}{way}; "
        f"{source.has}."
    )


def lookalike(name: str, columns: list[str]) -> str | None:
    """Column that ends like a name, as train/lr does like lr, or that is spelled alike."""
    ends = tuple(f"{mark}{name}" for mark in "_/. ")
    spelled = {column.lower(): column for column in columns}
    close = next((one for one in spelled if one.endswith(ends)), None)
    return spelled.get(close or nearest(name, spelled) or "")


def find_metric(source: Source, metric: str | None, goal: str | None) -> None:
    """Use the column of the metric: as "metric" in `found`.

    Raises
    ------
    HpstudyError
        If there is none, or more than one that may be it.
    """
    if metric is not None:
        columns = [metric] if metric in source.columns else []
        columns = columns or names.named(source.columns, (names.bare(metric),))
        if metric in source.said:
            columns = [source.said[metric]]
        if len(columns) != 1:
            close = listed(columns) or nearest(metric, source.columns)
            hint = f" (nearest there: {close})" if close else ""
            raise HpstudyError(
                f"{source.label} has no column {metric!r}{hint} for --metric; where files name it "
                f"otherwise, say --columns {source.label}:top1=COLUMN; {source.has}."
            )
    elif "top1" in source.found or "top1" in source.columns:
        columns = [source.found.get("top1", "top1")]
        losses = names.metric_columns(source.spare, goal) if goal == "minimize" else []
        losses = [column for column in losses if names.kind(column) == "loss"]
        columns = columns if "top1" in source.found else losses or columns
    else:
        columns = _logged(source, names.metric_columns(source.spare, goal))
    if not columns:
        close = lookalike("top1", source.spare)
        hint = f" (nearest there: {close})" if close else ""
        raise HpstudyError(
            f"{source.label} has no column that is named like a metric{hint}; name it by "
            f"--metric {close or 'COLUMN'}; {source.has}."
        )
    if len(columns) > 1:
        raise HpstudyError(
            f"{source.label} has several columns that may be the metric: {listed(columns)}; say "
            f"which by --metric {columns[0]}."
        )
    for ours, column in source.found.items():
        if column == columns[0] and ours not in ACCURACIES:
            raise HpstudyError(f"{column} of {source.label} is the {ours}, so not the metric.")
    source.use("metric", columns[0])


def _logged(source: Source, columns: list[str]) -> list[str]:
    """Those of some columns that have a value where runs are no parents of others."""
    rows = source.cells
    if parents := names.named(source.columns, (names.PARENT,)):
        children = rows[rows[parents[0]] != ""]
        rows = rows if children.empty else children
    return [column for column in columns if rows[column].ne("").any()] or columns


def find_others(source: Source, chosen: Iterable[str]) -> None:
    """Use the columns of what a table may say beside: variant, state, seeds, epoch, ...

    `chosen` are columns of which the user has said what they are for.
    """
    free = [column for column in source.spare if column not in chosen]
    if "variant" not in source.found and (found := names.named(free, ("variant",))):
        source.use("variant", found[0])
    for ours in (*ACCURACIES, *TRUTHS):
        if ours in free and source.found.get("metric") != ours:
            source.found.setdefault(ours, ours)
    if "state" not in source.found and (found := names.named(free, names.STATES)):
        source.use("state", found[0])
    if "epoch" not in source.found:
        # A number of epochs that was configured is no place that was reached.
        free = [column for column in free if not names.says_config(column)]
        filled = [column for column in free if source.cells[column].ne("").any()]
        if found := names.named(filled, names.EPOCHS):
            source.use("epoch", found[0])
    free = [column for column in source.spare if column not in chosen]
    if "seed" in source.found:
        source.seeds = [source.found.pop("seed")]
    else:
        source.seeds = names.named(free, names.SEEDS)
