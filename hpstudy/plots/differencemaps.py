"""Difference maps: each pruned network's landscape minus the unpruned network's."""

import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.config.words import range_text
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import panel_figure
from hpstudy.plots.difference import (
    DifferencePanel,
    difference_limit,
    difference_panel,
    difference_plane,
    difference_scale,
    difference_traces,
)
from hpstudy.plots.labels import roi_title, variant_title
from hpstudy.plots.panelparts import lay_axes
from hpstudy.plots.panels import landscapes_data
from hpstudy.plots.plane import plane_of

# The differences are as strongly coloured as the better half of all points in a landscape.
TOP = 0.5


def differences_data(
    landscapes: dict[str, Landscape], threshold: float
) -> tuple[tuple[DifferencePanel, ...], float]:
    """Difference of every pruned network from the unpruned one, for `plot_differences`.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Of one network and one metric, the dense one first.
    threshold : float
        Of the regions of interest whose ellipses are drawn, in the metric's unit.

    Returns
    -------
    panels : tuple of DifferencePanel
        One a pruned network that has a setting in common with the dense one.
    limit : float
        The colour scale goes from -limit to limit, in the metric's unit.

    Raises
    ------
    HpstudyError
        Without any such network.
    """
    dense, *others = landscapes.values()
    panels = [difference_panel(dense, other, threshold) for other in others]
    panels = [panel for panel in panels if panel.data.n]
    if not panels:
        raise HpstudyError("no pruned network has a setting in common with the unpruned one.")
    limit = difference_limit(landscapes_data(landscapes, (threshold,), TOP, relative=True))
    return tuple(panels), limit


def plot_differences(
    landscapes: dict[str, Landscape], threshold: float, columns: int = 3
) -> go.Figure:
    """Difference maps beside each other, on one diverging colour scale.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        As for `differences_data`.
    threshold : float
        The same.
    columns : int, default 3
        Most panels beside each other.

    Returns
    -------
    plotly.graph_objects.Figure
        The first axis up, the second across, both logarithmic, or a single axis across and the
        difference up; purple where the setting is better for the pruned network than it was for
        the unpruned one, each beside its own best.

    Raises
    ------
    HpstudyError
        As `differences_data`.
    """
    panels, limit = differences_data(landscapes, threshold)
    what = "ellipses" if len(panels[0].data.axes) == 2 else "regions"
    small = f"<span style='font-size:11px'>{what}: unpruned solid, pruned dashed</span>"
    titles = [f"<b>{variant_title(panel.data.other)}</b><br>{small}" for panel in panels]
    figure = panel_figure(titles, columns, 200, {"t": 46, "b": 104, "l": 58, "r": 8})
    settings = (one.points for one in landscapes.values())
    plane = difference_plane(plane_of(settings, panels[0].data.axes), limit)
    for number, panel in enumerate(panels, start=1):
        suffix = lay_axes(figure, number, plane)
        figure.add_traces(difference_traces(panel, plane, limit, suffix))
    figure.update_layout(coloraxis=difference_scale(limit, plane, panels[0].metric))
    return figure


def difference_caption(landscapes: dict[str, Landscape], label: str, threshold: float) -> str:
    """Caption of `plot_differences`: what is subtracted, at how many points, and the marks."""
    panels, limit = differences_data(landscapes, threshold)
    points = range_text([panel.data.n for panel in panels], digits=0)
    metric = panels[0].metric
    two = len(panels[0].data.axes) == 2
    purple = "positive" if metric.sign > 0 else "negative"
    return (
        f"Difference of the {metric.title}, each network relative to its own "
        f"best{metric.counted}: {label}. Purple, {purple}: a setting is better for the "
        "pruned network than it was for the unpruned one, beside their bests; at "
        f"n = {points} settings that both have, means over seeds. The noise of both networks is in "
        f"it. {'Between the circles colours are interpolated; the' if two else 'The'} scale ends "
        f"at ±{metric.text(limit)}{' points' * metric.percent}, beyond which "
        f"{'colours' if two else 'places'} stay the same. {'Ellipses' if two else 'Lines'}: two "
        f"standard deviations around the {roi_title(threshold)}. Stars: the bests."
    )
