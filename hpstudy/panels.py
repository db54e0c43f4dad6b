"""Landscapes made ready to draw: the surface between the measured points, and one colour scale."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.errors import HpstudyError
from hpstudy.landscape import Landscape
from hpstudy.results import variant_title

TOP = 0.15
"""Share of observations that the colour scale spans (captions of Figures 4.1 and 4.2)."""
OUTLINE_POINTS = 60


@dataclass(frozen=True, eq=False)
class Panel:
    """One landscape, ready to draw.

    Attributes
    ----------
    variant, title : str
        Name of the network, and what is written above its panel.
    up, across : ndarray of shape (n_y,), (n_x,)
        Fine grid of the surface on the first and the second axis, increasing real values that
        include all measured ones.
    surface : ndarray of shape (n_y, n_x)
        Interpolated values on the colour scale; NaN outside the measured points.
    points : DataFrame
        Measured points with a value, as `Landscape.points`, and `colour`: the value on the
        colour scale.
    diverged : DataFrame
        Points at which a run diverged, or no value exists though none was stopped.
    stopped : DataFrame
        Points at which a run was stopped early.
    best : float
        Highest value.
    best_at : tuple of float
        Where that is, up and across.
    on_edge : bool
        Whether that is on the edge of the grid.
    outlines : dict of float to tuple
        Threshold -> the ellipse's outline, up and across; None below five points.
    """

    variant: str
    title: str
    up: np.ndarray
    across: np.ndarray
    surface: np.ndarray
    points: pd.DataFrame
    diverged: pd.DataFrame
    stopped: pd.DataFrame
    best: float
    best_at: tuple[float, float]
    on_edge: bool
    outlines: dict[float, tuple[np.ndarray, np.ndarray] | None]


@dataclass(frozen=True, eq=False)
class Panels:
    """Landscapes that share one colour scale and one pair of axes.

    Attributes
    ----------
    panels : tuple of Panel
        In the order of the landscapes.
    metric : str
        Column the values come from.
    roi : tuple of float
        Thresholds of the regions of interest, increasing.
    relative : bool
        Whether values are distances from the panel's own best (at most 0).
    low, high : float
        Ends of the colour scale; lower values are drawn in the colour of `low`.
    axes : tuple of str
        Hyperparameters drawn up and across.
    up, across : tuple of float
        Ends of these axes: real values, half a grid step beyond the measured ones.
    """

    panels: tuple[Panel, ...]
    metric: str
    roi: tuple[float, ...]
    relative: bool
    low: float
    high: float
    axes: tuple[str, str]
    up: tuple[float, float]
    across: tuple[float, float]


def landscape_panels(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> Panels:
    """Landscapes of one figure, ready to draw, for `plot_landscapes`.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Of one network and one metric, the dense one first.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of the regions of interest, in the metric's unit.
    top : float, default 0.15
        Share of all observations, over all landscapes, that the colour scale spans.
    relative : bool, default False
        Whether to colour by the distance from each landscape's own best instead of the value.

    Returns
    -------
    Panels
        One panel a landscape.

    Raises
    ------
    HpstudyError
        Without any landscape or value, or if they are of different metrics or axes.

    References
    ----------
    Thesis, section 3.3.1; Figures 4.1 to 4.3.
    """
    every = list(landscapes.values())
    metrics = {one.metric for one in every}
    if len(metrics) != 1:
        raise HpstudyError(f"one figure shows landscapes of one metric, not of {len(metrics)}.")
    axes = {one.axes for one in every}
    if len(axes) != 1:
        raise HpstudyError(
            f"one figure shows landscapes over the same axes, not {len(axes)} pairs."
        )
    first, second = axes.pop()
    zero = {one.variant: one.best if relative else 0.0 for one in every}
    values = np.concatenate(
        [(one.points["value"] - zero[one.variant]).dropna().to_numpy(float) for one in every]
    )
    if values.size == 0:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    low, high = float(np.quantile(values, 1 - top)), float(values.max())
    return Panels(
        panels=tuple(_panel(one, tuple(sorted(roi)), zero[one.variant]) for one in every),
        metric=metrics.pop(),
        roi=tuple(sorted(roi)),
        relative=relative,
        low=low if low < high else high - 1,
        high=high,
        axes=(first, second),
        up=axis_ends(pd.concat([one.points[first] for one in every])),
        across=axis_ends(pd.concat([one.points[second] for one in every])),
    )


def surface(landscape: Landscape, cells: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values between the measured points, bilinear in log10 of both axes.

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
        NaN outside the measured points, and everywhere if an axis has a single value.
    """
    from scipy.interpolate import RegularGridInterpolator

    up, across, square = landscape.grid()
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


def axis_ends(values: pd.Series) -> tuple[float, float]:
    """Half a grid step beyond the least and the greatest value, in log10."""
    logs = np.unique(np.log10(values.to_numpy(float)))
    margin = float(np.median(np.diff(logs))) / 2 if len(logs) > 1 else 0.5
    return float(10 ** (logs[0] - margin)), float(10 ** (logs[-1] + margin))


def _panel(landscape: Landscape, roi: tuple[float, ...], zero: float) -> Panel:
    """Drawing of one landscape; `zero` is taken off every value to find its colour."""
    up, across, values = surface(landscape)
    first, second = landscape.axes
    at = landscape.best_at
    points = landscape.points
    points = points.assign(colour=points["value"] - zero)
    outlines = {}
    for threshold in roi:
        ellipse = landscape.ellipse(threshold)
        outlines[threshold] = None
        if ellipse is not None:
            y, x = ellipse.outline(OUTLINE_POINTS)
            outlines[threshold] = (10**y, 10**x)
    return Panel(
        variant=landscape.variant,
        title=variant_title(landscape.variant),
        up=up,
        across=across,
        surface=values - zero,
        points=points[points["value"].notna()],
        diverged=points[
            (points["diverged"] > 0) | (points["value"].isna() & (points["stopped"] == 0))
        ],
        stopped=points[points["stopped"] > 0],
        best=landscape.best,
        best_at=(at[first], at[second]),
        on_edge=landscape.on_edge,
        outlines=outlines,
    )
