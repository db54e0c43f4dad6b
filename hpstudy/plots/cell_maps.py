"""Maps over measured settings: pruned less dense, and the probability to be good."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.shift import difference
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots.cells import CLASSES, cells_of, crosses, heat, outline, region_entries, set_cells
from hpstudy.plots.labels import Metric, metric_of, short_title, variant_title

# ColorBrewer's orange to purple, for the colour-blind: orange where the first network is ahead.
COLOURS = "PuOr"
# The scale is as strong as that of the better half of all settings in a landscape.
TOP = 0.5


def differences_data(dense: Landscape, other: Landscape) -> pd.DataFrame:
    """Settings of two networks (`hpstudy.analysis.shift.Difference`), in the metric's own unit.

    The column `text` has a hover label with all fields.
    """
    points, metric = difference(dense, other).points, metric_of(dense)
    numbers = {name: dense.sign * points[name] for name in ("dense", "other", "difference")}
    points = points.assign(**numbers)
    return points.assign(text=[_text(dense, other, at, metric) for at in points.to_dict("records")])


def _text(dense: Landscape, other: Landscape, point: dict[str, Any], metric: Metric) -> str:
    lines = [
        *_traces.setting_lines(point, dense.axes),
        f"{variant_title(other.variant)}: {signed(point['other'], metric)} from its best",
        f"{variant_title(dense.variant)}: {signed(point['dense'], metric)} from its best",
        f"difference {signed(point['difference'], metric)}{' points' if metric.percent else ''}",
    ]
    return "<br>".join(lines)


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text


def plot_differences(landscapes: dict[str, Landscape], threshold: float) -> go.Figure:
    """Difference of each pruned network from the dense one, each against its own best.

    Purple is where a setting is better for the pruned network. Landscapes are of one metric, the
    dense network's first; an outline holds the pruned network's settings within `threshold` of its
    best, in the metric's unit.

    Raises
    ------
    HpstudyError
        If no pruned network has a setting in common with the dense one.
    """
    dense, *others = landscapes.values()
    others = [other for other in others if len(common_points(dense, other)[0])]
    if not others:
        raise HpstudyError("no pruned network has a setting in common with the dense one.")
    # A difference weighs as much as the same step in a landscape.
    low, high = _traces.colour_range(landscapes, TOP, relative=True)
    limit = high - low
    cells, metric = cells_of(landscapes.values()), metric_of(dense)
    titles = [f"<b>{short_title(other.variant)}</b>" for other in others]
    figure = _layout.panel_figure(titles, max(22 * len(cells.up), 88), 58, 110, width=110)
    for number, other in enumerate(others, start=1):
        suffix = set_cells(figure, number, cells)
        points = differences_data(dense, other)
        values, texts = points["difference"], list(points["text"])
        figure.add_trace(heat(cells, points, values, texts, suffix, coloraxis="coloraxis"))
        figure.add_trace(outline(cells, other.points, other.in_roi(threshold), suffix))
        figure.add_trace(crosses(cells, other.points, suffix))
    figure.add_traces(region_entries(others, threshold))
    title = f"difference, {'points' if metric.percent else metric.title}"
    bar = _layout.colour_axis(COLOURS, -limit, limit, title, True, metric.sign < 0, nticks=7)
    figure.update_layout(coloraxis=bar, legend={"itemclick": False, "itemdoubleclick": False})
    return figure


def plot_roi_probability(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Probability of every measured setting to be good for its network, without noise.

    An outline holds the settings that measured as good: within `threshold` of the best, in the
    metric's unit. Networks without draws have no colours.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite.
    """
    landscapes = analysis.landscapes
    cells = cells_of(landscapes.values())
    chances = {name: analysis.roi_probability(name, threshold) for name in landscapes}
    titles = []
    for name, chance in chances.items():
        measured, known = landscapes[name].in_roi(threshold).sum(), np.isfinite(chance).any()
        counts = f"{measured} measured" + (f", {np.nansum(chance):.1f} expected" if known else "")
        titles.append(_layout.panel_title(short_title(name), counts))
    figure = _layout.panel_figure(titles, max(22 * len(cells.up), 88), 78, 110, width=110)
    for number, (name, chance) in enumerate(chances.items(), start=1):
        suffix, points = set_cells(figure, number, cells), landscapes[name].levels
        texts = _traces.point_texts(points, landscapes[name])
        if np.isfinite(chance).any():
            pairs = zip(texts, chance, strict=True)
            texts = [f"{text}<br>probability {probability:.2f}" for text, probability in pairs]
        figure.add_trace(heat(cells, points, chance, texts, suffix, coloraxis="coloraxis"))
        figure.add_trace(outline(cells, points, landscapes[name].in_roi(threshold), suffix))
        figure.add_trace(crosses(cells, points, suffix))
    figure.add_traces(region_entries(list(landscapes.values()), threshold))
    bar = _layout.colour_axis("", 0, 1, "probability to be good", shown=True)
    scale = [[k / (len(CLASSES) - 1), colour] for k, colour in enumerate(CLASSES[::-1])]
    figure.update_layout(
        coloraxis={**bar, "colorscale": scale},
        legend={"itemclick": False, "itemdoubleclick": False},
    )
    return figure
