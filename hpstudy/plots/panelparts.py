"""Parts that figures of several landscape panels share: axes, points, legend, colour bar."""

import math

import pandas as pd
import plotly.graph_objects as go

from hpstudy.plots._layout import INK, title_axes
from hpstudy.plots.marks import plain
from hpstudy.plots.plane import Plane

LEGEND = {
    "orientation": "h",
    "yref": "container",
    "y": 1.0,
    "yanchor": "top",
    "x": 0.0,
    "xanchor": "left",
    "font": {"size": 11},
    "itemsizing": "trace",
}
"""Place of the legend: above all panels."""


def lay_axes(
    figure: go.Figure, number: int, plane: Plane, linked: str = "xy", most: int = 4
) -> str:
    """Lay out both axes of one panel, and couple them to the first panel's.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Of `hpstudy.plots._layout.panel_figure`; changed in place.
    number : int
        Of the panel, from 1.
    plane : Plane
        Of all panels.
    linked : str, default "xy"
        Letters of the axes that are coupled.
    most : int, default 4
        Labels that there is room for beside each other.

    Returns
    -------
    str
        What follows "x" and "y" in the names of the panel's axes.
    """
    suffix = "" if number == 1 else str(number)
    title_axes(figure, suffix, plane.across.title, plane.title)
    # Labels beside each other need more room than labels above each other.
    for letter, style in (("x", plane.across.style(most)), ("y", plane.style_up(8))):
        # `matches` makes a zoom in one panel a zoom in all.
        link = {"matches": letter} if number > 1 and letter in linked else {}
        figure.update_layout({f"{letter}axis{suffix}": {**style, **link}})
    for letter, other, axis in (("x", "y", plane.across), ("y", "x", plane.up)):
        if axis is not None and not math.isnan(axis.zero):
            figure.add_shape(
                **{f"{letter}ref": f"{letter}{suffix}", f"{other}ref": f"{other}{suffix} domain"},
                **{f"{letter}0": axis.gap, f"{letter}1": axis.gap, f"{other}0": 0, f"{other}1": 1},
                line={"width": 1, "color": INK, "dash": "dot"},
            )
    return suffix


def scatter(points: pd.DataFrame, plane: Plane, suffix: str, **look) -> go.Scatter:
    """Points of one panel, without an entry in the legend.

    Parameters
    ----------
    points : DataFrame
        With the axes as columns; over one axis also `value`, the level.
    plane : Plane
        Where they are drawn.
    suffix : str
        As `lay_axes` returns it.
    **look
        Anything else that a trace has.

    Returns
    -------
    plotly.graph_objects.Scatter
        Markers that show their `text` under the pointer, if `look` says nothing else.
    """
    return go.Scatter(
        x=plain(plane.x(points)),
        y=plain(plane.y(points)),
        xaxis=f"x{suffix}",
        yaxis=f"y{suffix}",
        showlegend=False,
        **{"mode": "markers", "hoverinfo": "text", **look},
    )


def entry(name: str, group: str, look: dict, visible: bool = True) -> go.Scatter:
    """Entry of the legend, which switches all traces of its group."""
    return go.Scatter(
        x=[None],
        y=[None],
        name=name,
        legendgroup=group,
        visible=visible,
        showlegend=True,
        **{"mode": "markers", **look},
    )


def colour_bar(title: str, x: float, length: float) -> dict:
    """Colour bar under all panels, around the share `x` of their width and `length` of it long."""
    return {
        "orientation": "h",
        "yref": "container",
        "y": 0.0,
        "ypad": 2,
        "yanchor": "bottom",
        "x": x,
        "len": length,
        "thickness": 12,
        "outlinewidth": 0,
        "tickfont": {"size": 10.5},
        "title": {"text": title, "side": "bottom", "font": {"size": 11}},
    }
