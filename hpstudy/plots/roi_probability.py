"""Probability that each setting belongs to the region of interest."""

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.plots._axes import Props
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._traces import (
    VIRIDIS,
    failure_entries,
    failure_traces,
    legend_entry,
    point_texts,
    rounded,
    scatter,
)
from hpstudy.plots.labels import roi_title, variant_title
from hpstudy.plots.landscape import LandscapePanel, LandscapesData, landscapes_data

POINT = {"size": 10, "line": {"width": 1, "color": INK}}
# A ring below a point, to stand out from white and from black pages.
MEMBER = {"size": 16, "color": "white", "line": {"width": 1.5, "color": "black"}}


def roi_probability_data(analysis: StudyAnalysis, threshold: float) -> LandscapesData:
    """Landscapes of all networks, with two more columns of each panel's points.

    `probability` (in [0, 1]; NaN where a network has no draws) of belonging to the region, and
    `member`: whether a setting was measured in it.
    """
    data = landscapes_data(analysis.landscapes, (threshold,))
    panels = []
    for panel in data.panels:
        probability = analysis.roi_probability(panel.landscape.variant, threshold)
        member = panel.landscape.in_roi(threshold)
        panels.append(
            replace(panel, points=panel.points.assign(probability=probability, member=member))
        )
    return replace(data, panels=tuple(panels))


def plot_roi_probability(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Probability of every measured setting to belong to its network's region of interest.

    Panels have rings, points, crosses and dashes; networks without draws are grey.

    Parameters
    ----------
    analysis : StudyAnalysis
    threshold : float
        Threshold of the region of interest, in the metric's unit.
    """
    data = roi_probability_data(analysis, threshold)
    figure = panel_figure([_title(panel) for panel in data.panels], 200, 82, 104)
    for number, panel in enumerate(data.panels, start=1):
        figure.add_traces(_traces(panel, data, set_plane(figure, number, data.plane)))
    region = roi_title(threshold)
    member = legend_entry(f"measured in the {region}", "members", marker=MEMBER)
    figure.add_traces([member, *failure_entries(data.panels)])
    title = f"probability of belonging to the {region}"
    figure.update_layout(coloraxis=colour_axis(VIRIDIS, 0, 1, title, shown=True))
    return figure


def _title(panel: LandscapePanel) -> str:
    expected = panel.measured["probability"].sum(skipna=False)
    counts = f"{panel.points['member'].sum()} measured"
    counts += "" if np.isnan(expected) else f", {expected:.1f} expected"
    return panel_title(variant_title(panel.landscape.variant), counts)


def _traces(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[Props]:
    points, plane = panel.measured, data.plane
    known = points["probability"].notna().all()
    colour: Any = rounded(points["probability"], 3) if known else INK
    marker = {**POINT, "color": colour, "coloraxis": "coloraxis", **plane.symbols(points)}
    texts = [
        f"{text}<br>probability {probability:.2f}" if known else text
        for text, probability in zip(
            point_texts(points, panel.landscape), points["probability"], strict=True
        )
    ]
    return [
        scatter(plane, suffix, points[points["member"]], marker=MEMBER, legendgroup="members"),
        scatter(plane, suffix, points, marker=marker, text=texts),
        *failure_traces(plane, suffix, panel),
    ]
