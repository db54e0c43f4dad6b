"""Shift of a landscape from the dense network's: as measured, and without noise."""

from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr

from hpstudy.analysis.intervals import (
    LEVEL,
    UNKNOWN,
    Array,
    Interval,
    distance_interval,
    interval,
)
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.pairs import Pair
from hpstudy.analysis.regions import ellipse_overlap, fit_ellipses, jaccard, roi

FITTED = 0.9
"""Share of the draws that must have an ellipse before a shift is known."""
# Draws whose ranks and overlaps are compared: all of them would take most of the time.
_COMPARED = 2000
# Exchanges of the permutation test; its smallest p-value is then 0.0005.
_PERMUTATIONS = 1999


class Difference(NamedTuple):
    """Difference landscape of two networks, `dense` and `other`, each relative to its own best.

    `points` are the settings at which both have a value: the axes; `dense` and `other`, each
    network's value minus the best of its whole landscape; and `difference`, `other` minus `dense`.
    `spearman` and `kendall` (tau-b) are the rank correlations of the values; NaN below two points,
    and where one of the two is constant.
    """

    dense: str
    other: str
    axes: tuple[str, ...]
    points: pd.DataFrame
    spearman: float
    kendall: float

    @property
    def n(self) -> int:
        """Number of settings at which both networks have a value."""
        return len(self.points)


def difference(dense: Landscape, other: Landscape) -> Difference:
    """Distance of each setting from the best for one network, less the same for another."""
    if not (known := dense.compared.get(("difference", other))):
        known = dense.compared["difference", other] = _difference(dense, other)
    return cast(Difference, known)


def _difference(dense: Landscape, other: Landscape) -> Difference:
    dense_rows, rows = common_points(dense, other)
    points = dense.points.loc[dense_rows, list(dense.axes)].reset_index(drop=True)
    points["dense"] = dense.values[dense_rows] - dense.best
    points["other"] = other.values[rows] - other.best
    points["difference"] = points["other"] - points["dense"]
    spearman = kendall = float("nan")
    if len(points) > 1 and points[["dense", "other"]].nunique().min() > 1:
        spearman = float(spearmanr(points["dense"], points["other"]).statistic)
        kendall = float(kendalltau(points["dense"], points["other"]).statistic)
    return Difference(dense.variant, other.variant, dense.axes, points, spearman, kendall)


def roi_overlap(dense: Landscape, other: Landscape, threshold: float) -> float:
    """Jaccard index of two networks' regions of interest over the settings that both have."""
    dense_rows, rows = common_points(dense, other)
    return float(jaccard(dense.in_roi(threshold)[dense_rows], other.in_roi(threshold)[rows]))


class Overlap(NamedTuple):
    """Jaccard index of two regions of interest, and what noise alone would make of it.

    `expected` is that of two noisy measurements of the dense network's landscape, and `p` the share
    of those that overlap no more than the `measured` regions do. NaN without any.
    """

    measured: float = float("nan")
    expected: Interval = UNKNOWN
    p: float = float("nan")


class CentreShift(NamedTuple):
    """Shift of a region's centre from the dense network's, in decades.

    Both regions are those among the same settings (`Pair`): a grid that grew further would move
    its centre by that alone. NaN where fewer than nine in ten draws have an ellipse of both.
    `measured` is the distance between the measured centres, and `p` that of `permutation_test`; NaN
    where a region has too few points. Of the noise-free landscapes are the components along the two
    axes and the `distance`, which begins at 0 where no shift is within the 95 % region.
    """

    measured: float = float("nan")
    first: Interval = UNKNOWN
    second: Interval = UNKNOWN
    distance: Interval = UNKNOWN
    p: float = float("nan")


class LandscapeShift(NamedTuple):
    """Comparison of one network's landscape with the dense network's.

    What is measured (`Difference`) is over the `n` settings at which both have a value. Intervals
    are of the noise-free landscapes, where `interpolated` off surfaces between the settings; that
    of the rank correlation ends at 1 where both may be one landscape. `ellipse_overlap` is the area
    common to both ellipses over the area of either.
    """

    n: int
    interpolated: bool
    spearman: float
    kendall: float
    spearman_interval: Interval
    overlap: Overlap
    centre: CentreShift
    ellipse_overlap: Interval


def landscape_shift(
    dense: Landscape, other: Landscape, pair: Pair, spread: tuple[Array, Array], threshold: float
) -> LandscapeShift:
    """Compare a pruned network's landscape with the dense network's (thesis, section 4.1.2).

    `pair` are their draws at the same settings, and `spread` the standard deviations of each
    network's measured values, each of shape (n_points,) of its landscape.
    """
    generator, compared = np.random.default_rng(0), difference(dense, other)
    rows, other_rows = common_points(dense, other)
    measured = np.stack([dense.values[rows], other.values[other_rows]])
    overlap, centre, areas = Overlap(), CentreShift(), UNKNOWN
    if compared.n and not pair.interpolated:
        drawn, index = pair.shared[0][:_COMPARED], float(jaccard(*roi(measured, threshold)))
        deviations = spread[0][rows], spread[1][other_rows]
        noisy = [drawn + own * generator.standard_normal(drawn.shape) for own in deviations]
        by_chance = jaccard(roi(noisy[0], threshold), roi(noisy[1], threshold))
        p = float((by_chance <= index + 1e-9).mean())
        overlap = Overlap(index, interval(by_chance), p)
    shapes = pair.ellipses(threshold)
    if min(shape.fitted.mean() for shape in shapes) >= FITTED:
        logs, distance, p = dense.logs[rows], float("nan"), float("nan")
        if fit_ellipses(logs, roi(measured, threshold)).fitted.all():
            distance = float(_distance(measured[:1], measured[1:], logs, threshold)[0])
            seed = int(generator.integers(2**31))
            p = permutation_test(measured[0], measured[1], logs, threshold, seed)
        first, second = centre_shifts(pair, threshold).T
        length = distance_interval(first, second)
        centre = CentreShift(distance, interval(first), interval(second), length, p)
        areas = interval(ellipse_overlap(*(shape.select(slice(_COMPARED)) for shape in shapes)))
    return LandscapeShift(
        n=compared.n,
        interpolated=pair.interpolated,
        spearman=compared.spearman,
        kendall=compared.kendall,
        spearman_interval=_spearman(*(drawn[:_COMPARED] for drawn in pair.shared)),
        overlap=overlap,
        centre=centre,
        ellipse_overlap=areas,
    )


def centre_shifts(pair: Pair, threshold: float) -> Array:
    """Shift of the region's centre in decades along the two axes, of shape (n_draws, 2).

    NaN in draws where either region has too few points for an ellipse.
    """
    dense, other = pair.ellipses(threshold)
    vectors = np.column_stack([other.first - dense.first, other.second - dense.second])
    # A centre counts where there is an ellipse, as in Table 4.1.
    vectors[~(dense.fitted & other.fitted)] = np.nan
    return vectors


def permutation_test(
    values: Array, other: Array, logs: Array, threshold: float, seed: int = 0
) -> float:
    """Probability of centres as far apart if the two landscapes differ by noise alone.

    Values of equal noise at the same points, of shape (n_points,) and each relative to their own
    best, are exchanged between the two landscapes point by point, at random; the centres of the two
    regions are taken anew. What comes back is (1 + exchanges with a distance at least the measured
    one) / (1 + exchanges).
    """
    generator = np.random.default_rng(seed)
    values, other = values - values.max(), other - other.max()
    exchanged = generator.random((_PERMUTATIONS, len(values))) < 0.5
    measured = _distance(values[None], other[None], logs, threshold)[0]
    pair = np.where(exchanged, other, values), np.where(exchanged, values, other)
    by_chance = _distance(*pair, logs, threshold)
    return float((1 + (by_chance >= measured - 1e-9).sum()) / (1 + _PERMUTATIONS))


def _distance(values: Array, other: Array, logs: Array, threshold: float) -> Array:
    """Distances between the mean settings of two regions, of shape (n_draws,)."""
    centre, other_centre = (
        inside @ logs / inside.sum(axis=1, keepdims=True)
        for inside in (roi(values, threshold), roi(other, threshold))
    )
    return np.asarray(np.hypot(*(other_centre - centre).T))


def _spearman(dense: Array, other: Array) -> Interval:
    """Rank correlation of each draw's two landscapes, up to 1 where they may be one landscape."""
    if dense.shape[1] < 2:
        return UNKNOWN
    correlation = interval(rank_correlations(dense, other))
    # What is not known of two landscapes only ever lowers their correlation. So much as here is
    # what two measurements of the first would leave: of each an error, and the draws around it.
    errors = [drawn - drawn.mean(axis=0) for drawn in (dense, other)]
    twice = [dense.mean(axis=0) + error + np.roll(error, 1, axis=0) for error in errors]
    alike = correlation.estimate >= np.quantile(rank_correlations(*twice), 1 - LEVEL)
    return correlation._replace(high=1.0) if alike else correlation


def rank_correlations(dense: Array, other: Array) -> Array:
    """Spearman's correlation of each row of two arrays; draws have no ties."""
    ranks = [drawn.argsort(axis=1).argsort(axis=1).astype(float) for drawn in (dense, other)]
    n, squares = dense.shape[1], ((ranks[0] - ranks[1]) ** 2).sum(axis=1)
    return np.asarray(1 - 6 * squares / (n * (n**2 - 1)))
