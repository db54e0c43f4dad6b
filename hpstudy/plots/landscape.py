"""Figures 4.1 to 4.3 of the thesis: landscapes of a network's variants."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Plane, Props, plane_of
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._surface import Outline, Surface, colour_range, interpolated, outline
from hpstudy.plots._traces import (
    DASHES,
    POINT,
    VIRIDIS,
    axes_of,
    best_marker,
    failure_entries,
    failure_traces,
    landscape_traces,
    legend_entry,
    outline_traces,
    point_texts,
    rounded,
    scatter,
)
from hpstudy.plots.labels import Metric, metric_of, roi_title, variant_title

TOP = 0.15
"""Share of all settings that the colour scale spans (captions of Figures 4.1 and 4.2)."""
SINGLE = {"size": 4, "color": INK, "opacity": 0.6}
BAND = {"fill": "toself", "fillcolor": "rgba(127,127,127,0.18)", "mode": "none"}
# Marks of the best setting, within the grid and on its edge.
BEST = {False: best_marker(), True: best_marker("star-square", colour="#ff9e1b")}


@dataclass(frozen=True, eq=False)
class LandscapePanel:
    """One landscape; levels are in the metric's own unit.

    Attributes
    ----------
    landscape : Landscape
    points : DataFrame
        `Landscape.levels` with the column `colour`: a level's place on the colour scale.
    surface : Surface
        Places on the colour scale between the settings.
    singles : DataFrame
        Single runs over one axis: the axis and `colour`. Empty over two.
    outlines : dict of float to (up, across)
        Threshold -> ellipse of its region (`outline`).
    """

    landscape: Landscape
    points: pd.DataFrame
    surface: Surface
    singles: pd.DataFrame
    outlines: dict[float, Outline]

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
    """Landscapes that share one colour scale and their axes.

    Attributes
    ----------
    panels : tuple of LandscapePanel
    metric : Metric
    roi : tuple of float
        Increasing thresholds of the regions of interest, in the metric's unit.
    relative : bool
        Whether colours are distances from each landscape's own best.
    low, high : float
        Ends of the colour scale; a worse level has the colour of the worse end.
    plane : Plane
    title : str
        Title of the colour scale, with its unit.
    """

    panels: tuple[LandscapePanel, ...]
    metric: Metric
    roi: tuple[float, ...]
    relative: bool
    low: float
    high: float
    plane: Plane
    title: str

    def colour_axis(self, title: str, **bar: Any) -> Props:
        """Colour axis of all panels; over one axis places show what colours would."""
        two, less_is_better = self.plane.up is not None, self.metric.sign < 0
        return colour_axis(VIRIDIS, self.low, self.high, title, two, less_is_better, **bar)


def landscapes_data(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> LandscapesData:
    """Data of `plot_landscapes`."""
    shown = list(landscapes.values())
    metrics = {landscape.metric for landscape in shown}
    axes = {landscape.axes for landscape in shown}
    if len(metrics) != 1:
        raise HpstudyError(f"one figure shows landscapes of one metric, not of {len(metrics)}.")
    if len(axes) != 1:
        raise HpstudyError(
            f"one figure shows landscapes over the same axes, not {len(axes)} pairs."
        )
    metric, roi = metric_of(shown[0]), tuple(sorted(roi))
    low, high = colour_range(landscapes, top, relative, roi)
    panels = tuple(_panel(landscape, roi, relative) for landscape in shown)
    # A single run may be better than any mean.
    runs = pd.concat([metric.sign * panel.singles["colour"] for panel in panels])
    worst, best, reach = (metric.sign * end + 0.0 for end in (low, high, max([high, *runs])))
    settings = (landscape.points for landscape in shown)
    title = metric.from_best("the panel's own best") if relative else metric.headed
    return LandscapesData(
        panels=panels,
        metric=metric,
        roi=roi,
        relative=relative,
        low=min(worst, best),
        high=max(worst, best),
        plane=plane_of(settings, shown[0].axes, title, (worst, reach)),
        title=title,
    )


def _panel(landscape: Landscape, roi: tuple[float, ...], relative: bool) -> LandscapePanel:
    axes, sign, zero = landscape.axes, landscape.sign, landscape.best if relative else 0.0
    # 0.0 makes a zero of a negative zero.
    points = landscape.levels.assign(colour=sign * (landscape.points["value"] - zero) + 0.0)
    singles = points.loc[[], [axes[0], "colour"]]
    if len(axes) == 1 and landscape.singles is not None:
        runs = landscape.singles[landscape.singles["point"].duplicated(keep=False)]
        colours = sign * (runs["value"].to_numpy(float) - zero) + 0.0
        singles = points.loc[runs["point"], list(axes)].assign(colour=colours)
    return LandscapePanel(
        landscape=landscape,
        points=points,
        surface=interpolated(points, axes, "colour"),
        singles=singles,
        outlines={threshold: outline(landscape, threshold, zero=zero) for threshold in roi},
    )


def plot_landscapes(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> go.Figure:
    """Landscapes of a network's variants side by side, on one colour scale.

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

    References
    ----------
    Thesis, section 3.3.1; Figures 4.1, 4.2 and 4.3.
    """
    data = landscapes_data(landscapes, roi, top, relative)
    figure = panel_figure([best_title(panel) for panel in data.panels], 200, 82, 104)
    for number, panel in enumerate(data.panels, start=1):
        figure.add_traces(panel_traces(panel, data, set_plane(figure, number, data.plane)))
    figure.add_traces(legend_entries(data))
    figure.update_layout(coloraxis=data.colour_axis(data.title))
    return figure


def best_title(panel: LandscapePanel) -> str:
    """Title of a panel: the network and its best level."""
    landscape = panel.landscape
    best = metric_of(landscape).level(landscape.sign * landscape.best)
    return panel_title(variant_title(landscape.variant), f"best {best}")


def panel_traces(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[Props]:
    """Traces of one panel: ground, points, failures, two lines an ellipse, optimum.

    Over one axis a band for each region and the single runs lie below them.
    """
    plane, landscape, surface = data.plane, panel.landscape, panel.surface
    traces: list[Props] = []
    if plane.up is None:
        surface = replace(surface, values=plane.clipped(surface.values))
        traces = [_band(panel, data, number, suffix) for number in range(len(data.roi))]
        singles = panel.singles
        traces.append(
            scatter(plane, suffix, singles, "colour", marker=SINGLE, legendgroup="single")
        )
    traces += landscape_traces(
        plane,
        suffix,
        surface,
        panel.measured,
        "colour",
        point_texts(panel.measured, landscape),
        {"start": data.low, "end": data.high, "size": (data.high - data.low) / 7},
        {"width": 0.7, "color": "rgba(255,255,255,0.55)"},
    )
    traces += failure_traces(plane, suffix, panel, "colour")
    for number, (line, dash) in enumerate(zip(panel.outlines.values(), DASHES, strict=False)):
        inner = "white" if number else "black"
        traces += outline_traces(suffix, line, f"roi-{number}", dash, inner)
    best, marker = panel.best_at, BEST[landscape.on_edge]
    look = {"marker": marker, "text": point_texts(best, landscape), "legendgroup": "best"}
    traces.append(scatter(plane, suffix, best, "colour", **look))
    return traces


def _band(panel: LandscapePanel, data: LandscapesData, number: int, suffix: str) -> Props:
    """Levels of a region of interest over one axis."""
    low, high = data.plane.across.ends
    best = panel.best_at["colour"].to_numpy(float)[:, None]
    down = data.metric.sign * np.array([0.0, 0.0, 1.0, 1.0]) * data.roi[number]
    place = {"x": rounded([low, high, high, low] * len(best)), "y": rounded(np.ravel(best - down))}
    look = {"hoverinfo": "skip", "legendgroup": f"roi-{number}", **BAND}
    return {"type": "scatter", **place, **look, **axes_of(suffix)}


def legend_entries(data: LandscapesData) -> list[Props]:
    """Entries of the legend; those of marks that no panel has are not visible."""
    entries = [legend_entry("measured", "points", marker={**POINT, "size": 8, "color": INK})]
    if data.plane.up is None:
        several = any(len(panel.singles) for panel in data.panels)
        entries.append(legend_entry("single runs", "single", several, marker=SINGLE))
    shape = "ellipse" if data.plane.up else "two deviations"
    for number, (threshold, dash) in enumerate(zip(data.roi, DASHES, strict=False)):
        line = {"width": 2.2, "color": INK, "dash": dash}
        name = f"{roi_title(threshold)} {shape}"
        entries.append(legend_entry(name, f"roi-{number}", mode="lines", line=line))
    edges = [panel.landscape.on_edge for panel in data.panels]
    entries += [
        legend_entry("best", "best", not all(edges), marker=BEST[False]),
        legend_entry("best, on the grid's edge", "best", any(edges), marker=BEST[True]),
    ]
    return entries + failure_entries(data.panels)
