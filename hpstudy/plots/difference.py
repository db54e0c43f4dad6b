"""Difference of two networks, each from its own best, and the explorer's figure with it."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.shift import difference
from hpstudy.plots import _layout, _traces, landscape
from hpstudy.plots._layout import Plane, Props
from hpstudy.plots.labels import Metric, metric_of, short_title, variant_title
from hpstudy.plots.landscape import LandscapesData

# ColorBrewer's orange to purple, for the colour-blind: orange where the first network is ahead.
COLOURS = "PuOr"
# The scale is as strong as that of the better half of all settings in a landscape.
TOP = 0.5
MARKS = _traces.best_marker("star", 13), _traces.best_marker("star-diamond", 13)
DARK_POINT = {**_traces.POINT, "line": {"width": 1, "color": "rgba(0,0,0,0.55)"}}
PANELS = 3
CHOSEN = {"symbol": "circle-open", "size": 17, "color": "#e6007e", "line": {"width": 3}}
MOVING = ("roi-0", "ellipse-0", "ellipse-1", "chosen")
"""Groups of traces that a threshold, a multiple or a chosen setting changes."""


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """Difference of two landscapes, drawn on their plane in colours from `-limit` to `limit`.

    `threshold` is that of the regions of interest, in the metric's unit as the limit; their
    ellipses reach `multiple` standard deviations.
    """

    dense: Landscape
    other: Landscape
    landscape_plane: Plane
    limit: float
    threshold: float
    multiple: float = 2.0

    @cached_property
    def points(self) -> pd.DataFrame:
        """Settings of both (`hpstudy.analysis.shift.Difference`), in the metric's own unit."""
        points = difference(self.dense, self.other).points
        columns = ["dense", "other", "difference"]
        return points.assign(**{name: self.dense.sign * points[name] for name in columns})

    @property
    def plane(self) -> Plane:
        """Plane of the panel; over one axis the difference goes up."""
        if self.landscape_plane.up:
            return self.landscape_plane
        ends = -self.limit, self.limit
        return replace(self.landscape_plane, title="difference", ends=ends)

    def colour_axis(self, **bar: Any) -> Props:
        """Colour axis of the panel; purple is where the other network is ahead."""
        metric = metric_of(self.dense)
        title = "difference, points" if metric.percent else f"difference, {metric.title}"
        look = {"shown": self.plane.up is not None, "reverse": metric.sign < 0, "nticks": 7, **bar}
        return _layout.colour_axis(COLOURS, -self.limit, self.limit, title, **look)

    def traces(self, suffix: str, coloraxis: str = "coloraxis") -> list[Props]:
        """Traces of the panel: ground, points, two lines for each of two ellipses, two optima."""
        networks, plane = (self.dense, self.other), self.plane
        surface = _traces.interpolated(self.points, self.dense.axes, "difference")
        outlines = [_traces.outline(network, self.threshold, self.multiple) for network in networks]
        best_at = [pd.DataFrame([network.best_at]) for network in networks]
        if plane.up is None:
            surface = replace(surface, values=plane.clipped(surface.values))
            # Levels are not differences: marks of both networks lie at the end of the axis.
            for number, height in enumerate((-0.86 * self.limit, -0.74 * self.limit)):
                across = outlines[number][1]
                outlines[number] = np.full(len(across), height), across
                best_at[number]["value"] = height
        contours = {"start": -self.limit, "end": self.limit, "size": self.limit / 4}
        line = {"width": 0.7, "color": "rgba(0,0,0,0.2)"}
        points = self.points, "difference", self.texts()
        traces = _traces.landscape_traces(
            plane, suffix, surface, *points, contours, line, DARK_POINT, coloraxis
        )
        for number, ellipse in enumerate(outlines):
            traces += _traces.outline_traces(
                suffix, ellipse, f"ellipse-{number}", _traces.DASHES[number]
            )
        for number, best in enumerate(best_at):
            look: Props = {"marker": MARKS[number], "legendgroup": f"best-{number}"}
            traces.append(_traces.scatter(plane, suffix, best, **look))
        return traces

    def texts(self) -> list[str]:
        """Hover label of each setting, with all of its fields."""
        metric, texts = metric_of(self.dense), []
        unit = " points" if metric.percent else ""
        dense, other = variant_title(self.dense.variant), variant_title(self.other.variant)
        for point in self.points.to_dict("records"):
            lines = [
                *_traces.setting_lines(point, self.dense.axes),
                f"{other}: {signed(point['other'], metric)} from its best",
                f"{dense}: {signed(point['dense'], metric)} from its best",
                f"difference {signed(point['difference'], metric)}{unit}",
            ]
            texts.append("<br>".join(lines))
        return texts


def difference_limit(landscapes: dict[str, Landscape], top: float, threshold: float = 0.0) -> float:
    """End of the colour scale: a difference weighs as much as the same step in a landscape."""
    low, high = _traces.colour_range(landscapes, top, relative=True, roi=(threshold,))
    return high - low


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text


@dataclass(frozen=True, eq=False)
class Pair:
    """Two landscapes, their difference (right minus left), and perhaps a setting to mark."""

    data: LandscapesData
    difference: DifferencePanel
    chosen: dict[str, float] = field(default_factory=dict)

    def traces(self) -> list[Props]:
        """Traces of all three panels and of the legend."""
        traces: list[Props] = []
        for number, panel in enumerate(self.data.panels, start=1):
            suffix = _layout.axis_suffix(number)
            traces += landscape.panel_traces(panel, self.data, suffix)
            traces.append(self._mark(self.data.plane, panel.points, "colour", suffix))
        suffix, difference = _layout.axis_suffix(PANELS), self.difference
        traces += difference.traces(suffix, "coloraxis2")
        traces.append(self._mark(difference.plane, difference.points, "difference", suffix))
        return traces + landscape.legend_entries(self.data)

    def _mark(self, plane: Plane, points: pd.DataFrame, level: str, suffix: str) -> Props:
        """Ring around the chosen setting in one panel, if there is one."""
        if not self.chosen:
            chosen = points.head(0)
        elif plane.up is None:
            axis = plane.across.name
            chosen = points[np.isclose(points[axis], self.chosen[axis], rtol=1e-9)]
        else:
            chosen = pd.DataFrame([self.chosen])
        return _traces.scatter(plane, suffix, chosen, level, marker=CHOSEN, legendgroup="chosen")


def pair_data(
    left: Landscape,
    right: Landscape,
    threshold: float,
    multiple: float = 2.0,
    relative: bool = False,
    chosen: dict[str, float] | None = None,
) -> Pair:
    """Two landscapes of one metric over the same axes, and their difference.

    The threshold of both regions is in the metric's unit, and their ellipses reach `multiple`
    standard deviations. Relative landscapes are coloured by the distance from their own best. The
    `chosen` setting (axis -> value) is marked.
    """
    both = {"left": left, "right": right}
    # Scale and plane stay while the threshold moves.
    data = landscape.landscapes_data(both, (), landscape.TOP, relative)
    limit = difference_limit(both, landscape.TOP)
    panel = DifferencePanel(left, right, data.plane, limit, threshold, multiple)
    return Pair(replace(data, roi=(threshold,), multiple=multiple), panel, dict(chosen or {}))


def plot_pair(pair: Pair, columns: int = PANELS) -> go.Figure:
    """Two landscapes and their difference, in 3, 2 or 1 columns.

    The traces are always the same in the same order; a zoom in one panel is a zoom in all. Traces
    with hover labels can be clicked.
    """
    data, plane = pair.data, pair.difference.plane
    left, right = (short_title(panel.landscape.variant) for panel in data.panels)
    shape = "ellipses" if plane.up else "regions"
    titles = [landscape.best_title(panel) for panel in data.panels]
    small = f"{shape}: left solid, right dashed"
    titles.append(_layout.panel_title(f"{right} − {left}", small))
    figure = _layout.panel_figure(titles, 240, 84, 108, columns)
    for number in range(1, PANELS):
        _layout.set_plane(figure, number, data.plane)
    _layout.set_plane(figure, PANELS, plane, linked="xy" if plane.up else "x")
    figure.add_traces(pair.traces())
    title = data.title.replace("the panel's own best", "the own best")
    if data.metric.percent:
        title = "points from the own best" if data.relative else "accuracy, %"
    # Both colour bars stand side by side, however the panels do.
    bar, other = {"x": 0.23, "len": 0.42, "nticks": 4}, {"x": 0.77, "len": 0.42, "nticks": 4}
    if columns == PANELS:
        bar, other = {"x": 1 / 3, "len": 0.5}, {"x": 5 / 6, "len": 0.32}
    figure.update_layout(
        coloraxis=data.colour_axis(title, **bar), coloraxis2=pair.difference.colour_axis(**other)
    )
    return figure


def move(figure: go.Figure, pair: Pair) -> None:
    """Move ellipses and mark of a figure that `plot_pair` drew of the same two landscapes."""
    for trace, moved in zip(figure.data, pair.traces(), strict=True):
        if trace.legendgroup not in MOVING:
            continue
        if trace.showlegend:
            trace.name = moved["name"]
        else:
            trace.update(x=moved["x"], y=moved["y"])
