"""Time of pruned networks against their FLOPs."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpstudy.plots._layout import INK, panel_figure, set_axes
from hpstudy.plots._traces import axes_of, rounded

COLOUR = "#0f6cb5"
COLUMNS = ["network", "rounded", "target", "flops", "time", "low", "high"]


def latency_data(measured: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Time and FLOPs of pruned networks, as shares of the dense network's.

    `measured` are the rows of `benchmarks/latency.py`; those of targets out of reach are left out.

    Returns
    -------
    DataFrame
        network (name without its package), rounded (whether widths are multiples of 8),
        target (of the FLOPs), flops, time, and low and high of the time's 95 % interval.
    """
    rows = [row for row in measured if "ratio" in row]
    frame = pd.DataFrame(
        {
            "network": [row["network"].rpartition(":")[2] for row in rows],
            "rounded": [row["round_to"] is not None for row in rows],
            "target": [row["flops_ratio"] for row in rows],
            "flops": [row["reached"] for row in rows],
            "time": [row["ratio"] for row in rows],
            "low": [row["low"] for row in rows],
            "high": [row["high"] for row in rows],
        }
    )
    return frame[COLUMNS]


def plot_latency(frame: pd.DataFrame) -> go.Figure:
    """Time against FLOPs, one dot a pruned network, with any widths and with multiples of 8.

    On the diagonal, time falls as the FLOPs do; above the horizontal line, the pruned network is
    slower than the dense one. `frame` is what `latency_data` returns.
    """
    titles = ["<b>any widths</b>", "<b>widths in multiples of 8</b>"]
    figure = panel_figure(titles, 280, 34, 46, columns=2, width=260)
    top = 1.05 * max(1.0, frame["high"].max())
    for number, rounded_widths in enumerate((False, True), start=1):
        across = {"range": [0, 1.02], "tickformat": ".0%"}
        up = {"range": [0, top], "tickformat": ".0%", "showgrid": True}
        names = "FLOPs, share of dense", "time, share of dense"
        suffix = set_axes(figure, number, across, up, names)
        line = {"color": INK, "width": 1}
        figure.add_scatter(
            x=[0, 1, None, 0, 1.02],
            y=[0, 1, None, 1, 1],
            mode="lines",
            line=line,
            hoverinfo="skip",
            **axes_of(suffix),
        )
        networks = frame[frame["rounded"] == rounded_widths]
        figure.add_scatter(
            x=rounded(networks["flops"]),
            y=rounded(networks["time"]),
            error_y={
                "array": rounded(networks["high"] - networks["time"]),
                "arrayminus": rounded(networks["time"] - networks["low"]),
                "thickness": 1,
                "width": 0,
            },
            mode="markers",
            marker={"color": COLOUR, "size": 7, "opacity": 0.8},
            text=[
                f"{row['network']}: {row['flops']:.0%} of the FLOPs, {row['time']:.0%} "
                f"({row['low']:.0%} to {row['high']:.0%}) of the time"
                for row in networks.to_dict("records")
            ],
            hoverinfo="text",
            **axes_of(suffix),
        )
    return figure
