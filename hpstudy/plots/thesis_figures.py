"""Figures 4.1 to 4.4 of the thesis, laid out as there: contours above settings, and the grid."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape, setting_keys
from hpstudy.config.grid import setting_key
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import INK, Props
from hpstudy.plots._traces import Plane
from hpstudy.plots.labels import Metric, metric_of, roi_title, variant_title

TOP = 0.15
"""Share of all settings that the colour scale spans (captions of Figures 4.1 and 4.2)."""
HEIGHT = 160
"""Pixels of a panel."""
CONTOUR = {"width": 0.7, "color": "rgba(255,255,255,0.55)", "smoothing": 1.3}
DASHES = ("solid", "dash", "dot")
POINT = {"size": 7, "line": {"width": 1, "color": "rgba(255,255,255,0.9)"}}
CROSS = {"symbol": "x", "size": 9, "color": "#d62728", "line": {"width": 1, "color": "white"}}
STOPPED = {"symbol": "line-ew", "size": 8, "line": {"width": 2, "color": INK}}
CELL, FIRST_CELL = "#d9e4f0", "#86a9cf"


@dataclass(frozen=True, eq=False)
class ContoursData:
    """Landscapes of one metric on one colour scale from `low` to `high`, and their plane."""

    landscapes: list[Landscape]
    metric: Metric
    low: float
    high: float
    plane: Plane

    def below(self, landscape: Landscape) -> np.ndarray:
        """Which settings are worse than the scale, or have no value."""
        worst = self.low if self.metric.sign > 0 else -self.high
        return ~(landscape.values >= worst)


def contours_data(landscapes: dict[str, Landscape], top: float = TOP) -> ContoursData:
    """Data of one group of `plot_contours`."""
    shown = list(landscapes.values())
    kinds = {(landscape.metric, *landscape.axes) for landscape in shown}
    if len(kinds) != 1 or len(shown[0].axes) != 2:
        found = "; ".join(" over ".join((kind[0], " × ".join(kind[1:]))) for kind in sorted(kinds))
        raise HpstudyError(
            f"contours show landscapes of one metric over the same two axes, not {found or 'none'}."
        )
    metric = metric_of(shown[0])
    low, high = sorted(metric.sign * end + 0.0 for end in _traces.colour_range(landscapes, top))
    plane = Plane.of((landscape.points for landscape in shown), shown[0].axes)
    return ContoursData(shown, metric, low, high, plane)


def plot_contours(
    groups: Iterable[dict[str, Landscape]],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
) -> go.Figure:
    """Contours of landscapes above their settings, a column a network.

    Settings below the colour scale are taken out of the contours, and inter- and extrapolated; the
    lower row has all of them, with the ellipses of the regions of interest.

    Parameters
    ----------
    groups : iterable of dict of str to Landscape
        Landscapes over two axes that share a colour scale, such as those of one metric; one group
        or two.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of at most three regions of interest, in percentage points.
    top : float, default 0.15
        Share of the settings of a group that its colour scale spans.

    Raises
    ------
    HpstudyError
        If a group has no value, several metrics, or other than the same two axes.

    References
    ----------
    Thesis, Figures 4.1 and 4.2 (one group) and 4.3 (top-1 left, top-5 right).
    """
    data, roi = [contours_data(group, top) for group in groups], tuple(sorted(set(roi)))
    columns = [(part, landscape) for part in data for landscape in part.landscapes]
    titles = [_title(landscape, len(data) > 1) for _, landscape in columns] + [""] * len(columns)
    figure = _layout.panel_figure(titles, HEIGHT, 82, 104, columns=len(columns), width=90)
    forms = {"wide": _form(len(columns), len(columns)), "narrow": _form(len(columns), 2)}
    figure.update_layout(meta={**figure.layout.meta, **forms}, grid={"xgap": 0.36})
    for number, (part, landscape) in enumerate(columns, start=1):
        scale = f"coloraxis{data.index(part) + 1 if part is not data[0] else ''}"
        upper = part.plane.set_axes(figure, number)
        lower = part.plane.set_axes(figure, number + len(columns))
        figure.add_trace(_contour(landscape, part, upper, scale))
        figure.add_traces(_settings(landscape, part.plane, lower, scale, roi))
        if part.below(landscape).all():
            place = {"xref": f"x{upper} domain", "yref": f"y{upper} domain", "x": 0.5, "y": 0.5}
            figure.add_annotation(text="below the<br>scale", showarrow=False, **place)
    figure.add_traces(_legend([landscape for _, landscape in columns], roi))
    length = 0.7 if len(data) == 1 else 0.42
    for number, part in enumerate(data):
        bar: Props = {"x": (number + 0.5) / len(data), "len": length, "nticks": 4}
        ends = part.low, part.high, part.metric.headed
        axis = _layout.colour_axis("Viridis", *ends, True, part.metric.sign < 0, **bar)
        figure.update_layout({f"coloraxis{number + 1 if number else ''}": axis})
    return figure


def _form(networks: int, columns: int) -> Props:
    """Layout in so many columns: the two panels of a network stay above each other."""
    rows = []
    for first in range(1, networks + 1, columns):
        for below in (0, networks):
            numbers = range(first, min(first + columns, networks + 1))
            suffixes = [_layout.axis_suffix(number + below) for number in numbers]
            row = [f"x{suffix}y{suffix}" for suffix in suffixes]
            rows.append(row + [""] * (columns - len(row)))
    height = len(rows) * (HEIGHT + _layout.ROW_GAP) - _layout.ROW_GAP + 82 + 104
    grid = {"grid.subplots": rows, "grid.rows": len(rows), "grid.columns": columns}
    return {**grid, "height": height, "margin.t": 82}


def _title(landscape: Landscape, several: bool) -> str:
    metric = metric_of(landscape)
    best = f"best {metric.level(landscape.sign * landscape.best)}"
    small = f"{metric.title.removesuffix(' accuracy')}, {best}" if several else best
    return _layout.panel_title(variant_title(landscape.variant).replace(", ", "<br>"), small)


def _contour(landscape: Landscape, data: ContoursData, suffix: str, scale: str) -> Props:
    """Contours of what lies on the colour scale."""
    up, across = landscape.axes
    levels = landscape.levels
    levels.loc[data.below(landscape), "value"] = np.nan
    placed = levels[(levels[[up, across]] > 0).all(axis=1)]
    square = placed.pivot(index=up, columns=across, values="value")
    steps = {"start": data.low, "end": data.high, "size": (data.high - data.low) / 7}
    return {
        "type": "contour",
        "x": _traces.rounded(square.columns, 5),
        "y": _traces.rounded(square.index, 5),
        "z": [_traces.rounded(row, 4) for row in square.to_numpy(float)],
        "coloraxis": scale,
        "contours": {"coloring": "heatmap", **steps},
        "line": CONTOUR,
        "connectgaps": True,
        "hoverinfo": "skip",
        **_traces.axes_of(suffix),
    }


def _settings(
    landscape: Landscape, plane: Plane, suffix: str, scale: str, roi: tuple[float, ...]
) -> list[Props]:
    """Settings of one network in colours, failures, ellipses and the best."""

    def trace(points: pd.DataFrame, **look: Any) -> Props:
        return plane.scatter(suffix, points, text=_traces.point_texts(points, landscape), **look)

    points = landscape.levels
    measured, best = points[points["value"].notna()], points.head(0)
    if math.isfinite(landscape.best):
        best = points.iloc[[landscape.best_row]]
    colour = {"color": _traces.rounded(measured["value"], 4), "coloraxis": scale}
    diverged, stopped = _failures(landscape)
    traces = [
        trace(measured, marker={**POINT, **colour}, legendgroup="points"),
        trace(diverged, marker=CROSS, legendgroup="diverged"),
        trace(stopped, marker=STOPPED, legendgroup="stopped"),
    ]
    for number, (threshold, dash) in enumerate(zip(roi, DASHES, strict=False)):
        traces += _outline(landscape, threshold, suffix, number, dash)
    look = {"marker": _traces.best_marker(size=11), "legendgroup": "best"}
    return [*traces, plane.scatter(suffix, best, **look)]


def _failures(landscape: Landscape) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settings at which a run diverged, or that lack a value for no known reason; those stopped."""
    points = landscape.levels
    unexplained = points["value"].isna() & (points["stopped"] == 0)
    return points[(points["diverged"] > 0) | unexplained], points[points["stopped"] > 0]


def _outline(
    landscape: Landscape, threshold: float, suffix: str, number: int, dash: str
) -> list[Props]:
    """Ellipse of a region as a broad line under a narrow one, to stand out from all colours."""
    ellipse, inner = landscape.ellipse(threshold), "white" if number else "black"
    up, across = 10 ** np.array(ellipse.outline(60) if ellipse else ([], []))
    trace = {"type": "scatter", "x": _traces.rounded(across, 4), "y": _traces.rounded(up, 4)}
    trace |= {"mode": "lines", "hoverinfo": "skip", "legendgroup": f"roi-{number}"}
    trace |= _traces.axes_of(suffix)
    broad = {"width": 3.6, "color": "white" if inner == "black" else "black"}
    return [
        {**trace, "line": broad},
        {**trace, "line": {"width": 1.8, "color": inner, "dash": dash}},
    ]


def _legend(landscapes: Sequence[Landscape], roi: tuple[float, ...]) -> list[Props]:
    """Entries of the legend; those of failures are visible where there are any."""
    entries = [_traces.legend_entry("measured", "points", marker={**POINT, "color": INK})]
    for number, (threshold, dash) in enumerate(zip(roi, DASHES, strict=False)):
        line = {"width": 2.2, "color": INK, "dash": dash}
        title = f"{roi_title(threshold)} ellipse"
        entries.append(_traces.legend_entry(title, f"roi-{number}", mode="lines", line=line))
    diverged, stopped = (
        any(map(len, every)) for every in zip(*map(_failures, landscapes), strict=True)
    )
    return [
        *entries,
        _traces.legend_entry("best", "best", marker=_traces.best_marker()),
        _traces.legend_entry("diverged", "diverged", diverged, marker=CROSS),
        _traces.legend_entry("stopped early", "stopped", stopped, marker=STOPPED),
    ]


def plot_grid(
    landscape: Landscape,
    prior: dict[str, float] | None = None,
    initial: dict[str, tuple[float, ...]] | None = None,
) -> go.Figure:
    """Settings that were trained, each with its level; a cross where a run diverged.

    The `prior` (axis -> value), around which the grid was laid, is outlined, and the `initial` grid
    (axis -> its values) is darker than what was added to it.

    Raises
    ------
    HpstudyError
        Without any setting.

    References
    ----------
    Thesis, Figure 4.4.
    """
    points, axes, percent = landscape.levels, landscape.axes, metric_of(landscape).percent
    if points.empty:
        raise HpstudyError(f"the grid of {landscape.variant!r} has no points to draw.")
    texts = []
    for level, diverged in zip(points["value"], points["diverged"], strict=True):
        text = "–" if math.isnan(level) else f"{level:.1f}" if percent else f"{level:.3g}"
        texts.append(f"{text} ×" if diverged > 0 else text)
    centre = [(prior or {}).get(axis, math.nan) for axis in axes]
    at_prior = np.isclose(points[list(axes)], centre, rtol=1e-8, atol=0).all(axis=1)
    starts = initial or {}
    within = [setting_keys(points[axis]).isin(map(setting_key, starts[axis])) for axis in starts]
    first = np.logical_and.reduce(within) if within else at_prior
    plane = Plane.of([points], axes)
    rows = points[plane.up.name].nunique() if plane.up else 1
    figure = _layout.panel_figure([""], max(180, 42 * rows), 12, 46, columns=1)
    suffix = plane.set_axes(figure, 1, most=8)
    marker = {
        "symbol": "square",
        "size": 34,
        "color": np.where(first, FIRST_CELL, CELL).tolist(),
        "opacity": 1,
        "line": {"width": (2 * at_prior).tolist(), "color": "black"},
    }
    look: Props = {"mode": "markers+text", "textfont": {"size": 10.5, "color": "black"}}
    look |= {"text": texts, "hovertext": _traces.point_texts(points, landscape)}
    figure.add_trace(plane.scatter(suffix, points, marker=marker, **look))
    return figure
