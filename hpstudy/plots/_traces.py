"""Traces of landscapes, each a dict that Plotly reads, and what lies between their settings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import INK, Plane, Props
from hpstudy.plots.labels import axis_title, metric_of, setting_text

VIRIDIS = "Viridis"
DASHES = ("solid", "dash", "dot")
POINT = {"size": 7, "line": {"width": 1, "color": "rgba(255,255,255,0.9)"}}
CROSS = {"symbol": "x", "size": 9, "color": "#d62728", "line": {"width": 1, "color": "white"}}
STOPPED = {"symbol": "line-ew", "size": 8, "line": {"width": 2, "color": INK}}
LINE = {"mode": "lines", "line": {"width": 1.5, "color": INK}}
# Parts into which the settings of an axis divide a surface, if they are few enough.
CELLS = 24


@dataclass(frozen=True, eq=False)
class Surface:
    """Values between settings: `values[i, j]` at the increasing settings `up[i]`, `across[j]`.

    NaN outside the measured settings. Over one axis `up` is empty, and `values[j]` at `across[j]`.
    """

    up: np.ndarray
    across: np.ndarray
    values: np.ndarray


def interpolated(points: pd.DataFrame, axes: tuple[str, ...], column: str) -> Surface:
    """Surface through a column of measured points, bilinear in log10 of both axes.

    Gaps between measured points are filled linearly; beyond them nothing is made up. Settings with
    a value of 0 are left out. Over one axis the measured points themselves are the surface.
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
    fine_y, fine_x = _refined(y), _refined(x)
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


def _refined(axis: np.ndarray) -> np.ndarray:
    """Axis with equally many points inserted between each two of its own."""
    parts = max(2, round(CELLS / (len(axis) - 1)))
    index = np.arange((len(axis) - 1) * parts + 1) / parts
    return np.asarray(np.interp(index, np.arange(len(axis)), axis))


def colour_range(
    landscapes: dict[str, Landscape],
    top: float,
    relative: bool = False,
    roi: tuple[float, ...] = (),
) -> tuple[float, float]:
    """Ends of the colour scale of some landscapes, oriented so that larger is better.

    Over one axis the lower end leaves room for half of each landscape's settings, and for twice
    each region.
    """
    known = [
        (landscape.points["value"] - (landscape.best if relative else 0.0)).dropna()
        for landscape in landscapes.values()
        if math.isfinite(landscape.best)
    ]
    if not known:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    every = pd.concat(known)
    low, high = float(every.quantile(1 - top)), float(every.max())
    if len(next(iter(landscapes.values())).axes) == 1:
        room = 2 * max(roi, default=0.0)
        low = min(min(values.median(), values.max() - room) for values in known)
        low = float(max(low, every.min()))
    return (low if low < high else high - 1), high


def outline(
    landscape: Landscape, threshold: float, multiple: float = 2.0, zero: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Ellipse of a region of interest as settings up and across; nothing below five points.

    It reaches `multiple` standard deviations. Over one axis it is a line at the level where the
    region ends, less `zero`.
    """
    ellipse = landscape.ellipse(threshold, multiple)
    if ellipse is None:
        return np.empty(0), np.empty(0)
    if len(landscape.axes) == 2:
        up, across = ellipse.outline(60)
        return 10**up, 10**across
    level = landscape.sign * (landscape.best - zero - threshold)
    return np.full(2, level), 10 ** (ellipse.centre[0] + ellipse.length / 2 * np.array([-1, 1]))


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
    places = {"x": rounded(plane.x(points)), "y": rounded(plane.y(points, level))}
    look = {"mode": "markers", "hoverinfo": "text" if "text" in look else "skip", **look}
    return {"type": "scatter", **places, **look, **axes_of(suffix)}


def ground_trace(
    surface: Surface, suffix: str, coloraxis: str, contours: Props, line: Props
) -> Props:
    """Surface of one panel in colours; over one axis a line."""
    place = {"x": rounded(surface.across, 5), "hoverinfo": "skip", **axes_of(suffix)}
    if surface.values.ndim == 1:
        return {"type": "scatter", "y": rounded(surface.values, 4), **place, **LINE}
    return {
        "type": "contour",
        "y": rounded(surface.up, 5),
        "z": [rounded(row, 4) for row in surface.values],
        "coloraxis": coloraxis,
        "contours": {"coloring": "heatmap", **contours},
        "line": line,
        **place,
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
    suffix: str, line: tuple[np.ndarray, np.ndarray], group: str, dash: str, inner: str = "black"
) -> list[Props]:
    """Closed line as a broad one under a narrow one, to stand out from dark and light colours."""
    up, across = line
    trace = {"type": "scatter", "x": rounded(across, 4), "y": rounded(up, 4), "mode": "lines"}
    trace |= {"hoverinfo": "skip", "legendgroup": group, **axes_of(suffix)}
    broad = {"width": 3.6, "color": "white" if inner == "black" else "black"}
    narrow = {"width": 1.8, "color": inner, "dash": dash}
    return [{**trace, "line": broad}, {**trace, "line": narrow}]


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

    def trace(points: pd.DataFrame, **look: Any) -> Props:
        texts = point_texts(points, panel.landscape)
        return scatter(plane, suffix, points, level, text=texts, **look)

    return [
        trace(panel.diverged, marker=CROSS, legendgroup="diverged"),
        trace(panel.stopped, marker=STOPPED, legendgroup="stopped"),
    ]


def failure_entries(panels: Sequence[Any]) -> list[Props]:
    """Entries of the legend for `failure_traces`, visible where any panel has such a setting."""
    diverged = any(len(panel.diverged) for panel in panels)
    stopped = any(len(panel.stopped) for panel in panels)
    return [
        legend_entry("diverged", "diverged", diverged, marker=CROSS),
        legend_entry("stopped early", "stopped", stopped, marker=STOPPED),
    ]


def setting_lines(point: Props, axes: tuple[str, ...]) -> list[str]:
    """Lines of a hover label that name a point's setting."""
    return [f"{axis_title(axis)} {setting_text(point[axis])}" for axis in axes]


def point_texts(points: pd.DataFrame, landscape: Landscape) -> list[str]:
    """Hover label of each of a landscape's points, with all of its fields; `value` is a level."""
    metric, texts = metric_of(landscape), []
    for point in points.to_dict("records"):
        value = "no value" if math.isnan(point["value"]) else metric.level(point["value"])
        runs = "1 run" if point["seeds"] == 1 else f"mean of {point['seeds']} runs"
        lines = [*setting_lines(point, landscape.axes), f"{metric.title} {value}, {runs}"]
        if math.isfinite(point["std"]):
            lines.append(f"standard deviation {metric.text(point['std'])}")
        if point["diverged"] > 0:
            lines.append(f"diverged: {point['diverged']:.0%} of the runs")
        if point["stopped"] > 0:
            lines.append(f"stopped early: {point['stopped']:.0%} of the runs")
        texts.append("<br>".join(lines))
    return texts
