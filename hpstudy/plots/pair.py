"""The explorer's figure: two landscapes, their difference, and the learning curves of a point."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.plots._layout import panel_figure
from hpstudy.plots.difference import (
    DifferencePanel,
    difference_limit,
    difference_panel,
    difference_plane,
    difference_scale,
    difference_title,
    difference_traces,
    outline_place,
)
from hpstudy.plots.labels import short_title
from hpstudy.plots.landscape import COLOURS
from hpstudy.plots.marks import band, legend_traces, panel_traces, plain
from hpstudy.plots.panelparts import LEGEND, lay_axes
from hpstudy.plots.panels import Panels, landscapes_data, outline

PANELS = 3
AXES = ("x", "x2", "x3")
CHOSEN = {
    "mode": "markers",
    "marker": {
        "symbol": "circle-open",
        "size": 17,
        "color": "#e6007e",
        "line": {"width": 3},
    },
    "hoverinfo": "skip",
    "legendgroup": "chosen",
    "showlegend": False,
}


@dataclass(frozen=True, eq=False)
class Pair:
    """Two landscapes and their difference, ready to draw.

    Attributes
    ----------
    data : Panels
        The two landscapes on one colour scale.
    difference : DifferencePanel
        The right one minus the left one, each relative to its own best.
    limit : float
        The difference's colour scale goes from -limit to limit, in the metric's unit.
    chosen : dict of str to float
        Axis -> value of the point whose curves are shown; empty for none.
    """

    data: Panels
    difference: DifferencePanel
    limit: float
    chosen: dict[str, float]


def pair_data(
    left: Landscape,
    right: Landscape,
    threshold: float,
    multiple: float = 2.0,
    relative: bool = False,
    chosen: dict[str, float] | None = None,
) -> Pair:
    """Two landscapes and their difference, ready to draw.

    Parameters
    ----------
    left, right : Landscape
        Of one metric and over the same axes; they may be the same.
    threshold : float
        Of both regions of interest, in the metric's unit.
    multiple : float, default 2.0
        Standard deviations from an ellipse's centre to its outline.
    relative : bool, default False
        Whether to colour the landscapes by the distance from their own best.
    chosen : dict of str to float, optional
        Axis -> value of a point to mark.

    Returns
    -------
    Pair
        Of which only outlines and mark depend on threshold, multiple and chosen point.

    Raises
    ------
    HpstudyError
        As `landscapes_data` and `difference_panel`.
    """
    data = _panels(left, right, relative)
    panels = tuple(
        replace(
            panel,
            outlines={threshold: outline(one, threshold, multiple, one.best if relative else 0.0)},
        )
        for panel, one in zip(data.panels, (left, right), strict=True)
    )
    difference = replace(
        _difference(left, right),
        outlines=tuple(panel.outlines[threshold] for panel in panels),
    )
    return Pair(
        data=replace(data, panels=panels, roi=(threshold,)),
        difference=difference,
        limit=difference_limit(_panels(left, right, True)),
        chosen=dict(chosen or {}),
    )


# A moved slider changes no surface: these are found once for a pair of landscapes.
@lru_cache(maxsize=32)
def _panels(left: Landscape, right: Landscape, relative: bool) -> Panels:
    return landscapes_data({"left": left, "right": right}, (), relative=relative)


@lru_cache(maxsize=32)
def _difference(left: Landscape, right: Landscape) -> DifferencePanel:
    return difference_panel(left, right, 0.0)


def plot_pair(pair: Pair, columns: int = PANELS) -> go.Figure:
    """Two landscapes beside each other, and their difference.

    Parameters
    ----------
    pair : Pair
        As `pair_data` prepares it.
    columns : int, default 3
        Panels beside each other: 3, 2 or 1.

    Returns
    -------
    plotly.graph_objects.Figure
        Always the same traces in the same order; a zoom in one panel is a zoom in all. The traces
        of a panel that can be clicked are those with hover labels.
    """
    data = pair.data
    titles = [
        f"<b>{short_title(panel.variant)}</b><br>"
        f"<span style='font-size:11px'>best {data.metric.level(panel.best)}</span>"
        for panel in data.panels
    ]
    # The bars of both colour scales stand side by side, whatever the panels do.
    margins = {"t": 84, "b": 108, "l": 58, "r": 10}
    figure = panel_figure([*titles, difference_title(pair.difference)], columns, 240, margins)
    traces: list = []
    for number in range(1, PANELS + 1):
        if number < PANELS:
            suffix = lay_axes(figure, number, data.plane)
            traces += panel_traces(data.panels[number - 1], data, suffix)
        else:
            plane = difference_plane(data.plane, pair.limit)
            suffix = lay_axes(figure, number, plane, "xy" if plane.up else "x")
            panel = pair.difference
            traces += difference_traces(panel, plane, pair.limit, suffix, "coloraxis2")
        x, y = _mark(pair, number - 1)
        traces.append(go.Scatter(x=x, y=y, xaxis=f"x{suffix}", yaxis=f"y{suffix}", **CHOSEN))
    figure.add_traces([*traces, *legend_traces(data)])
    wide = columns == PANELS
    place = {"x": 5 / 6, "len": 0.32} if wide else {"x": 0.77, "len": 0.42}
    scale = difference_scale(pair.limit, data.plane, data.metric, **place)
    bar = {**scale["colorbar"], "x": 1 / 3 if wide else 0.23, "len": 0.5 if wide else 0.42}
    if not wide:
        bar["nticks"] = 4
    bar["title"] = {**bar["title"], "text": _scale_title(data)}
    figure.update_layout(
        coloraxis={
            "colorscale": COLOURS,
            **data.scale,
            "colorbar": bar,
            **({} if data.plane.up else {"showscale": False}),
        },
        coloraxis2=scale,
        legend=LEGEND,
    )
    return figure


def move(figure: go.Figure, pair: Pair) -> None:
    """Redraw ellipses and mark of a figure that `plot_pair` drew of the same two landscapes.

    All that a threshold, a multiple or a chosen point changes, in a tenth of the time.
    """
    data = pair.data
    (threshold,) = data.roi
    plane = difference_plane(data.plane, pair.limit)
    panels = dict(zip(("x", "x2"), data.panels, strict=True))
    names = {trace.legendgroup: trace.name for trace in legend_traces(data)}
    for trace in figure.data:
        group = str(trace.legendgroup)
        if trace.showlegend:
            trace.name = names[trace.legendgroup]
        elif group == "roi-0" and trace.fill == "toself":
            trace.x, trace.y = band(panels[trace.xaxis], threshold, data)
        elif group == "roi-0":
            y, x = panels[trace.xaxis].outlines[threshold] or ([], [])
            trace.x, trace.y = plain(x, 4), plain(y, 4)
        elif group.startswith("ellipse-"):
            trace.x, trace.y = outline_place(pair.difference, int(group[-1]), plane)
        elif group == "chosen":
            trace.x, trace.y = _mark(pair, AXES.index(trace.xaxis))


def _mark(pair: Pair, number: int) -> tuple[list, list]:
    """Place of the chosen point in one panel, across and up, or nowhere."""
    plane, level = pair.data.plane, "colour"
    if not pair.chosen:
        return [], []
    points = pd.DataFrame([pair.chosen])
    if plane.up is None:
        # It lies at its level, which every panel has another one of.
        if number < len(pair.data.panels):
            points = pair.data.panels[number].points
        else:
            plane, level = difference_plane(plane, pair.limit), "difference"
            points = pair.difference.points
        points = points[np.isclose(points[plane.across.name], pair.chosen[plane.across.name], 1e-9)]
    return plain(plane.x(points)), plain(plane.y(points, level))


def _scale_title(data: Panels) -> str:
    if data.metric.percent:
        return "points from the own best" if data.relative else "accuracy, %"
    return data.metric.from_best("the own best") if data.relative else data.metric.title
