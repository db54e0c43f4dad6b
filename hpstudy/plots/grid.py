"""Figure 4.4 of the thesis: the settings that were trained, each with its level."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import plane_of
from hpstudy.plots._layout import panel_figure, set_plane
from hpstudy.plots._traces import point_texts, scatter
from hpstudy.plots.labels import metric_of

CELL, PRIOR_CELL = "#d9e4f0", "#86a9cf"


def grid_data(landscape: Landscape, prior: dict[str, float] | None = None) -> pd.DataFrame:
    """Settings of a landscape with their texts.

    Returns
    -------
    DataFrame
        `Landscape.levels` with the columns `text` (level, "–" without one, with a cross where a run
        diverged) and `prior` (whether the grid was laid around the setting).
    """
    points, percent = landscape.levels, metric_of(landscape).percent
    if points.empty:
        raise HpstudyError(f"the grid of {landscape.variant!r} has no points to draw.")
    texts = []
    for level, diverged in zip(points["value"], points["diverged"], strict=True):
        text = "–" if math.isnan(level) else f"{level:.1f}" if percent else f"{level:.3g}"
        texts.append(f"{text} ×" if diverged > 0 else text)
    centre = [(prior or {}).get(axis, math.nan) for axis in landscape.axes]
    close = np.isclose(points[list(landscape.axes)], centre, rtol=1e-8, atol=0)
    return points.assign(text=texts, prior=close.all(axis=1))


def plot_grid(landscape: Landscape, prior: dict[str, float] | None = None) -> go.Figure:
    """Settings that were trained, each with its level.

    Parameters
    ----------
    landscape : Landscape
        Usually the dense network's.
    prior : dict of str to float, optional
        Axis -> value that the grid was laid around; outlined.

    References
    ----------
    Thesis, Figure 4.4.
    """
    points = grid_data(landscape, prior)
    plane = plane_of([points], landscape.axes, ends=(-1.0, 1.0))
    rows = points[plane.up.name].nunique() if plane.up else 1
    figure = panel_figure([""], max(180, 42 * rows), 12, 46, columns=1)
    suffix = set_plane(figure, 1, plane, most=8)
    at_prior = points["prior"]
    marker = {
        "symbol": "square",
        "size": 34,
        "color": np.where(at_prior, PRIOR_CELL, CELL).tolist(),
        "opacity": 1,
        "line": {"width": (2 * at_prior).tolist(), "color": "black"},
    }
    figure.add_trace(
        scatter(
            plane,
            suffix,
            points.assign(value=0.0),
            mode="markers+text",
            marker=marker,
            text=points["text"].tolist(),
            textfont={"size": 10.5, "color": "black"},
            hovertext=point_texts(points, landscape),
        )
    )
    if plane.up is None:
        figure.update_layout(yaxis={"showgrid": False, "showticklabels": False, "ticks": ""})
    return figure
