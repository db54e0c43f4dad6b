"""Points that would settle what a grid leaves open: its holes, and what lies halfway or beyond."""

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape


def holes(points: pd.DataFrame, axes: list[str]) -> set[tuple[float, float]]:
    """Combinations of the grid's values that lie between points along both axes."""
    there = points.pivot(index=axes[0], columns=axes[1], values="seeds").notna()
    holes = ~there.to_numpy()
    for axis in (0, 1):
        holes &= _between(there.to_numpy(), axis)
    return {(there.index[row], there.columns[column]) for row, column in np.argwhere(holes)}


def _between(there: np.ndarray, axis: int) -> np.ndarray:
    """Whether a trained point comes at or before, and one at or after, each place of a line."""
    before = np.logical_or.accumulate(there, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(there, axis), axis=axis), axis)
    return before & after


def halfway(landscape: Landscape, region: pd.DataFrame) -> pd.DataFrame:
    """Points halfway in log10 from those of the region to their eight neighbours."""
    ladders, places = [], []
    for axis in landscape.axes:
        tried = values_of(landscape, axis)
        # Even rungs are the tried values, odd ones lie halfway between them.
        ladder = {2 * k: value for k, value in enumerate(tried)}
        for k, pair in enumerate(zip(tried[:-1], tried[1:], strict=True)):
            # Nothing lies halfway to 0.
            for value in proposed([np.log10(pair).mean()], tried) if pair[0] > 0 else ():
                ladder[2 * k + 1] = value
        ladders.append(ladder)
        places.append(2 * np.searchsorted(tried, region[axis]))
    rungs = {
        tuple(np.add(place, step))
        for place in zip(*places, strict=True)
        for step in product((-1, 0, 1), repeat=len(ladders))
        if any(step)
    }
    cells = [tuple(map(dict.get, ladders, rung)) for rung in rungs]
    return cell_table(landscape, {cell for cell in cells if None not in cell})


def box_of(landscape: Landscape, region: pd.DataFrame, axis: str) -> np.ndarray:
    """Values of an axis that the region spans; the next ones too where that is a single value."""
    tried = values_of(landscape, axis)
    tried = tried[tried > 0]
    low, high = np.searchsorted(tried, [region[axis].min(), region[axis].max()])
    if low == high:
        low, high = max(low - 1, 0), high + 1
    return tried[low : high + 1]


def proposed(logs: Iterable[float], tried: np.ndarray) -> list[float]:
    """Values to add, by their log10: as numbers that can be written down, and new ones only."""
    values = [float(f"{10**log:.6g}") for log in logs]
    if (tried == tried.round()).all():
        values = [float(round(value)) for value in values]
    return [value for value in values if value > 0 and value not in tried]


def values_of(landscape: Landscape, axis: str) -> np.ndarray:
    """Values of an axis that were tried, increasing."""
    return np.unique(landscape.points[axis].to_numpy(float))


def cell_table(landscape: Landscape, cells: Iterable[tuple[float, ...]]) -> pd.DataFrame:
    """Points by the axes as columns, sorted by them."""
    return pd.DataFrame(sorted(cells), columns=list(landscape.axes), dtype=float)
