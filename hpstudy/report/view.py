"""What the explorer says about its two landscapes: numbers, caption, and files to take away."""

import math
from collections.abc import Iterable
from html import escape

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.intervals import UNKNOWN
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import confidence_level
from hpstudy.analysis.risk import risk
from hpstudy.analysis.shift import difference, roi_overlap
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import count
from hpstudy.plots.labels import axis_title, metric_of, roi_title, setting_text, variant_title
from hpstudy.report.controls import CONFIG
from hpstudy.report.formats import html_table, interval_text, number_text

_SIDE_BY_SIDE = "display: flex; flex-wrap: wrap; gap: 1em 3em; line-height: 1.5"


def network_numbers(
    left: Landscape, right: Landscape, threshold: float, multiple: float
) -> list[tuple[str, str, str]]:
    """Numbers of each of two networks, as text.

    Parameters
    ----------
    left, right : Landscape
        Over the same axes.
    threshold : float
        Of the regions of interest, in the metric's unit.
    multiple : float
        Standard deviations from an ellipse's centre to its outline.

    Returns
    -------
    list of tuple of str
        What it is, the left network's, the right network's; a dash where there is none. The risk
        is that of keeping the left network's region of interest (equation 3.5). What is without
        noise has its 95 % interval.
    """
    analysis = _together(left, right)
    columns = [
        _numbers(left, one, threshold, multiple)
        | _without_noise(analysis, name, threshold, multiple)
        for name, one in analysis.landscapes.items()
    ]
    return [(name, columns[0][name], columns[1][name]) for name in columns[0]]


def _numbers(
    left: Landscape, landscape: Landscape, threshold: float, multiple: float
) -> dict[str, str]:
    ellipse = landscape.ellipse(threshold, multiple)
    lost = risk(left, landscape, threshold)
    metric = metric_of(landscape)
    unit = ", %" if metric.percent else ""
    numbers = {f"best{unit}": metric.text(landscape.sign * landscape.best)}
    for axis, value in landscape.best_at.items():
        numbers[f"its {axis_title(axis)}"] = setting_text(value) if math.isfinite(value) else "–"
    numbers[f"points in the {roi_title(threshold)}"] = (
        f"{len(landscape.roi(threshold))} of {len(landscape.points)}"
    )
    if len(landscape.axes) == 2:
        numbers["ellipse, length × width in decades"] = (
            f"{number_text(ellipse.length)} × {number_text(ellipse.width)}" if ellipse else "–"
        )
    else:
        numbers["its length, decades"] = number_text(ellipse.length) if ellipse else "–"
    for number, axis in enumerate(landscape.axes):
        numbers[f"its centre, {axis_title(axis)}"] = (
            setting_text(10 ** ellipse.centre[number]) if ellipse else "–"
        )
    unit = ", points" if metric.percent else ""
    numbers[f"mean risk at the left network's region{unit}"] = (
        f"{metric.text(lost.mean)} (n = {lost.n})"
    )
    return numbers


def _without_noise(
    analysis: StudyAnalysis, name: str, threshold: float, multiple: float
) -> dict[str, str]:
    shape = analysis.shape(name, threshold)
    metric = metric_of(analysis.landscapes[name])
    unit = ", %" if metric.percent else ""
    return {
        f"without noise: best{unit}": metric.interval(analysis.best(name).corrected.scaled(metric.sign)),
        "without noise: points in the region": interval_text(shape.n, 0),
        "without noise: ellipse length": interval_text(shape.length.scaled(multiple / 2)),
        "without noise: mean risk": metric.interval(analysis.risk(name, threshold).mean),
    }


def _together(left: Landscape, right: Landscape) -> StudyAnalysis:
    return StudyAnalysis({"left": left, "right": right})


def pair_numbers(
    left: Landscape, right: Landscape, threshold: float, multiple: float
) -> list[tuple[str, str]]:
    """Numbers of the comparison of two networks, as text.

    Parameters
    ----------
    left, right : Landscape
        Over the same axes.
    threshold : float
        Of the regions of interest, in the metric's unit.
    multiple : float
        Standard deviations from an ellipse's centre to its outline.

    Returns
    -------
    list of tuple of str
        What it is, and how much; a dash where there is none.
    """
    compared = difference(left, right)
    shapes = [one.ellipse(threshold, multiple) for one in (left, right)]
    shift = math.dist(shapes[0].centre, shapes[1].centre) if all(shapes) else math.nan
    moved = _together(left, right).shift("right", threshold)
    return [
        ("settings that both have", str(compared.n)),
        ("rank correlation, Spearman", number_text(compared.spearman)),
        ("rank correlation, Kendall", number_text(compared.kendall)),
        (
            f"overlap of the {roi_title(threshold)}s, Jaccard",
            number_text(roi_overlap(left, right, threshold)),
        ),
        ("centres of the ellipses apart, decades", number_text(shift)),
        ("without noise: Spearman", interval_text(moved.spearman_interval if moved else UNKNOWN)),
        ("without noise: centres apart", interval_text(moved.centre.distance if moved else UNKNOWN)),
        ("permutation test of that, p", number_text(moved.centre.p if moved else math.nan, 3)),
    ]


def numbers_html(left: Landscape, right: Landscape, threshold: float, multiple: float) -> str:
    """Both lists of numbers as HTML tables; names from the table of runs are escaped."""
    networks = pd.DataFrame(
        network_numbers(left, right, threshold, multiple),
        columns=["", variant_title(left.variant), variant_title(right.variant)],
    )
    pair = pd.DataFrame(
        pair_numbers(left, right, threshold, multiple), columns=["right − left", ""]
    )
    return f'<div style="{_SIDE_BY_SIDE}">{html_table(networks)}\n{html_table(pair)}</div>'


def view_caption(
    left: Landscape,
    right: Landscape,
    label: str,
    threshold: float,
    multiple: float,
    others: Iterable[str] = (),
) -> str:
    """Caption of the explorer's figure: what is drawn, of how many runs, and their spread.

    Parameters
    ----------
    left, right : Landscape
        Those of the figure.
    label : str
        Network, data and length of training, as `StudyResults.label` gives them.
    threshold : float
        Of the regions of interest, in the metric's unit.
    multiple : float
        Standard deviations from an ellipse's centre to its outline.
    others : iterable of str, optional
        Hyperparameters that vary beside the two axes.

    Returns
    -------
    str
        Some sentences.
    """
    metric = metric_of(left)
    points = pd.concat([left.points, right.points])
    runs = sorted({int(n) for n in points["seeds"]})
    each = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    spread = points["std"].dropna()
    two = len(left.axes) == 2
    sizes = list(dict.fromkeys((len(left.points), len(right.points))))
    sentences = [
        f"{metric.title}: {label}.",
        f"Mean of n = {each} {'run' if runs == [1] else 'runs'} at each of "
        f"{' and '.join(map(str, sizes))} points.",
        f"Standard deviation over runs: median {metric.text(spread.median())}"
        f"{' points' * metric.percent}, "
        f"where there are several (n = {count(len(spread), 'point')})."
        if len(spread)
        else "With one run a point the spread between runs is not measured.",
        "Third panel: the right network's distance from its own best minus the left one's from "
        f"its own{', in points' * metric.percent}; purple where the right one is closer. "
        + (
            "Circles are measured, colours between them interpolated."
            if two
            else "Circles are measured; bands are the regions, small dots single runs."
        ),
        f"Ellipses: {multiple:g} standard deviations ({1 - confidence_level(multiple):.1%} of a "
        f"Gaussian) around the {roi_title(threshold)}, from five points on."
        if two
        else f"Lines: {multiple:g} standard deviations to both sides of the mean setting of the "
        f"{roi_title(threshold)}, from five points on.",
        "The best of many noisy values is biased.",
    ]
    if others:
        sentences.insert(2, f"The mean is also over the values of {', '.join(others)}.")
    return " ".join(sentences)


def view_table(left: Landscape, right: Landscape, threshold: float) -> pd.DataFrame:
    """Data of the explorer's view, to be taken away as CSV.

    Parameters
    ----------
    left, right : Landscape
        Over the same axes.
    threshold : float
        Of the regions of interest, in the metric's unit.

    Returns
    -------
    DataFrame of shape (n_left + n_right, 10 + n_axes)
        side ("left", "right"), variant, metric and the columns of `Landscape.points`, `value` in
        the metric's own unit; `from_best`, that minus the network's best (0 or worse; NaN without
        a value), `in_region`, and `difference`: the right network's `from_best` minus the left
        one's; on the right network's rows, NaN where one of the two has no value.
    """
    frames = []
    for side, one in (("left", left), ("right", right)):
        frame = one.levels.reset_index(drop=True)
        frame.insert(0, "metric", one.metric)
        frame.insert(0, "variant", one.variant)
        frame.insert(0, "side", side)
        frame["from_best"] = one.sign * (one.points["value"] - one.best) + 0.0
        frame["in_region"] = one.in_roi(threshold)
        frame["difference"] = math.nan
        frames.append(frame)
    _, there = common_points(left, right)
    apart = difference(left, right).points["difference"].to_numpy()
    frames[1].loc[there, "difference"] = left.sign * apart + 0.0
    return pd.concat(frames, ignore_index=True)


def view_page(figure: go.Figure, title: str, caption: str, numbers: str) -> str:
    """The view as one HTML file that needs no other file and no network.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Drawn anew by the Plotly that is written into the file.
    title, caption : str
        Plain text.
    numbers : str
        HTML, as `numbers_html` returns it.

    Returns
    -------
    str
        About 5 MB, nearly all of it Plotly.
    """
    drawn = figure.to_html(full_html=False, include_plotlyjs=True, config=CONFIG)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body { font-family: system-ui, sans-serif; margin: 1em } "
        "td, th { padding: 0.2em 0.8em; text-align: left }</style>\n"
        f"<h1>{escape(title)}</h1>\n{drawn}\n<p>{escape(caption)}</p>\n{numbers}\n</html>\n"
    )
