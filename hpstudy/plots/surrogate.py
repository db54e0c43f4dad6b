"""Model of the noise-free landscape, and its uncertainty."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import FEWEST, Surrogate
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Props, plane_of
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._surface import Surface
from hpstudy.plots._traces import (
    POINT,
    VIRIDIS,
    ground_trace,
    landscape_traces,
    legend_entry,
    point_texts,
    scatter,
)
from hpstudy.plots.labels import metric_of, roi_title, variant_title

# Share of the measured settings that the scale of means spans.
TOP = 0.5
# Places along each axis at which the model is drawn.
CELLS = 25
PLACE = {"size": 4, "color": "white", "line": {"width": 0.7, "color": "black"}}
REGION = {"width": 1.8, "color": "white"}


@dataclass(frozen=True, eq=False)
class SurrogatePanel:
    """Model of one network's noise-free landscape, in the metric's own unit.

    Attributes
    ----------
    landscape : Landscape
    mean, deviation : Surface
        Mean of the model less its best, and its standard deviation, between the least and the
        greatest measured value of each axis but 0.
    best : float
        Best mean.
    points : DataFrame
        `Landscape.levels` with a value, and `distance`: the level less `best`.
    """

    landscape: Landscape
    mean: Surface
    deviation: Surface
    best: float
    points: pd.DataFrame


def surrogate_data(analysis: StudyAnalysis) -> tuple[SurrogatePanel, ...]:
    """Models of all networks with values at enough settings, and at two values of each axis."""
    panels = tuple(
        _panel(surrogate)
        for surrogate in analysis.surrogates.values()
        if _spans_an_area(surrogate.landscape)
    )
    if not panels:
        raise HpstudyError(
            f"no network has a surface to draw: that takes values at {FEWEST} points or more, at "
            "two or more values of each axis, without 0."
        )
    return panels


def _spans_an_area(landscape: Landscape) -> bool:
    known = landscape.points[landscape.points["value"].notna() & landscape.placed]
    return all(known[axis].nunique() > 1 for axis in landscape.axes)


def _panel(surrogate: Surrogate) -> SurrogatePanel:
    landscape = surrogate.landscape
    sign, known = landscape.sign, landscape.points[surrogate.used]
    settings = [
        np.geomspace(known[axis].min(), known[axis].max(), CELLS) for axis in landscape.axes
    ]
    grid = np.meshgrid(*settings, indexing="ij")
    # A single axis has the second place 1 throughout, whose logarithm is 0.
    first, second = [*(axis.ravel() for axis in grid), np.ones(grid[0].size)][:2]
    mean, deviation = (values.reshape(grid[0].shape) for values in surrogate.predict(first, second))
    best = sign * float(mean.max())
    points = landscape.levels.dropna(subset="value")
    up, across = settings if len(settings) == 2 else (np.empty(0), settings[0])
    return SurrogatePanel(
        landscape=landscape,
        mean=Surface(up, across, sign * mean - best + 0.0),
        deviation=Surface(up, across, deviation),
        best=best,
        points=points.assign(distance=points["value"] - best),
    )


def plot_surrogate(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Mean and standard deviation of the model, below the measured settings.

    Two panels a network; one scale for all means and measured settings, another for deviations.

    Parameters
    ----------
    analysis : StudyAnalysis
    threshold : float
        Threshold of the region of interest, in the metric's unit: a line encloses where the mean
        lies at most so far below its best.

    Raises
    ------
    HpstudyError
        Without any model, or if the threshold is negative or not finite.
    """
    panels = surrogate_data(analysis)
    dense = analysis.landscapes[analysis.dense]
    # Refuses a bad threshold.
    dense.in_roi(threshold)
    metric, two = metric_of(dense), len(dense.axes) == 2
    unit = "points" if metric.percent else metric.title
    names = f"{unit} from the model's best", f"standard deviation, {unit}"
    distance = metric.sign * pd.concat([panel.points["distance"] for panel in panels])
    worst = metric.sign * min(float(distance.quantile(1 - TOP)), -1e-6)
    best = metric.sign * max(float(distance.max()), 0.0) + 0.0
    largest = max(float(np.nanmax(panel.deviation.values)) for panel in panels)
    settings = [panel.points for panel in panels]
    means = plane_of(settings, dense.axes, names[0], (worst, best))
    deviations = plane_of(settings, dense.axes, names[1], (0.0, largest))
    titles = [
        panel_title(variant_title(panel.landscape.variant), small)
        for panel in panels
        for small in ("mean of the model", "its standard deviation")
    ]
    figure = panel_figure(titles, 200, 82, 112, columns=2)
    edge = -metric.sign * threshold
    contours = {"start": edge, "end": edge, "size": 1}
    for number, panel in enumerate(panels):
        points = panel.points
        texts = [f"measured: {text}" for text in point_texts(points, panel.landscape)]
        suffix = set_plane(figure, 2 * number + 1, means)
        mean = panel.mean, points, "distance", texts
        figure.add_traces(landscape_traces(means, suffix, *mean, contours, REGION))
        suffix = set_plane(figure, 2 * number + 2, deviations, "xy" if two else "x")
        ground = ground_trace(panel.deviation, suffix, "coloraxis2", {"showlines": False}, {})
        # Over one axis the places of settings stand where the deviation is 0.
        places = points.assign(value=0.0)
        group = "points"
        place = scatter(deviations, suffix, places, marker=PLACE, text=texts, legendgroup=group)
        figure.add_traces([ground, place])
    figure.add_trace(legend_entry("measured", "points", marker={**POINT, "color": INK}))
    if two:
        name, line = f"{roi_title(threshold)} of the model's mean", {**REGION, "color": INK}
        figure.add_trace(legend_entry(name, "region", mode="lines", line=line))
    low, high = sorted((worst, best))
    left: Props = {"x": 0.22, "len": 0.42}
    right: Props = {"x": 0.78, "len": 0.42}
    figure.update_layout(
        coloraxis=colour_axis(VIRIDIS, low, high, names[0], two, metric.sign < 0, **left),
        # Another perceptually uniform scale for the colour-blind, because it means something else.
        coloraxis2=colour_axis("Cividis", 0, largest, names[1], two, **right),
    )
    return figure
