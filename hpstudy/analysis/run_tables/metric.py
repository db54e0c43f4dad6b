"""Which way a metric is better, and its unit: percentages, fractions, or its own."""

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.cells import bad_cells
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.options import ACCURACIES
from hpstudy.errors import HpstudyError

# So many accuracies, of which nine in ten are at most 1, are fractions.
_MANY = 10
_GOALS = "add --goal minimize if less of it is better, --goal maximize if more is"


def settle_goal(
    sources: list[Source], runs: list[pd.DataFrame], goal: str | None, percent: bool
) -> str:
    """Whether the metric is maximized or minimized, as the user, the study or its name says."""
    if goal is not None:
        return goal
    known = {source.cells.attrs.get("goals", {}).get(source.uses["metric"]) for source in sources}
    if len(known) == 1 and None not in known:
        return str(known.pop())
    for source, table in zip(sources, runs, strict=True):
        column, values = source.uses["metric"], table["metric"]
        kind, finite = names.kind(column), values[np.isfinite(values)]
        if kind == "loss":
            raise HpstudyError(
                f"the metric {column} of {source.label} is a loss or an error by its name; "
                f"{_GOALS}."
            )
        if not (kind == "accuracy" or percent or source.named.get("top1") == column):
            raise HpstudyError(
                f"the name of the metric {column} of {source.label} does not say which way is "
                f"better; {_GOALS}."
            )
        odd = finite[(finite < 0) | (finite > 100)]
        if len(odd):
            raise bad_metric(source, odd, "which no accuracy is", f"correct it, or {_GOALS}")
        if kind != "accuracy" and not percent and 1 < finite.max() <= 10:
            raise HpstudyError(
                f"{column} of {source.label} goes from {finite.min():g} to {finite.max():g}, which "
                f"is too little for percentages and too much for fractions; {_GOALS}."
            )
    return "maximize"


def bad_metric(source: Source, odd: pd.Series, reason: str, remedy: str) -> HpstudyError:
    """Error about values of the metric, as they are written."""
    return bad_cells(source.texts("metric")[odd.index], source.uses["metric"], reason, remedy)


def settle_units(
    sources: list[Source], runs: list[pd.DataFrame], goal: str, percent: bool
) -> tuple[bool, list[str]]:
    """Multiply fractions of accuracies by 100, in place: metric, deviations, further accuracies.

    `percent` is whether the user says that they are fractions.

    Returns
    -------
    percent : bool
        Whether the metric is in percent.
    fractions : list of str
        Labels of the tables that had fractions.
    """
    written = [source.texts("metric").str.endswith("%") for source in sources]
    values = pd.concat([table["metric"] for table in runs])
    values = values[np.isfinite(values)]
    columns = [source.uses["metric"] for source in sources]
    usual = all(names.kind(column) in ("accuracy", "open") for column in columns)
    usual |= all("top1" in source.named for source in sources)
    accuracies = goal == "maximize" and usual and values.between(0, 100).all()
    if not accuracies and not percent and not any(signed.any() for signed in written):
        return False, []
    fractions = []
    for source, table, signed in zip(sources, runs, written, strict=True):
        metric, signed = table["metric"], signed[table.index]
        bad = metric[np.isfinite(metric) & (signed | ~metric.between(0, 1))]
        if percent and len(bad):
            reason = "but with --percent must be a fraction from 0 to 1"
            raise bad_metric(source, bad, reason, "leave out --percent")
        largest = metric[np.isfinite(metric) & ~signed].max()
        if percent or (accuracies and not signed.any() and 0 < largest <= 1):
            _scale(table, "metric", "std")
            fractions.append(source.label)
        elif accuracies:
            _check_mixture(source, table)
        for name in ACCURACIES:
            if name in table and (percent or 0 < table[name].max() <= 1):
                _scale(table, name)
    return True, fractions


def _scale(table: pd.DataFrame, *columns: str) -> None:
    for column in table.columns.intersection(list(columns)):
        # 100 x 0.931 is 93.10000000000001.
        table[column] = (100 * table[column]).round(9)


def _check_mixture(source: Source, table: pd.DataFrame) -> None:
    """Refuse slips: a few values above 1 among fractions, a few fractions among percentages."""
    values = table["metric"].where(np.isfinite(table["metric"]) & ~table["diverged"])
    known, best = values.dropna(), values.max()
    if len(known) >= _MANY and 0.9 <= (known <= 1).mean() < 1:
        raise bad_metric(
            source,
            known[known > 1],
            "among values of at most 1",
            "correct it if these are fractions, or add --goal maximize --roi with numbers in its "
            "own unit",
        )
    alike = known[(known < 1) & (100 * known).between(0.75 * best, 1.1 * best)]
    if len(alike):
        raise bad_metric(
            source,
            alike,
            f"among percentages up to {best:g}",
            "write fractions as percentages, and mark a run that diverged in a column diverged",
        )
