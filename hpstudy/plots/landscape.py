"""Figures 4.1 to 4.5 of the thesis, from landscapes and risks.

Every `plot_` function returns a Plotly figure of data that another function prepares; none shows,
writes or prints anything.
"""

import math
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.levels import Metric, levels, metric_of
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import panel_figure
from hpstudy.plots.marks import legend_traces, panel_traces, plain, point_texts
from hpstudy.plots.panelparts import LEGEND, colour_bar, lay_axes
from hpstudy.plots.panels import TOP, landscapes_data
from hpstudy.plots.plane import plane_of

COLOURS = "Viridis"
# Fill and line; the lines stand out from the fills and from white and black pages.
DENSE_BOX, PRUNED_BOX = ("#1f4e79", "#6f9fd0"), ("#9cc2e5", "#6b7a89")
CELL, PRIOR_CELL = "#d9e4f0", "#86a9cf"


def plot_landscapes(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
    columns: int = 3,
) -> go.Figure:
    """Landscapes of all variants of a network beside each other, on one colour scale.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Of one network and one metric, the dense one first.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of the regions of interest to which ellipses are drawn; at most three.
    top : float, default 0.15
        Share of all observations that the colour scale spans.
    relative : bool, default False
        Whether to colour by the distance from each landscape's own best: what is left to compare
        when variants differ in accuracy by more than the colour scale spans.
    columns : int, default 3
        Most panels beside each other.

    Returns
    -------
    plotly.graph_objects.Figure
        The landscapes' first axis up, their second across, both logarithmic; a single axis across
        and the metric up. Each panel has the same traces in the same order, whether or not there
        is anything in them.

    Raises
    ------
    HpstudyError
        As `landscapes_data`.

    References
    ----------
    Thesis, Figures 4.1, 4.2 and 4.3.
    """
    data = landscapes_data(landscapes, roi, top, relative)
    titles = [
        f"<b>{panel.title}</b><br>"
        f"<span style='font-size:11px'>best {data.metric.level(panel.best)}</span>"
        for panel in data.panels
    ]
    figure = panel_figure(titles, columns, 200, {"t": 82, "b": 104, "l": 58, "r": 8})
    for number, panel in enumerate(data.panels, start=1):
        suffix = lay_axes(figure, number, data.plane)
        figure.add_traces(panel_traces(panel, data, suffix))
    figure.add_traces(legend_traces(data))
    figure.update_layout(
        coloraxis={
            "colorscale": COLOURS,
            **data.scale,
            "colorbar": colour_bar(data.title, 0.5, 0.7),
            # Over one axis the places say what the colours would.
            **({} if data.plane.up else {"showscale": False}),
        },
        legend=LEGEND,
    )
    return figure


@dataclass(frozen=True)
class GridCells:
    """Grid points of one landscape with the text to write on each.

    Attributes
    ----------
    at : tuple of tuple
        Values of the axes at each point.
    text : tuple of str
        Its level, "–" where there is none, with a cross where a run diverged.
    hover : tuple of str
        All there is to know of it.
    prior : tuple of bool
        Whether it is the setting that the study is centred on.
    """

    at: tuple[tuple[float, ...], ...]
    text: tuple[str, ...]
    hover: tuple[str, ...]
    prior: tuple[bool, ...]


def grid_data(landscape: Landscape, prior: dict[str, float] | None = None) -> GridCells:
    """Points of a landscape with their texts, for `plot_grid`."""
    points, metric = levels(landscape), metric_of(landscape)
    at = tuple(points[list(landscape.axes)].itertuples(index=False, name=None))
    if not at:
        raise HpstudyError(f"the grid of {landscape.variant!r} has no points to draw.")
    centre = prior and tuple(float(f"{prior[axis]:.9g}") for axis in landscape.axes)
    return GridCells(
        at=at,
        text=tuple(
            _cell_text(value, metric) + (" ×" * (diverged > 0))
            for value, diverged in zip(points["value"], points["diverged"], strict=True)
        ),
        hover=tuple(point_texts(points, metric, landscape.axes)),
        prior=tuple(one == centre for one in at),
    )


def _cell_text(level: float, metric: Metric) -> str:
    if math.isnan(level):
        return "–"
    return f"{level:.1f}" if metric.percent else f"{level:.3g}"


def plot_grid(landscape: Landscape, prior: dict[str, float] | None = None) -> go.Figure:
    """Grid of the settings that were trained, each with its level.

    Parameters
    ----------
    landscape : Landscape
        Usually the dense network's.
    prior : dict of str to float, optional
        Axis -> value that the grid was laid around; drawn darker if it is on the grid.

    Returns
    -------
    plotly.graph_objects.Figure
        One panel; the landscape's first axis up, its second across, both logarithmic. A single
        axis goes across, in one row.

    References
    ----------
    Thesis, Figure 4.4.
    """
    cells = grid_data(landscape, prior)
    plane = plane_of([landscape.points], landscape.axes)
    one_row = plane.up is None
    rows = 1 if one_row else landscape.points[plane.up.name].nunique()
    figure = panel_figure([""], 1, max(180, 42 * rows), {"t": 12, "b": 46, "l": 58, "r": 8})
    # The only row of a single axis lies at 0.
    row = replace(plane, ends=(-1.0, 1.0)) if one_row else plane
    lay_axes(figure, 1, row, most=8)
    figure.add_trace(
        go.Scatter(
            x=plain(plane.x(landscape.points)),
            y=[0.0] * len(cells.at) if one_row else plain(plane.y(landscape.points)),
            mode="markers+text",
            marker={
                "symbol": "square",
                "size": 34,
                "color": [PRIOR_CELL if prior else CELL for prior in cells.prior],
                "opacity": 1,
            },
            text=list(cells.text),
            textfont={"size": 10.5, "color": "black"},
            hovertext=list(cells.hover),
            hoverinfo="text",
            showlegend=False,
        )
    )
    if one_row:
        figure.update_layout(yaxis={"showgrid": False, "showticklabels": False, "ticks": ""})
    return figure
