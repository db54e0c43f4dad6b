"""Figure of the model of the noise-free landscape, and of its uncertainty."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis import Analysis
from hpstudy.drawing import INK, panel_figure
from hpstudy.marks import plain, point_texts
from hpstudy.panelparts import LEGEND, colour_bar, entry, lay_axes, scatter
from hpstudy.results import METRIC_TITLES, roi_title, variant_title
from hpstudy.surrogate import DEPTH, FEWEST
from hpstudy.surrogatepanels import (
    SurrogateSurface,
    surrogate_surfaces,
)
from hpstudy.words import count, list_text, number_text

# Two perceptually uniform, colour-blind-safe scales, because they mean two things.
COLOURS, DOUBT = "Viridis", "Cividis"
# Share of the measured points that the colour scale of the surface's mean spans.
TOP = 0.5
ON_SURFACE = {"size": 7, "line": {"width": 1, "color": "white"}}
PLACE = {"size": 4, "color": "white", "line": {"width": 0.7, "color": "black"}}


def plot_surrogate(analysis: Analysis, threshold: float) -> go.Figure:
    """Surface of the model with its standard deviation, and the measured points on top.

    Parameters
    ----------
    analysis : Analysis
        As for `surrogate_surfaces`.
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
        As `surrogate_surfaces`; also if the threshold is negative or not finite.
    """
    surfaces = surrogate_surfaces(analysis)
    dense = analysis.landscapes[analysis.dense]
    # Refuses a threshold that is none.
    dense.inside(threshold)
    every = pd.concat([one.points for one in surfaces])
    titles = [
        f"<b>{one.title}</b><br><span style='font-size:11px'>{what}</span>"
        for one in surfaces
        for what in ("mean of the model", "its standard deviation")
    ]
    figure = panel_figure(titles, 2, 200, {"t": 82, "b": 112, "l": 58, "r": 8})
    for number, one in enumerate(surfaces):
        texts = [f"measured: {text}" for text in point_texts(one.points, dense.metric, dense.axes)]
        measured = {
            **ON_SURFACE,
            "color": plain(one.points["distance"], 4),
            "coloraxis": "coloraxis",
        }
        for panel, (values, scale, look) in enumerate(
            ((one.mean, "coloraxis", measured), (one.deviation, "coloraxis2", PLACE)), start=1
        ):
            suffix = lay_axes(figure, 2 * number + panel, every, dense.axes)
            lines = {"start": -threshold, "end": -threshold, "size": 1, "coloring": "heatmap"}
            if values is one.deviation:
                lines["showlines"] = False
            figure.add_trace(
                go.Contour(
                    x=plain(one.across, 5),
                    y=plain(one.up, 5),
                    z=[plain(row, 4) for row in values],
                    coloraxis=scale,
                    contours=lines,
                    line={"width": 1.8, "color": "white"},
                    hoverinfo="skip",
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
            figure.add_trace(
                scatter(
                    one.points, dense.axes, suffix, marker=look, text=texts, legendgroup="points"
                )
            )
    lowest, highest = _ends(every)
    region = {"mode": "lines", "line": {"width": 1.8, "color": INK}}
    figure.add_traces(
        [
            entry("measured", "points", {"marker": {**ON_SURFACE, "color": INK}}),
            entry(f"{roi_title(threshold)} of the model's mean", "region", region),
        ]
    )
    largest = max(float(np.nanmax(one.deviation)) for one in surfaces)
    bars = (
        colour_bar("points from the model's best", 0.22, 0.42),
        colour_bar("standard deviation, points", 0.78, 0.42),
    )
    figure.update_layout(
        coloraxis={"colorscale": COLOURS, "cmin": lowest, "cmax": highest, "colorbar": bars[0]},
        coloraxis2={"colorscale": DOUBT, "cmin": 0, "cmax": largest, "colorbar": bars[1]},
        legend=LEGEND,
    )
    return figure


def _ends(points: pd.DataFrame) -> tuple[float, float]:
    """Ends of the colour scale of means and measured points; below it there are cliffs."""
    lowest = min(float(points["distance"].quantile(1 - TOP)), -1e-6)
    return lowest, max(float(points["distance"].max()), 0.0)


def surrogate_caption(analysis: Analysis, threshold: float, label: str) -> str:
    """Caption of `plot_surrogate`.

    Parameters
    ----------
    analysis : Analysis
        As for `plot_surrogate`.
    threshold : float
        The same.
    label : str
        Network, data and length of training, as `Results.label` gives them.

    Returns
    -------
    str
        Sentences that say what is a model and what is measured, how much noise of a run the model
        supposes and where it knows that from, and which networks are not drawn.

    Raises
    ------
    HpstudyError
        As `surrogate_surfaces`.
    """
    surfaces = surrogate_surfaces(analysis)
    every = pd.concat([one.points for one in surfaces])
    metric = analysis.landscapes[analysis.dense].metric
    lowest, highest = _ends(every)
    sentences = [
        "The coloured surface is a model and not data: the mean (left) and the standard deviation "
        "(right) of a Gaussian process, which supposes that a noise-free landscape is smooth. "
        f"Circles are what was measured, {METRIC_TITLES.get(metric, metric)} at "
        f"n = {count(len(every), 'point')} in {count(len(surfaces), 'network')}: {label}.",
        "Left, surface and circles are coloured by one scale, percentage points from the greatest "
        f"mean of their network, {number_text(lowest)} to {number_text(highest)}, which spans the "
        f"upper {100 * TOP:.0f} % of the measured points; lower ones are drawn at its lower end. "
        f"White line: the mean lies {threshold:g} below that ({roi_title(threshold)}). A circle "
        "that differs from the surface around it is noise, as far as the model knows.",
        _noise_text(surfaces),
    ]
    left = int((~every["modelled"]).sum())
    if left:
        sentences.append(
            f"{count(left, 'point')} more than {DEPTH:g} percentage points below the best, and "
            "among the lower half of its network's, lie beyond a cliff that no smooth surface "
            "follows; the model leaves them out, and around them no surface is drawn."
        )
    shown = {one.variant for one in surfaces}
    without = [variant_title(name) for name in analysis.landscapes if name not in shown]
    if without:
        sentences.append(
            f"Not drawn: {'; '.join(without)}, with values at fewer than {FEWEST} points or at a "
            "single value of an axis."
        )
    return " ".join(sentences)


def _noise_text(surfaces: tuple[SurrogateSurface, ...]) -> str:
    """How noisy a run is of each network, and whether seeds or smoothness tell it."""
    noises = list_text(f"{number_text(one.noise)} ({one.title})" for one in surfaces)
    repeated = [
        f"{one.replicates[1]} degrees of freedom ({one.title}; alone "
        f"{number_text(one.replicates[0])})"
        for one in surfaces
        if one.replicates[1]
    ]
    known = "alone: no run was repeated with another seed"
    if repeated:
        known = f"and from replicates: {list_text(repeated)}"
    return (
        f"One run lies about the surface with a standard deviation of {noises} percentage points, "
        f"known from the smoothness of the measured values {known}."
    )
