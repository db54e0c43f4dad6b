"""Landscapes as they were measured: one cell a setting, nothing between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.config.grid import TOLERANCE
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import Props
from hpstudy.plots.labels import Metric, axis_title, metric_of, setting_text, short_title

# From the best class to the worst; strong is good. The book's script has the colours on black.
CLASSES = ("#0a3d5c", "#1f7f8c", "#74bcb4", "#bfdcd4", "#f3f3f1")
# Ends of all classes but the last, as multiples of the region's threshold.
LIMITS = np.array([0.5, 1.0, 2.0, 4.0])
EDGE, STAR = "#222832", "#ffce3a"
OUTLINE = {"mode": "lines", "hoverinfo": "skip", "line": {"color": EDGE, "width": 2}}
RINGS = {"#ffffff": 5.5, "#222832": 2.0}
CROSS = {"symbol": "x-thin", "size": 7, "line": {"color": "#55606e", "width": 1.5}}


@dataclass(frozen=True, eq=False)
class Cells:
    """Settings of some landscapes as rows (first axis) and columns (second axis) of cells."""

    up: np.ndarray
    across: np.ndarray
    axes: tuple[str, ...]

    def place(self, points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each point."""
        across = np.searchsorted(self.across, points[self.axes[-1]])
        if len(self.axes) == 1:
            return np.zeros_like(across), across
        return np.searchsorted(self.up, points[self.axes[0]]), across

    def square(self, points: pd.DataFrame, values: Iterable[float]) -> np.ndarray:
        """Values of points in their cells, NaN in all others."""
        filled = np.full((len(self.up), len(self.across)), np.nan)
        filled[self.place(points)] = np.asarray(values, float)
        return filled

    def filled(self, points: pd.DataFrame, texts: list[str]) -> list[list[str]]:
        """Texts of points in their cells, empty in all others."""
        filled = np.full((len(self.up), len(self.across)), "", dtype=object)
        filled[self.place(points)] = texts
        return list(filled.tolist())


def cells_of(landscapes: Iterable[Landscape]) -> Cells:
    """Cells of all settings of landscapes over the same axes."""
    shown = list(landscapes)
    points = pd.concat([landscape.points for landscape in shown])
    *up, across = (np.unique(points[axis]) for axis in shown[0].axes)
    return Cells(up[0] if up else np.zeros(1), across, shown[0].axes)


def plot_cells(
    landscapes: dict[str, Landscape],
    threshold: float,
    variants: Iterable[str] | None = None,
    relative: bool = True,
    numbers: bool = False,
) -> go.Figure:
    """Landscapes of a network's variants, one cell a measured setting.

    A star marks the own best, a ring the dense network's best, an outline the good settings, a
    cross a diverged run. The first axis goes up, the second across.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Landscapes of one metric over the same axes, the dense network's first.
    threshold : float
        Threshold of the good settings, in the metric's unit.
    variants : iterable of str, optional
        Networks to draw, by default all.
    relative : bool, default True
        Whether a cell is coloured by its class of distances from the own best, or by its level on
        one scale for all networks.
    numbers : bool, default False
        Whether each level is written into its cell.

    Raises
    ------
    HpstudyError
        Without any value.
    """
    dense = next(iter(landscapes.values()))
    shown = [landscapes[name] for name in (landscapes if variants is None else variants)]
    known = [landscape for landscape in shown if np.isfinite(landscape.best)]
    if not known:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    cells, metric = cells_of(landscapes.values()), metric_of(dense)
    titles = [_title(landscape, metric) for landscape in shown]
    height = (30 if numbers else 22) * len(cells.up)
    top, bottom = 78, 44 if relative else 110
    figure = _layout.panel_figure(titles, max(height, 88), top, bottom, width=110)
    for number, landscape in enumerate(shown, start=1):
        suffix = set_cells(figure, number, cells, numbers)
        figure.add_traces(_panel(landscape, dense, cells, threshold, suffix, relative, numbers))
    figure.add_traces(_legend(metric, threshold, relative, shown, dense))
    figure.update_layout(legend={"itemclick": False, "itemdoubleclick": False})
    if not relative:
        worst = min(landscape.best for landscape in known) - LIMITS[-1] * threshold
        best = max(landscape.best for landscape in known)
        low, high = sorted((metric.sign * worst, metric.sign * best))
        scale = [[k / (len(CLASSES) - 1), colour] for k, colour in enumerate(CLASSES[::-1])]
        bar = _layout.colour_axis("", low, high, metric.headed, True, metric.sign < 0)
        figure.update_layout(coloraxis={**bar, "colorscale": scale})
    return figure


def _title(landscape: Landscape, metric: Metric) -> str:
    best = landscape.sign * landscape.best
    text = f"{best:.1f} %" if metric.percent and np.isfinite(best) else metric.level(best)
    return _layout.panel_title(short_title(landscape.variant), f"best {text}")


def set_cells(figure: go.Figure, number: int, cells: Cells, numbers: bool = False) -> str:
    """Axes of one panel, with as many labels as a narrow screen has room for."""

    def style(values: np.ndarray, most: int) -> Props:
        step = -(-len(values) // most)
        places = list(range(0, len(values), step))
        labels = [setting_text(float(f"{values[k]:.2g}")) for k in places]
        look = {"tickvals": places, "ticktext": labels, "tickangle": 0, "ticks": ""}
        ends = [-0.55, len(values) - 0.45]
        return {**look, "range": ends, "showline": False, "mirror": False, "fixedrange": True}

    up = style(cells.up, len(cells.up) if numbers else 4)
    if len(cells.axes) == 1:
        up |= {"showticklabels": False}
    *above, across = map(axis_title, cells.axes)
    # Small panels beside each other name their axes once.
    named = (across, above[0] if above else "") if number == 1 else ("", "")
    along = style(cells.across, 5 if numbers else 3)
    return _layout.set_axes(figure, number, along, up, named, linked="")


def _panel(
    landscape: Landscape,
    dense: Landscape,
    cells: Cells,
    threshold: float,
    suffix: str,
    relative: bool,
    numbers: bool,
) -> list[Props]:
    """Traces of one panel: cells, outline, crosses, ring, star."""
    points, metric = landscape.levels, metric_of(landscape)
    below = (landscape.best - landscape.values) / threshold
    # A setting without a value, which diverged or was stopped, is in the worst class.
    classes = np.searchsorted(LIMITS + TOLERANCE, below).astype(float)
    worst = landscape.sign * (landscape.best - 1e6 * threshold)
    values = classes if relative else points["value"].fillna(worst).to_numpy(float)
    look: Props = {"coloraxis": "coloraxis"}
    if relative:
        ends = np.repeat(np.arange(len(CLASSES) + 1) / len(CLASSES), 2)[1:-1]
        scale = [[end, colour] for end, colour in zip(ends, np.repeat(CLASSES, 2), strict=True)]
        look = {"colorscale": scale, "zmin": -0.5, "zmax": len(CLASSES) - 0.5, "showscale": False}
    if numbers:
        written = [f"{x:.1f}" if metric.percent else f"{x:.3g}" for x in points["value"]]
        look |= {"text": cells.filled(points, written), "texttemplate": "%{text}"}
        look["textfont"] = {"size": 11}
    square = heat(cells, points, values, _traces.point_texts(points, landscape), suffix, **look)
    # Beside the number of a cell, else in its middle.
    aside, lift, size = (0.36, 0.3, 0.6) if numbers else (0.0, 0.0, 1.0)

    def marks(rows: pd.DataFrame, side: float = 0.0, **look: Any) -> Props:
        up, across = cells.place(rows)
        place = {"x": (across + side * aside).tolist(), "y": (up + abs(side) * lift).tolist()}
        look = {"type": "scatter", "mode": "markers", "hoverinfo": "skip", **look}
        return {**place, **look, **_traces.axes_of(suffix)}

    traces = [square, outline(cells, points, landscape.in_roi(threshold), suffix)]
    traces.append(crosses(cells, points, suffix))
    if landscape.variant != dense.variant and np.isfinite(dense.best):
        for colour, width in RINGS.items():
            traces.append(
                marks(
                    dense.points.iloc[[dense.best_row]], 1, marker=_ring(colour, width, 20 * size)
                )
            )
    if np.isfinite(landscape.best):
        star = _traces.best_marker("star", 14 * size, STAR)
        traces.append(marks(points.iloc[[landscape.best_row]], -1, marker=star))
    return traces


def _ring(colour: str, width: float, size: float) -> Props:
    line = {"width": width, "color": colour}
    return {"symbol": "circle-open", "size": size, "color": colour, "line": line}


def heat(
    cells: Cells,
    points: pd.DataFrame,
    values: Iterable[float],
    texts: list[str],
    suffix: str,
    **look: Any,
) -> Props:
    """Cells of one panel, coloured by values of points, with their hover labels."""
    places = {"x": list(range(len(cells.across))), "y": list(range(len(cells.up)))}
    square = [_traces.rounded(row, 4) for row in cells.square(points, values)]
    gaps = {"xgap": 1.5, "ygap": 1.5, "hovertemplate": "%{hovertext}<extra></extra>"}
    hover = {"hovertext": cells.filled(points, texts), **gaps}
    return {"type": "heatmap", "z": square, **places, **hover, **look, **_traces.axes_of(suffix)}


def crosses(cells: Cells, points: pd.DataFrame, suffix: str) -> Props:
    """Crosses in the cells at which a run diverged."""
    up, across = cells.place(points[points["diverged"] > 0])
    place = {"x": across.tolist(), "y": up.tolist(), "hoverinfo": "skip"}
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": CROSS,
        **place,
        **_traces.axes_of(suffix),
    }


def outline(cells: Cells, points: pd.DataFrame, member: np.ndarray, suffix: str) -> Props:
    """Edges of a region of points, as one broken line between cells."""
    x: list[float | None] = []
    y: list[float | None] = []
    inside = np.nan_to_num(cells.square(points, member)) > 0
    padded = np.pad(inside, 1)
    for i, j in np.argwhere(inside).tolist():
        for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if not padded[i + 1 + di, j + 1 + dj]:
                x += [j + dj / 2 - abs(di) / 2, j + dj / 2 + abs(di) / 2, None]
                y += [i + di / 2 - abs(dj) / 2, i + di / 2 + abs(dj) / 2, None]
    return {"type": "scatter", "x": x, "y": y, **OUTLINE, **_traces.axes_of(suffix)}


def _legend(
    metric: Metric, threshold: float, relative: bool, shown: list[Landscape], dense: Landscape
) -> list[Props]:
    """Entries for the classes and for the marks that are there."""
    unit = " points" if metric.percent else ""
    limits = [f"{limit:g}" for limit in LIMITS * threshold]
    names = [f"{low} to {high}" for low, high in zip(["0", *limits], limits, strict=False)]
    names[0] += f"{unit} below its best"
    entries = []
    for name, colour in zip([*names, "more"], CLASSES, strict=True):
        marker = {"symbol": "square", "size": 11, "color": colour}
        marker["line"] = {"width": 1, "color": "#7f7f7f"}
        entries.append(_traces.legend_entry(name, name, relative, marker=marker))
    star, ring = _traces.best_marker("star", 12, STAR), _ring(EDGE, 2, 10)
    kept = any(landscape.variant != dense.variant for landscape in shown)
    return entries + [
        *region_entries(shown, threshold),
        _traces.legend_entry("own best", "best", marker=star),
        _traces.legend_entry("dense network's best", "kept", kept, marker=ring),
    ]


def region_entries(shown: list[Landscape], threshold: float) -> list[Props]:
    """Entries of the legend for outlines and crosses."""
    marker = {"symbol": "square-open", "size": 11, "color": EDGE}
    marker["line"] = {"width": 2, "color": EDGE}
    good = f"good: within {threshold:g}{' points' if shown[0].percent else ''}"
    diverged = any((landscape.points["diverged"] > 0).any() for landscape in shown)
    return [
        _traces.legend_entry(good, "good", marker=marker),
        _traces.legend_entry("diverged", "diverged", diverged, marker=CROSS),
    ]
