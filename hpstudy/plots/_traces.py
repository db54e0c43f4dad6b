"""Parts of traces, each a dict that Plotly reads, and the hover labels of settings."""

import math
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import Props
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
