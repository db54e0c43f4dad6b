"""The explorer's figure: two landscapes and their difference, of which parts move."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.plots import _layout, _traces, landscape
from hpstudy.plots._layout import Plane, Props
from hpstudy.plots.difference import DifferencePanel, difference_limit
from hpstudy.plots.labels import short_title
from hpstudy.plots.landscape import LandscapesData

PANELS = 3
CHOSEN = {"symbol": "circle-open", "size": 17, "color": "#e6007e", "line": {"width": 3}}
MOVING = ("roi-0", "ellipse-0", "ellipse-1", "chosen")
"""Groups of traces that a threshold, a multiple or a chosen setting changes."""


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

    def moving(self) -> list[Props]:
        """Those of the traces that are in the groups `MOVING`."""
        traces: list[Props] = []
        for number, panel in enumerate(self.data.panels, start=1):
            suffix = _layout.axis_suffix(number)
            traces += landscape.bands(panel, self.data, suffix)
            traces += landscape.outlines(panel, self.data, suffix)
            traces.append(self._mark(self.data.plane, panel.points, "colour", suffix))
        suffix, difference = _layout.axis_suffix(PANELS), self.difference
        traces += difference.outlines(suffix)
        traces.append(self._mark(difference.plane, difference.points, "difference", suffix))
        entries = landscape.legend_entries(self.data)
        return traces + [entry for entry in entries if entry["legendgroup"] in MOVING]

    def at(self, threshold: float, multiple: float, chosen: dict[str, float]) -> "Pair":
        """The same two landscapes at another threshold, multiple and chosen setting."""
        data = replace(self.data, roi=(threshold,), multiple=multiple)
        panel = replace(self.difference, threshold=threshold, multiple=multiple)
        return Pair(data, panel, chosen)

    @property
    def titles(self) -> list[str]:
        """Titles of the three panels."""
        panels = self.data.panels
        left, right = (short_title(panel.landscape.variant) for panel in panels)
        shape = "ellipses" if self.difference.plane.up else "regions"
        small = f"{shape}: left solid, right dashed"
        titles = [landscape.best_title(panel) for panel in panels]
        return [*titles, _layout.panel_title(f"{right} − {left}", small)]

    def colour_axes(self, columns: int) -> Props:
        """Colour axes of a figure with so many panels side by side."""
        data = self.data
        title = data.title.replace("the panel's own best", "the own best")
        if data.metric.percent:
            title = "points from the own best" if data.relative else "accuracy, %"
        # Both colour bars stand side by side, however the panels do.
        bar, other = {"x": 0.23, "len": 0.42, "nticks": 4}, {"x": 0.77, "len": 0.42, "nticks": 4}
        if columns == PANELS:
            bar, other = {"x": 1 / 3, "len": 0.5}, {"x": 5 / 6, "len": 0.32}
        return {
            "coloraxis": data.colour_axis(title, **bar),
            "coloraxis2": self.difference.colour_axis(**other),
        }

    @property
    def planes(self) -> tuple[Any, ...]:
        """What the axes of the panels depend on."""
        plane, last = self.data.plane, self.difference.plane
        return plane.across, plane.up, plane.title, plane.ends, last.ends, last.title

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
    figure = _layout.panel_figure(pair.titles, 240, 84, 108, columns)
    for number in range(1, PANELS):
        _layout.set_plane(figure, number, data.plane)
    _layout.set_plane(figure, PANELS, plane, linked="xy" if plane.up else "x")
    figure.add_traces(pair.traces())
    figure.update_layout(pair.colour_axes(columns))
    return figure


def move(figure: go.Figure, pair: Pair, drawn: list[Props], every: bool = False) -> list[Props]:
    """Bring a figure from the traces that are drawn to those of a pair on the same planes.

    Without `every` only the groups `MOVING` have changed. Returns the traces that are drawn then.
    """
    traces = pair.traces() if every else list(drawn)
    if not every:
        moving = iter(pair.moving())
        traces = [next(moving) if of.get("legendgroup") in MOVING else of for of in drawn]
    for trace, before, after in zip(figure.data, drawn, traces, strict=True):
        # What stays is not sent.
        changed = {name: value for name, value in after.items() if value != before.get(name)}
        if changed:
            trace.update(changed)
    if every:
        for note, title in zip(figure.layout.annotations, pair.titles, strict=False):
            note.text = title
        for axis, look in pair.colour_axes(figure.layout.grid.columns).items():
            title = look.pop("colorbar")["title"]["text"]
            shown = figure.layout[axis]
            if shown.colorbar.title.text != title:
                shown.colorbar.title.text = title
            for name in ("cmin", "cmax", "reversescale"):
                if shown[name] != look[name]:
                    shown[name] = look[name]
    return traces
