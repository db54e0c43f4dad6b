"""How the parts of a landscape are drawn: surface, points, crosses, ellipses, optimum, legend."""

import math

import numpy as np
import plotly.graph_objects as go

from hpstudy.drawing import INK, real
from hpstudy.panels import Panel, Panels
from hpstudy.results import METRIC_TITLES, roi_title

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
    step = _nice_step((data.high - data.low) / 6)
    traces: list = [
        go.Contour(
            x=plain(panel.weight_decay, 5),
            y=plain(panel.lr, 5),
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
            x=plain(points["weight_decay"]),
            y=plain(points["lr"]),
            mode="markers",
            marker={
                "size": 7,
                "color": plain(points["colour"], 4),
                "coloraxis": "coloraxis",
                "line": {"width": 1, "color": "rgba(255,255,255,0.9)"},
            },
            text=[point_text(row, data.metric) for row in points.itertuples()],
            hoverinfo="text",
            legendgroup="points",
            **axes,
        ),
        go.Scatter(
            x=plain(panel.diverged["weight_decay"]),
            y=plain(panel.diverged["lr"]),
            text=[point_text(row, data.metric) for row in panel.diverged.itertuples()],
            legendgroup="diverged",
            **CROSSES,
            **axes,
        ),
        go.Scatter(
            x=plain(panel.stopped["weight_decay"]),
            y=plain(panel.stopped["lr"]),
            text=[point_text(row, data.metric) for row in panel.stopped.itertuples()],
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
        best = points[
            (points["lr"] == panel.best_lr) & (points["weight_decay"] == panel.best_weight_decay)
        ]
        traces.append(
            go.Scatter(
                x=[panel.best_weight_decay] if here else [],
                y=[panel.best_lr] if here else [],
                text=[point_text(row, data.metric) for row in best.itertuples()] if here else [],
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


def point_text(row, metric: str) -> str:
    """All there is to know of one grid point, in the lines of a hover label."""
    value = "no value" if math.isnan(row.value) else f"{row.value:.2f} %"
    runs = "1 run" if row.seeds == 1 else f"mean of {row.seeds} runs"
    lines = [
        f"learning rate {real(row.lr)}",
        f"weight decay {real(row.weight_decay)}",
        f"{METRIC_TITLES.get(metric, metric)} {value}, {runs}",
    ]
    if math.isfinite(row.std):
        lines.append(f"standard deviation {row.std:.2f}")
    if row.diverged > 0:
        lines.append(f"diverged: {row.diverged:.0%} of the runs")
    if row.stopped > 0:
        lines.append(f"stopped early: {row.stopped:.0%} of the runs")
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
