"""Difference of two landscapes under a threshold: the explorer's third panel."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from hpstudy.difference import Difference, difference
from hpstudy.landscape import Landscape
from hpstudy.marks import DASHES, plain
from hpstudy.panelparts import colour_bar
from hpstudy.panels import OUTLINE_POINTS, Panels, surface
from hpstudy.results import variant_title
from hpstudy.words import axis_title, real

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
    up, across : ndarray of shape (n_y,), (n_x,)
        Fine grid of the surface on the first and the second axis, increasing real values.
    surface : ndarray of shape (n_y, n_x)
        Interpolated differences; NaN outside the settings that both networks have.
    outlines : tuple of two
        Of the dense and of the other network's region of interest: the ellipse's outline, up and
        across; None below five points.
    best_at : tuple of two dict
        Axis -> value of each network's best point; NaN where it has no value.
    """

    data: Difference
    up: np.ndarray
    across: np.ndarray
    surface: np.ndarray
    outlines: tuple[tuple[np.ndarray, np.ndarray] | None, ...]
    best_at: tuple[dict[str, float], dict[str, float]]


def difference_panel(
    dense: Landscape, other: Landscape, threshold: float, multiple: float = 2.0
) -> DifferencePanel:
    """Difference of two landscapes with the ellipses of both, ready to draw.

    Parameters
    ----------
    dense, other : Landscape
        Of one metric and over the same axes.
    threshold : float
        Of both regions of interest, in percentage points.
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
    return DifferencePanel(
        data=data,
        up=up,
        across=across,
        surface=values,
        outlines=tuple(outline(one, threshold, multiple) for one in (dense, other)),
        best_at=(dense.best_at, other.best_at),
    )


def outline(
    landscape: Landscape, threshold: float, multiple: float = 2.0
) -> tuple[np.ndarray, np.ndarray] | None:
    """Ellipse of a region of interest as real values, up and across; None below five points."""
    ellipse = landscape.ellipse(threshold, multiple)
    if ellipse is None:
        return None
    up, across = ellipse.outline(OUTLINE_POINTS)
    return 10**up, 10**across


def difference_limit(data: Panels) -> float:
    """End of the colour scale: differences as large as the landscapes' own scale is wide.

    A difference then has the weight of the same step between two settings of one landscape.
    """
    return data.high - data.low


def difference_traces(
    panel: DifferencePanel, limit: float, suffix: str, coloraxis: str = "coloraxis"
) -> list:
    """Traces of one panel: surface, points, two lines for each of two ellipses, two optima.

    Always the same number and kinds, whether or not there is anything in them.
    """
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}
    points = panel.data.points
    up, across = panel.data.axes
    traces: list = [
        go.Contour(
            x=plain(panel.across, 5),
            y=plain(panel.up, 5),
            z=[plain(row, 4) for row in panel.surface],
            coloraxis=coloraxis,
            contours={"start": -limit, "end": limit, "size": limit / 4, "coloring": "heatmap"},
            line={"width": 0.7, "color": "rgba(0,0,0,0.2)"},
            hoverinfo="skip",
            **axes,
        ),
        go.Scatter(
            x=plain(points[across]),
            y=plain(points[up]),
            mode="markers",
            marker={
                "size": 7,
                "color": plain(points["difference"], 4),
                "coloraxis": coloraxis,
                "line": {"width": 1, "color": "rgba(0,0,0,0.55)"},
            },
            text=difference_texts(panel.data),
            hoverinfo="text",
            legendgroup="points",
            **axes,
        ),
    ]
    for number, ends in enumerate(panel.outlines):
        y, x = ends or ([], [])
        for line in _lines(number):
            traces.append(
                go.Scatter(
                    x=plain(x, 4),
                    y=plain(y, 4),
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
                x=plain([at[across]]),
                y=plain([at[up]]),
                hoverinfo="skip",
                legendgroup=f"best-{number}",
                **_star(number),
                **axes,
            )
        )
    return traces


def short_title(variant: str) -> str:
    """Title of a variant where there is little room: "Uniform, 60 %"."""
    return variant_title(variant).removesuffix(" FLOPs")


def difference_texts(data: Difference) -> list[str]:
    """All there is to know of each of a difference's points, in the lines of a hover label."""
    names = variant_title(data.other), variant_title(data.dense)
    return [
        "<br>".join(
            [
                *(f"{axis_title(axis)} {real(point[axis])}" for axis in data.axes),
                f"{names[0]}: {signed(point['other'])} from its best",
                f"{names[1]}: {signed(point['dense'])} from its best",
                f"difference {signed(point['difference'])} points",
            ]
        )
        for point in data.points.to_dict("records")
    ]


def signed(value: float) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def difference_scale(limit: float, **bar) -> dict:
    """Colour axis from `-limit` to `limit`, white at 0, with more options of its colour bar."""
    return {
        "colorscale": COLOURS,
        "cmin": -limit,
        "cmax": limit,
        "colorbar": {**colour_bar("difference, points", 0.5, 0.7), "nticks": 7, **bar},
    }


def difference_title(panel: DifferencePanel) -> str:
    """What is written above a panel: what is subtracted from what, and whose ellipse is which."""
    names = [short_title(name) for name in (panel.data.dense, panel.data.other)]
    small = f"ellipses: {names[0]} solid, {names[1]} dashed"
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
