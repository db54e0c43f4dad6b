"""Figure 4.4 of the thesis: the settings that were trained, each with its level."""

import math
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import plane_of
from hpstudy.plots._layout import panel_figure, set_plane
from hpstudy.plots._traces import point_texts, scatter
from hpstudy.plots.labels import metric_of

CELL, PRIOR_CELL = "#d9e4f0", "#86a9cf"


@dataclass(frozen=True)
class GridData:
    """Settings of one landscape with the text of each.

    Attributes
    ----------
    text : tuple of str
        Level, "–" without one, with a cross where a run diverged.
    hover : tuple of str
        All fields of the setting.
    prior : tuple of bool
        Whether it is the setting that the grid was laid around.
    """

    text: tuple[str, ...]
    hover: tuple[str, ...]
    prior: tuple[bool, ...]


def grid_data(landscape: Landscape, prior: dict[str, float] | None = None) -> GridData:
    """Texts of a landscape's settings, in the order of its points."""
    points, metric = landscape.levels, metric_of(landscape)
    if points.empty:
        raise HpstudyError(f"the grid of {landscape.variant!r} has no points to draw.")
    texts = []
    for value, diverged in zip(points["value"], points["diverged"], strict=True):
        text = "–" if math.isnan(value) else f"{value:.1f}" if metric.percent else f"{value:.3g}"
        texts.append(f"{text} ×" if diverged > 0 else text)
    centre = [(prior or {}).get(axis, math.nan) for axis in landscape.axes]
    at_prior = np.isclose(points[list(landscape.axes)], centre, rtol=1e-8, atol=0).all(axis=1)
    return GridData(
        text=tuple(texts),
        hover=tuple(point_texts(points, metric, landscape.axes)),
        prior=tuple(at_prior.tolist()),
    )


def plot_grid(landscape: Landscape, prior: dict[str, float] | None = None) -> go.Figure:
    """Settings that were trained, each with its level.

    Parameters
    ----------
    landscape : Landscape
        Usually the dense network's.
    prior : dict of str to float, optional
        Axis -> value that the grid was laid around, outlined.

    References
    ----------
    Thesis, Figure 4.4.
    """
    data = grid_data(landscape, prior)
    plane = plane_of([landscape.points], landscape.axes, ends=(-1.0, 1.0))
    points = landscape.points.assign(value=0.0)
    rows = points[plane.up.name].nunique() if plane.up else 1
    figure = panel_figure([""], max(180, 42 * rows), top=12, bottom=46, columns=1)
    suffix = set_plane(figure, 1, plane, most=8)
    colours = [PRIOR_CELL if at_prior else CELL for at_prior in data.prior]
    edges = [2 if at_prior else 0 for at_prior in data.prior]
    cells = scatter(
        plane,
        suffix,
        points,
        mode="markers+text",
        marker={
            "symbol": "square",
            "size": 34,
            "color": colours,
            "opacity": 1,
            "line": {"width": edges, "color": "black"},
        },
        text=list(data.text),
        textfont={"size": 10.5, "color": "black"},
        hovertext=list(data.hover),
    )
    figure.add_trace(cells)
    if plane.up is None:
        figure.update_layout(yaxis={"showgrid": False, "showticklabels": False, "ticks": ""})
    return figure
