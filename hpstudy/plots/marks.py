"""How the parts of a landscape are drawn: surface, points, crosses, ellipses, optimum, legend."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.levels import Metric
from hpstudy.plots._layout import INK
from hpstudy.plots.labels import axis_title, real, roi_title
from hpstudy.plots.panels import Panel, Panels

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
# Under the points of a landscape over one axis.
BAND = {
    "fill": "toself",
    "fillcolor": "rgba(127,127,127,0.18)",
    "mode": "none",
    "hoverinfo": "skip",
}
LINE = {"mode": "lines", "line": {"width": 1.5, "color": INK}}
SINGLE = {"mode": "markers", "marker": {"size": 4, "color": INK, "opacity": 0.6}}


def panel_traces(panel: Panel, data: Panels, suffix: str) -> list:
    """Traces of one panel: ground, points, crosses, dashes, two lines an ellipse, optimum.

    The ground is a surface. Over one axis it is a band for each region, the single runs, and a
    line through the points.
    """
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}

    def marks(points: pd.DataFrame, group: str, look: dict) -> go.Scatter:
        return go.Scatter(
            x=plain(data.plane.x(points)),
            y=plain(data.plane.y(points, "colour")),
            text=point_texts(points, data.metric, data.axes),
            legendgroup=group,
            **look,
            **axes,
        )

    measured = {
        "mode": "markers",
        "marker": {
            "size": 7,
            "color": plain(panel.points["colour"], 4),
            "coloraxis": "coloraxis",
            "line": {"width": 1, "color": "rgba(255,255,255,0.9)"},
            **data.plane.symbols(panel.points, "colour"),
        },
        "hoverinfo": "text",
    }
    traces: list = [
        *(_lines(panel, data, axes) if data.plane.up is None else [_contour(panel, data, axes)]),
        marks(panel.points, "points", measured),
        marks(panel.diverged, "diverged", CROSSES),
        marks(panel.stopped, "stopped", STOPPED),
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
        best = panel.best_at if panel.on_edge == on_edge else panel.best_at.head(0)
        traces.append(marks(best, f"best-{on_edge}", _optimum(on_edge)))
    return traces


def _contour(panel: Panel, data: Panels, axes: dict) -> go.Contour:
    step = _nice_step((data.high - data.low) / 6)
    return go.Contour(
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
    )


def _lines(panel: Panel, data: Panels, axes: dict) -> list[go.Scatter]:
    """What lies under the points of a landscape over one axis."""
    bands = []
    for number, threshold in enumerate(data.roi):
        x, y = band(panel, threshold, data)
        bands.append(go.Scatter(x=x, y=y, legendgroup=f"roi-{number}", **BAND, **axes))
    placed = panel.points[panel.points[data.axes[0]] > 0]
    looks = ((panel.singles, "single", SINGLE), (placed, "points", LINE))
    return [
        *bands,
        *(
            go.Scatter(
                x=plain(data.plane.x(points)),
                y=plain(data.plane.y(points, "colour")),
                hoverinfo="skip",
                legendgroup=group,
                **look,
                **axes,
            )
            for points, group, look in looks
        ),
    ]


def band(panel: Panel, threshold: float, data: Panels) -> tuple[list, list]:
    """Corners, across and up, of the levels of a region over one axis; none without a best."""
    low, high = data.plane.across.ends
    best = panel.best_at["colour"].to_numpy(float)
    down = data.metric.sign * np.array([0.0, 0.0, threshold, threshold])
    return plain([low, high, high, low] * len(best)), plain(np.ravel(best[:, None] - down))


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
    if data.plane.up is None:
        several = any(len(panel.singles) > 0 for panel in data.panels)
        entries.append(("single runs", "single", SINGLE, several))
    for number, threshold in enumerate(data.roi):
        line = {"width": 2.2, "color": INK, "dash": DASHES[number % len(DASHES)]}
        shape = "ellipse" if data.plane.up else "two deviations"
        name, group = f"{roi_title(threshold)} {shape}", f"roi-{number}"
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


def point_texts(points: pd.DataFrame, metric: Metric, axes: tuple[str, ...]) -> list[str]:
    """All there is to know of each of some points, in the lines of a hover label.

    Parameters
    ----------
    points : DataFrame
        As `Landscape.points`, with levels as `value`.
    metric : Metric
        Of the levels.
    axes : tuple of str
        Of the landscape.
    """
    return [_point_text(row, metric, axes) for row in points.to_dict("records")]


def _point_text(point: dict, metric: Metric, axes: tuple[str, ...]) -> str:
    value = "no value" if math.isnan(point["value"]) else metric.level(point["value"])
    runs = "1 run" if point["seeds"] == 1 else f"mean of {point['seeds']} runs"
    lines = [
        *(f"{axis_title(axis)} {real(point[axis])}" for axis in axes),
        f"{metric.title} {value}, {runs}",
    ]
    if math.isfinite(point["std"]):
        lines.append(f"standard deviation {metric.text(point['std'])}")
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
