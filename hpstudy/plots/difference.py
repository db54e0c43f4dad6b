"""Difference maps: one network's landscape minus another's, each from its own best."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.shift import Difference, difference
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Plane, Props, plane_of
from hpstudy.plots._layout import colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._surface import Outline, Surface, colour_range, interpolated, outline
from hpstudy.plots._traces import (
    DASHES,
    POINT,
    best_marker,
    landscape_traces,
    outline_traces,
    scatter,
)
from hpstudy.plots.labels import Metric, axis_title, metric_of, setting_text, variant_title

# ColorBrewer's orange to purple, for the colour-blind: orange where the first network is ahead.
COLOURS = "PuOr"
# The scale is as strong as that of the better half of all settings in a landscape.
TOP = 0.5
MARKS = best_marker("star", 13), best_marker("star-diamond", 13)
DARK_POINT = {**POINT, "line": {"width": 1, "color": "rgba(0,0,0,0.55)"}}


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """Difference of two landscapes.

    Attributes
    ----------
    data : Difference
        Measured settings that both networks have.
    metric : Metric
    points : DataFrame
        `data.points` with `dense`, `other` and `difference` in the metric's own unit.
    surface : Surface
        Differences between the settings.
    outlines : tuple of (up, across)
        Ellipse of each network's region of interest.
    best_at : tuple of DataFrame
        A row with the axes of each network's best setting; NaN without a value.
    """

    data: Difference
    metric: Metric
    points: pd.DataFrame
    surface: Surface
    outlines: tuple[Outline, ...]
    best_at: tuple[pd.DataFrame, ...]


def difference_panel(
    dense: Landscape, other: Landscape, threshold: float, multiple: float = 2.0
) -> DifferencePanel:
    """Difference of two landscapes over the same axes, with the ellipses of both regions."""
    data = difference(dense, other)
    points = data.points.copy()
    points[["dense", "other", "difference"]] *= dense.sign
    both = dense, other
    return DifferencePanel(
        data=data,
        metric=metric_of(dense),
        points=points,
        surface=interpolated(points, dense.axes, "difference"),
        outlines=tuple(outline(landscape, threshold, multiple) for landscape in both),
        best_at=tuple(pd.DataFrame([landscape.best_at]) for landscape in both),
    )


def differences_data(
    landscapes: dict[str, Landscape], threshold: float
) -> tuple[DifferencePanel, ...]:
    """Difference of every pruned network from the dense one, if they have a setting in common."""
    dense, *others = landscapes.values()
    panels = tuple(difference_panel(dense, other, threshold) for other in others)
    panels = tuple(panel for panel in panels if panel.data.n)
    if not panels:
        raise HpstudyError("no pruned network has a setting in common with the unpruned one.")
    return panels


def difference_limit(landscapes: dict[str, Landscape], top: float, threshold: float = 0.0) -> float:
    """End of the colour scale: a difference weighs as much as the same step in a landscape."""
    low, high = colour_range(landscapes, top, relative=True, roi=(threshold,))
    return high - low


def difference_plane(plane: Plane, limit: float) -> Plane:
    """Plane of differences from `-limit` to `limit` of landscapes drawn on another plane."""
    return plane if plane.up else replace(plane, title="difference", ends=(-limit, limit))


def plot_differences(landscapes: dict[str, Landscape], threshold: float) -> go.Figure:
    """Difference maps side by side, on one diverging colour scale.

    Purple is where a setting is better for the pruned network than for the dense one, each against
    its own best.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Landscapes of one metric, the dense network's first.
    threshold : float
        Threshold of the regions of interest whose ellipses are drawn, in the metric's unit.

    Raises
    ------
    HpstudyError
        If no pruned network has a setting in common with the dense one.
    """
    panels = differences_data(landscapes, threshold)
    limit = difference_limit(landscapes, TOP, threshold)
    settings = (landscape.points for landscape in landscapes.values())
    plane = difference_plane(plane_of(settings, panels[0].data.axes), limit)
    small = f"{'ellipses' if plane.up else 'regions'}: unpruned solid, pruned dashed"
    titles = [panel_title(variant_title(panel.data.other), small) for panel in panels]
    figure = panel_figure(titles, 200, 46, 104)
    for number, panel in enumerate(panels, start=1):
        suffix = set_plane(figure, number, plane)
        figure.add_traces(difference_traces(panel, plane, limit, suffix))
    figure.update_layout(coloraxis=difference_axis(limit, plane, panels[0].metric))
    return figure


def difference_traces(
    panel: DifferencePanel, plane: Plane, limit: float, suffix: str, coloraxis: str = "coloraxis"
) -> list[Props]:
    """Traces of one panel: ground, points, two lines for each of two ellipses, two optima."""
    surface, outlines, best_at = panel.surface, panel.outlines, panel.best_at
    if plane.up is None:
        # Levels are not differences: marks of both networks lie at the end of the axis.
        heights = [plane.ends[0] * share for share in (0.86, 0.74)]
        surface = replace(surface, values=plane.clipped(surface.values))
        places = list(zip(outlines, best_at, heights, strict=True))
        outlines = tuple((np.full(len(x), height), x) for (_, x), _, height in places)
        best_at = tuple(best.assign(value=height) for _, best, height in places)
    traces = landscape_traces(
        plane,
        suffix,
        surface,
        panel.points,
        "difference",
        _texts(panel),
        {"start": -limit, "end": limit, "size": limit / 4},
        {"width": 0.7, "color": "rgba(0,0,0,0.2)"},
        DARK_POINT,
        coloraxis,
    )
    for number, line in enumerate(outlines):
        traces += outline_traces(suffix, line, f"ellipse-{number}", DASHES[number])
    for number, best in enumerate(best_at):
        group = f"best-{number}"
        traces.append(scatter(plane, suffix, best, marker=MARKS[number], legendgroup=group))
    return traces


def _texts(panel: DifferencePanel) -> list[str]:
    """Hover label of each setting, with all of its fields."""
    data, metric = panel.data, panel.metric
    unit = " points" if metric.percent else ""
    texts = []
    for point in panel.points.to_dict("records"):
        lines = [f"{axis_title(axis)} {setting_text(point[axis])}" for axis in data.axes]
        lines += [
            f"{variant_title(data.other)}: {signed(point['other'], metric)} from its best",
            f"{variant_title(data.dense)}: {signed(point['dense'], metric)} from its best",
            f"difference {signed(point['difference'], metric)}{unit}",
        ]
        texts.append("<br>".join(lines))
    return texts


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text


def difference_axis(limit: float, plane: Plane, metric: Metric, **bar: Any) -> Props:
    """Colour axis from `-limit` to `limit`; purple is where the other network is ahead."""
    title = "difference, points" if metric.percent else f"difference, {metric.title}"
    shown, reverse = plane.up is not None, metric.sign < 0
    return colour_axis(COLOURS, -limit, limit, title, shown, reverse, **{"nticks": 7, **bar})
