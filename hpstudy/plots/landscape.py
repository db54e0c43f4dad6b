"""Figures 4.1 to 4.4 of the thesis: landscapes of a network's variants, and the grid."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape, setting_keys
from hpstudy.config.grid import setting_key
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import INK, Plane, Props
from hpstudy.plots.labels import Metric, metric_of, roi_title, variant_title

TOP = 0.15
"""Share of all settings that the colour scale spans (captions of Figures 4.1 and 4.2)."""
SINGLE = {"size": 4, "color": INK, "opacity": 0.6}
BAND = {"fill": "toself", "fillcolor": "rgba(127,127,127,0.18)", "mode": "none"}
CELL, FIRST_CELL = "#d9e4f0", "#86a9cf"
# Marks of the best setting, within the grid and on its edge.
BEST = {False: _traces.best_marker(), True: _traces.best_marker("star-square", colour="#ff9e1b")}


@dataclass(frozen=True, eq=False)
class LandscapePanel:
    """One landscape; levels are in the metric's own unit.

    `points` are `Landscape.levels`, and `singles` the single runs over one axis (over two there are
    none); their column `colour` is a level's place on the colour scale.
    """

    landscape: Landscape
    points: pd.DataFrame
    singles: pd.DataFrame

    @property
    def measured(self) -> pd.DataFrame:
        """Settings with a value."""
        return self.points[self.points["value"].notna()]

    @property
    def diverged(self) -> pd.DataFrame:
        """Settings at which a run diverged, or that have no value though no run was stopped."""
        unexplained = self.points["value"].isna() & (self.points["stopped"] == 0)
        return self.points[(self.points["diverged"] > 0) | unexplained]

    @property
    def stopped(self) -> pd.DataFrame:
        """Settings at which a run was stopped early."""
        return self.points[self.points["stopped"] > 0]

    @property
    def best_at(self) -> pd.DataFrame:
        """Row of the best setting; none without a value."""
        known = math.isfinite(self.landscape.best)
        return self.points.iloc[[self.landscape.best_row] if known else []]


@dataclass(frozen=True, eq=False)
class LandscapesData:
    """Landscapes that share one colour scale from `low` to `high` under `title`, and their axes.

    `roi` are increasing thresholds of regions of interest, in the metric's unit, whose ellipses
    reach `multiple` standard deviations. With `relative`, colours are distances from each
    landscape's own best.
    """

    panels: tuple[LandscapePanel, ...]
    metric: Metric
    roi: tuple[float, ...]
    relative: bool
    low: float
    high: float
    plane: Plane
    title: str
    multiple: float = 2.0

    def colour_axis(self, title: str, **bar: Any) -> Props:
        """Colour axis of all panels; over one axis places show what colours would."""
        two, less_is_better = self.plane.up is not None, self.metric.sign < 0
        return _layout.colour_axis(
            _traces.VIRIDIS, self.low, self.high, title, two, less_is_better, **bar
        )


def landscapes_data(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> LandscapesData:
    """Data of `plot_landscapes`."""
    shown, roi = list(landscapes.values()), tuple(sorted(set(roi)))
    metrics = len({landscape.metric for landscape in shown})
    axes = len({landscape.axes for landscape in shown})
    if metrics != 1:
        raise HpstudyError(f"one figure shows landscapes of one metric, not of {metrics}.")
    if axes != 1:
        raise HpstudyError(f"one figure shows landscapes over the same axes, not {axes} pairs.")
    metric = metric_of(shown[0])
    low, high = _traces.colour_range(landscapes, top, relative, roi)
    panels = tuple(_panel(landscape, relative) for landscape in shown)
    # A single run may be better than any mean.
    runs = pd.concat([metric.sign * panel.singles["colour"] for panel in panels])
    worst, best, reach = (metric.sign * end + 0.0 for end in (low, high, max([high, *runs])))
    settings = (landscape.points for landscape in shown)
    title = metric.from_best("the panel's own best") if relative else metric.headed
    plane = _layout.plane_of(settings, shown[0].axes, title, (worst, reach))
    ends = min(worst, best), max(worst, best)
    return LandscapesData(panels, metric, roi, relative, *ends, plane, title)


def _panel(landscape: Landscape, relative: bool) -> LandscapePanel:
    axes, sign, zero = landscape.axes, landscape.sign, landscape.best if relative else 0.0
    # 0.0 makes a zero of a negative zero.
    points = landscape.levels.assign(colour=sign * (landscape.points["value"] - zero) + 0.0)
    singles = points.loc[[], [axes[0], "colour"]]
    if len(axes) == 1 and landscape.singles is not None:
        runs = landscape.singles[landscape.singles["point"].duplicated(keep=False)]
        colours = sign * (runs["value"].to_numpy(float) - zero) + 0.0
        singles = points.loc[runs["point"], list(axes)].assign(colour=colours)
    return LandscapePanel(landscape, points, singles)


def plot_landscapes(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> go.Figure:
    """Landscapes of a network's variants side by side, on one colour scale (thesis, section 3.3.1).

    The first axis goes up, the second across, both logarithmic; a single axis across and the
    metric up. Panels have the same traces in the same order, some of them empty.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Landscapes of one metric, the dense network's first.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of at most three regions of interest, in the metric's unit.
    top : float, default 0.15
        Share of all settings that the colour scale spans.
    relative : bool, default False
        Whether to colour by the distance from each landscape's own best.

    Raises
    ------
    HpstudyError
        Without any value, or for several metrics or axes.
    """
    data = landscapes_data(landscapes, roi, top, relative)
    figure = _layout.panel_figure([best_title(panel) for panel in data.panels], 200, 82, 104)
    for number, panel in enumerate(data.panels, start=1):
        figure.add_traces(panel_traces(panel, data, _layout.set_plane(figure, number, data.plane)))
    figure.add_traces(legend_entries(data))
    figure.update_layout(coloraxis=data.colour_axis(data.title))
    return figure


def best_title(panel: LandscapePanel) -> str:
    """Title of a panel: the network and its best level."""
    landscape = panel.landscape
    best = metric_of(landscape).level(landscape.sign * landscape.best)
    return _layout.panel_title(variant_title(landscape.variant), f"best {best}")


def panel_traces(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[Props]:
    """Traces of one panel: ground, points, failures, two lines an ellipse, optimum.

    Over one axis a band for each region and the single runs lie below them.
    """
    plane, landscape, measured = data.plane, panel.landscape, panel.measured
    surface = _traces.interpolated(panel.points, landscape.axes, "colour")
    traces: list[Props] = []
    if plane.up is None:
        surface = replace(surface, values=plane.clipped(surface.values))
        traces = bands(panel, data, suffix)
        look = {"marker": SINGLE, "legendgroup": "single"}
        traces.append(_traces.scatter(plane, suffix, panel.singles, "colour", **look))
    contours = {"start": data.low, "end": data.high, "size": (data.high - data.low) / 7}
    line = {"width": 0.7, "color": "rgba(255,255,255,0.55)"}
    texts = _traces.point_texts(measured, landscape)
    traces += _traces.landscape_traces(
        plane, suffix, surface, measured, "colour", texts, contours, line
    )
    traces += _traces.failure_traces(plane, suffix, panel, "colour")
    traces += outlines(panel, data, suffix)
    best, marker = panel.best_at, BEST[landscape.on_edge]
    look = {"marker": marker, "text": _traces.point_texts(best, landscape), "legendgroup": "best"}
    traces.append(_traces.scatter(plane, suffix, best, "colour", **look))
    return traces


def outlines(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[Props]:
    """Two lines for the ellipse of each region of interest."""
    network, traces = panel.landscape, []
    zero = network.best if data.relative else 0.0
    for number, (threshold, dash) in enumerate(zip(data.roi, _traces.DASHES, strict=False)):
        ellipse = _traces.outline(network, threshold, data.multiple, zero)
        inner = "white" if number else "black"
        traces += _traces.outline_traces(suffix, ellipse, f"roi-{number}", dash, inner)
    return traces


def bands(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[Props]:
    """Levels of each region of interest over one axis; nothing over two."""
    regions = range(0 if data.plane.up else len(data.roi))
    return [_band(panel, data, number, suffix) for number in regions]


def _band(panel: LandscapePanel, data: LandscapesData, number: int, suffix: str) -> Props:
    """Levels of a region of interest over one axis."""
    low, high = data.plane.across.ends
    best = panel.best_at["colour"].to_numpy(float)[:, None]
    down = data.metric.sign * np.array([0.0, 0.0, 1.0, 1.0]) * data.roi[number]
    place = {
        "x": _traces.rounded([low, high, high, low] * len(best)),
        "y": _traces.rounded(np.ravel(best - down)),
    }
    look = {"hoverinfo": "skip", "legendgroup": f"roi-{number}", **BAND}
    return {"type": "scatter", **place, **look, **_traces.axes_of(suffix)}


def legend_entries(data: LandscapesData) -> list[Props]:
    """Entries of the legend; those of marks that no panel has are not visible."""
    entries = [
        _traces.legend_entry(
            "measured", "points", marker={**_traces.POINT, "size": 8, "color": INK}
        )
    ]
    if data.plane.up is None:
        several = any(len(panel.singles) for panel in data.panels)
        entries.append(_traces.legend_entry("single runs", "single", several, marker=SINGLE))
    shape = "ellipse" if data.plane.up else "two deviations"
    for number, (threshold, dash) in enumerate(zip(data.roi, _traces.DASHES, strict=False)):
        line = {"width": 2.2, "color": INK, "dash": dash}
        name = f"{roi_title(threshold)} {shape}"
        entries.append(_traces.legend_entry(name, f"roi-{number}", mode="lines", line=line))
    edges = [panel.landscape.on_edge for panel in data.panels]
    entries += [
        _traces.legend_entry("best", "best", not all(edges), marker=BEST[False]),
        _traces.legend_entry("best, on the grid's edge", "best", any(edges), marker=BEST[True]),
    ]
    return entries + _traces.failure_entries(data.panels)


def plot_grid(
    landscape: Landscape,
    prior: dict[str, float] | None = None,
    initial: dict[str, tuple[float, ...]] | None = None,
) -> go.Figure:
    """Settings that were trained, each with its level; a cross where a run diverged.

    The `prior` (axis -> value), around which the grid was laid, is outlined, and the `initial` grid
    (axis -> its values) is darker than what was added to it.

    Raises
    ------
    HpstudyError
        Without any setting.

    References
    ----------
    Thesis, Figure 4.4.
    """
    points, axes, percent = landscape.levels, landscape.axes, metric_of(landscape).percent
    if points.empty:
        raise HpstudyError(f"the grid of {landscape.variant!r} has no points to draw.")
    texts = []
    for level, diverged in zip(points["value"], points["diverged"], strict=True):
        text = "–" if math.isnan(level) else f"{level:.1f}" if percent else f"{level:.3g}"
        texts.append(f"{text} ×" if diverged > 0 else text)
    centre = [(prior or {}).get(axis, math.nan) for axis in axes]
    at_prior = np.isclose(points[list(axes)], centre, rtol=1e-8, atol=0).all(axis=1)
    starts = initial or {}
    within = [setting_keys(points[axis]).isin(map(setting_key, starts[axis])) for axis in starts]
    first = np.logical_and.reduce(within) if within else at_prior
    plane = _layout.plane_of([points], axes, ends=(-1.0, 1.0))
    rows = points[plane.up.name].nunique() if plane.up else 1
    figure = _layout.panel_figure([""], max(180, 42 * rows), 12, 46, columns=1)
    suffix = _layout.set_plane(figure, 1, plane, most=8)
    marker = {
        "symbol": "square",
        "size": 34,
        "color": np.where(first, FIRST_CELL, CELL).tolist(),
        "opacity": 1,
        "line": {"width": (2 * at_prior).tolist(), "color": "black"},
    }
    look: Props = {"mode": "markers+text", "textfont": {"size": 10.5, "color": "black"}}
    look |= {"text": texts, "hovertext": _traces.point_texts(points, landscape)}
    figure.add_trace(
        _traces.scatter(plane, suffix, points.assign(value=0.0), marker=marker, **look)
    )
    if plane.up is None:
        figure.update_layout(yaxis={"showgrid": False, "showticklabels": False, "ticks": ""})
    return figure
