"""What to know of how tables were read: kinds with their numbers, and a sentence for each."""

from collections.abc import Iterable, Iterator
from string import Formatter
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import ALIASES
from hpstudy.errors import listed

# The longest runs of two variants are as long as each other from this share of the epochs on.
_EQUAL = 0.9
# Steps of a grid that its lowest value may lie below the next.
_STEPS = 2.0

# The first sentence of a kind always stands; the others where their facts are not empty.
SENTENCES = {
    "read": (
        "{rows} rows of {variants} were read.",
        "Columns of other names: {columns}.",
        "{repeats} rows repeat a setting, and no column numbers the repeats.",
        "The deviation of a run is {standard_error} times the root of the runs.",
    ),
    "metric": (
        "The metric is {columns}: {better} is better, {unit}; the dense network is {dense}.",
        "Fractions are taken times 100, in {fractions}.",
    ),
    "single value": ("{axis} is {value} in all runs; {other} is the only axis.",),
    "taken": ("{table}: {rows} of {all} rows are taken, those with {column}={values}.",),
    "epochs": (
        "{table}: {rows} rows are epochs ({column}) of {runs} runs (by {by}).",
        "The {taken} row of each run is taken.",
    ),
    "any length": ("{table}: runs of all lengths are taken ({column} {first} to {last}).",),
    "left out": ("Runs left out: {counts}.",),
    "lengths": ("The longest runs of the variants differ in epochs or steps: {longest}.",),
    "noise": ("Hyperparameters other than the axes vary, and count as noise: {columns}.",),
    "zero": ("Runs with {axis} 0: {runs}. They count, but a logarithmic axis has no 0.",),
    "tiny": (
        "{axis} {value} lies {decades} decades below the next, {other}: write 0 if it stands for "
        "zero.",
    ),
    "means": (
        "{table} has deviations ({columns}), which are not used.",
        "If its rows are means of runs, add --std {column} --runs {count}.",
    ),
}


class Note(NamedTuple):
    """One thing to know of how tables were read.

    Attributes
    ----------
    kind : str
        Key of `SENTENCES`.
    facts : dict
        Numbers and names in its sentences.
    """

    kind: str
    facts: dict[str, object]

    @property
    def sentence(self) -> str:
        """The note in words."""
        texts = {name: _text(fact) for name, fact in self.facts.items()}
        first, *more = SENTENCES[self.kind]
        for part in more:
            if all(self.facts[name] for _, name, *_ in Formatter().parse(part) if name):
                first += f" {part}"
        return first.format(**texts)


def note(kind: str, **facts: object) -> Note:
    """Note of a kind, with its facts by name."""
    return Note(kind, facts)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(item)}" for name, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return listed(value)
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def notes_on_settings(
    table: pd.DataFrame, swept: tuple[str, ...], axes: tuple[str, ...]
) -> Iterator[Note]:
    """Axes with one value, settings at or near zero, and variants of different lengths."""
    for axis in set(swept) - set(axes):
        yield note("single value", axis=axis, value=float(table[axis].iloc[0]), other=axes[0])
    for axis in axes:
        if at_zero := int((table[axis] == 0).sum()):
            yield note("zero", axis=axis, runs=at_zero)
        elif names.bare(axis) not in ALIASES["lr"]:
            counts = table[axis].value_counts().sort_index()
            steps = np.diff(np.log10(counts.index.to_numpy(float)))
            # A random search has gaps of any size; what stands for zero is far below the rest.
            grid = len(counts) >= 3 and counts.min() >= 2 and len(counts) <= len(table) / 2
            if grid and steps[0] >= 1 and steps[0] > _STEPS * np.median(steps[1:]) + 1e-9:
                value, other = (float(x) for x in counts.index[:2])
                decades = round(float(steps[0]), 1)
                yield note("tiny", axis=axis, value=value, decades=decades, other=other)
    if "epoch" in table:
        known = table[table["metric"].notna()]
        longest = known.groupby("variant", sort=False)["epoch"].max().dropna()
        if longest.min() < _EQUAL * longest.max():
            yield note("lengths", longest=longest.to_dict())


def note_on_means(sources: list[Source]) -> Iterator[Note]:
    """Deviations that are not used, where each row is the only one of its setting."""
    for source in sources:
        if columns := [column for column in source.spare if names.says(column, "spread")]:
            counts = [*names.named(source.spare, ALIASES["count"]), "NUMBER"]
            facts = {"columns": columns, "column": columns[0], "count": counts[0]}
            yield note("means", table=source.label, **facts)
            return
