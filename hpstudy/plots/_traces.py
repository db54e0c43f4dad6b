"""Traces of landscapes: ground, points, ellipses and marks, each a dict that Plotly reads."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.plots._axes import Plane, Props
from hpstudy.plots._layout import INK
from hpstudy.plots._surface import Outline, Surface
from hpstudy.plots.labels import Metric, axis_title, metric_of, setting_text

VIRIDIS = "Viridis"
DASHES = ("solid", "dash", "dot")
POINT = {"size": 7, "line": {"width": 1, "color": "rgba(255,255,255,0.9)"}}
CROSS = {"symbol": "x", "size": 9, "color": "#d62728", "line": {"width": 1, "color": "white"}}
STOPPED = {"symbol": "line-ew", "size": 8, "line": {"width": 2, "color": INK}}
LINE = {"mode": "lines", "line": {"width": 1.5, "color": INK}}


def rounded(values: Any, digits: int = 9) -> list[float | None]:
    """Values as a list for JSON, rounded to significant digits; NaN is null."""
    # Plotly would write an array as base64: pages stay comparable line by line.
    numbers = np.asarray(values, dtype=float)
    return [None if not math.isfinite(x) else float(f"{x:.{digits}g}") for x in numbers]


def axes_of(suffix: str) -> Props:
    """Properties that put a trace into a panel, without an entry in the legend."""
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}


def scatter(
    plane: Plane, suffix: str, points: pd.DataFrame, level: str = "value", **look: Any
) -> Props:
    """Points of one panel; over one axis at the levels in a column."""
    return {
        "type": "scatter",
        "x": rounded(plane.x(points)),
        "y": rounded(plane.y(points, level)),
        "mode": "markers",
        "hoverinfo": "text" if "text" in look else "skip",
        **look,
        **axes_of(suffix),
    }


def ground_trace(
    surface: Surface, suffix: str, coloraxis: str, contours: Props, line: Props
) -> Props:
    """Surface of one panel in colours; over one axis a line."""
    if surface.values.ndim == 1:
        x, y = rounded(surface.across, 5), rounded(surface.values, 4)
        return {"type": "scatter", "x": x, "y": y, "hoverinfo": "skip", **LINE, **axes_of(suffix)}
    return {
        "type": "contour",
        "x": rounded(surface.across, 5),
        "y": rounded(surface.up, 5),
        "z": [rounded(row, 4) for row in surface.values],
        "coloraxis": coloraxis,
        "contours": {"coloring": "heatmap", **contours},
        "line": line,
        "hoverinfo": "skip",
        **axes_of(suffix),
    }


def landscape_traces(
    plane: Plane,
    suffix: str,
    surface: Surface,
    points: pd.DataFrame,
    level: str,
    texts: list[str],
    contours: Props,
    line: Props,
    marker: Props = POINT,
    coloraxis: str = "coloraxis",
) -> list[Props]:
    """Ground and measured points of one panel, coloured by the column `level`.

    `contours` and `line` are those of the ground, `texts` the hover labels of the points.
    """
    coloured = {"color": rounded(points[level], 4), "coloraxis": coloraxis}
    marker = {**marker, **coloured, **plane.symbols(points, level)}
    return [
        ground_trace(surface, suffix, coloraxis, contours, line),
        scatter(plane, suffix, points, level, marker=marker, text=texts, legendgroup="points"),
    ]


def outline_traces(
    suffix: str, outline: Outline, group: str, dash: str, inner: str = "black"
) -> list[Props]:
    """Closed line as a broad one under a narrow one, to stand out from dark and light colours."""
    up, across = outline
    outer = "white" if inner == "black" else "black"
    trace = {"type": "scatter", "x": rounded(across, 4), "y": rounded(up, 4), "mode": "lines"}
    trace |= {"hoverinfo": "skip", "legendgroup": group, **axes_of(suffix)}
    broad = {"width": 3.6, "color": outer}
    return [
        {**trace, "line": broad},
        {**trace, "line": {"width": 1.8, "color": inner, "dash": dash}},
    ]


def best_marker(symbol: str = "star", size: float = 14, colour: str = "white") -> Props:
    """Marker of a best setting."""
    line = {"width": 1.3, "color": "black"}
    return {"symbol": symbol, "size": size, "color": colour, "line": line}


def legend_entry(name: str, group: str, visible: bool = True, **look: Any) -> Props:
    """Entry of the legend, which switches all traces of its group."""
    nowhere = {"type": "scatter", "x": [None], "y": [None], "mode": "markers"}
    switch = {"name": name, "legendgroup": group, "visible": visible, "showlegend": True}
    return {**nowhere, **switch, **look}


def failure_traces(plane: Plane, suffix: str, panel: Any, level: str = "value") -> list[Props]:
    """Crosses of a panel's diverged settings, and dashes of those that were stopped early."""
    traces = []
    for points, marker, group in (
        (panel.diverged, CROSS, "diverged"),
        (panel.stopped, STOPPED, "stopped"),
    ):
        look = {"marker": marker, "text": point_texts(points, panel.landscape)}
        traces.append(scatter(plane, suffix, points, level, legendgroup=group, **look))
    return traces


def failure_entries(panels: Iterable[Any]) -> list[Props]:
    """Entries of the legend for `failure_traces`, visible where any panel has such a setting."""
    panels = list(panels)
    diverged = any(len(panel.diverged) for panel in panels)
    stopped = any(len(panel.stopped) for panel in panels)
    return [
        legend_entry("diverged", "diverged", diverged, marker=CROSS),
        legend_entry("stopped early", "stopped", stopped, marker=STOPPED),
    ]


def point_texts(points: pd.DataFrame, landscape: Landscape) -> list[str]:
    """Hover label of each of a landscape's points, with all of its fields; `value` is a level."""
    metric = metric_of(landscape)
    return [_point_text(point, metric, landscape.axes) for point in points.to_dict("records")]


def _point_text(point: Props, metric: Metric, axes: tuple[str, ...]) -> str:
    value = "no value" if math.isnan(point["value"]) else metric.level(point["value"])
    runs = "1 run" if point["seeds"] == 1 else f"mean of {point['seeds']} runs"
    lines = [f"{axis_title(axis)} {setting_text(point[axis])}" for axis in axes]
    lines.append(f"{metric.title} {value}, {runs}")
    if math.isfinite(point["std"]):
        lines.append(f"standard deviation {metric.text(point['std'])}")
    if point["diverged"] > 0:
        lines.append(f"diverged: {point['diverged']:.0%} of the runs")
    if point["stopped"] > 0:
        lines.append(f"stopped early: {point['stopped']:.0%} of the runs")
    return "<br>".join(lines)
