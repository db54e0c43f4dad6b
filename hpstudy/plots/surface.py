"""The surface between a landscape's measured points, for contour plots."""

from dataclasses import replace

import numpy as np

from hpstudy.analysis.landscape import Landscape


def surface(landscape: Landscape, cells: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values between the measured points, bilinear in log10 of both axes.

    Settings with a value of 0 have no place on the axes, and are left out.

    A cell that was not measured is filled linearly from its neighbours when it lies between
    measured ones; beyond them nothing is made up.

    Parameters
    ----------
    landscape : Landscape
        The measured points.
    cells : int, default 24
        About how many steps the fine grid has along each axis.

    Returns
    -------
    up : ndarray of shape (n_y,)
        Of the first axis, increasing, with all its measured values in it.
    across : ndarray of shape (n_x,)
        The same of the second axis.
    values : ndarray of shape (n_y, n_x)
        NaN outside the measured points, and everywhere if an axis has a single value. All three
        are empty over one axis.
    """
    from scipy.interpolate import RegularGridInterpolator

    if len(landscape.axes) == 1:
        return np.empty(0), np.empty(0), np.empty((0, 0))
    placed = landscape.points[landscape.placed]
    up, across, square = replace(landscape, points=placed).grid()
    if min(square.shape) < 2:
        return up, across, np.full((len(up), len(across)), np.nan)
    y, x = np.log10(up), np.log10(across)
    values = _filled(y, x, square.T)
    fine_y, fine_x = _refined(y, cells), _refined(x, cells)
    where = np.stack(np.meshgrid(fine_y, fine_x, indexing="ij"), axis=-1)
    known = np.isfinite(values)
    between = RegularGridInterpolator((y, x), np.where(known, values, 0.0))(where)
    # A point next to a gap, but of no weight in it, keeps its value: 0 times NaN would be NaN.
    weight = RegularGridInterpolator((y, x), known.astype(float))(where)
    return 10**fine_y, 10**fine_x, np.where(weight > 1 - 1e-9, between, np.nan)


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
    return np.interp(index, np.arange(len(axis)), axis)
