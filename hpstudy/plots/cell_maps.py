"""Maps over measured settings: pruned less dense, and the probability to be good."""

import numpy as np
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots.cells import CLASSES, cells_of, crosses, heat, outline, region_entries, set_cells
from hpstudy.plots.difference import COLOURS, TOP, DifferencePanel, difference_limit
from hpstudy.plots.labels import metric_of, short_title


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
    limit = difference_limit(landscapes, TOP, threshold)
    cells, metric = cells_of(landscapes.values()), metric_of(dense)
    plane = _layout.plane_of((network.points for network in landscapes.values()), dense.axes)
    titles = [f"<b>{short_title(other.variant)}</b>" for other in others]
    figure = _layout.panel_figure(titles, max(22 * len(cells.up), 88), 58, 110, width=110)
    for number, other in enumerate(others, start=1):
        suffix = set_cells(figure, number, cells)
        pair = DifferencePanel(dense, other, plane, limit, threshold)
        look = {"coloraxis": "coloraxis"}
        values = pair.points["difference"]
        figure.add_trace(heat(cells, pair.points, values, pair.texts(), suffix, **look))
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
