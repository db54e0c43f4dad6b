"""Parts that figures of several landscape panels share: axes, points, legend, colour bar."""

import pandas as pd
import plotly.graph_objects as go

from hpstudy.drawing import log_axis_style, title_axes
from hpstudy.marks import plain
from hpstudy.panels import axis_ends
from hpstudy.words import axis_title

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


def lay_axes(figure: go.Figure, number: int, points: pd.DataFrame, axes: tuple[str, str]) -> str:
    """Lay out both axes of one panel, and couple them to the first panel's.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Of `hpstudy.drawing.panel_figure`; changed in place.
    number : int
        Of the panel, from 1.
    points : DataFrame
        All points that the panels have to hold.
    axes : tuple of str
        Columns of it, drawn up and across, logarithmic.

    Returns
    -------
    str
        What follows "x" and "y" in the names of the panel's axes.
    """
    suffix = "" if number == 1 else str(number)
    title_axes(figure, suffix, axis_title(axes[1]), axis_title(axes[0]))
    # Labels beside each other need more room than labels above each other.
    for letter, axis, most in (("x", axes[1], 4), ("y", axes[0], 8)):
        # `matches` makes a zoom in one panel a zoom in all.
        linked = {} if number == 1 else {"matches": letter}
        style = log_axis_style(*axis_ends(points[axis]), most)
        figure.update_layout({f"{letter}axis{suffix}": {**style, **linked}})
    return suffix


def scatter(points: pd.DataFrame, axes: tuple[str, str], suffix: str, **look) -> go.Scatter:
    """Points of one panel, without an entry in the legend.

    Parameters
    ----------
    points : DataFrame
        With the columns `axes`.
    axes : tuple of str
        Drawn up and across.
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
        x=plain(points[axes[1]]),
        y=plain(points[axes[0]]),
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
