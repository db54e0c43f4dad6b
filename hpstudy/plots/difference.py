"""Difference of two landscapes under a threshold: the explorer's third panel."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.difference import Difference, difference
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.levels import Metric, metric_of
from hpstudy.plots.labels import axis_title, real, short_title, variant_title
from hpstudy.plots.marks import DASHES, LINE, plain
from hpstudy.plots.panelparts import colour_bar
from hpstudy.plots.panels import Panels, outline
from hpstudy.plots.plane import Plane
from hpstudy.plots.surface import surface

COLOURS = "PuOr"
"""ColorBrewer's orange to purple, which the colour-blind tell apart: orange where the unpruned
network is ahead."""
STARS = ("star", "star-diamond")


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """Difference of two landscapes, ready to draw.

    Attributes
    ----------
    data : Difference
        The measured points.
    metric : Metric
        Of both landscapes.
    points : DataFrame
        Those of `data`, with `dense`, `other` and `difference` in the metric's own unit: where
        less is better, the difference is negative where the other network is closer to its best.
    up, across : ndarray of shape (n_y,), (n_x,)
        Fine grid of the surface on the first and the second axis, increasing real values.
    surface : ndarray of shape (n_y, n_x)
        Interpolated differences; NaN outside the settings that both networks have.
    outlines : tuple of two
        Of the dense and of the other network's region of interest: the ellipse's outline, up and
        across; None below five points.
    best_at : tuple of two DataFrame
        A row with the axes of each network's best point; NaN where it has no value.
    """

    data: Difference
    metric: Metric
    points: pd.DataFrame
    up: np.ndarray
    across: np.ndarray
    surface: np.ndarray
    outlines: tuple[tuple[np.ndarray, np.ndarray] | None, ...]
    best_at: tuple[pd.DataFrame, pd.DataFrame]


def difference_panel(
    dense: Landscape, other: Landscape, threshold: float, multiple: float = 2.0
) -> DifferencePanel:
    """Difference of two landscapes with the ellipses of both, ready to draw.

    Parameters
    ----------
    dense, other : Landscape
        Of one metric and over the same axes.
    threshold : float
        Of both regions of interest, in the metric's unit.
    multiple : float, default 2.0
        Standard deviations from an ellipse's centre to its outline.

    Returns
    -------
    DifferencePanel
        Without a surface where the two have no common setting.

    Raises
    ------
    HpstudyError
        If the axes differ, or the threshold or the multiple is out of range.
    """
    data = difference(dense, other)
    as_landscape = Landscape(
        other.variant,
        dense.metric,
        data.points.rename(columns={"difference": "value"}),
        dense.axes,
    )
    up, across, values = surface(as_landscape)
    own = data.points.copy()
    own[["dense", "other", "difference"]] *= dense.sign
    return DifferencePanel(
        data=data,
        metric=metric_of(dense),
        points=own,
        up=up,
        across=across,
        surface=dense.sign * values,
        outlines=tuple(outline(one, threshold, multiple) for one in (dense, other)),
        best_at=tuple(pd.DataFrame([one.best_at]) for one in (dense, other)),
    )


def difference_limit(data: Panels) -> float:
    """End of the colour scale: differences as large as the landscapes' own scale is wide.

    A difference then has the weight of the same step between two settings of one landscape.
    """
    return data.high - data.low


def difference_plane(plane: Plane, limit: float) -> Plane:
    """Plane of differences from `-limit` to `limit` of landscapes drawn on another plane."""
    return plane if plane.up else replace(plane, title="difference", ends=(-limit, limit))


def difference_traces(
    panel: DifferencePanel, plane: Plane, limit: float, suffix: str, coloraxis: str = "coloraxis"
) -> list:
    """Traces of one panel: ground, points, two lines for each of two ellipses, two optima.

    Always the same number and kinds, whether or not there is anything in them. The ground is a
    surface; over one axis it is a line through the points.
    """
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}
    points = panel.points
    traces: list = [
        _contour(panel, limit, coloraxis, axes) if plane.up else _line(panel, plane, axes),
        go.Scatter(
            x=plain(plane.x(points)),
            y=plain(plane.y(points, "difference")),
            mode="markers",
            marker={
                "size": 7,
                "color": plain(points["difference"], 4),
                "coloraxis": coloraxis,
                "line": {"width": 1, "color": "rgba(0,0,0,0.55)"},
            },
            text=difference_texts(panel),
            hoverinfo="text",
            legendgroup="points",
            **axes,
        ),
    ]
    for number in range(len(panel.outlines)):
        x, y = outline_place(panel, number, plane)
        for line in _lines(number):
            traces.append(
                go.Scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    line=line,
                    hoverinfo="skip",
                    legendgroup=f"ellipse-{number}",
                    **axes,
                )
            )
    for number, at in enumerate(panel.best_at):
        traces.append(
            go.Scatter(
                x=plain(plane.x(at)),
                y=plain(plane.y(at)) if plane.up else [_height(number, plane)],
                hoverinfo="skip",
                legendgroup=f"best-{number}",
                **_star(number),
                **axes,
            )
        )
    return traces


def outline_place(panel: DifferencePanel, number: int, plane: Plane) -> tuple[list, list]:
    """Places across and up of an ellipse's outline, or nowhere."""
    up, across = panel.outlines[number] or ([], [])
    if plane.up is None:
        up = [_height(number, plane)] * len(across)
    return plain(across, 4), plain(up, 4)


def _height(number: int, plane: Plane) -> float:
    """Where a network's region is drawn over one axis: the levels of both are others there."""
    return plane.ends[0] * (0.86 - 0.12 * number)


def _contour(panel: DifferencePanel, limit: float, coloraxis: str, axes: dict) -> go.Contour:
    return go.Contour(
        x=plain(panel.across, 5),
        y=plain(panel.up, 5),
        z=[plain(row, 4) for row in panel.surface],
        coloraxis=coloraxis,
        contours={"start": -limit, "end": limit, "size": limit / 4, "coloring": "heatmap"},
        line={"width": 0.7, "color": "rgba(0,0,0,0.2)"},
        hoverinfo="skip",
        **axes,
    )


def _line(panel: DifferencePanel, plane: Plane, axes: dict) -> go.Scatter:
    placed = panel.points[panel.points[plane.across.name] > 0]
    x, y = plain(plane.x(placed)), plain(plane.y(placed, "difference"))
    return go.Scatter(x=x, y=y, hoverinfo="skip", **LINE, **axes)


def difference_texts(panel: DifferencePanel) -> list[str]:
    """All there is to know of each of a difference's points, in the lines of a hover label."""
    data, metric = panel.data, panel.metric
    names = variant_title(data.other), variant_title(data.dense)
    return [
        "<br>".join(
            [
                *(f"{axis_title(axis)} {real(point[axis])}" for axis in data.axes),
                f"{names[0]}: {signed(point['other'], metric)} from its best",
                f"{names[1]}: {signed(point['dense'], metric)} from its best",
                f"difference {signed(point['difference'], metric)}{' points' * metric.percent}",
            ]
        )
        for point in panel.points.to_dict("records")
    ]


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text


def difference_scale(limit: float, plane: Plane, metric: Metric, **bar) -> dict:
    """Colour axis from `-limit` to `limit`, white at 0, with more options of its colour bar.

    Purple is where the other network is closer to its best, whichever sign that has.
    """
    title = "difference, points" if metric.percent else f"difference, {metric.title}"
    return {
        "colorscale": COLOURS,
        "cmin": -limit,
        "cmax": limit,
        "colorbar": {**colour_bar(title, 0.5, 0.7), "nticks": 7, **bar},
        **({"reversescale": True} if metric.sign < 0 else {}),
        # Over one axis the places say what the colours would.
        **({} if plane.up else {"showscale": False}),
    }


def difference_title(panel: DifferencePanel) -> str:
    """What is written above a panel: what is subtracted from what, and whose ellipse is which."""
    names = [short_title(name) for name in (panel.data.dense, panel.data.other)]
    what = "ellipses" if len(panel.data.axes) == 2 else "regions"
    small = f"{what}: {names[0]} solid, {names[1]} dashed"
    return f"<b>{names[1]} − {names[0]}</b><br><span style='font-size:11px'>{small}</span>"


def _lines(number: int) -> list[dict]:
    """Broad line under a narrow one, so that it stands out from all colours."""
    return [
        {"width": 3.6, "color": "white"},
        {"width": 1.8, "color": "black", "dash": DASHES[number]},
    ]


def _star(number: int) -> dict:
    look = {"size": 13, "color": "white", "line": {"width": 1.3, "color": "black"}}
    return {"mode": "markers", "marker": {"symbol": STARS[number], **look}}
