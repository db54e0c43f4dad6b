"""Figure of the model of the noise-free landscape, and of its uncertainty."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.levels import Metric, metric_of
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import FEWEST
from hpstudy.config.words import list_text
from hpstudy.errors import count
from hpstudy.plots._layout import INK, panel_figure
from hpstudy.plots.labels import axis_title, roi_title, variant_title
from hpstudy.plots.marks import LINE, plain, point_texts
from hpstudy.plots.panelparts import LEGEND, colour_bar, entry, lay_axes, scatter
from hpstudy.plots.plane import plane_of
from hpstudy.plots.surrogatepanels import (
    SurrogateSurface,
    surrogate_data,
)

# Two perceptually uniform, colour-blind-safe scales, because they mean two things.
COLOURS, DOUBT = "Viridis", "Cividis"
# Share of the measured points that the colour scale of the surface's mean spans.
TOP = 0.5
ON_SURFACE = {"size": 7, "line": {"width": 1, "color": "white"}}
PLACE = {"size": 4, "color": "white", "line": {"width": 0.7, "color": "black"}}


def plot_surrogate(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Surface of the model with its standard deviation, and the measured points on top.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `surrogate_data`.
    threshold : float
        Of the region of interest, in the metric's unit: a line encloses where the mean lies at
        most so far below its best.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels a network beside each other, mean and standard deviation, so that they stay
        together where there is room for fewer; one colour scale for all means and measured points,
        another for all deviations. Each pair has the same traces in the same order: surface and
        points, twice.

    Raises
    ------
    HpstudyError
        As `surrogate_data`; also if the threshold is negative or not finite.
    """
    surfaces = surrogate_data(analysis)
    dense = analysis.landscapes[analysis.dense]
    # Refuses a threshold that is none.
    dense.inside(threshold)
    metric = metric_of(dense)
    largest = max(float(np.nanmax(one.deviation)) for one in surfaces)
    worst, best = _ends(pd.concat([one.points for one in surfaces]), metric.sign)
    named = "points" if metric.percent else metric.title
    names = f"{named} from the model's best", f"standard deviation, {named}"
    settings = [one.points for one in surfaces]
    planes = (
        plane_of(settings, dense.axes, names[0], (worst, best)),
        plane_of(settings, dense.axes, names[1], (0.0, largest)),
    )
    titles = [
        f"<b>{one.title}</b><br><span style='font-size:11px'>{what}</span>"
        for one in surfaces
        for what in ("mean of the model", "its standard deviation")
    ]
    figure = panel_figure(titles, 2, 200, {"t": 82, "b": 112, "l": 58, "r": 8})
    for number, one in enumerate(surfaces):
        texts = [f"measured: {text}" for text in point_texts(one.points, metric, dense.axes)]
        points = one.points.assign(value=one.points["distance"])
        measured = {
            **ON_SURFACE,
            "color": plain(points["value"], 4),
            "coloraxis": "coloraxis",
            **planes[0].symbols(points),
        }
        line = {"start": -metric.sign * threshold, "end": -metric.sign * threshold, "size": 1}
        # No deviation is below 0.
        hidden = {**line, "start": -threshold, "end": -threshold, "showlines": False}
        for panel, (ground, marked, look) in enumerate(
            (
                (_ground(one, one.mean, "coloraxis", line), points, measured),
                # Over one axis places of points stand where the deviation is 0.
                (
                    _ground(one, one.deviation, "coloraxis2", hidden),
                    points.assign(value=0.0),
                    PLACE,
                ),
            )
        ):
            linked = "xy" if planes[0].up else "x"
            suffix = lay_axes(figure, 2 * number + panel + 1, planes[panel], linked)
            figure.add_trace(ground.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}"))
            figure.add_trace(
                scatter(
                    marked, planes[panel], suffix, marker=look, text=texts, legendgroup="points"
                )
            )
    region = {"mode": "lines", "line": {"width": 1.8, "color": INK}}
    figure.add_traces([entry("measured", "points", {"marker": {**ON_SURFACE, "color": INK}})])
    if planes[0].up:
        figure.add_trace(entry(f"{roi_title(threshold)} of the model's mean", "region", region))
    bars = colour_bar(names[0], 0.22, 0.42), colour_bar(names[1], 0.78, 0.42)
    low, high = sorted((worst, best))
    shown = {} if planes[0].up else {"showscale": False}
    turned = {"reversescale": True} if metric.sign < 0 else {}
    figure.update_layout(
        coloraxis={
            "colorscale": COLOURS,
            "cmin": low,
            "cmax": high,
            "colorbar": bars[0],
            **turned,
            **shown,
        },
        coloraxis2={"colorscale": DOUBT, "cmin": 0, "cmax": largest, "colorbar": bars[1], **shown},
        legend=LEGEND,
    )
    return figure


def _ground(
    one: SurrogateSurface, values: np.ndarray, scale: str, contours: dict
) -> go.Contour | go.Scatter:
    """What lies under the points of a panel: a surface, or over one axis a line."""
    if values.ndim == 1:
        x, y = plain(one.values[0], 5), plain(values, 4)
        return go.Scatter(x=x, y=y, hoverinfo="skip", showlegend=False, **LINE)
    return go.Contour(
        x=plain(one.values[1], 5),
        y=plain(one.values[0], 5),
        z=[plain(row, 4) for row in values],
        coloraxis=scale,
        contours={**contours, "coloring": "heatmap"},
        line={"width": 1.8, "color": "white"},
        hoverinfo="skip",
    )


def _ends(points: pd.DataFrame, sign: int) -> tuple[float, float]:
    """Worse and better end of the scale of means and measured points; beyond there are cliffs."""
    distance = sign * points["distance"]
    worst = min(float(distance.quantile(1 - TOP)), -1e-6)
    return sign * worst, sign * max(float(distance.max()), 0.0) + 0.0


def surrogate_caption(analysis: StudyAnalysis, threshold: float, label: str) -> str:
    """Caption of `plot_surrogate`.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `plot_surrogate`.
    threshold : float
        The same.
    label : str
        Network, data and length of training, as `StudyResults.label` gives them.

    Returns
    -------
    str
        Sentences that say what is a model and what is measured, how much noise of a run the model
        supposes and where it knows that from, and which networks are not drawn.

    Raises
    ------
    HpstudyError
        As `surrogate_data`.
    """
    surfaces = surrogate_data(analysis)
    every = pd.concat([one.points for one in surfaces])
    dense = analysis.landscapes[analysis.dense]
    metric = metric_of(dense)
    worst, best = _ends(every, metric.sign)
    named = "percentage points" if metric.percent else metric.title
    two = len(dense.axes) == 2
    sentences = [
        f"The {'coloured surface' if two else 'line'} is a model and not data: the mean (left) and "
        "the standard deviation (right) of a Gaussian process, which supposes that a noise-free "
        "landscape is smooth. "
        f"Circles are what was measured, {metric.title} at "
        f"n = {count(len(every), 'point')} in {count(len(surfaces), 'network')}: {label}.",
        f"Left, {'surface and circles are coloured by' if two else 'line and circles lie on'} one "
        f"scale, {named} from the best mean of their network, {metric.text(worst)} to "
        f"{metric.text(best)}, which spans the better {100 * TOP:.0f} % of the measured points; "
        "worse ones are drawn at its end. "
        + (
            f"White line: the mean lies {threshold:g} from that ({roi_title(threshold)}). "
            if two
            else ""
        )
        + f"A circle that differs from the {'surface around' if two else 'line beside'} it is "
        "noise, as far as the model knows.",
        _noise_text(surfaces, metric),
    ]
    zeros = [axis for axis in dense.axes if (every[axis] == 0).any()]
    if zeros:
        sentences.append(
            f"Points at {list_text(f'{axis_title(axis)} 0' for axis in zeros)}, beside the dotted "
            "line, have no place on a logarithmic axis, and the model leaves them out."
        )
    shown = {one.variant for one in surfaces}
    without = [variant_title(name) for name in analysis.landscapes if name not in shown]
    if without:
        sentences.append(
            f"Not drawn: {'; '.join(without)}, with values at fewer than {FEWEST} points or at a "
            "single value of an axis."
        )
    return " ".join(sentences)


def _noise_text(surfaces: tuple[SurrogateSurface, ...], metric: Metric) -> str:
    """How noisy a run is of each network, and whether seeds or smoothness tell it."""
    noises = list_text(f"{metric.text(one.noise)} ({one.title})" for one in surfaces)
    repeated = [
        f"{one.replicates[1]} degrees of freedom ({one.title}; alone "
        f"{metric.text(one.replicates[0])})"
        for one in surfaces
        if one.replicates[1]
    ]
    known = "alone: no run was repeated with another seed"
    if repeated:
        known = f"and from replicates: {list_text(repeated)}"
    return (
        f"One run lies about the model with a standard deviation of {noises}"
        f"{' percentage points' * metric.percent} at the best point, known from the smoothness of "
        f"the measured values {known}."
    )
