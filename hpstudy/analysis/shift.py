"""Shift of a landscape from the dense network's: as measured, and without noise."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr

from hpstudy.analysis.intervals import (
    UNKNOWN,
    Array,
    Interval,
    Mask,
    correlation_interval,
    distance_interval,
    interval,
)
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import Ellipses, ellipse_overlap, fit_ellipses, jaccard, roi
from hpstudy.analysis.surrogate import DRAWS, Surrogate

COMMON = 0.5
"""Share of either network's settings that both must have before surfaces are not interpolated."""
RUNGS = {1: 61, 2: 13}
"""Values of each axis of a lattice, by the number of axes."""
FITTED = 0.9
"""Share of the draws that must have an ellipse before a shift is known."""
# Draws whose ranks and overlaps are compared: all of them would take most of the time.
_COMPARED = 2000
# Exchanges of the permutation test; its smallest p-value is then 0.0005.
_PERMUTATIONS = 1999


class Difference(NamedTuple):
    """Difference landscape of two networks, each relative to its own best.

    `points` are the settings at which both have a value: the axes; `dense` and `other`, each
    network's value minus the best of its whole landscape; and `difference`, `other` minus `dense`.
    `spearman` and `kendall` (tau-b) are the rank correlations of the values; NaN below two points,
    and where one of the two is constant.
    """

    points: pd.DataFrame
    spearman: float
    kendall: float

    @property
    def n(self) -> int:
        """Number of settings at which both networks have a value."""
        return len(self.points)


def difference(dense: Landscape, other: Landscape) -> Difference:
    """Distance of each setting from the best for one network, less the same for another."""
    dense_rows, rows = common_points(dense, other)
    points = dense.points.loc[dense_rows, list(dense.axes)].reset_index(drop=True)
    points["dense"] = dense.values[dense_rows] - dense.best
    points["other"] = other.values[rows] - other.best
    points["difference"] = points["other"] - points["dense"]
    spearman = kendall = float("nan")
    if len(points) > 1 and points[["dense", "other"]].nunique().min() > 1:
        spearman = float(spearmanr(points["dense"], points["other"]).statistic)
        kendall = float(kendalltau(points["dense"], points["other"]).statistic)
    return Difference(points, spearman, kendall)


def roi_overlap(dense: Landscape, other: Landscape, threshold: float) -> float:
    """Jaccard index of two networks' regions of interest over the settings that both have."""
    dense_rows, rows = common_points(dense, other)
    return float(jaccard(dense.in_roi(threshold)[dense_rows], other.in_roi(threshold)[rows]))


# --- draws at the same settings -------------------------------------------------------------------


class Pair(NamedTuple):
    """Draws of the dense network's landscape and of another's at the same settings.

    Of shape (n_draws, n_points), -inf where a network has no value; `logs` of shape (n_points, 2)
    are log10 of the axes, and `both` says where both networks have a value. `interpolated` draws
    come from the surfaces between the settings.
    """

    dense: Array
    other: Array
    logs: Array
    both: Mask
    interpolated: bool

    @property
    def shared(self) -> tuple[Array, Array]:
        """Draws of the two networks where both have a value."""
        return self.dense[:, self.both], self.other[:, self.both]

    def rois(self, threshold: float) -> tuple[Mask, Mask]:
        """Regions of interest of the two networks among the `shared` settings."""
        dense, other = self.shared
        return roi(dense, threshold), roi(other, threshold)

    def ellipses(self, threshold: float) -> tuple[Ellipses, Ellipses]:
        """Ellipses of `rois`."""
        dense, other = self.rois(threshold)
        return fit_ellipses(self.logs[self.both], dense), fit_ellipses(self.logs[self.both], other)


def pair_up(
    dense: Surrogate, other: Surrogate, seeds: tuple[int, int], draws: tuple[Array, Array]
) -> Pair:
    """Draws of two networks at all settings of the second, given `draws` at their own settings.

    Where they share fewer than half of either's settings, as two random searches do, both surfaces
    are interpolated to all settings of both that lie within the range of each, the first network's
    first. Over one axis they are interpolated to a lattice, as the few settings on one line place
    a region's ends only roughly.
    """
    one, two = dense.landscape, other.landscape
    if len(one.axes) == 1:
        return on_a_lattice(dense, other, seeds)
    rows, other_rows = common_points(one, two)
    fewer = min((~np.isnan(landscape.values)).sum() for landscape in (one, two))
    if len(rows) >= COMMON * fewer:
        n = min(map(len, draws))
        aligned = np.full((n, len(two.points)), -np.inf)
        aligned[:, other_rows] = draws[0][:n][:, rows]
        both = np.isin(np.arange(len(two.points)), other_rows)
        return Pair(aligned, draws[1][:n], two.logs, both, interpolated=False)
    kept, other_kept = within(one, two), within(two, one)
    # A setting of both is one setting.
    other_kept[other_rows[kept[rows]]] = False
    logs, other_logs = one.logs[kept], two.logs[other_kept]
    first = _draws(dense, seeds[0], kept, other_logs)
    second = np.roll(_draws(other, seeds[1], other_kept, logs), len(logs), axis=1)
    return _interpolated(first, second, np.vstack([logs, other_logs]))


def on_a_lattice(dense: Surrogate, other: Surrogate, seeds: tuple[int, int]) -> Pair:
    """Draws of two networks' surfaces on an even lattice over the range that both span."""
    pair, number = (dense, other), len(dense.landscape.axes)
    logs = [surrogate.landscape.logs[surrogate.used] for surrogate in pair]
    low = np.max([place.min(axis=0) for place in logs], axis=0)[:number]
    high = np.min([place.max(axis=0) for place in logs], axis=0)[:number]
    rungs = RUNGS[number] if (low < high).all() else 0
    ticks = [np.linspace(*ends, rungs) for ends in zip(low, high, strict=True)]
    lattice = np.array(list(product(*ticks, *[[0.0]] * (2 - number)))).reshape(-1, 2)
    drawn = [
        _draws(surrogate, seed, np.zeros(len(surrogate.used), bool), lattice)
        for surrogate, seed in zip(pair, seeds, strict=True)
    ]
    return _interpolated(drawn[0], drawn[1], lattice)


def _draws(surrogate: Surrogate, seed: int, kept: Mask, also: Array) -> Array:
    """Draws at the points that are kept, and then at further places."""
    return surrogate.draws(DRAWS, seed, also)[:, np.r_[kept, np.ones(len(also), bool)]]


def _interpolated(dense: Array, other: Array, logs: Array) -> Pair:
    n = min(len(dense), len(other))
    return Pair(dense[:n], other[:n], logs, np.ones(len(logs), bool), interpolated=True)


def within(landscape: Landscape, other: Landscape) -> Mask:
    """Which measured points of a landscape lie in the range that another's measured points span."""
    span = other.logs[other.placed & ~np.isnan(other.values)]
    low, high = span.min(axis=0) - 1e-9, span.max(axis=0) + 1e-9
    # A value of 0 has the place NaN, which is in no range.
    inside: Mask = ((landscape.logs >= low) & (landscape.logs <= high)).all(axis=1)
    return inside & ~np.isnan(landscape.values)


# --- the comparison -------------------------------------------------------------------------------


class LandscapeShift(NamedTuple):
    """Comparison of one network's landscape with the dense network's.

    What is measured is over the `n` settings at which both have a value, and NaN where a region has
    too few of them. Intervals are of the noise-free landscapes, `interpolated` where `Pair` says
    so; where fewer than nine in ten draws have an ellipse of both, those of ellipses are NaN.

    Attributes
    ----------
    spearman, kendall : float
        Rank correlations (`Difference`); the interval ends at 1 where both may be one landscape.
    jaccard : float
        Jaccard index of the measured regions of interest. `jaccard_by_noise` is that of two noisy
        measurements of the dense network's landscape, and `jaccard_p` the share of those that
        overlap no more than the measured regions do.
    shift : float
        Distance in decades between the measured regions' centres, `shift_p` as
        `permutation_test`. The interval begins at 0 where no shift is within the 95 % region of
        `shift_components`, which are along the two axes.
    ellipse_overlap : Interval
        Area common to both ellipses over the area of either.
    """

    n: int
    interpolated: bool
    spearman: float
    spearman_interval: Interval
    kendall: float
    jaccard: float
    jaccard_by_noise: Interval
    jaccard_p: float
    shift: float
    shift_interval: Interval
    shift_components: tuple[Interval, Interval]
    shift_p: float
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
    index = overlap_p = distance = distance_p = float("nan")
    by_noise = areas = length = UNKNOWN
    components = UNKNOWN, UNKNOWN
    if compared.n and not pair.interpolated:
        drawn, index = pair.shared[0][:_COMPARED], float(jaccard(*roi(measured, threshold)))
        deviations = spread[0][rows], spread[1][other_rows]
        noisy = [drawn + own * generator.standard_normal(drawn.shape) for own in deviations]
        by_chance = jaccard(roi(noisy[0], threshold), roi(noisy[1], threshold))
        by_noise, overlap_p = interval(by_chance), float((by_chance <= index + 1e-9).mean())
    shapes = pair.ellipses(threshold)
    if min(shape.fitted.mean() for shape in shapes) >= FITTED:
        logs = dense.logs[rows]
        if fit_ellipses(logs, roi(measured, threshold)).fitted.all():
            distance = float(_distance(measured[:1], measured[1:], logs, threshold)[0])
            seed = int(generator.integers(2**31))
            distance_p = permutation_test(measured[0], measured[1], logs, threshold, seed)
        first, second = centre_shifts(pair, threshold).T
        components, length = (interval(first), interval(second)), distance_interval(first, second)
        areas = interval(ellipse_overlap(*(shape.select(slice(_COMPARED)) for shape in shapes)))
    return LandscapeShift(
        n=compared.n,
        interpolated=pair.interpolated,
        spearman=compared.spearman,
        spearman_interval=correlation_interval(*(drawn[:_COMPARED] for drawn in pair.shared)),
        kendall=compared.kendall,
        jaccard=index,
        jaccard_by_noise=by_noise,
        jaccard_p=overlap_p,
        shift=distance,
        shift_interval=length,
        shift_components=components,
        shift_p=distance_p,
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
