"""How the parts of a landscape are drawn: surface, points, crosses, ellipses, optimum, legend."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.drawing import INK
from hpstudy.panels import Panel, Panels
from hpstudy.results import METRIC_TITLES, roi_title
from hpstudy.words import axis_title, real

DASHES = ("solid", "dash", "dot")
CROSSES = {
    "mode": "markers",
    "marker": {
        "symbol": "x",
        "size": 9,
        "color": "#d62728",
        "line": {"width": 1, "color": "white"},
    },
    "hoverinfo": "text",
}
STOPPED = {
    "mode": "markers",
    "marker": {
        "symbol": "line-ew",
        "size": 8,
        "line": {"width": 2, "color": INK},
    },
    "hoverinfo": "text",
}


def panel_traces(panel: Panel, data: Panels, suffix: str) -> list:
    """Traces of one panel: surface, points, crosses, dashes, two lines an ellipse, optimum."""
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}
    points = panel.points
    up, across = data.axes
    step = _nice_step((data.high - data.low) / 6)
    traces: list = [
        go.Contour(
            x=plain(panel.across, 5),
            y=plain(panel.up, 5),
            z=[plain(row, 4) for row in panel.surface],
            coloraxis="coloraxis",
            contours={
                "start": math.ceil(data.low / step) * step,
                "end": data.high,
                "size": step,
                "coloring": "heatmap",
            },
            line={"width": 0.7, "color": "rgba(255,255,255,0.55)"},
            hoverinfo="skip",
            **axes,
        ),
        go.Scatter(
            x=plain(points[across]),
            y=plain(points[up]),
            mode="markers",
            marker={
                "size": 7,
                "color": plain(points["colour"], 4),
                "coloraxis": "coloraxis",
                "line": {"width": 1, "color": "rgba(255,255,255,0.9)"},
            },
            text=point_texts(points, data.metric, data.axes),
            hoverinfo="text",
            legendgroup="points",
            **axes,
        ),
        go.Scatter(
            x=plain(panel.diverged[across]),
            y=plain(panel.diverged[up]),
            text=point_texts(panel.diverged, data.metric, data.axes),
            legendgroup="diverged",
            **CROSSES,
            **axes,
        ),
        go.Scatter(
            x=plain(panel.stopped[across]),
            y=plain(panel.stopped[up]),
            text=point_texts(panel.stopped, data.metric, data.axes),
            legendgroup="stopped",
            **STOPPED,
            **axes,
        ),
    ]
    for number, threshold in enumerate(data.roi):
        outline = panel.outlines[threshold] or ([], [])
        for line in _ellipse_lines(number):
            traces.append(
                go.Scatter(
                    x=plain(outline[1], 4),
                    y=plain(outline[0], 4),
                    mode="lines",
                    line=line,
                    hoverinfo="skip",
                    legendgroup=f"roi-{number}",
                    **axes,
                )
            )
    for on_edge in (False, True):
        here = panel.on_edge == on_edge and math.isfinite(panel.best)
        best = points[(points[up] == panel.best_at[0]) & (points[across] == panel.best_at[1])]
        traces.append(
            go.Scatter(
                x=[panel.best_at[1]] if here else [],
                y=[panel.best_at[0]] if here else [],
                text=point_texts(best, data.metric, data.axes) if here else [],
                legendgroup=f"best-{on_edge}",
                **_optimum(on_edge),
                **axes,
            )
        )
    return traces


def _optimum(on_edge: bool) -> dict:
    """Mark of the best point: a star, or a square star in another colour on the grid's edge."""
    return {
        "mode": "markers",
        "marker": {
            "symbol": "star-square" if on_edge else "star",
            "size": 14,
            "color": "#ff9e1b" if on_edge else "white",
            "line": {"width": 1.3, "color": "black"},
        },
        "hoverinfo": "text",
    }


def _ellipse_lines(number: int) -> list[dict]:
    """Broad line under a narrow one, so that it stands out from dark and light colours alike."""
    inner, outer = ("black", "white") if number == 0 else ("white", "black")
    return [
        {"width": 3.6, "color": outer},
        {"width": 1.8, "color": inner, "dash": DASHES[number % len(DASHES)]},
    ]


def legend_traces(data: Panels) -> list:
    """Entries of the legend, which switch their kind of mark in all panels.

    Always the same number of traces; those of a mark that is nowhere are not visible.
    """
    grey = {"size": 8, "color": INK, "line": {"width": 1, "color": "white"}}
    entries = [("measured", "points", {"mode": "markers", "marker": grey}, True)]
    for number, threshold in enumerate(data.roi):
        line = {"width": 2.2, "color": INK, "dash": DASHES[number % len(DASHES)]}
        name, group = f"{roi_title(threshold)} ellipse", f"roi-{number}"
        entries.append((name, group, {"mode": "lines", "line": line}, True))
    edge = any(panel.on_edge for panel in data.panels)
    diverged = any(len(panel.diverged) > 0 for panel in data.panels)
    stopped = any(len(panel.stopped) > 0 for panel in data.panels)
    entries += [
        ("best", "best-False", _optimum(False), True),
        ("best, on the grid's edge", "best-True", _optimum(True), edge),
        ("diverged", "diverged", CROSSES, diverged),
        ("stopped early", "stopped", STOPPED, stopped),
    ]
    return [
        go.Scatter(
            x=[None], y=[None], name=name, legendgroup=group, visible=there, showlegend=True, **look
        )
        for name, group, look, there in entries
    ]


def point_texts(points: pd.DataFrame, metric: str, axes: tuple[str, str]) -> list[str]:
    """All there is to know of each of some `Landscape.points`, in the lines of a hover label."""
    return [_point_text(row, metric, axes) for row in points.to_dict("records")]


def _point_text(point: dict, metric: str, axes: tuple[str, str]) -> str:
    value = "no value" if math.isnan(point["value"]) else f"{point['value']:.2f} %"
    runs = "1 run" if point["seeds"] == 1 else f"mean of {point['seeds']} runs"
    lines = [
        *(f"{axis_title(axis)} {real(point[axis])}" for axis in axes),
        f"{METRIC_TITLES.get(metric, metric)} {value}, {runs}",
    ]
    if math.isfinite(point["std"]):
        lines.append(f"standard deviation {point['std']:.2f}")
    if point["diverged"] > 0:
        lines.append(f"diverged: {point['diverged']:.0%} of the runs")
    if point["stopped"] > 0:
        lines.append(f"stopped early: {point['stopped']:.0%} of the runs")
    return "<br>".join(lines)


def plain(values, digits: int = 9) -> list:
    """Values as a list for JSON, rounded to so many significant digits; NaN is null.

    Lists and not arrays, which Plotly would write as base64: pages stay comparable line by line.
    """
    numbers = np.asarray(values, dtype=float)
    return [None if not math.isfinite(x) else float(f"{x:.{digits}g}") for x in numbers]


def _nice_step(span: float) -> float:
    """Nearest of 1, 2, 5 times a power of ten at or above `span`."""
    power = 10 ** math.floor(math.log10(span))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= span * (1 - 1e-9))
