"""Figure of simulated clusters: how much of their GPUs' time becomes recorded runs."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpstudy.config.words import list_text, range_text
from hpstudy.errors import count
from hpstudy.plots._layout import axis_style, log_axis_style, panel_figure, title_axes
from hpstudy.plots.marks import plain
from hpstudy.plots.panelparts import LEGEND

# Colour, dash and mark, from the shortest runs on; legible on white and on black.
LOOKS = (
    ("#d55e00", "dash", "square"),
    ("#3a86c8", "solid", "circle"),
    ("#009e73", "dot", "diamond"),
)


@dataclass(frozen=True)
class ScalingLine:
    """Simulated clusters that train runs of one length, ready to draw.

    Attributes
    ----------
    title : str
        Of its entry in the legend.
    seconds : float
        Mean length of a run.
    gpus : tuple of int
        Of each cluster, increasing.
    efficiency : tuple of float
        Percent of the GPUs' time that became recorded runs.
    hover : tuple of str
        All there is to know of each cluster.
    """

    title: str
    seconds: float
    gpus: tuple[int, ...]
    efficiency: tuple[float, ...]
    hover: tuple[str, ...]


def scaling_lines(scaling: dict[str, Any]) -> tuple[ScalingLine, ...]:
    """Simulated clusters by the length of their runs, the shortest first, for `plot_scaling`.

    Parameters
    ----------
    scaling : dict
        As `benchmarks/scaling.py` writes it. What a cluster trained beside its shortest sweep is
        a line of its own.
    """
    frame = pd.DataFrame(scaling["points"]).sort_values(["run_seconds", "gpus", "runs"])
    frame["longer"] = frame.groupby(["run_seconds", "gpus"]).cumcount()
    lines = []
    for (seconds, longer), some in frame.groupby(["run_seconds", "longer"]):
        runs = f"{some['runs'].iloc[0]:,} runs" if longer else "runs"
        lines.append(
            ScalingLine(
                title=f"{runs} of {seconds:g} s",
                seconds=float(seconds),
                gpus=tuple(some["gpus"].tolist()),
                efficiency=tuple((100 * some["efficiency"]).tolist()),
                hover=tuple(_hover(one) for one in some.to_dict("records")),
            )
        )
    return tuple(lines)


def _hover(point: dict[str, Any]) -> str:
    runs = f"{count(point['runs'], 'run')} of {point['run_seconds']:g} s"
    lines = [
        f"{count(point['gpus'], 'GPU')}, {runs}",
        f"efficiency {point['efficiency']:.1%}, makespan {point['makespan_seconds'] / 3600:,.2f} h",
        f"driver at work {point['driver_busy']:.1%} of it",
        f"{point['rows_per_second']:,.1f} rows/s, {count(point['lost'], 'attempt')} lost",
    ]
    return "<br>".join(lines)


def plot_scaling(scaling: dict[str, Any]) -> go.Figure:
    """Efficiency of simulated clusters over the number of their GPUs, a line a length of runs.

    Parameters
    ----------
    scaling : dict
        As `benchmarks/scaling.py` writes it.

    Returns
    -------
    plotly.graph_objects.Figure
        One panel, the GPUs on a logarithmic axis.
    """
    lines = scaling_lines(scaling)
    figure = panel_figure([""], 1, 260, {"t": 40, "b": 48, "l": 58, "r": 12})
    title_axes(figure, "", "GPUs", "efficiency (%)")
    across = log_axis_style(0.8, 1.25 * max(line.gpus[-1] for line in lines), 6)
    across["ticktext"] = [f"{value:,.0f}" for value in across["tickvals"]]
    up = {**axis_style(), "range": [0, 104], "showgrid": True}
    figure.update_layout(xaxis=across, yaxis=up, legend=LEGEND)
    lengths = list(dict.fromkeys(line.seconds for line in lines))
    for line in lines:
        colour, dash, symbol = LOOKS[lengths.index(line.seconds) % len(LOOKS)]
        alone = len(line.gpus) == 1
        mark = {"symbol": f"{symbol}-open" if alone else symbol, "size": 9 if alone else 8}
        figure.add_trace(
            go.Scatter(
                x=list(line.gpus),
                y=plain(line.efficiency, 4),
                name=line.title,
                text=list(line.hover),
                hoverinfo="text",
                mode="markers" if alone else "lines+markers",
                line={"width": 2, "color": colour, "dash": dash},
                marker={**mark, "color": colour},
            )
        )
    return figure


def scaling_caption(scaling: dict[str, Any]) -> str:
    """Caption of `plot_scaling`.

    Parameters
    ----------
    scaling : dict
        As for `plot_scaling`.

    Returns
    -------
    str
        Sentences with the number of runs, what was real and what was not, and the machine.
    """
    points, model = scaling["points"], scaling["model"]
    runs = sorted(one["runs"] for one in points)
    lengths = list_text(f"{s:g} s" for s in sorted({one["run_seconds"] for one in points}))
    each = range_text((one["runs"] / one["gpus"] for one in points), 0)
    stragglers, submit = model["stragglers"], 1000 * model["seconds_submit"]
    sentences = [
        "Efficiency, the seconds of the runs that were recorded over those of all GPUs until the "
        f"last of them was, when runs take {lengths} on average.",
        f"Each mark is one simulated sweep of {runs[0]:,} to {runs[-1]:,} runs, {each} a GPU, of "
        "which the last are waited for by all.",
        "Real: the scheduler, the store and its disk, whose time is added to that of the cluster.",
        f"Simulated: how long runs take ({model['spread']}; {100 * stragglers['share']:g} % of "
        f"them take {stragglers['factor']:g} times as long), and nodes of {model['node_gpus']} "
        f"GPUs, each of which fails once in {model['mtbf_hours']:,g} hours and is back after "
        f"{model['repair_minutes']:g} minutes.",
        f"To hand a run to Ray takes {submit:.2g} ms, as was measured.",
        f"{scaling['machine']}. Repeat: {scaling['command']}.",
    ]
    return " ".join(sentences)
