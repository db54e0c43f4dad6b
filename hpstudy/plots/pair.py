"""The explorer's figure: two landscapes and their difference."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.plots._axes import Plane, Props
from hpstudy.plots._layout import axis_suffix, panel_figure, panel_title, set_plane
from hpstudy.plots._surface import outline
from hpstudy.plots._traces import scatter
from hpstudy.plots.difference import (
    DifferencePanel,
    difference_axis,
    difference_limit,
    difference_panel,
    difference_plane,
    difference_traces,
)
from hpstudy.plots.labels import short_title
from hpstudy.plots.landscape import (
    TOP,
    LandscapesData,
    best_title,
    landscapes_data,
    legend_entries,
    panel_traces,
)

PANELS = 3
CHOSEN = {"symbol": "circle-open", "size": 17, "color": "#e6007e", "line": {"width": 3}}
MOVING = ("roi-0", "ellipse-0", "ellipse-1", "chosen")
"""Groups of traces that a threshold, a multiple or a chosen setting changes."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two landscapes and their difference.

    Attributes
    ----------
    data : LandscapesData
        The two landscapes.
    difference : DifferencePanel
        Right minus left, each from its own best.
    limit : float
        The difference's colour scale goes from -limit to limit, in the metric's unit.
    chosen : dict of str to float
        Axis -> value of a marked setting; empty without one.
    """

    data: LandscapesData
    difference: DifferencePanel
    limit: float
    chosen: dict[str, float]

    @property
    def difference_plane(self) -> Plane:
        """Plane of the third panel."""
        return difference_plane(self.data.plane, self.limit)


def pair_data(
    left: Landscape,
    right: Landscape,
    threshold: float,
    multiple: float = 2.0,
    relative: bool = False,
    chosen: dict[str, float] | None = None,
) -> Pair:
    """Two landscapes and their difference.

    Parameters
    ----------
    left, right : Landscape
        Landscapes of one metric over the same axes; they may be the same.
    threshold : float
        Threshold of both regions of interest, in the metric's unit.
    multiple : float, default 2.0
        Standard deviations from an ellipse's centre to its outline.
    relative : bool, default False
        Whether to colour the landscapes by the distance from their own best.
    chosen : dict of str to float, optional
        Axis -> value of a setting to mark.
    """
    both = {"left": left, "right": right}
    # Scale and plane stay while the threshold moves.
    data = landscapes_data(both, (), TOP, relative)
    panels = []
    for panel in data.panels:
        zero = panel.landscape.best if relative else 0.0
        line = outline(panel.landscape, threshold, multiple, zero)
        panels.append(replace(panel, outlines={threshold: line}))
    return Pair(
        data=replace(data, panels=tuple(panels), roi=(threshold,)),
        difference=difference_panel(left, right, threshold, multiple),
        limit=difference_limit(both, TOP),
        chosen=dict(chosen or {}),
    )


def plot_pair(pair: Pair, columns: int = PANELS) -> go.Figure:
    """Two landscapes and their difference, in 3, 2 or 1 columns.

    The traces are always the same in the same order; a zoom in one panel is a zoom in all. Traces
    with hover labels can be clicked.
    """
    data, plane = pair.data, pair.difference_plane
    left, right = (short_title(panel.landscape.variant) for panel in data.panels)
    shape = "ellipses" if plane.up else "regions"
    difference_title = panel_title(f"{right} − {left}", f"{shape}: left solid, right dashed")
    titles = [*(best_title(panel) for panel in data.panels), difference_title]
    figure = panel_figure(titles, 240, 84, 108, columns)
    for number in range(1, PANELS):
        set_plane(figure, number, data.plane)
    set_plane(figure, PANELS, plane, linked="xy" if plane.up else "x")
    figure.add_traces(pair_traces(pair))
    title = data.title.replace("the panel's own best", "the own best")
    if data.metric.percent:
        title = "points from the own best" if data.relative else "accuracy, %"
    # Both colour bars stand side by side, however the panels do.
    bar, other = {"x": 0.23, "len": 0.42, "nticks": 4}, {"x": 0.77, "len": 0.42, "nticks": 4}
    if columns == PANELS:
        bar, other = {"x": 1 / 3, "len": 0.5}, {"x": 5 / 6, "len": 0.32}
    figure.update_layout(
        coloraxis=data.colour_axis(title, **bar),
        coloraxis2=difference_axis(pair.limit, data.plane, data.metric, **other),
    )
    return figure


def pair_traces(pair: Pair) -> list[Props]:
    """Traces of all three panels and of the legend."""
    traces: list[Props] = []
    for number, panel in enumerate(pair.data.panels, start=1):
        suffix = axis_suffix(number)
        traces += panel_traces(panel, pair.data, suffix)
        traces.append(_mark(pair, pair.data.plane, panel.points, "colour", suffix))
    suffix, plane, points = axis_suffix(PANELS), pair.difference_plane, pair.difference.points
    traces += difference_traces(pair.difference, plane, pair.limit, suffix, "coloraxis2")
    traces.append(_mark(pair, plane, points, "difference", suffix))
    return traces + legend_entries(pair.data)


def move(figure: go.Figure, pair: Pair) -> None:
    """Move ellipses and mark of a figure that `plot_pair` drew of the same two landscapes."""
    for trace, moved in zip(figure.data, pair_traces(pair), strict=True):
        if trace.legendgroup not in MOVING:
            continue
        if trace.showlegend:
            trace.name = moved["name"]
        else:
            trace.update(x=moved["x"], y=moved["y"])


def _mark(pair: Pair, plane: Plane, points: pd.DataFrame, level: str, suffix: str) -> Props:
    """Ring around the chosen setting in one panel, if there is one."""
    if not pair.chosen:
        chosen = points.head(0)
    elif plane.up is None:
        axis = plane.across.name
        chosen = points[np.isclose(points[axis], pair.chosen[axis], rtol=1e-9)]
    else:
        chosen = pd.DataFrame([pair.chosen])
    return scatter(plane, suffix, chosen, level, marker=CHOSEN, legendgroup="chosen")
