"""Traces of landscapes: ground, points, ellipses and marks, each a dict that Plotly reads."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.plots._axes import Plane
from hpstudy.plots._layout import INK
from hpstudy.plots.labels import Metric, axis_title, setting_text

VIRIDIS = "Viridis"
DASHES = ("solid", "dash", "dot")
POINT = {"size": 7, "line": {"width": 1, "color": "rgba(255,255,255,0.9)"}}
CROSS = {"symbol": "x", "size": 9, "color": "#d62728", "line": {"width": 1, "color": "white"}}
STOPPED = {"symbol": "line-ew", "size": 8, "line": {"width": 2, "color": INK}}
LINE = {"mode": "lines", "line": {"width": 1.5, "color": INK}}
Outline = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Surface:
    """Values between settings.

    Attributes
    ----------
    up, across : ndarray of shape (n_y,), (n_x,)
        Increasing settings of both axes; `up` is empty over one axis.
    values : ndarray of shape (n_y, n_x), or (n_x,) over one axis
        NaN outside the measured settings.
    """

    up: np.ndarray
    across: np.ndarray
    values: np.ndarray


def interpolated(
    points: pd.DataFrame, axes: tuple[str, ...], column: str, cells: int = 24
) -> Surface:
    """Surface through a column of measured points, bilinear in log10 of both axes.

    Gaps between measured points are filled linearly; beyond them nothing is made up. Settings with
    a value of 0 are left out. Over one axis the measured points themselves are the surface.

    Parameters
    ----------
    points : DataFrame
        One row a setting, sorted by the axes.
    axes : tuple of str
        One or two.
    column : str
        Values; NaN where there is none.
    cells : int, default 24
        Steps of the fine grid along an axis, about.
    """
    from scipy.interpolate import RegularGridInterpolator

    placed = points[(points[list(axes)] > 0).all(axis=1)]
    if len(axes) == 1:
        known = placed[placed[column].notna()]
        return Surface(np.empty(0), known[axes[0]].to_numpy(float), known[column].to_numpy(float))
    square = placed.pivot(index=axes[0], columns=axes[1], values=column)
    up, across = square.index.to_numpy(float), square.columns.to_numpy(float)
    if min(square.shape) < 2:
        return Surface(up, across, np.full(square.shape, np.nan))
    y, x = np.log10(up), np.log10(across)
    values = _filled(y, x, square.to_numpy(float))
    fine_y, fine_x = _refined(y, cells), _refined(x, cells)
    where = np.stack(np.meshgrid(fine_y, fine_x, indexing="ij"), axis=-1)
    known = np.isfinite(values)
    between = RegularGridInterpolator((y, x), np.where(known, values, 0.0))(where)
    # A point next to a gap, but of no weight in it, keeps its value: 0 times NaN would be NaN.
    weight = RegularGridInterpolator((y, x), known.astype(float))(where)
    return Surface(10**fine_y, 10**fine_x, np.where(weight > 1 - 1e-9, between, np.nan))


def _filled(y: np.ndarray, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values with every gap between measured points filled linearly."""
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import QhullError

    known = np.isfinite(values)
    if known.all() or known.sum() < 3:
        return values
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    try:
        between = LinearNDInterpolator(places[known], values[known])(places)
    except QhullError:
        # All measured points lie on one line: there is nothing between them to fill.
        return values
    return np.where(known, values, between)


def _refined(axis: np.ndarray, cells: int) -> np.ndarray:
    """Axis with equally many points inserted between each two of its own."""
    parts = max(2, round(cells / (len(axis) - 1)))
    index = np.arange((len(axis) - 1) * parts + 1) / parts
    return np.interp(index, np.arange(len(axis)), axis)


def plain(values: Any, digits: int = 9) -> list[float | None]:
    """Values as a list for JSON, rounded to significant digits; NaN is null.

    Plotly would write an array as base64: pages stay comparable line by line.
    """
    numbers = np.asarray(values, dtype=float)
    return [None if not math.isfinite(x) else float(f"{x:.{digits}g}") for x in numbers]


def axes_of(suffix: str) -> dict:
    """Properties that put a trace into a panel, without an entry in the legend."""
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}


def scatter(
    plane: Plane, suffix: str, points: pd.DataFrame, level: str = "value", **look: Any
) -> dict:
    """Points of one panel; over one axis at the levels in a column."""
    return {
        "type": "scatter",
        "x": plain(plane.x(points)),
        "y": plain(plane.y(points, level)),
        "mode": "markers",
        "hoverinfo": "text" if "text" in look else "skip",
        **look,
        **axes_of(suffix),
    }


def ground_trace(surface: Surface, suffix: str, coloraxis: str, contours: dict, line: dict) -> dict:
    """Surface of one panel in colours; over one axis a line."""
    if surface.values.ndim == 1:
        x, y = plain(surface.across, 5), plain(surface.values, 4)
        return {"type": "scatter", "x": x, "y": y, "hoverinfo": "skip", **LINE, **axes_of(suffix)}
    return {
        "type": "contour",
        "x": plain(surface.across, 5),
        "y": plain(surface.up, 5),
        "z": [plain(row, 4) for row in surface.values],
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
    contours: dict,
    line: dict,
    marker: dict = POINT,
    coloraxis: str = "coloraxis",
) -> list[dict]:
    """Ground and measured points of one panel, coloured by one scale.

    Parameters
    ----------
    plane, suffix
        Panel.
    surface : Surface
        Ground.
    points : DataFrame
        Measured settings with the axes as columns.
    level : str
        Column of the points' values on the scale.
    texts : list of str
        Hover labels of the points.
    contours, line : dict
        Lines of the ground.
    marker : dict, optional
        Look of the points.
    coloraxis : str, default "coloraxis"
        Scale.
    """
    coloured = {"color": plain(points[level], 4), "coloraxis": coloraxis}
    marker = {**marker, **coloured, **plane.symbols(points, level)}
    return [
        ground_trace(surface, suffix, coloraxis, contours, line),
        scatter(plane, suffix, points, level, marker=marker, text=texts, legendgroup="points"),
    ]


def outline_traces(
    suffix: str, outline: Outline, group: str, dash: str, inner: str = "black"
) -> list[dict]:
    """Closed line as a broad one under a narrow one, to stand out from dark and light colours."""
    up, across = outline
    outer = "white" if inner == "black" else "black"
    return [
        {
            "type": "scatter",
            "x": plain(across, 4),
            "y": plain(up, 4),
            "mode": "lines",
            "line": line,
            "hoverinfo": "skip",
            "legendgroup": group,
            **axes_of(suffix),
        }
        for line in ({"width": 3.6, "color": outer}, {"width": 1.8, "color": inner, "dash": dash})
    ]


def star(symbol: str = "star", size: float = 14, colour: str = "white") -> dict:
    """Marker of a best setting."""
    return {
        "symbol": symbol,
        "size": size,
        "color": colour,
        "line": {"width": 1.3, "color": "black"},
    }


def entry(name: str, group: str, visible: bool = True, **look: Any) -> dict:
    """Entry of the legend, which switches all traces of its group."""
    return {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "name": name,
        "legendgroup": group,
        "visible": visible,
        "showlegend": True,
        "mode": "markers",
        **look,
    }


def failure_traces(
    plane: Plane,
    suffix: str,
    diverged: pd.DataFrame,
    stopped: pd.DataFrame,
    metric: Metric,
    axes: tuple[str, ...],
    level: str = "value",
) -> list[dict]:
    """Crosses of settings at which a run diverged, and dashes of those at which one was stopped."""
    return [
        scatter(
            plane,
            suffix,
            points,
            level,
            marker=marker,
            text=point_texts(points, metric, axes),
            legendgroup=group,
        )
        for points, marker, group in (
            (diverged, CROSS, "diverged"),
            (stopped, STOPPED, "stopped"),
        )
    ]


def failure_entries(panels: Iterable[Any]) -> list[dict]:
    """Entries of the legend for `failure_traces`, visible where any panel has such a setting."""
    panels = list(panels)
    diverged = any(len(panel.diverged) for panel in panels)
    stopped = any(len(panel.stopped) for panel in panels)
    return [
        entry("diverged", "diverged", diverged, marker=CROSS),
        entry("stopped early", "stopped", stopped, marker=STOPPED),
    ]


def point_texts(points: pd.DataFrame, metric: Metric, axes: tuple[str, ...]) -> list[str]:
    """Hover label of each point, with all of its fields; `value` is a level."""
    return [_point_text(point, metric, axes) for point in points.to_dict("records")]


def _point_text(point: dict, metric: Metric, axes: tuple[str, ...]) -> str:
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
