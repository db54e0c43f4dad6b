"""Noise-free landscapes: the model, its uncertainty, and the probability of a region."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import FEWEST
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import INK, Plane, Props
from hpstudy.plots._traces import Surface
from hpstudy.plots.labels import metric_of, roi_title, variant_title
from hpstudy.plots.landscape import LandscapePanel, landscapes_data

# Share of the measured settings that the scale of means spans.
TOP = 0.5
# Places along each axis at which the model is drawn.
CELLS = 25
PLACE = {"size": 4, "color": "white", "line": {"width": 0.7, "color": "black"}}
REGION = {"width": 1.8, "color": "white"}
LEFT: Props = {"x": 0.22, "len": 0.42}
RIGHT: Props = {"x": 0.78, "len": 0.42}
PROBABILITY = {"size": 10, "line": {"width": 1, "color": INK}}
# A ring below a point, to stand out from white and from black pages.
MEMBER = {"size": 16, "color": "white", "line": {"width": 1.5, "color": "black"}}


@dataclass(frozen=True, eq=False)
class SurrogatePanel:
    """Model of one network's noise-free landscape, in the metric's own unit.

    `mean` is the model's less its `best`. The surfaces lie between the least and the greatest
    measured value of each axis but 0. `points` are the settings with a value; their `distance` is
    the level less `best`.
    """

    landscape: Landscape
    mean: Surface
    deviation: Surface
    best: float
    points: pd.DataFrame


def surrogate_data(analysis: StudyAnalysis) -> list[SurrogatePanel]:
    """Models of all networks with values at enough settings, and at two values of each axis."""
    panels = []
    for surrogate in analysis.surrogates.values():
        landscape = surrogate.landscape
        known = landscape.points.loc[surrogate.used, list(landscape.axes)]
        if known.nunique().min() < 2:
            continue
        settings = [np.geomspace(known[axis].min(), known[axis].max(), CELLS) for axis in known]
        grid = np.meshgrid(*settings, indexing="ij")
        # A single axis has the second place 1 throughout, whose logarithm is 0.
        places = [*(axis.ravel() for axis in grid), np.ones(grid[0].size)][:2]
        mean, deviation = (values.reshape(grid[0].shape) for values in surrogate.predict(*places))
        best = landscape.sign * float(mean.max())
        points = landscape.levels.dropna(subset="value")
        up, across = settings if len(settings) == 2 else (np.empty(0), settings[0])
        panel = SurrogatePanel(
            landscape=landscape,
            mean=_traces.Surface(up, across, landscape.sign * mean - best + 0.0),
            deviation=_traces.Surface(up, across, deviation),
            best=best,
            points=points.assign(distance=points["value"] - best),
        )
        panels.append(panel)
    if not panels:
        raise HpstudyError(
            f"no network has a surface to draw: that takes values at {FEWEST} points or more, at "
            "two or more values of each axis, without 0."
        )
    return panels


def plot_surrogate(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Mean and standard deviation of the model, below the measured settings.

    Two panels a network; one scale for all means and measured settings, another for deviations. A
    line encloses where the mean lies at most `threshold`, in the metric's unit, below its best.

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
    means = _layout.plane_of(settings, dense.axes, names[0], (worst, best))
    deviations = _layout.plane_of(settings, dense.axes, names[1], (0.0, largest))
    titles = [
        _layout.panel_title(variant_title(panel.landscape.variant), small)
        for panel in panels
        for small in ("mean of the model", "its standard deviation")
    ]
    figure = _layout.panel_figure(titles, 200, 82, 112, columns=2)
    edge = -metric.sign * threshold
    contours = {"start": edge, "end": edge, "size": 1}
    for number, panel in enumerate(panels):
        points = panel.points
        texts = [f"measured: {text}" for text in _traces.point_texts(points, panel.landscape)]
        suffix = _layout.set_plane(figure, 2 * number + 1, means)
        mean = panel.mean, points, "distance", texts
        figure.add_traces(_traces.landscape_traces(means, suffix, *mean, contours, REGION))
        suffix = _layout.set_plane(figure, 2 * number + 2, deviations, "xy" if two else "x")
        ground = _traces.ground_trace(
            panel.deviation, suffix, "coloraxis2", {"showlines": False}, {}
        )
        # Over one axis the places of settings stand where the deviation is 0.
        look: Props = {"marker": PLACE, "text": texts, "legendgroup": "points"}
        place = _traces.scatter(deviations, suffix, points.assign(value=0.0), **look)
        figure.add_traces([ground, place])
    figure.add_trace(
        _traces.legend_entry("measured", "points", marker={**_traces.POINT, "color": INK})
    )
    if two:
        name, line = f"{roi_title(threshold)} of the model's mean", {**REGION, "color": INK}
        figure.add_trace(_traces.legend_entry(name, "region", mode="lines", line=line))
    low, high = sorted((worst, best))
    figure.update_layout(
        coloraxis=_layout.colour_axis(
            _traces.VIRIDIS, low, high, names[0], two, metric.sign < 0, **LEFT
        ),
        # Another perceptually uniform scale for the colour-blind, because it means something else.
        coloraxis2=_layout.colour_axis("Cividis", 0, largest, names[1], two, **RIGHT),
    )
    return figure


def plot_roi_probability(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Probability of every measured setting to belong to its network's region of interest.

    Panels have rings, points, crosses and dashes; networks without draws are grey. The threshold
    is in the metric's unit.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite.
    """
    data, region = landscapes_data(analysis.landscapes, (threshold,)), roi_title(threshold)
    panels, titles = [], []
    for panel in data.panels:
        variant, member = panel.landscape.variant, panel.landscape.in_roi(threshold)
        probability = analysis.roi_probability(variant, threshold)
        points = panel.points.assign(probability=probability, member=member)
        panels.append(replace(panel, points=points))
        expected = panels[-1].measured["probability"].sum(skipna=False)
        counts = f"{member.sum()} measured"
        counts += "" if np.isnan(expected) else f", {expected:.1f} expected"
        titles.append(_layout.panel_title(variant_title(variant), counts))
    figure = _layout.panel_figure(titles, 200, 82, 104)
    for number, panel in enumerate(panels, start=1):
        suffix = _layout.set_plane(figure, number, data.plane)
        figure.add_traces(_probability_traces(panel, data.plane, suffix))
    entry = _traces.legend_entry(f"measured in the {region}", "members", marker=MEMBER)
    figure.add_traces([entry, *_traces.failure_entries(panels)])
    title = f"probability of belonging to the {region}"
    figure.update_layout(coloraxis=_layout.colour_axis(_traces.VIRIDIS, 0, 1, title, shown=True))
    return figure


def _probability_traces(panel: LandscapePanel, plane: Plane, suffix: str) -> list[Props]:
    points = panel.measured
    texts = _traces.point_texts(points, panel.landscape)
    colour: Any = INK
    if points["probability"].notna().all():
        pairs = zip(texts, points["probability"], strict=True)
        texts = [f"{text}<br>probability {probability:.2f}" for text, probability in pairs]
        colour = _traces.rounded(points["probability"], 3)
    marker = {**PROBABILITY, "color": colour, "coloraxis": "coloraxis", **plane.symbols(points)}
    members: Props = {"marker": MEMBER, "legendgroup": "members"}
    return [
        _traces.scatter(plane, suffix, points[points["member"]], **members),
        _traces.scatter(plane, suffix, points, marker=marker, text=texts),
        *_traces.failure_traces(plane, suffix, panel),
    ]
