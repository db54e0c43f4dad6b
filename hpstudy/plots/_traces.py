"""Parts of traces, each a dict that Plotly reads, and where settings are drawn."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout
from hpstudy.plots._layout import INK, Axis, Props
from hpstudy.plots.labels import axis_title, metric_of, setting_text


def colour_range(
    landscapes: dict[str, Landscape], top: float, relative: bool = False
) -> tuple[float, float]:
    """Ends of the colour scale of some landscapes, oriented so that larger is better.

    It spans the share `top` of all their values, or of the distances from each own best.
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
    return (low if low < high else high - 1), high


def rounded(values: Any, digits: int = 9) -> list[float | None]:
    """Values as a list for JSON, rounded to significant digits; NaN is null."""
    # Plotly would write an array as base64: pages stay comparable line by line.
    numbers = np.asarray(values, dtype=float)
    return [None if not math.isfinite(x) else float(f"{x:.{digits}g}") for x in numbers]


def axes_of(suffix: str) -> Props:
    """Properties that put a trace into a panel, without an entry in the legend."""
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}


def best_marker(symbol: str = "star", size: float = 14, colour: str = "white") -> Props:
    """Marker of a best setting."""
    line = {"width": 1.3, "color": "black"}
    return {"symbol": symbol, "size": size, "color": colour, "line": line}


def legend_entry(name: str, group: str, visible: bool = True, **look: Any) -> Props:
    """Entry of the legend, which switches all traces of its group."""
    nowhere = {"type": "scatter", "x": [None], "y": [None], "mode": "markers"}
    switch = {"name": name, "legendgroup": group, "visible": visible, "showlegend": True}
    return {**nowhere, **switch, **look}


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


@dataclass(frozen=True, eq=False)
class Plane:
    """Where settings are drawn: the first of two axes goes up, the second or only one across."""

    across: Axis
    up: Axis | None

    @classmethod
    def of(cls, points: Iterable[pd.DataFrame], axes: tuple[str, ...]) -> "Plane":
        """Plane of all settings of some frames."""
        settings = pd.concat([frame[list(axes)] for frame in points])
        *up, across = (_layout.axis_of(settings[axis]) for axis in axes)
        return cls(across, up[0] if up else None)

    def scatter(self, suffix: str, points: pd.DataFrame, **look: Any) -> Props:
        """Points of one panel."""
        up = self.up.places(points[self.up.name]) if self.up else np.zeros(len(points))
        across = self.across.places(points[self.across.name])
        places = {"x": rounded(across), "y": rounded(up)}
        look = {"mode": "markers", "hoverinfo": "text" if "text" in look else "skip", **look}
        return {"type": "scatter", **places, **look, **axes_of(suffix)}

    def set_axes(self, figure: go.Figure, number: int, most: int = 4) -> str:
        """`hpstudy.plots._layout.set_axes`; `most` labels have room side by side."""
        across, up = self.across, self.up
        titles = axis_title(across.name), axis_title(up.name) if up else ""
        look = up.style(8) if up else {"showticklabels": False, "ticks": "", "range": [-1, 1]}
        suffix = _layout.set_axes(figure, number, across.style(most), look, titles)
        line = {"line": {"width": 1, "color": INK, "dash": "dot"}}
        if not math.isnan(across.zero):
            ends = {"x0": across.gap, "x1": across.gap, "y0": 0, "y1": 1}
            figure.add_shape(xref=f"x{suffix}", yref=f"y{suffix} domain", **ends, **line)
        if up and not math.isnan(up.zero):
            ends = {"x0": 0, "x1": 1, "y0": up.gap, "y1": up.gap}
            figure.add_shape(xref=f"x{suffix} domain", yref=f"y{suffix}", **ends, **line)
        return suffix
