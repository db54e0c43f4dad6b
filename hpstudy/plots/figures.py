"""Figures 4.1 to 4.5 of the thesis, from landscapes and risks.

Every `plot_` function returns a Plotly figure of data that another function prepares; none shows,
writes or prints anything.
"""

import math
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.levels import Metric, levels, metric_of
from hpstudy.analysis.risk import Risk
from hpstudy.analysis.study_results import variant_title
from hpstudy.errors import HpstudyError
from hpstudy.plots.drawing import axis_style, panel_figure
from hpstudy.plots.marks import legend_traces, panel_traces, plain, point_texts
from hpstudy.plots.panelparts import LEGEND, colour_bar, lay_axes
from hpstudy.plots.panels import TOP, landscape_panels
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
        As `landscape_panels`.

    References
    ----------
    Thesis, Figures 4.1, 4.2 and 4.3.
    """
    data = landscape_panels(landscapes, roi, top, relative)
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


def grid_cells(landscape: Landscape, prior: dict[str, float] | None = None) -> GridCells:
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
    cells = grid_cells(landscape, prior)
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


@dataclass(frozen=True)
class RiskBox:
    """Distribution of one network's risk, ready to draw.

    Attributes
    ----------
    title : str
        Of the network.
    dense : bool
        Whether it is the unpruned network, measured against its own best.
    absolute : tuple of float
        Risks in percentage points, one a point of the dense network's region of interest.
    relative : tuple of float
        The same as fractions of the network's best value.
    """

    title: str
    dense: bool
    absolute: tuple[float, ...]
    relative: tuple[float, ...]


def risk_boxes(risks: dict[str, Risk]) -> tuple[RiskBox, ...]:
    """One box a network, the dense one first, for `plot_risk`."""
    if not risks:
        raise HpstudyError("there is no risk to draw.")
    return tuple(
        RiskBox(
            title=variant_title(name),
            dense=number == 0,
            absolute=tuple(one.points["risk"]),
            relative=tuple(one.points["relative"]),
        )
        for number, (name, one) in enumerate(risks.items())
    )


def plot_risk(risks: dict[str, Risk]) -> go.Figure:
    """Box plots of the risk of keeping the dense network's settings, absolute and relative.

    Parameters
    ----------
    risks : dict of str to Risk
        The dense network first, as `hpstudy.analysis.risk.risks` returns them.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels with one box a network and every point beside it; the dense network darker.

    References
    ----------
    Thesis, section 3.3.2 and Figure 4.5.
    """
    boxes = risk_boxes(risks)
    titles = ["<b>Risk</b>, percentage points", "<b>Relative risk</b>, share of the own best"]
    figure = panel_figure(titles, 2, 260, {"t": 34, "b": 56, "l": 52, "r": 8}, panel_width=280)
    for suffix, column, digits in (("", "absolute", ".2f"), ("2", "relative", ".4f")):
        for place, box in enumerate(boxes):
            fill, line = DENSE_BOX if box.dense else PRUNED_BOX
            figure.add_trace(
                go.Box(
                    y=plain(getattr(box, column), 6),
                    x=[place] * len(box.absolute),
                    name=box.title,
                    boxpoints="all",
                    jitter=0.5,
                    pointpos=0,
                    marker={"size": 5, "color": "white", "line": {"width": 1, "color": "black"}},
                    line={"width": 1.5, "color": line},
                    fillcolor=fill,
                    hovertemplate=f"%{{y:{digits}}}<extra>{box.title}</extra>",
                    showlegend=False,
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    **axis_style(),
                    "tickvals": list(range(len(boxes))),
                    "ticktext": [_tick(box.title) for box in boxes],
                    "range": [-0.6, len(boxes) - 0.4],
                    "tickangle": 0,
                },
                f"yaxis{suffix}": {**axis_style(), "rangemode": "tozero", "showgrid": True},
            }
        )
    return figure


def _tick(title: str) -> str:
    """Title of a variant in short lines: "Uniform" above "60 %"."""
    return title.replace(" FLOPs", "").replace(", ", "<br>").replace("Non-", "Non-<br>")
