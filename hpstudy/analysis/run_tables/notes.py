"""Sentences on how tables of runs were read."""

from collections import Counter

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.settings import settings_of
from hpstudy.config.words import list_text
from hpstudy.errors import count, listed

# Runs of which the shorter have this share of the longer's epochs are no shorter to speak of.
_EQUAL = 0.9
# Steps of a grid that its lowest value may lie below the next.
_STEPS = 2.0


def what_is_what(
    sources: list[Source], table: pd.DataFrame, axes: tuple[str, ...], by: str, seeds: str
) -> str:
    """Which runs were read, and which columns were taken for what."""
    variants = list(table["variant"].unique())
    taken = {}
    for ours in axes:
        taken[ours] = listed(dict.fromkeys(source.found[ours] for source in sources))
    said = [f"{ours} is {theirs}" for ours, theirs in taken.items() if theirs != ours]
    if by:
        said.append(f"the variant is {by}")
    if seeds and seeds != "seed":
        said.append(f"the seed is {seeds}")
    if "std" in table:
        column = sources[0].found["std"]
        times = ", times the root of the runs" if names.is_error(column) else ""
        said.append(f"the deviation of a run is {column}{times}")
    elif not seeds and settings_of(table, axes).duplicated().any():
        said.append("no column tells seeds, so rows of one setting are its repeats")
    columns = "; ".join(["", *said])
    rows = "setting" if "std" in table else "run"
    return (
        f"Read {count(len(table), rows)} of {count(len(variants), 'variant')} "
        f"({listed(variants)}){columns}."
    )


def which_way(sources: list[Source], goal: str, percent: bool, fractions: str, dense: str) -> str:
    """What the metric is, and which network is the dense one."""
    columns = list_text(dict.fromkeys(source.found["metric"] for source in sources))
    way = "more" if goal == "maximize" else "less"
    unit = "in percent" if percent else "in its own unit"
    times = f" ({fractions})" if fractions else ""
    return f"The metric is {columns}, {way} is better, {unit}{times}; the dense network is {dense}."


def left_out(left: Counter[str]) -> list[str]:
    """How many rows were left out, and why."""
    reasons = [f"{number:,} {why}" for why, number in left.items() if number]
    return [f"Runs left out: {list_text(reasons)}."] if reasons else []


def unaccounted(columns: list[str], axes: tuple[str, ...]) -> list[str]:
    """That hyperparameters beside the axes vary."""
    if not columns:
        return []
    way = f" (--axes {axes[0]},{columns[0]} makes it an axis)" if len(axes) == 1 else ""
    return [
        "What varies from setting to setting and is no axis counts as noise: "
        f"{listed(columns)}{way}."
    ]


def lengths(table: pd.DataFrame) -> list[str]:
    """That variants were trained for other numbers of epochs or steps."""
    if "epoch" not in table:
        return []
    longest = table.loc[table["metric"].notna()].groupby("variant", sort=False)["epoch"].max()
    if longest.min() >= _EQUAL * longest.max():
        return []
    said = list_text(f"{name} {most:g}" for name, most in longest.dropna().items())
    return [f"The longest runs of the variants differ: {said} epochs or steps."]


def zeros(table: pd.DataFrame, axes: tuple[str, ...]) -> list[str]:
    """That runs are at zero, and values that may stand for it."""
    notes = []
    for axis in axes:
        at_zero = int((table[axis] == 0).sum())
        if at_zero:
            notes.append(
                f"{count(at_zero, 'run')} {'has' if at_zero == 1 else 'have'} {axis} 0: kept, but "
                "0 has no place on a logarithmic axis."
            )
        if names.bare(axis) not in names.AXES["lr"] and not at_zero:
            notes += _instead_of_zero(table[axis], axis)
    return notes


def _instead_of_zero(values: pd.Series, axis: str) -> list[str]:
    counts = values[values > 0].value_counts().sort_index()
    # A random search has gaps of any size.
    if len(counts) < 3 or counts.min() < 2 or len(counts) > len(values) / 2:
        return []
    steps = np.diff(np.log10(counts.index.to_numpy(float)))
    # What stands for zero is tiny beside the others.
    if steps[0] < 1 or steps[0] <= _STEPS * np.median(steps[1:]) + 1e-9:
        return []
    first, second = counts.index[:2]
    return [
        f"{axis} {first:g} lies {steps[0]:.2g} decades below the next, {second:g}; if it stands "
        "for zero, write 0."
    ]


def deviations(sources: list[Source], table: pd.DataFrame, axes: tuple[str, ...]) -> list[str]:
    """That rows seem to be means, whose deviations are not used."""
    if settings_of(table, axes).duplicated().any():
        return []
    for source in sources:
        columns = [column for column in source.spare if names.is_spread(column)]
        if columns:
            counts = names.named(source.spare, names.COUNTS)
            return [
                f"{source.label} has deviations ({listed(columns)}), which are not used: if its "
                f"rows are means of runs, add --std {columns[0]} --runs "
                f"{counts[0] if counts else 'NUMBER'}."
            ]
    return []
