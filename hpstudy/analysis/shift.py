"""Shift of a landscape from the dense network's: as measured, and without noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from hpstudy.analysis.regions import Ellipses, ellipse_overlap, fit_ellipses, jaccard, roi

FITTED = 0.9
"""Share of the draws that must have an ellipse before a shift is known."""
# Draws whose ranks and overlaps are compared: all of them would take most of the time.
_COMPARED = 2000
# Exchanges of the permutation test; its smallest p-value is then 0.0005.
_PERMUTATIONS = 1999

# --- as measured ----------------------------------------------------------------------------------


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Difference:
    """Difference landscape of two networks, each relative to its own best.

    Attributes
    ----------
    dense, other : str
        Variants that are compared.
    points : DataFrame of shape (n, n_axes + 3)
        Settings at which both have a value: the axes; `dense` and `other`, each network's value
        minus the best of its whole landscape; and `difference`, `other` minus `dense`, positive
        where the other network is closer to its best. In the metric's unit.
    spearman, kendall : float
        Rank correlations of the two networks' values there (Kendall's tau-b), in [-1, 1]; NaN
        below two points, and where one of the two is constant.
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
    dense_rows, rows = common_points(dense, other)
    points = dense.points.loc[dense_rows, list(dense.axes)].reset_index(drop=True)
    points["dense"] = dense.values[dense_rows] - dense.best
    points["other"] = other.values[rows] - other.best
    points["difference"] = points["other"] - points["dense"]
    correlations = (_correlation(statistic, points) for statistic in (spearmanr, kendalltau))
    return Difference(dense.variant, other.variant, dense.axes, points, *correlations)


def roi_overlap(dense: Landscape, other: Landscape, threshold: float) -> float:
    """Jaccard index of two networks' regions of interest over the settings that both have.

    NaN where none of these is in a region.
    """
    dense_rows, rows = common_points(dense, other)
    inside = dense.in_roi(threshold)[dense_rows], other.in_roi(threshold)[rows]
    return float(jaccard(*inside))


def _correlation(statistic: Callable[..., Any], points: pd.DataFrame) -> float:
    pair = points["dense"].to_numpy(float), points["other"].to_numpy(float)
    if len(points) < 2 or min(np.ptp(values) for values in pair) == 0:
        return float("nan")
    return float(statistic(*pair).statistic)


# --- without noise --------------------------------------------------------------------------------


class Overlap(NamedTuple):
    """Overlap of two regions of interest, and what noise alone would make of it.

    Attributes
    ----------
    measured : float
        Jaccard index of the measured regions; NaN without any.
    expected : Interval
        Jaccard index of two noisy measurements of the dense network's landscape.
    p : float
        Share of those that overlap no more than the measured regions do.
    """

    measured: float
    expected: Interval
    p: float


class CentreShift(NamedTuple):
    """Shift of a region's centre from the dense network's, in decades.

    Both regions are those among the same settings (`Pair`): a grid that grew further would move
    its centre by that alone. NaN where fewer than nine in ten draws have an ellipse of both.

    Attributes
    ----------
    measured : float
        Distance between the measured centres; NaN where a region has too few points.
    first, second : Interval
        Components along the two axes, of the noise-free landscapes.
    distance : Interval
        Length; it begins at 0 where no shift at all is within the 95 % region.
    p : float
        Of `permutation_test`.
    """

    measured: float
    first: Interval
    second: Interval
    distance: Interval
    p: float

    @property
    def significant(self) -> bool:
        """Whether the interval of the distance lies above 0."""
        return self.distance.low > 0


NO_SHIFT = CentreShift(float("nan"), UNKNOWN, UNKNOWN, UNKNOWN, float("nan"))


@dataclass(frozen=True, eq=False)
class LandscapeShift:
    """Comparison of one network's landscape with the dense network's.

    Attributes
    ----------
    n : int
        Number of settings at which both networks have a value; all that is measured is over these.
    interpolated : bool
        Whether intervals are read off surfaces between the settings of the two networks.
    spearman, kendall : float
        Rank correlations of the measured values (`Difference`).
    spearman_interval : Interval
        Of the noise-free landscapes; it ends at 1 where both may be one landscape.
    overlap, centre
        Of the two regions of interest.
    ellipse_overlap : Interval
        Area common to both ellipses over the area of either, in [0, 1].
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
    dense: Landscape,
    other: Landscape,
    pair: Pair,
    spread: tuple[Array, Array],
    threshold: float,
) -> LandscapeShift:
    """Compare a pruned network's landscape with the dense network's (thesis, section 4.1.2).

    `pair` are their draws at the same settings, and `spread` the standard deviations of each
    network's measured values at the settings that both have, each of shape (n_common,).
    """
    generator = np.random.default_rng(0)
    values = dense.values[pair.dense_rows], other.values[pair.other_rows]
    measured, shapes = difference(dense, other), pair.ellipses(threshold)
    ranked = (pair.dense, pair.other) if pair.interpolated else pair.shared
    overlap = _overlap(values, pair, spread, threshold, generator)
    centre, areas = NO_SHIFT, UNKNOWN
    if shapes is not None and min(shape.fitted.mean() for shape in shapes) >= FITTED:
        centre = _centre_shift(shapes, values, dense.logs[pair.dense_rows], threshold, generator)
        first = slice(_COMPARED)
        areas = interval(ellipse_overlap(shapes[0].select(first), shapes[1].select(first)))
    return LandscapeShift(
        n=len(pair.dense_rows),
        interpolated=pair.interpolated,
        spearman=measured.spearman,
        kendall=measured.kendall,
        spearman_interval=_spearman(ranked[0][:_COMPARED], ranked[1][:_COMPARED]),
        overlap=overlap,
        centre=centre,
        ellipse_overlap=areas,
    )


def centre_shifts(pair: Pair, threshold: float) -> Array:
    """Shift of the region's centre from the dense network's, of shape (n_draws, 2).

    In decades along the two axes; NaN in draws where either region has too few points for an
    ellipse.
    """
    shapes = pair.ellipses(threshold)
    return np.full((len(pair.dense), 2), np.nan) if shapes is None else _between(*shapes)


def _between(dense: Ellipses, other: Ellipses) -> Array:
    """Vectors between the centres, of shape (n_draws, 2)."""
    vectors = np.column_stack([other.first - dense.first, other.second - dense.second])
    # A centre counts where there is an ellipse, as in Table 4.1.
    vectors[~(dense.fitted & other.fitted)] = np.nan
    return vectors


def permutation_test(
    values: Array, other: Array, logs: Array, threshold: float, seed: int = 0
) -> float:
    """Probability of centres as far apart if the two landscapes differ by noise alone.

    Values, each relative to their own best, are exchanged between the two landscapes point by
    point, at random; the centres of the two regions are taken anew.

    Parameters
    ----------
    values, other : ndarray of shape (n_points,)
        Values at the same points; of equal noise.
    logs : ndarray of shape (n_points, 2)
        log10 of the two axes.
    threshold : float
        Of the regions of interest.
    seed : int, default 0
        Seed of the exchanges.

    Returns
    -------
    float
        (1 + exchanges with a distance at least the measured one) / (1 + exchanges).
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
    distance: Array = np.hypot(*(other_centre - centre).T)
    return distance


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
    correlations: Array = 1 - 6 * squares / (n * (n**2 - 1))
    return correlations


def _overlap(
    values: tuple[Array, Array],
    pair: Pair,
    spread: tuple[Array, Array],
    threshold: float,
    generator: np.random.Generator,
) -> Overlap:
    if pair.interpolated or values[0].size == 0:
        return Overlap(float("nan"), UNKNOWN, float("nan"))
    measured = float(jaccard(roi(values[0], threshold), roi(values[1], threshold)))
    # In the order of the other network's points, which is that of the pair.
    drawn, order = pair.dense[:_COMPARED, pair.both], np.argsort(pair.other_rows)
    noisy = [
        drawn + deviation[order] * generator.standard_normal(drawn.shape) for deviation in spread
    ]
    by_chance = jaccard(roi(noisy[0], threshold), roi(noisy[1], threshold))
    return Overlap(measured, interval(by_chance), float((by_chance <= measured + 1e-9).mean()))


def _centre_shift(
    shapes: tuple[Ellipses, Ellipses],
    values: tuple[Array, Array],
    logs: Array,
    threshold: float,
    generator: np.random.Generator,
) -> CentreShift:
    distance = p = float("nan")
    if values[0].size and all(
        fit_ellipses(logs, roi(network[None], threshold)).fitted[0] for network in values
    ):
        distance = float(_distance(values[0][None], values[1][None], logs, threshold)[0])
        p = permutation_test(*values, logs, threshold, int(generator.integers(2**31)))
    first, second = _between(*shapes).T
    return CentreShift(
        distance, interval(first), interval(second), distance_interval(first, second), p
    )
