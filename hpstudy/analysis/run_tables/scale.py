"""Which way a metric is better, and its unit: percentages, fractions, or its own."""

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.cells import also
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.options import ACCURACIES
from hpstudy.errors import HpstudyError, listed, shown

# Accuracies of which nine in ten are at most 1 are fractions.
_MANY = 10
_WAYS = "--goal minimize if less of it is better, --goal maximize if more is"


def settle_goal(
    sources: list[Source], values: list[pd.Series], goal: str | None, percent: bool
) -> str:
    """Whether the metric is maximised or minimised, as the user, the study or its name says.

    Parameters
    ----------
    sources : list of Source
    values : list of Series of float
        Of the metric, for each source; NaN where there is none.
    goal : str, optional
    percent : bool
        Whether the user says that the metric is an accuracy.

    Raises
    ------
    HpstudyError
        If nothing says it, or values cannot be the accuracies that a name promises.
    """
    if goal is not None:
        return goal
    known = {one.cells.attrs.get("goals", {}).get(one.found["metric"]) for one in sources}
    if len(known) == 1 and None not in known:
        return known.pop()
    for source, one in zip(sources, values, strict=True):
        column = source.found["metric"]
        kind, finite = names.kind(column), one[np.isfinite(one)]
        promised = kind == "accuracy" or percent or source.said.get("top1") == column
        if kind == "loss":
            raise HpstudyError(
                f"the metric {column} of {source.label} is a loss or an error by its name; add "
                f"{_WAYS}."
            )
        if not promised:
            raise HpstudyError(
                f"the name of the metric {column} of {source.label} does not say which way is "
                f"better; add {_WAYS}."
            )
        odd = finite[(finite < 0) | (finite > 100)]
        if len(odd):
            raise HpstudyError(
                f"{odd.index[0]}: {column} is {shown(source.texts('metric')[odd.index[0]])}, which "
                f"no accuracy is{also(len(odd))}; correct it, or add {_WAYS}."
            )
        if kind != "accuracy" and not percent and 1 < finite.max() <= 10:
            raise HpstudyError(
                f"{column} of {source.label} goes from {finite.min():g} to {finite.max():g}, which "
                f"is too little for percentages and too much for fractions; add {_WAYS}."
            )
    return "maximize"


def settle_units(
    sources: list[Source], runs: list[pd.DataFrame], goal: str, percent: bool
) -> tuple[bool, str]:
    """Make the metric and its deviations percentages where they are fractions of accuracies.

    Parameters
    ----------
    sources : list of Source
    runs : list of DataFrame
        For each source, with "metric" and perhaps "std" and further accuracies; changed in place.
    goal : str
        "maximize" or "minimize".
    percent : bool
        Whether the user says that they are fractions.

    Returns
    -------
    percent : bool
        Whether the metric is in percent.
    fractions : str
        What was done to fractions; empty where there are none.

    Raises
    ------
    HpstudyError
        If a value is no fraction though the user says so, or a few look like fractions.
    """
    fractions = []
    signed = any(_signed(source).any() for source in sources)
    every = pd.concat([one["metric"] for one in runs])
    every = every[np.isfinite(every)]
    usual = all(names.kind(source.found["metric"]) in ("accuracy", "open") for source in sources)
    usual |= all("top1" in source.said for source in sources)
    own = (
        goal == "minimize"
        or not usual
        or (len(every) and not 0 <= every.min() <= every.max() <= 100)
    )
    if own and not (percent or signed):
        return False, ""
    for source, one in zip(sources, runs, strict=True):
        written = _signed(source)[one.index]
        if percent:
            _check_fractions(source, one, written)
        finite = one.loc[np.isfinite(one["metric"]) & ~written, "metric"]
        if percent or (not own and not written.any() and 0 < finite.max() <= 1):
            _scale(one, ["metric", "std"])
            fractions.append(source.label)
        elif not own:
            _check_mixture(source, one)
        for name in ACCURACIES:
            if name in one and (percent or 0 < one[name].max() <= 1):
                _scale(one, [name])
    some = "" if len(fractions) == len(sources) else f" of {listed(fractions)}"
    return True, f"fractions{some} taken times 100" if fractions else ""


def _scale(one: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        if column in one:
            # 100 x 0.931 is 93.10000000000001.
            one[column] = (100 * one[column]).round(9)


def _signed(source: Source) -> pd.Series:
    return source.texts("metric").str.endswith("%")


def _check_fractions(source: Source, one: pd.DataFrame, written: pd.Series) -> None:
    values = one["metric"]
    bad = one[np.isfinite(values) & (written | (values < 0) | (values > 1))]
    if len(bad):
        cell = source.texts("metric")[bad.index[0]]
        raise HpstudyError(
            f"{bad.index[0]}: {source.found['metric']} is {shown(cell)}, but with --percent must "
            f"be a fraction from 0 to 1{also(len(bad))}; leave out --percent."
        )


def _check_mixture(source: Source, one: pd.DataFrame) -> None:
    """Refuse accuracies of less than one that would be among the best as fractions."""
    values = one["metric"].where(np.isfinite(one["metric"]) & ~one["diverged"])
    best = values.max()
    alike = (values < 1) & (100 * values).between(0.75 * best, 1.1 * best)
    known = values.dropna()
    if len(known) >= _MANY and (known <= 1).mean() >= 0.9:
        odd = values[values > 1]
        raise HpstudyError(
            f"{odd.index[0]}: {source.found['metric']} is "
            f"{shown(source.texts('metric')[odd.index[0]])} among values of at most "
            f"1{also(len(odd))}; correct it if these are fractions, or add --goal maximize --roi "
            "with numbers in its own unit."
        )
    if alike.any():
        line = alike.idxmax()
        raise HpstudyError(
            f"{line}: {source.found['metric']} is {shown(source.texts('metric')[line])} among "
            f"percentages up to {best:g}{also(int(alike.sum()))}; write fractions as percentages, "
            "and say of a run that diverged so in a column diverged."
        )
