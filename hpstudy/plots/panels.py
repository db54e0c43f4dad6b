"""Landscapes made ready to draw: the surface between the measured points, and one colour scale."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import TOLERANCE, Landscape
from hpstudy.analysis.levels import Metric, levels, metric_of
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import variant_title
from hpstudy.plots.plane import Plane, plane_of
from hpstudy.plots.surface import surface

TOP = 0.15
"""Share of observations that the colour scale spans (captions of Figures 4.1 and 4.2)."""
OUTLINE_POINTS = 60


@dataclass(frozen=True, eq=False)
class Panel:
    """One landscape, ready to draw; all values are levels, in the metric's own unit.

    Attributes
    ----------
    variant, title : str
        Name of the network, and what is written above its panel.
    up, across : ndarray of shape (n_y,), (n_x,)
        Fine grid of the surface on the first and the second axis, increasing real values that
        include all measured ones but 0. Empty over one axis, as `surface` is.
    surface : ndarray of shape (n_y, n_x)
        Interpolated values on the colour scale; NaN outside the measured points.
    points : DataFrame
        Measured points with a value, as `Landscape.points`, and `colour`: the value on the
        colour scale. Over one axis that is the scale that goes up.
    diverged : DataFrame
        Points at which a run diverged, or no value exists though none was stopped.
    stopped : DataFrame
        Points at which a run was stopped early.
    singles : DataFrame
        Single runs over one axis: that axis and `colour`. Empty over two.
    best : float
        Best level.
    best_at : DataFrame
        Its row of `points`; none where there is no value.
    on_edge : bool
        Whether that is on the edge of the grid.
    outlines : dict of float to tuple
        Threshold -> what `outline` returns.
    """

    variant: str
    title: str
    up: np.ndarray
    across: np.ndarray
    surface: np.ndarray
    points: pd.DataFrame
    diverged: pd.DataFrame
    stopped: pd.DataFrame
    singles: pd.DataFrame
    best: float
    best_at: pd.DataFrame
    on_edge: bool
    outlines: dict[float, tuple[np.ndarray, np.ndarray] | None]


@dataclass(frozen=True, eq=False)
class Panels:
    """Landscapes that share one colour scale and their axes.

    Attributes
    ----------
    panels : tuple of Panel
        In the order of the landscapes.
    metric : Metric
        What the levels are of.
    roi : tuple of float
        Thresholds of the regions of interest, increasing.
    relative : bool
        Whether levels are distances from the panel's own best, which is then 0.
    low, high : float
        Ends of the colour scale; what is worse is drawn in the colour of the worse end.
    axes : tuple of str
        Hyperparameters, one or two.
    plane : Plane
        Where their settings are drawn.
    title : str
        What the levels are, with their unit.
    """

    panels: tuple[Panel, ...]
    metric: Metric
    roi: tuple[float, ...]
    relative: bool
    low: float
    high: float
    axes: tuple[str, ...]
    plane: Plane
    title: str

    @property
    def scale(self) -> dict:
        """Ends of the colour scale, and whether it is turned so that better stays brighter."""
        turned = {"reversescale": True} if self.metric.sign < 0 else {}
        return {"cmin": self.low, "cmax": self.high, **turned}


def landscapes_data(
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
    zero = {one.variant: one.best if relative else 0.0 for one in every}
    values = np.concatenate(
        [(one.points["value"] - zero[one.variant]).dropna().to_numpy(float) for one in every]
    )
    if values.size == 0:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    metric, roi = metric_of(every[0]), tuple(sorted(roi))
    (shared,) = axes
    low, high = float(np.quantile(values, 1 - top)), float(values.max())
    if len(shared) == 1:
        # An axis of levels holds the better half of every panel's points, and its regions.
        deep = [
            min(one.points["value"].median(), one.best - 2 * max(roi, default=0.0))
            - zero[one.variant]
            for one in every
            if not np.isnan(one.best)
        ]
        low = max(float(min(deep)), float(values.min()))
    low = low if low < high else high - 1
    ends = tuple(metric.sign * end + 0.0 for end in (low, high))
    panels = tuple(_panel(one, roi, zero[one.variant]) for one in every)
    # A single run may be better than any mean.
    runs = np.concatenate(
        [metric.sign * panel.singles["colour"].to_numpy(float) for panel in panels]
    )
    reach = ends[0], metric.sign * max([high, *runs]) + 0.0
    title = metric.from_best("the panel's own best") if relative else metric.headed
    return Panels(
        panels=panels,
        metric=metric,
        roi=roi,
        relative=relative,
        low=min(ends),
        high=max(ends),
        axes=shared,
        plane=plane_of((one.points for one in every), shared, title, reach),
        title=title,
    )


def outline(
    landscape: Landscape, threshold: float, multiple: float = 2.0, zero: float = 0.0
) -> tuple[np.ndarray, np.ndarray] | None:
    """Ellipse of a region of interest, ready to draw.

    Parameters
    ----------
    landscape : Landscape
    threshold : float
        Of the region, in the metric's unit.
    multiple : float, default 2.0
        Standard deviations from the ellipse's centre to its outline.
    zero : float, default 0.0
        Taken off the values, as of `Landscape.points`, to find a level.

    Returns
    -------
    tuple of ndarray or None
        Real values, up and across; None below five points. Over one axis it is a line, across the
        region's standard deviations and at the level where the region ends.
    """
    ellipse = landscape.ellipse(threshold, multiple)
    if ellipse is None:
        return None
    if len(landscape.axes) == 2:
        up, across = ellipse.outline(OUTLINE_POINTS)
        return 10**up, 10**across
    level = landscape.sign * (landscape.best - zero - threshold)
    return np.full(2, level), 10 ** (ellipse.centre[0] + ellipse.length / 2 * np.array([-1, 1]))


def _panel(landscape: Landscape, roi: tuple[float, ...], zero: float) -> Panel:
    """Drawing of one landscape; `zero` is taken off every value to find its colour."""
    sign = landscape.sign
    up, across, values = surface(landscape)
    # 0.0 makes a zero of a negative zero.
    colour = sign * (landscape.points["value"] - zero) + 0.0
    points = levels(landscape).assign(colour=colour)
    top = (landscape.points["value"] >= landscape.best - TOLERANCE).to_numpy()
    return Panel(
        variant=landscape.variant,
        title=variant_title(landscape.variant),
        up=up,
        across=across,
        surface=sign * (values - zero),
        points=points[points["value"].notna()],
        diverged=points[
            (points["diverged"] > 0) | (points["value"].isna() & (points["stopped"] == 0))
        ],
        stopped=points[points["stopped"] > 0],
        singles=_singles(landscape, zero),
        best=sign * landscape.best,
        best_at=points[top].head(1),
        on_edge=landscape.on_edge,
        outlines={threshold: outline(landscape, threshold, zero=zero) for threshold in roi},
    )


def _singles(landscape: Landscape, zero: float) -> pd.DataFrame:
    """Runs of settings that have several, as `Panel.singles` describes them."""
    axis = landscape.axes[0]
    if len(landscape.axes) == 2 or landscape.singles is None:
        return pd.DataFrame({axis: [], "colour": []})
    runs = landscape.singles[landscape.singles["point"].duplicated(keep=False)]
    return pd.DataFrame(
        {
            axis: landscape.points[axis].to_numpy(float)[runs["point"]],
            "colour": landscape.sign * (runs["value"].to_numpy(float) - zero) + 0.0,
        }
    )
