"""Figure of the probability that each point belongs to the region of interest."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.levels import metric_of
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import DRAWS, FEWEST
from hpstudy.errors import count
from hpstudy.plots._layout import INK, panel_figure
from hpstudy.plots.labels import roi_title
from hpstudy.plots.marks import CROSSES, STOPPED, plain, point_texts
from hpstudy.plots.panelparts import LEGEND, colour_bar, entry, lay_axes, scatter
from hpstudy.plots.panels import landscapes_data
from hpstudy.plots.surrogatepanels import MembershipPanel, roi_probability_data

COLOURS = "Viridis"
POINT = {"size": 10, "line": {"width": 1, "color": INK}}
# Under a point: a ring that stands out from white and from black pages.
MEMBER = {"size": 16, "color": "white", "line": {"width": 1.5, "color": "black"}}


def plot_roi_probability(analysis: StudyAnalysis, threshold: float) -> go.Figure:
    """Probability of every measured point to belong to its network's region of interest.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `roi_probability_data`.
    threshold : float
        The same.

    Returns
    -------
    plotly.graph_objects.Figure
        One panel a network, the landscape's first axis up, its second across, both logarithmic,
        or a single axis across and the metric up; one colour scale from 0 to 1. Each panel has the
        same traces in the same order: rings, points, crosses, dashes.

    Raises
    ------
    HpstudyError
        As `roi_probability_data`.
    """
    members = roi_probability_data(analysis, threshold)
    data = landscapes_data(analysis.landscapes, (threshold,))
    metric, axes, plane = data.metric, data.axes, data.plane
    titles = [
        f"<b>{panel.title}</b><br><span style='font-size:11px'>{_counts(panel)}</span>"
        for panel in members
    ]
    figure = panel_figure(titles, 3, 200, {"t": 82, "b": 104, "l": 58, "r": 8})
    for number, panel in enumerate(members, start=1):
        suffix = lay_axes(figure, number, plane)
        points, ring = panel.points, panel.points[panel.points["member"]]
        colour = INK if np.isnan(panel.expected) else plain(points["probability"], 3)
        point = {**POINT, "color": colour, "coloraxis": "coloraxis", **plane.symbols(points)}
        texts = [
            text + _probability(probability)
            for text, probability in zip(
                point_texts(points, metric, axes), points["probability"], strict=True
            )
        ]
        figure.add_traces(
            [
                scatter(
                    ring, plane, suffix, marker=MEMBER, legendgroup="members", hoverinfo="skip"
                ),
                scatter(points, plane, suffix, marker=point, text=texts),
                *(
                    scatter(
                        marked,
                        plane,
                        suffix,
                        text=point_texts(marked, metric, axes),
                        legendgroup=group,
                        **look,
                    )
                    for marked, group, look in (
                        (panel.diverged, "diverged", CROSSES),
                        (panel.stopped, "stopped", STOPPED),
                    )
                ),
            ]
        )
    diverged, stopped = (_any(members, kind) for kind in ("diverged", "stopped"))
    figure.add_traces(
        [
            entry(f"measured in the {roi_title(threshold)}", "members", {"marker": MEMBER}),
            entry("diverged", "diverged", CROSSES, diverged),
            entry("stopped early", "stopped", STOPPED, stopped),
        ]
    )
    bar = colour_bar(f"probability of belonging to the {roi_title(threshold)}", 0.5, 0.7)
    figure.update_layout(
        coloraxis={"colorscale": COLOURS, "cmin": 0, "cmax": 1, "colorbar": bar}, legend=LEGEND
    )
    return figure


def _counts(panel: MembershipPanel) -> str:
    measured = f"{int(panel.points['member'].sum())} measured"
    return measured if np.isnan(panel.expected) else f"{measured}, {panel.expected:.1f} expected"


def _probability(probability: float) -> str:
    if np.isnan(probability):
        return ""
    return f"<br>in the region with probability {probability:.2f}"


def _any(members: tuple[MembershipPanel, ...], kind: str) -> bool:
    return any(len(getattr(panel, kind)) > 0 for panel in members)


def roi_probability_caption(analysis: StudyAnalysis, threshold: float, label: str) -> str:
    """Caption of `plot_roi_probability`.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `plot_roi_probability`.
    threshold : float
        The same.
    label : str
        Network, data and length of training, as `StudyResults.label` gives them.

    Returns
    -------
    str
        Sentences with the number of points and draws, how many of the measured members belong more
        likely than not, and what the marks mean.

    Raises
    ------
    HpstudyError
        As `plot_roi_probability`.
    """
    members = roi_probability_data(analysis, threshold)
    points = pd.concat([panel.points for panel in members])
    inside = points[points["member"]]
    likely = int((inside["probability"] > 0.5).sum())
    metric = metric_of(analysis.landscapes[analysis.dense])
    below = "below" if metric.sign > 0 else "above"
    sentences = [
        f"Probability that a point belongs to its network's {roi_title(threshold)}, at most "
        f"{threshold:g} {below} the best {metric.title}, once the noise of the "
        f"runs is taken off: {label}.",
        f"It is the share, among {DRAWS:,} noise-free landscapes drawn from a Gaussian process "
        f"through the measured points, of those that have the point in the region; "
        f"n = {count(len(points), 'point')} in {count(len(members), 'network')}.",
        f"Rings: {count(len(inside), 'point')} measured in the region, of which {likely} belong to "
        "it more likely than not; above each panel how many were measured in it, and how many are "
        "expected (the sum of the probabilities).",
    ]
    if _any(members, "diverged"):
        sentences.append("Crosses: points with a diverged run.")
    if _any(members, "stopped"):
        sentences.append("Dashes: points with a run that was stopped early; they have no value.")
    grey = [panel.title for panel in members if np.isnan(panel.expected)]
    if grey:
        sentences.append(
            f"Grey, because fewer than {FEWEST} points have a value: {'; '.join(grey)}."
        )
    return " ".join(sentences)
