"""Figures of panels: axes, legend and colour bars, for wide and for narrow pages."""

import math
from typing import Any

import plotly.graph_objects as go

from hpstudy.plots._axes import Plane, Props
from hpstudy.plots.labels import axis_title

FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
# One grey that is legible on white and on black; the book's script replaces it by the theme's ink.
INK = "#7f7f7f"
# Pixels between panels for axes and titles, and beside all of them.
COLUMN_GAP, ROW_GAP = 58, 88
LEFT, RIGHT = 58, 8
AXIS = {
    "tickfont": {"size": 10.5},
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": INK,
    "showline": True,
    "mirror": True,
    "linecolor": INK,
    "linewidth": 1,
    "showgrid": False,
    "gridcolor": "rgba(127,127,127,0.25)",
    "zeroline": False,
}
# Above all panels.
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
# Below all panels.
COLOUR_BAR = {
    "orientation": "h",
    "yref": "container",
    "y": 0.0,
    "ypad": 2,
    "yanchor": "bottom",
    "x": 0.5,
    "len": 0.7,
    "thickness": 12,
    "outlinewidth": 0,
    "tickfont": {"size": 10.5},
}


def panel_figure(
    titles: list[str], height: int, top: int, bottom: int, columns: int = 3, width: int = 160
) -> go.Figure:
    """Empty figure of equal panels, filled row by row.

    `height` and the least `width` are those of one panel without its axes, `top` and `bottom` the
    margins of all, in pixels. The book's script reads `layout.meta`, and stacks the panels where a
    page is narrow.
    """
    columns = min(columns, len(titles))
    rows = math.ceil(len(titles) / columns)
    margin = {"t": top, "b": bottom, "l": LEFT, "r": RIGHT}
    figure = go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": INK},
            "grid": {
                "rows": rows,
                "columns": columns,
                "pattern": "independent",
                "xgap": 0.266,
                "ygap": round(ROW_GAP / (height + ROW_GAP), 3),
            },
            "height": rows * height + (rows - 1) * ROW_GAP + top + bottom,
            "margin": {**margin, "pad": 0},
            "hovermode": "closest",
            "dragmode": "zoom",
            "legend": LEGEND,
            "meta": {
                "panels": len(titles),
                "columns": columns,
                "panelWidth": width,
                "panelHeight": height,
                "rowGap": ROW_GAP,
                "margin": margin,
            },
        }
    )
    for number, title in enumerate(titles, start=1):
        _write(figure, axis_suffix(number), title, 12, x=0.5, y=1, yanchor="bottom", yshift=3)
    return figure


def panel_title(title: str, small: str) -> str:
    """Title of a panel with a small second line."""
    return f"<b>{title}</b><br><span style='font-size:11px'>{small}</span>"


def axis_suffix(number: int) -> str:
    """Suffix of the names of a panel's axes; panels are counted from 1."""
    return "" if number == 1 else str(number)


def _write(figure: go.Figure, suffix: str, text: str, size: int, **place: Any) -> None:
    """Annotation that moves with a panel when panels are stacked; Plotly's own titles do not."""
    place |= {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "showarrow": False}
    figure.add_annotation(text=text, font={"size": size}, **place)


def set_axes(
    figure: go.Figure,
    number: int,
    across: Props,
    up: Props,
    titles: tuple[str, str] = ("", ""),
    linked: str = "xy",
) -> str:
    """Style and title both axes of one panel; the suffix of their names.

    A zoom in it is a zoom in all panels along the axes `linked`.
    """
    suffix = axis_suffix(number)
    _write(figure, suffix, titles[0], 11, x=0.5, y=0, yanchor="top", yshift=-20)
    beside = {"x": 0, "y": 0.5, "xanchor": "right", "xshift": -38, "textangle": -90}
    _write(figure, suffix, titles[1], 11, **beside)
    for letter, style in (("x", across), ("y", up)):
        link = {"matches": letter} if number > 1 and letter in linked else {}
        figure.update_layout({f"{letter}axis{suffix}": {**AXIS, **style, **link}})
    return suffix


def set_plane(
    figure: go.Figure, number: int, plane: Plane, linked: str = "xy", most: int = 4
) -> str:
    """`set_axes` of a panel by its plane; `most` labels have room side by side."""
    titles = axis_title(plane.across.name), plane.title
    suffix = set_axes(figure, number, plane.across.style(most), plane.up_style(), titles, linked)
    for letter, other, axis in (("x", "y", plane.across), ("y", "x", plane.up)):
        if axis is not None and not math.isnan(axis.zero):
            figure.add_shape(
                **{f"{letter}ref": f"{letter}{suffix}", f"{other}ref": f"{other}{suffix} domain"},
                **{f"{letter}0": axis.gap, f"{letter}1": axis.gap, f"{other}0": 0, f"{other}1": 1},
                line={"width": 1, "color": INK, "dash": "dot"},
            )
    return suffix


def colour_axis(
    scale: str, low: float, high: float, title: str, shown: bool, reverse: bool = False, **bar: Any
) -> Props:
    """Colour axis; `bar` are further properties of its bar."""
    return {
        "colorscale": scale,
        "cmin": low,
        "cmax": high,
        "showscale": shown,
        "reversescale": reverse,
        "colorbar": {
            **COLOUR_BAR,
            "title": {"text": title, "side": "bottom", "font": {"size": 11}},
            **bar,
        },
    }
