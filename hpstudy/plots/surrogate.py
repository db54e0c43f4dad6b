"""Model of the noise-free landscape, and its uncertainty."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import FEWEST, Surrogate
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import plane_of
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._traces import (
    POINT,
    VIRIDIS,
    Surface,
    entry,
    ground_trace,
    landscape_traces,
    point_texts,
    scatter,
)
from hpstudy.plots.labels import metric_of, roi_title, variant_title

# Two perceptually uniform scales for the colour-blind, because they mean two things.
DOUBT = "Cividis"
TOP = 0.5
"""Share of the measured settings that the scale of means spans."""
CELLS = 25
"""Places along each axis at which the model is drawn."""
PLACE = {"size": 4, "color": "white", "line": {"width": 0.7, "color": "black"}}


@dataclass(frozen=True, eq=False)
class SurrogateSurface:
    """Model of one network's noise-free landscape on a fine grid, in the metric's own unit.

    Attributes
    ----------
    surrogate : Surrogate
    mean, deviation : Surface
        Mean of the model less its best, and its standard deviation, from the least to the greatest
        measured value of each axis but 0.
    best : float
        Best mean.
    points : DataFrame
        Measured settings with a level as `value`, and `distance`: the level less `best`.
    """

    surrogate: Surrogate
    mean: Surface
    deviation: Surface
    best: float
    points: pd.DataFrame

    @property
    def variant(self) -> str:
        """Name of the network."""
        return self.surrogate.landscape.variant


@dataclass(frozen=True, eq=False)
class SurrogateData:
    """Models of all networks that have one.

    Attributes
    ----------
    surfaces : tuple of SurrogateSurface
    worst, best : float
        Ends of the scale of means and measured settings, as distances from the model's best.
    largest : float
        Largest standard deviation.
    without : tuple of str
        Networks with values at too few settings, or at a single value of an axis.
    """

    surfaces: tuple[SurrogateSurface, ...]
    worst: float
    best: float
    largest: float
    without: tuple[str, ...]


def surrogate_data(analysis: StudyAnalysis) -> SurrogateData:
    """Models of all networks that have one.

    Raises
    ------
    HpstudyError
        If there is none.
    """
    surfaces = tuple(
        _surface(surrogate)
        for surrogate in analysis.surrogates.values()
        if _spans_an_area(surrogate.landscape)
    )
    if not surfaces:
        raise HpstudyError(
            f"no network has a surface to draw: that takes values at {FEWEST} points or more, at "
            "two or more values of each axis, without 0."
        )
    sign = surfaces[0].surrogate.landscape.sign
    distance = sign * pd.concat([surface.points["distance"] for surface in surfaces])
    shown = {surface.variant for surface in surfaces}
    return SurrogateData(
        surfaces=surfaces,
        worst=sign * min(float(distance.quantile(1 - TOP)), -1e-6),
        best=sign * max(float(distance.max()), 0.0) + 0.0,
        largest=max(float(np.nanmax(surface.deviation.values)) for surface in surfaces),
        without=tuple(name for name in analysis.landscapes if name not in shown),
    )


def _spans_an_area(landscape: Landscape) -> bool:
    known = landscape.points[landscape.points["value"].notna() & landscape.placed]
    return all(known[axis].nunique() > 1 for axis in landscape.axes)


def _surface(surrogate: Surrogate) -> SurrogateSurface:
    landscape = surrogate.landscape
    sign, known = landscape.sign, landscape.points[surrogate.used]
    settings = [
        np.geomspace(known[axis].min(), known[axis].max(), CELLS) for axis in landscape.axes
    ]
    grid = np.meshgrid(*settings, indexing="ij")
    # A single axis has the second place 1 throughout, whose logarithm is 0.
    first, second = [*(axis.ravel() for axis in grid), np.ones(grid[0].size)][:2]
    mean, deviation = (values.reshape(grid[0].shape) for values in surrogate.predict(first, second))
    best = float(mean.max())
    points = landscape.levels.dropna(subset="value")
    up, across = settings if len(settings) == 2 else (np.empty(0), settings[0])
    return SurrogateSurface(
        surrogate=surrogate,
        mean=Surface(up, across, sign * (mean - best) + 0.0),
        deviation=Surface(up, across, deviation),
        best=sign * best,
        points=points.assign(distance=points["value"] - sign * best),
    )


def plot_surrogate(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Mean and standard deviation of the model, below the measured settings.

    Parameters
    ----------
    analysis : StudyAnalysis
    threshold : float
        Threshold of the region of interest, in the metric's unit: a line encloses where the mean
        lies at most so far below its best.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels a network; one scale for all means and measured settings, another for all
        deviations.

    Raises
    ------
    HpstudyError
        Without any model, or if the threshold is negative or not finite.
    """
    data = surrogate_data(analysis)
    dense = analysis.landscapes[analysis.dense]
    # Refuses a bad threshold.
    dense.in_roi(threshold)
    metric, two = metric_of(dense), len(dense.axes) == 2
    unit = "points" if metric.percent else metric.title
    names = f"{unit} from the model's best", f"standard deviation, {unit}"
    settings = [surface.points for surface in data.surfaces]
    means = plane_of(settings, dense.axes, names[0], (data.worst, data.best))
    deviations = plane_of(settings, dense.axes, names[1], (0.0, data.largest))
    titles = [
        panel_title(variant_title(surface.variant), small)
        for surface in data.surfaces
        for small in ("mean of the model", "its standard deviation")
    ]
    figure = panel_figure(titles, 200, top=82, bottom=112, columns=2)
    edge = -metric.sign * threshold
    line = {"width": 1.8, "color": "white"}
    for number, surface in enumerate(data.surfaces):
        texts = [f"measured: {text}" for text in point_texts(surface.points, metric, dense.axes)]
        suffix = set_plane(figure, 2 * number + 1, means)
        region = {"start": edge, "end": edge, "size": 1}
        mean = surface.mean, surface.points, "distance"
        figure.add_traces(landscape_traces(means, suffix, *mean, texts, region, line))
        suffix = set_plane(figure, 2 * number + 2, deviations, "xy" if two else "x")
        ground = ground_trace(
            surface.deviation, suffix, "coloraxis2", {"showlines": False}, {"width": 0}
        )
        # Over one axis the places of settings stand where the deviation is 0.
        places = surface.points.assign(value=0.0)
        look = {"marker": PLACE, "text": texts, "legendgroup": "points"}
        figure.add_traces([ground, scatter(deviations, suffix, places, **look)])
    figure.add_trace(entry("measured", "points", marker={**POINT, "color": INK}))
    if two:
        name = f"{roi_title(threshold)} of the model's mean"
        figure.add_trace(entry(name, "region", mode="lines", line={"width": 1.8, "color": INK}))
    low, high = sorted((data.worst, data.best))
    reverse = metric.sign < 0
    figure.update_layout(
        coloraxis=colour_axis(VIRIDIS, low, high, names[0], two, reverse, 0.22, 0.42),
        coloraxis2=colour_axis(DOUBT, 0, data.largest, names[1], two, x=0.78, length=0.42),
    )
    return figure
