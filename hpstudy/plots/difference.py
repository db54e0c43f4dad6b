"""Difference maps: one network's landscape minus another's, each from its own best."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.shift import Difference, difference
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Plane, plane_of
from hpstudy.plots._layout import colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._traces import (
    DASHES,
    POINT,
    Outline,
    Surface,
    interpolated,
    landscape_traces,
    outline_traces,
    scatter,
    star,
)
from hpstudy.plots.labels import (
    Metric,
    axis_title,
    metric_of,
    setting_text,
    short_title,
    variant_title,
)
from hpstudy.plots.landscape import colour_range, outline

# ColorBrewer's orange to purple, for the colour-blind: orange where the first network is ahead.
COLOURS = "PuOr"
# The scale is as strong as that of the better half of all settings in a landscape.
TOP = 0.5
STARS = ("star", "star-diamond")


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """Difference of two landscapes, in the metric's own unit.

    Attributes
    ----------
    data : Difference
        The measured settings that both networks have.
    metric : Metric
    points : DataFrame
        `data.points` with `dense`, `other` and `difference` in the metric's own unit.
    surface : Surface
        Differences between the settings.
    outlines : tuple of two (up, across)
        Ellipse of each network's region of interest.
    best_at : tuple of two DataFrame
        A row with the axes of each network's best setting; NaN without a value.
    """

    data: Difference
    metric: Metric
    points: pd.DataFrame
    surface: Surface
    outlines: tuple[Outline, Outline]
    best_at: tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class DifferencesData:
    """Differences of all pruned networks from the dense one.

    Attributes
    ----------
    panels : tuple of DifferencePanel
        Pruned networks that have a setting in common with the dense one.
    limit : float
        The colour scale goes from -limit to limit, in the metric's unit.
    plane : Plane
    """

    panels: tuple[DifferencePanel, ...]
    limit: float
    plane: Plane


def difference_panel(
    dense: Landscape, other: Landscape, threshold: float, multiple: float = 2.0
) -> DifferencePanel:
    """Difference of two landscapes over the same axes, with the ellipses of both.

    `threshold` is of both regions of interest; an ellipse reaches `multiple` standard deviations.
    """
    data = difference(dense, other)
    points = data.points.copy()
    points[["dense", "other", "difference"]] *= dense.sign
    return DifferencePanel(
        data=data,
        metric=metric_of(dense),
        points=points,
        surface=interpolated(points, dense.axes, "difference"),
        outlines=(outline(dense, threshold, multiple), outline(other, threshold, multiple)),
        best_at=(pd.DataFrame([dense.best_at]), pd.DataFrame([other.best_at])),
    )


def differences_data(landscapes: dict[str, Landscape], threshold: float) -> DifferencesData:
    """Difference of every pruned network from the dense one.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Landscapes of one metric, the dense network's first.
    threshold : float
        Threshold of the regions of interest, in the metric's unit.

    Raises
    ------
    HpstudyError
        If no pruned network has a setting in common with the dense one.
    """
    dense, *others = landscapes.values()
    panels = tuple(difference_panel(dense, other, threshold) for other in others)
    panels = tuple(panel for panel in panels if panel.data.n)
    if not panels:
        raise HpstudyError("no pruned network has a setting in common with the unpruned one.")
    limit = difference_limit(landscapes, threshold)
    plane = plane_of((one.points for one in landscapes.values()), dense.axes)
    return DifferencesData(panels, limit, difference_plane(plane, limit))


def difference_limit(landscapes: dict[str, Landscape], threshold: float, top: float = TOP) -> float:
    """End of the colour scale: a difference weighs as much as the same step in a landscape."""
    low, high = colour_range(landscapes, top, relative=True, roi=(threshold,))
    return high - low


def difference_plane(plane: Plane, limit: float) -> Plane:
    """Plane of differences from `-limit` to `limit` of landscapes drawn on another plane."""
    return plane if plane.up else replace(plane, title="difference", ends=(-limit, limit))


def plot_differences(
    landscapes: dict[str, Landscape], threshold: float, columns: int = 3
) -> go.Figure:
    """Difference maps side by side, on one diverging colour scale.

    Parameters
    ----------
    landscapes, threshold
        Parameters of `differences_data`.
    columns : int, default 3
        Most panels side by side.

    Returns
    -------
    plotly.graph_objects.Figure
        Purple where a setting is better for the pruned network than for the dense one, each
        against its own best.
    """
    data = differences_data(landscapes, threshold)
    shape = "ellipses" if data.plane.up else "regions"
    titles = [
        panel_title(variant_title(panel.data.other), f"{shape}: unpruned solid, pruned dashed")
        for panel in data.panels
    ]
    figure = panel_figure(titles, 200, top=46, bottom=104, columns=columns)
    for number, panel in enumerate(data.panels, start=1):
        suffix = set_plane(figure, number, data.plane)
        figure.add_traces(difference_traces(panel, data.plane, data.limit, suffix))
    metric = data.panels[0].metric
    figure.update_layout(coloraxis=difference_axis(data.limit, data.plane, metric))
    return figure


def difference_traces(
    panel: DifferencePanel, plane: Plane, limit: float, suffix: str, coloraxis: str = "coloraxis"
) -> list[dict]:
    """Traces of one panel: ground, points, two lines for each of two ellipses, two optima."""
    surface, outlines, best_at = panel.surface, panel.outlines, panel.best_at
    if plane.up is None:
        # The levels of both networks are others than the differences: their marks lie at the end.
        heights = [plane.ends[0] * share for share in (0.86, 0.74)]
        surface = replace(surface, values=plane.clipped(surface.values))
        outlines = tuple(
            (np.full(len(across), height), across)
            for (_, across), height in zip(outlines, heights, strict=True)
        )
        best_at = tuple(
            best.assign(value=height) for best, height in zip(best_at, heights, strict=True)
        )
    traces = landscape_traces(
        plane,
        suffix,
        surface,
        panel.points,
        "difference",
        difference_texts(panel),
        {"start": -limit, "end": limit, "size": limit / 4},
        {"width": 0.7, "color": "rgba(0,0,0,0.2)"},
        {**POINT, "line": {"width": 1, "color": "rgba(0,0,0,0.55)"}},
        coloraxis,
    )
    for number, line in enumerate(outlines):
        traces += outline_traces(suffix, line, f"ellipse-{number}", DASHES[number])
    for number, best in enumerate(best_at):
        mark = star(STARS[number], 13)
        traces.append(scatter(plane, suffix, best, marker=mark, legendgroup=f"best-{number}"))
    return traces


def difference_texts(panel: DifferencePanel) -> list[str]:
    """Hover label of each setting, with all of its fields."""
    data, metric = panel.data, panel.metric
    unit = " points" if metric.percent else ""
    return [
        "<br>".join(
            [
                *(f"{axis_title(axis)} {setting_text(point[axis])}" for axis in data.axes),
                f"{variant_title(data.other)}: {signed(point['other'], metric)} from its best",
                f"{variant_title(data.dense)}: {signed(point['dense'], metric)} from its best",
                f"difference {signed(point['difference'], metric)}{unit}",
            ]
        )
        for point in panel.points.to_dict("records")
    ]


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text


def difference_axis(limit: float, plane: Plane, metric: Metric, **bar: Any) -> dict:
    """Colour axis from `-limit` to `limit`, white at 0.

    Purple is where the other network is closer to its best, whichever sign that has.
    """
    title = "difference, points" if metric.percent else f"difference, {metric.title}"
    shown, reverse = plane.up is not None, metric.sign < 0
    look = {"shown": shown, "reverse": reverse, "nticks": 7, **bar}
    return colour_axis(COLOURS, -limit, limit, title, **look)


def difference_title(panel: DifferencePanel) -> str:
    """Title of a panel: what is subtracted from what, and which ellipse is whose."""
    dense, other = short_title(panel.data.dense), short_title(panel.data.other)
    shape = "ellipses" if len(panel.data.axes) == 2 else "regions"
    return panel_title(f"{other} − {dense}", f"{shape}: {dense} solid, {other} dashed")
