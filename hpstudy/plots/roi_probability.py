"""Probability that each setting belongs to the region of interest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._traces import (
    VIRIDIS,
    entry,
    failure_entries,
    failure_traces,
    plain,
    point_texts,
    scatter,
)
from hpstudy.plots.labels import roi_title, variant_title
from hpstudy.plots.landscape import LandscapesData, landscapes_data

POINT = {"size": 10, "line": {"width": 1, "color": INK}}
# A ring below a point, to stand out from white and from black pages.
MEMBER = {"size": 16, "color": "white", "line": {"width": 1.5, "color": "black"}}


@dataclass(frozen=True, eq=False)
class RoiProbabilityPanel:
    """Settings of one network.

    Attributes
    ----------
    variant : str
    points : DataFrame
        Settings with a level as `value`; `probability` (in [0, 1]; NaN without draws) of belonging
        to the region, and `member`: whether it was measured in it.
    diverged, stopped : DataFrame
        Settings at which a run diverged or was stopped.
    expected : float
        Expected number of settings in the region; NaN without draws.
    """

    variant: str
    points: pd.DataFrame
    diverged: pd.DataFrame
    stopped: pd.DataFrame
    expected: float

    @property
    def measured(self) -> int:
        """Settings measured in the region."""
        return int(self.points["member"].sum())


def roi_probability_data(
    analysis: StudyAnalysis, threshold: float
) -> tuple[tuple[RoiProbabilityPanel, ...], LandscapesData]:
    """Probability of every setting of all networks, the dense one first, and their landscapes.

    Raises
    ------
    HpstudyError
        Without any value, or if the threshold is negative or not finite.
    """
    data = landscapes_data(analysis.landscapes, (threshold,))
    panels = []
    for panel in data.panels:
        variant = panel.landscape.variant
        probability = analysis.roi_probability(variant, threshold)
        inside = panel.landscape.in_roi(threshold)
        points = panel.points.assign(probability=probability, member=inside)
        points = points[points["value"].notna()]
        expected = float(probability.sum())
        panels.append(RoiProbabilityPanel(variant, points, panel.diverged, panel.stopped, expected))
    return tuple(panels), data


def plot_roi_probability(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Probability of every measured setting to belong to its network's region of interest.

    Parameters
    ----------
    analysis : StudyAnalysis
    threshold : float
        Threshold of the region, in the metric's unit.

    Returns
    -------
    plotly.graph_objects.Figure
        One panel a network, each with rings, points, crosses and dashes; one scale from 0 to 1.
        Networks without draws are grey.
    """
    panels, data = roi_probability_data(analysis, threshold)
    titles = [panel_title(variant_title(panel.variant), _counts(panel)) for panel in panels]
    figure = panel_figure(titles, 200, top=82, bottom=104)
    for number, panel in enumerate(panels, start=1):
        suffix = set_plane(figure, number, data.plane)
        figure.add_traces(_traces(panel, data, suffix))
    member = entry(f"measured in the {roi_title(threshold)}", "members", marker=MEMBER)
    figure.add_traces([member, *failure_entries(panels)])
    title = f"probability of belonging to the {roi_title(threshold)}"
    figure.update_layout(coloraxis=colour_axis(VIRIDIS, 0, 1, title))
    return figure


def _traces(panel: RoiProbabilityPanel, data: LandscapesData, suffix: str) -> list[dict]:
    points, plane = panel.points, data.plane
    ring = points[points["member"]]
    colour: Any = INK if np.isnan(panel.expected) else plain(points["probability"], 3)
    marker = {**POINT, "color": colour, "coloraxis": "coloraxis", **plane.symbols(points)}
    texts = [
        text if np.isnan(probability) else f"{text}<br>probability {probability:.2f}"
        for text, probability in zip(
            point_texts(points, data.metric, data.axes), points["probability"], strict=True
        )
    ]
    return [
        scatter(plane, suffix, ring, marker=MEMBER, legendgroup="members"),
        scatter(plane, suffix, points, marker=marker, text=texts),
        *failure_traces(plane, suffix, panel.diverged, panel.stopped, data.metric, data.axes),
    ]


def _counts(panel: RoiProbabilityPanel) -> str:
    expected = "" if np.isnan(panel.expected) else f", {panel.expected:.1f} expected"
    return f"{panel.measured} measured{expected}"
