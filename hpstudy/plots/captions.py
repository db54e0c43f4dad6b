"""Captions of the figures: what is drawn, of how many runs, with which statistic and spread."""

import math

import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.levels import Metric, metric_of
from hpstudy.analysis.regions import confidence_level
from hpstudy.analysis.risk import Risk
from hpstudy.config.words import list_text
from hpstudy.errors import count
from hpstudy.plots.labels import axis_title, roi_title, variant_title
from hpstudy.plots.panels import TOP, Panels, landscapes_data

BIASED = "The best of many noisy accuracies is biased upward."


def landscapes_caption(
    landscapes: dict[str, Landscape],
    label: str,
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> str:
    """Caption of `plot_landscapes`.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Those of the figure.
    label : str
        Network, data and length of training, as `StudyResults.label` gives them.
    roi : tuple of float, default (0.5, 1.0)
        As `plot_landscapes` was called with.
    top : float, default 0.15
        The same.
    relative : bool, default False
        The same.

    Returns
    -------
    str
        Sentences with the number of points and runs, the statistic, its spread, the range of the
        colour scale, and what the marks mean.
    """
    panels = landscapes_data(landscapes, roi, top, relative)
    every = pd.concat([one.points for one in landscapes.values()])
    metric = panels.metric
    what = (
        f"Distance of the {metric.title} from each panel's own best{metric.counted}"
        if panels.relative
        else _in_unit(metric, metric.heading)
    )
    regions = " and ".join(
        f"{roi_title(threshold)} ({style})"
        for threshold, style in zip(panels.roi, ("solid", "dashed", "dotted"), strict=False)
    )
    inside = 1 - confidence_level(2.0)
    sentences = [
        f"{what}: {label}.",
        f"{_counts(landscapes)} {_spread(every, metric)}",
    ]
    if panels.plane.up is None:
        sentences += [
            f"Bands: the {' and '.join(map(roi_title, panels.roi))}; a line at a band's end spans "
            "two standard deviations of its settings to both sides of their mean, where there are "
            "at least five. Small dots: single runs. Triangles: points beyond the end of the axis.",
        ]
    else:
        worse = "lower" if metric.sign > 0 else "higher"
        sentences += [
            "Between the measured points (circles) the colours are interpolated.",
            f"One colour scale spans the top {_top_share(panels, every):.0f} % of all points, "
            f"{metric.text(panels.low)} to {metric.text(panels.high)}; "
            f"{worse} values are drawn at its {worse} end.",
            f"Ellipses: two standard deviations ({inside:.2%} of a Gaussian) around the {regions}, "
            "where that has at least five points; they may run beyond the grid.",
        ]
    if zeros := [axis for axis in panels.axes if (every[axis] == 0).any()]:
        sentences.append(
            f"Beside the dotted line: {list_text(f'{axis_title(axis)} 0' for axis in zeros)}, "
            "which has no place on a logarithmic axis, and is in no ellipse."
        )
    edge = [variant_title(panel.variant) for panel in panels.panels if panel.on_edge]
    if edge:
        sentences.append(f"The best point lies on the edge of the grid: {'; '.join(edge)}.")
    diverged = int((every["diverged"] > 0).sum())
    if diverged:
        sentences.append(f"Crosses: {count(diverged, 'point')} with a diverged run.")
    stopped = int((every["stopped"] > 0).sum())
    if stopped:
        sentences.append(
            f"Dashes: {count(stopped, 'point')} with a run that was stopped early, because it "
            f"could not reach the {roi_title(max(panels.roi))}; they have no value."
        )
    return " ".join([*sentences, biased(metric)])


def grid_caption(landscape: Landscape, label: str) -> str:
    """Caption of `plot_grid`: what the numbers are, of how many runs, with their spread."""
    metric = metric_of(landscape)
    diverged = int((landscape.points["diverged"] > 0).sum())
    crosses = f" × marks {count(diverged, 'point')} with a diverged run." if diverged else ""
    return (
        f"Grid of settings: {_in_unit(metric, metric.title)}; "
        f"{variant_title(landscape.variant).lower()} {label}. "
        f"{_counts({landscape.variant: landscape})} {_spread(landscape.points, metric)} "
        f"The darker cell is the prior, around which the grid was laid.{crosses} {biased(metric)}"
    )


def biased(metric: Metric) -> str:
    """What luck does to the best of many runs."""
    return (
        BIASED
        if metric.percent
        else f"The best of many noisy values of {metric.title} is better than it is without noise."
    )


def risk_caption(risks: dict[str, Risk], label: str) -> str:
    """Caption of `plot_risk`: over which points, against what, and what a box shows."""
    dense = next(iter(risks.values()))
    missing = sum(len(one.missing) for one in risks.values())
    lost = f" Left out: {count(missing, 'point')} without a value." if missing else ""
    return (
        f"Loss of top-1 accuracy against each network's own best when it is trained at the "
        f"n = {dense.n} settings of the unpruned network's {roi_title(dense.threshold)}: {label}. "
        "Left in percentage points, right as a share of the network's own best. A box spans the "
        "quartiles around the median, its whiskers reach the last point within 1.5 times that "
        "range, and every point is drawn; the darker box is the unpruned network, whose risk "
        f"cannot exceed {dense.threshold:.3g}.{lost} {BIASED} The risk is biased with it."
    )


def _counts(landscapes: dict[str, Landscape]) -> str:
    """How many points there are and how many runs at each."""
    points = sorted({len(one.points) for one in landscapes.values()})
    seeds = sorted({int(n) for one in landscapes.values() for n in one.points["seeds"]})
    how_many = "–".join(str(n) for n in dict.fromkeys((points[0], points[-1])))
    if seeds == [1]:
        return f"One run at each of {how_many} points a network."
    runs = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
    return f"Mean over n = {runs} seeds at each of {how_many} points a network."


def _in_unit(metric: Metric, title: str) -> str:
    return f"{title} in percent" if metric.percent else title


def _spread(points: pd.DataFrame, metric: Metric) -> str:
    """Typical standard deviation over seeds, at the points where no run diverged."""
    std = points.loc[points["diverged"] == 0, "std"].dropna()
    if std.empty:
        return "With one run a point the spread between runs is not measured."
    return (
        f"Standard deviation over seeds: median {metric.text(std.median())}, "
        f"from {metric.text(std.min())} to {metric.text(std.max())}"
        f"{' percentage points' if metric.percent else ''}."
    )


def _top_share(panels: Panels, every: pd.DataFrame) -> float:
    """Share of measured points on the colour scale, in percent."""
    colours = pd.concat([panel.points["colour"] for panel in panels.panels])
    on_scale = colours.between(panels.low - 1e-9, panels.high + 1e-9)
    return 100 * float(on_scale.mean()) if len(every) else math.nan
