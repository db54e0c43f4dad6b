"""What lies between the settings of landscapes: surfaces, ellipses, and the scale of colours."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError

Outline = tuple[np.ndarray, np.ndarray]
"""Settings up and across, along a line."""
NO_OUTLINE: Outline = (np.empty(0), np.empty(0))


@dataclass(frozen=True, eq=False)
class Surface:
    """Values between settings: `values[i, j]` at the increasing settings `up[i]`, `across[j]`.

    NaN outside the measured settings. Over one axis `up` is empty, and `values[j]` at `across[j]`.
    """

    up: np.ndarray
    across: np.ndarray
    values: np.ndarray


def interpolated(
    points: pd.DataFrame, axes: tuple[str, ...], column: str, cells: int = 24
) -> Surface:
    """Surface through a column of measured points, bilinear in log10 of both axes.

    Gaps between measured points are filled linearly; beyond them nothing is made up. Settings with
    a value of 0 are left out. Over one axis the measured points themselves are the surface.
    """
    from scipy.interpolate import RegularGridInterpolator

    placed = points[(points[list(axes)] > 0).all(axis=1)]
    if len(axes) == 1:
        known = placed[placed[column].notna()]
        return Surface(np.empty(0), known[axes[0]].to_numpy(float), known[column].to_numpy(float))
    square = placed.pivot(index=axes[0], columns=axes[1], values=column)
    up, across = square.index.to_numpy(float), square.columns.to_numpy(float)
    if min(square.shape) < 2:
        return Surface(up, across, np.full(square.shape, np.nan))
    y, x = np.log10(up), np.log10(across)
    values = _filled(y, x, square.to_numpy(float))
    fine_y, fine_x = _refined(y, cells), _refined(x, cells)
    where = np.stack(np.meshgrid(fine_y, fine_x, indexing="ij"), axis=-1)
    known = np.isfinite(values)
    between = RegularGridInterpolator((y, x), np.where(known, values, 0.0))(where)
    # A point next to a gap, but of no weight in it, keeps its value: 0 times NaN would be NaN.
    weight = RegularGridInterpolator((y, x), known.astype(float))(where)
    return Surface(10**fine_y, 10**fine_x, np.where(weight > 1 - 1e-9, between, np.nan))


def _filled(y: np.ndarray, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values with every gap between measured points filled linearly."""
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import QhullError

    known = np.isfinite(values)
    if known.all() or known.sum() < 3:
        return values
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    try:
        between = LinearNDInterpolator(places[known], values[known])(places)
    except QhullError:
        # All measured points lie on one line: there is nothing between them to fill.
        return values
    return np.where(known, values, between)


def _refined(axis: np.ndarray, cells: int) -> np.ndarray:
    """Axis with equally many points inserted between each two of its own."""
    parts = max(2, round(cells / (len(axis) - 1)))
    index = np.arange((len(axis) - 1) * parts + 1) / parts
    return np.asarray(np.interp(index, np.arange(len(axis)), axis))


def colour_range(
    landscapes: dict[str, Landscape],
    top: float,
    relative: bool = False,
    roi: tuple[float, ...] = (),
) -> tuple[float, float]:
    """Ends of the colour scale of some landscapes, oriented so that larger is better.

    Over one axis the lower end leaves room for half of each landscape's settings, and for twice
    each region.
    """
    known = [
        (landscape.points["value"] - (landscape.best if relative else 0.0)).dropna()
        for landscape in landscapes.values()
        if math.isfinite(landscape.best)
    ]
    if not known:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    every = pd.concat(known)
    low, high = float(every.quantile(1 - top)), float(every.max())
    if len(next(iter(landscapes.values())).axes) == 1:
        room = 2 * max(roi, default=0.0)
        low = min(min(values.median(), values.max() - room) for values in known)
        low = float(max(low, every.min()))
    return (low if low < high else high - 1), high


def outline(
    landscape: Landscape, threshold: float, multiple: float = 2.0, zero: float = 0.0
) -> Outline:
    """Ellipse of a region of interest as settings up and across; nothing below five points.

    It reaches `multiple` standard deviations. Over one axis it is a line at the level where the
    region ends, less `zero`.
    """
    ellipse = landscape.ellipse(threshold, multiple)
    if ellipse is None:
        return NO_OUTLINE
    if len(landscape.axes) == 2:
        up, across = ellipse.outline(60)
        return 10**up, 10**across
    level = landscape.sign * (landscape.best - zero - threshold)
    return np.full(2, level), 10 ** (ellipse.centre[0] + ellipse.length / 2 * np.array([-1, 1]))
