"""Whether pruning moved a landscape: differences, correlations, overlaps, shifts, bands."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hpstudy.analysis.difference import difference
from hpstudy.analysis.intervals import (
    LEVEL,
    UNKNOWN,
    Ellipses,
    Interval,
    distance_interval,
    ellipses,
    interval,
    regions,
)
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.overlap import ellipse_overlaps, jaccard
from hpstudy.analysis.pairs import Pair

FITTED = 0.9
"""Share of the draws that must have an ellipse before anything is said of it."""
SOME = 2000
"""Draws whose ranks and overlaps are compared: all of them would take most of the time."""
PERMUTATIONS = 1999
"""Exchanges of the permutation test; its smallest p-value is then 0.0005."""


class Overlap(NamedTuple):
    """Overlap of two regions of interest, and what noise alone would make of it.

    Attributes
    ----------
    measured : float
        Jaccard index: points in both regions over points in either, in [0, 1]; NaN without any.
    expected : Interval
        The same of two noisy measurements of one landscape, the unpruned network's.
    p : float
        Share of those that overlap as little as the measured regions, or less.
    """

    measured: float
    expected: Interval
    p: float


class Shift(NamedTuple):
    """Shift of a region's centre from the unpruned network's, in decades.

    Both regions are those among the same settings (`hpstudy.analysis.pairs.Pair`): a grid that grew further
    would move its centre by that alone. NaN throughout where fewer than nine in ten draws have an
    ellipse of both regions.

    Attributes
    ----------
    measured : float
        Distance between the measured centres; NaN where a region has too few points.
    first, second : Interval
        Its components along the two axes, of the noise-free landscapes.
    distance : Interval
        Its length; it begins at 0 where no shift at all is within the 95 % region.
    p : float
        Of the permutation test: how often landscapes whose values were exchanged at random point by
        point have centres that are as far apart.
    """

    measured: float
    first: Interval
    second: Interval
    distance: Interval
    p: float

    @property
    def told(self) -> bool:
        """Whether it is more than noise explains: whether its interval lies above 0."""
        return self.distance.low > 0


UNTOLD = Shift(float("nan"), UNKNOWN, UNKNOWN, UNKNOWN, float("nan"))


@dataclass(frozen=True, eq=False)
class Movement:
    """How one network's landscape differs from the unpruned network's.

    Attributes
    ----------
    variant : str
        The other network.
    threshold : float
        Of both regions of interest, in percentage points.
    n : int
        Settings at which both networks have a value; all that is measured is over these.
    interpolated : bool
        Whether what carries an interval goes by surfaces between the settings of the two networks
        (`hpstudy.analysis.pairs`).
    spearman, kendall : float
        Rank correlations of the measured values, in [-1, 1]; NaN where one is constant.
    spearman_interval : Interval
        Of the noise-free landscapes; noise makes the measured one smaller. It ends at 1 where both
        may be one landscape.
    overlap : Overlap
        Of the two regions.
    shift : Shift
        Between their centres.
    ellipse_overlap : Interval
        Area common to both ellipses over the area of either, in [0, 1].
    lengths : tuple of Interval
        Of the ellipses of the unpruned and of the other network, in decades.
    longer : Interval
        By how much the other network's is longer, in decades.
    """

    variant: str
    threshold: float
    n: int
    interpolated: bool
    spearman: float
    kendall: float
    spearman_interval: Interval
    overlap: Overlap
    shift: Shift
    ellipse_overlap: Interval
    lengths: tuple[Interval, Interval]
    longer: Interval


def movement(
    dense: Landscape,
    other: Landscape,
    pair: Pair,
    spread: list[np.ndarray],
    threshold: float,
    seed: int = 0,
) -> Movement:
    """Compare a pruned network's landscape with the unpruned network's.

    Parameters
    ----------
    dense, other : Landscape
        Over the same axes.
    pair : Pair
        Their draws at the same settings.
    spread : list of two ndarray of shape (n_common,)
        Standard deviation of each network's measured values at the settings that both have.
    threshold : float
        Of the regions of interest, in the metric's unit.
    seed : int, default 0
        Of the generator of exchanges and of noise.

    Returns
    -------
    Movement
        NaN where the two have too little in common.

    Raises
    ------
    HpstudyError
        If the axes differ or the threshold is negative.

    References
    ----------
    Thesis, sections 2.3.1 and 4.1.2; the comparisons themselves go beyond it.
    """
    generator = np.random.default_rng(seed)
    rows = (dense, pair.here), (other, pair.there)
    values = [one.points["value"].to_numpy(float)[at] for one, at in rows]
    measured = difference(dense, other)
    drawn = pair.dense[:, pair.both], pair.other[:, pair.both]
    shapes = _shapes(pair, threshold)
    told = bool(shapes) and min(np.isfinite(one.length).mean() for one in shapes) >= FITTED
    length, other_length = [one.length for one in shapes] if told else np.full((2, 1), np.nan)
    shared = [pair.dense, pair.other] if pair.interpolated else list(drawn)
    return Movement(
        variant=other.variant,
        threshold=threshold,
        n=len(pair.here),
        interpolated=pair.interpolated,
        spearman=measured.spearman,
        kendall=measured.kendall,
        spearman_interval=_spearman(*(one[:SOME] for one in shared)),
        overlap=_overlap(values, pair, spread, threshold, generator),
        shift=_shift(shapes, values, dense.places[pair.here], threshold, generator)
        if told
        else UNTOLD,
        ellipse_overlap=interval(ellipse_overlaps(*(_first(one) for one in shapes)))
        if told
        else UNKNOWN,
        lengths=(interval(length), interval(other_length)),
        longer=interval(other_length - length),
    )


def shifts(pair: Pair, threshold: float) -> np.ndarray:
    """Shift of the region's centre from the dense network's in each draw.

    Parameters
    ----------
    pair : Pair
    threshold : float
        Of both regions, in the metric's unit.

    Returns
    -------
    ndarray of shape (n_draws, 2)
        In decades along the first and the second axis; NaN in draws where either region has too
        few points for an ellipse.
    """
    shapes = _shapes(pair, threshold)
    if not shapes:
        return np.full((len(pair.dense), 2), np.nan)
    one, other = shapes
    moved = np.column_stack([other.first - one.first, other.second - one.second])
    # A centre counts where there is an ellipse, as in Table 4.1.
    moved[~(np.isfinite(one.length) & np.isfinite(other.length))] = np.nan
    return moved


def _first(shapes: Ellipses) -> Ellipses:
    return Ellipses(*(values[:SOME] for values in shapes))


def _shapes(pair: Pair, threshold: float) -> list[Ellipses]:
    """Ellipses of both networks' regions among the settings at which both have draws."""
    if not pair.both.any():
        return []
    places = pair.places[pair.both]
    drawn = pair.dense[:, pair.both], pair.other[:, pair.both]
    return [ellipses(places, regions(one, threshold)) for one in drawn]


def permutation_test(
    one: np.ndarray, other: np.ndarray, places: np.ndarray, threshold: float, seed: int = 0
) -> float:
    """Probability of centres as far apart if the two landscapes differ by noise alone.

    Values, each relative to their own best, are exchanged between the two landscapes point by
    point, at random; the centres of the two regions are taken anew.

    Parameters
    ----------
    one, other : ndarray of shape (n_points,)
        Values at the same points, in the metric's unit; of equal noise.
    places : ndarray of shape (n_points, 2)
        log10 of the two axes.
    threshold : float
        Of the regions of interest.
    seed : int, default 0
        Of the exchanges.

    Returns
    -------
    float
        (1 + exchanges with a distance at least the measured one) / (1 + exchanges); in (0, 1].
    """
    generator = np.random.default_rng(seed)
    one, other = one - one.max(), other - other.max()
    exchanged = generator.random((PERMUTATIONS, len(one))) < 0.5
    measured = _distance(one[None], other[None], places, threshold)[0]
    by_chance = _distance(
        np.where(exchanged, other, one), np.where(exchanged, one, other), places, threshold
    )
    return float((1 + (by_chance >= measured - 1e-9).sum()) / (1 + PERMUTATIONS))


def _spearman(one: np.ndarray, other: np.ndarray) -> Interval:
    """Rank correlation of each draw's two landscapes, up to 1 where they may be one landscape."""
    if one.shape[1] < 2:
        return UNKNOWN
    found = interval(rank_correlations(one, other))
    # What is not known of two landscapes only ever lowers their correlation. So much as here is
    # what two measurements of the first would leave: of each an error, and the draws around it.
    errors = [drawn - drawn.mean(axis=0) for drawn in (one, other)]
    twice = [one.mean(axis=0) + error + np.roll(error, 1, axis=0) for error in errors]
    alike = found.estimate >= np.quantile(rank_correlations(*twice), 1 - LEVEL)
    return found._replace(high=1.0) if alike else found


def rank_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of two arrays; draws have no ties."""
    ranks = [drawn.argsort(axis=1).argsort(axis=1).astype(float) for drawn in (one, other)]
    apart = ((ranks[0] - ranks[1]) ** 2).sum(axis=1)
    n = one.shape[1]
    return 1 - 6 * apart / (n * (n**2 - 1))


def _overlap(
    values: list[np.ndarray],
    pair: Pair,
    spread: list[np.ndarray],
    threshold: float,
    generator: np.random.Generator,
) -> Overlap:
    if pair.interpolated or values[0].size == 0:
        return Overlap(float("nan"), UNKNOWN, float("nan"))
    measured = jaccard(*(regions(one[None], threshold) for one in values))[0]
    # In the order of the other network's points, which is that of the pair.
    drawn, order = pair.dense[:SOME, pair.both], np.argsort(pair.there)
    noisy = [drawn + sd[order] * generator.standard_normal(drawn.shape) for sd in spread]
    by_chance = jaccard(*(regions(one, threshold) for one in noisy))
    return Overlap(
        float(measured), interval(by_chance), float((by_chance <= measured + 1e-9).mean())
    )


def _shift(
    shapes: list[Ellipses],
    values: list[np.ndarray],
    places: np.ndarray,
    threshold: float,
    generator: np.random.Generator,
) -> Shift:
    distance = float("nan")
    # A region of too few points has no ellipse, and its length is NaN.
    if values[0].size and all(
        np.isfinite(ellipses(places, regions(one[None], threshold)).length[0]) for one in values
    ):
        distance = float(_distance(values[0][None], values[1][None], places, threshold)[0])
    # A centre counts where there is an ellipse, as in Table 4.1.
    known = np.isfinite(shapes[0].length) & np.isfinite(shapes[1].length)
    first = (shapes[1].first - shapes[0].first)[known]
    second = (shapes[1].second - shapes[0].second)[known]
    p = float("nan")
    if np.isfinite(distance) and len(places) > 1:
        p = permutation_test(*values, places, threshold, int(generator.integers(2**31)))
    return Shift(distance, interval(first), interval(second), distance_interval(first, second), p)


def _distance(
    one: np.ndarray, other: np.ndarray, places: np.ndarray, threshold: float
) -> np.ndarray:
    centres = []
    for values in (one, other):
        inside = regions(values, threshold).astype(float)
        centres.append(inside @ places / inside.sum(axis=1, keepdims=True))
    return np.hypot(*(centres[1] - centres[0]).T)
