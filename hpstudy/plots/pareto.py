"""Accuracy against what a network costs: FLOPs and time."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.study_results import StudyResults
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import INK, panel_figure, set_axes
from hpstudy.plots._traces import axes_of, legend_entry, rounded
from hpstudy.plots.labels import (
    DENSE_COLOUR,
    METHOD_COLOURS,
    METHOD_TITLES,
    TOP1,
    short_title,
    variant_title,
)

# Costs of a network as shares of the dense one's, with the title of their axis.
COSTS = {"flops": "FLOPs, share of dense", "time": "time, share of dense"}
COLOURS = {DENSE: DENSE_COLOUR} | {method: two[0] for method, two in METHOD_COLOURS.items()}


def pareto_data(
    studies: Iterable[StudyResults], measured: Iterable[Mapping[str, Any]]
) -> pd.DataFrame:
    """Best accuracy, FLOPs and time of the networks of studies.

    Parameters
    ----------
    studies : iterable of StudyResults
    measured : iterable of dict
        Rows of `benchmarks/latency.py`: study, variant, macs, ratio, low and high. Networks
        without such a row are left out.

    Returns
    -------
    DataFrame
        study (heading), variant, accuracy (top-1, percent, of the best setting), flops and time
        (shares of the dense network's), low and high (of the time's 95 % interval), and whether no
        other network of the study is at least as accurate and costs less: flops_front, time_front.
    """
    rows = pd.DataFrame(list(measured)).set_index(["study", "variant"])
    found = []
    for study in studies:
        for variant, landscape in study.landscapes().items():
            if (study.name, variant) not in rows.index:
                continue
            row, dense = rows.loc[(study.name, variant)], rows.loc[(study.name, DENSE)]
            found.append(
                {
                    "study": study.heading,
                    "variant": variant,
                    "accuracy": landscape.best,
                    "flops": row["macs"] / dense["macs"],
                    "time": row["ratio"],
                    "low": row["low"],
                    "high": row["high"],
                }
            )
    frame = pd.DataFrame(found)
    for cost in COSTS:
        frame[f"{cost}_front"] = [_on_front(frame, row, cost) for row in frame.to_dict("records")]
    return frame


def _on_front(frame: pd.DataFrame, row: Mapping[str, Any], cost: str) -> bool:
    others = frame[frame["study"] == row["study"]]
    cheaper = others[others[cost] < row[cost]]["accuracy"].max()
    as_cheap = others[others[cost] == row[cost]]["accuracy"].max()
    return bool(row["accuracy"] >= as_cheap and not row["accuracy"] <= cheaper)


def plot_pareto(frame: pd.DataFrame) -> go.Figure:
    """Best accuracy against FLOPs and against time, two panels a study.

    Lines join the networks that no other beats in both. `frame` is what `pareto_data` returns.
    Raises HpstudyError if it is empty.
    """
    if frame.empty:
        raise HpstudyError("no network of these studies has a measured time")
    headings = list(dict.fromkeys(frame["study"]))
    titles = [f"<b>{heading}</b>" for heading in headings for _ in COSTS]
    figure = panel_figure(titles, 170, 58, 46, columns=2, width=260)
    most = 1.05 * frame[["flops", "high"]].max(axis=None)
    kinds = frame["variant"].str.partition("-")[0]
    for kind, colour in COLOURS.items():
        if (kinds == kind).any():
            title = METHOD_TITLES.get(kind, variant_title(kind))
            marker = {"color": colour, "size": 10}
            figure.add_trace(legend_entry(title, kind, marker=marker))
    number = 0
    for heading in headings:
        networks = frame[frame["study"] == heading]
        for cost, title in COSTS.items():
            number += 1
            across = {"range": [0, most], "tickformat": ".0%"}
            up = {"showgrid": True, "nticks": 6}
            suffix = set_axes(figure, number, across, up, (title, TOP1.headed), linked="x")
            front = networks[networks[f"{cost}_front"]].sort_values(cost)
            figure.add_scatter(
                x=rounded(front[cost]),
                y=rounded(front["accuracy"]),
                mode="lines",
                line={"color": INK, "width": 1, "dash": "dot"},
                hoverinfo="skip",
                **axes_of(suffix),
            )
            for row in networks.to_dict("records"):
                kind = row["variant"].partition("-")[0]
                span = {"array": [row["high"] - row["time"]]}
                span["arrayminus"] = [row["time"] - row["low"]]
                figure.add_scatter(
                    x=rounded([row[cost]]),
                    y=rounded([row["accuracy"]]),
                    error_x={**span, "thickness": 1, "width": 0} if cost == "time" else None,
                    mode="markers",
                    legendgroup=kind,
                    marker={"color": COLOURS.get(kind, INK), "size": 10},
                    hovertemplate=f"{short_title(row['variant'])}: {row['accuracy']:.2f} %, "
                    f"{row['flops']:.0%} of the FLOPs, {row['time']:.0%} of the time"
                    "<extra></extra>",
                    **axes_of(suffix),
                )
    return figure
