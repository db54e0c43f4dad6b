"""All landscapes of one table with the noise in them: what each number is, and how sure.

One surrogate and one set of draws a network, made when first asked for; everything here is then
arithmetic on arrays.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from typing import TypeVar

import numpy as np

from hpstudy.analysis.intervals import (
    NO_LOSS,
    UNKNOWN,
    Ellipses,
    Interval,
    Loss,
    axis_interval,
    bounded_share,
    ellipses,
    interval,
    loss,
    loss_draws,
    regions,
    risk_draws,
)
from hpstudy.analysis.landscape import TOLERANCE, Landscape
from hpstudy.analysis.outcomes import Best, Curve, Regret, RiskInterval, Shape
from hpstudy.analysis.overlap import Band, band
from hpstudy.analysis.pairs import Pair, on_a_lattice, pair_up, within
from hpstudy.analysis.regret import local_search, random_search
from hpstudy.analysis.risk import common_points
from hpstudy.analysis.shift import FITTED, Movement, movement
from hpstudy.analysis.surrogate import DRAWS, FEWEST, Surrogate

# Trainings times points of all searches on one landscape's draws: about a second's work, which
# only tables larger than a grid reach.
_CLIMBING = 13_500_000
_FEWEST_CLIMBS = 50
SEARCHED = 2000
"""Draws whose expected regrets are averaged; fewer are climbed on tables larger than a grid."""


Result = TypeVar("Result")


def _remembered(method: Callable[..., Result]) -> Callable[..., Result]:
    """Method whose results its object keeps, by its arguments."""

    @wraps(method)
    def remembering(self: "StudyAnalysis", *arguments: Hashable) -> Result:
        kept = self.__dict__.setdefault(f"_{method.__name__}", {})
        if arguments not in kept:
            kept[arguments] = method(self, *arguments)
        return kept[arguments]

    return remembering


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """Landscapes of one table, analysed together.

    Attributes
    ----------
    landscapes : dict of str to Landscape
        The dense network first, as `hpstudy.analysis.landscape.landscapes` returns them.
    batch : int, default 0
        Number of the draws: another one draws anew from the same surrogates.
    """

    landscapes: dict[str, Landscape]
    batch: int = 0

    @property
    def dense(self) -> str:
        """Variant of the dense network."""
        return next(iter(self.landscapes))

    @property
    def pruned(self) -> list[str]:
        """Variants of the other networks."""
        return list(self.landscapes)[1:]

    @cached_property
    def surrogates(self) -> dict[str, Surrogate]:
        """Surrogate of every landscape that has enough points with a value to say anything."""
        return {
            name: _surrogate(one)
            for name, one in self.landscapes.items()
            if (one.points["value"].notna() & one.placed).sum() >= FEWEST
        }

    @_remembered
    def draws(self, variant: str) -> np.ndarray | None:
        """Noise-free landscapes of one network (`Surrogate.draws`); None where it has none.

        Each network's draws are independent of the others', as its runs are.
        """
        if variant not in self.surrogates:
            return None
        return self.surrogates[variant].draws(DRAWS, self._seed(variant))

    def membership(self, variant: str, threshold: float) -> np.ndarray:
        """Probability that each point of a network lies in its region of interest.

        Returns
        -------
        ndarray of shape (n_points,)
            In [0, 1], in the order of the landscape's points; NaN without draws.
        """
        drawn = self.draws(variant)
        if drawn is None:
            return np.full(len(self.landscapes[variant].points), np.nan)
        return regions(drawn, threshold).mean(axis=0)

    def edge(self, variant: str, margin: float = 0.0) -> float:
        """Share of the draws that are best on the edge of the network's grid; NaN without any.

        Parameters
        ----------
        variant : str
        margin : float, default 0
            By how much the best of the edge must exceed the best inside, in the metric's unit.
        """
        drawn = self.draws(variant)
        if drawn is None:
            return float("nan")
        landscape = self.landscapes[variant]
        outer = np.zeros(len(landscape.points), bool)
        for axis in landscape.axes:
            values = landscape.points[axis]
            # Nothing lies below a weight decay of 0.
            outer |= values.isin({values.min(), values.max()} - {0.0}).to_numpy()
        if outer.all() or not outer.any():
            return float(outer.all())
        return float((drawn[:, outer].max(axis=1) > drawn[:, ~outer].max(axis=1) + margin).mean())

    def best(self, variant: str) -> Best:
        """Best of one network, as measured and without the luck in it."""
        landscape, drawn = self.landscapes[variant], self.draws(variant)
        if drawn is None:
            return Best(landscape.best, UNKNOWN, float("nan"))
        corrected = interval(drawn[:, best_row(landscape)])
        return Best(landscape.best, corrected, landscape.best - corrected.estimate)

    def given_up(self, variant: str) -> Interval:
        """Points of accuracy that pruning costs: the dense network's best less another's.

        Both at their measured optima, of the noise-free landscapes.
        """
        pair = [self.draws(name) for name in (self.dense, variant)]
        if any(drawn is None for drawn in pair):
            return UNKNOWN
        one, other = (
            drawn[:, best_row(self.landscapes[name])]
            for name, drawn in zip((self.dense, variant), pair, strict=True)
        )
        return interval(one - other)

    def shape(self, variant: str, threshold: float) -> Shape:
        """Size, place and direction of one network's region of interest."""
        drawn = self.draws(variant)
        if drawn is None:
            return Shape(*[UNKNOWN] * 6, Band(UNKNOWN, UNKNOWN), float("nan"))
        inside = regions(drawn, threshold)
        n = interval(inside.sum(axis=1))
        landscape = self.landscapes[variant]
        found = ellipses(landscape.places, inside)
        fitted = np.isfinite(found.length)
        share = float(fitted.mean())
        if share < FITTED:
            # Those that have one are no sample of the draws: their regions are the largest.
            return Shape(n, *[UNKNOWN] * 5, Band(UNKNOWN, UNKNOWN), share)
        kept = Ellipses(*(values[fitted] for values in found))
        return Shape(
            n=n,
            length=interval(kept.length),
            width=interval(kept.width),
            first=interval(kept.first),
            second=interval(kept.second),
            angle=axis_interval(kept.angle),
            # A region on one axis has no direction.
            band=band(kept.first, kept.second, kept.angle)
            if len(landscape.axes) == 2
            else Band(UNKNOWN, UNKNOWN),
            fitted=share,
        )

    @_remembered
    def pair(self, variant: str, lattice: bool = False) -> Pair | None:
        """Draws of the dense network and of another at the same settings; None without both.

        Parameters
        ----------
        variant : str
        lattice : bool, default False
            Whether both surfaces are interpolated to an even lattice (`pairs.on_a_lattice`).
        """
        if self.dense not in self.surrogates or variant not in self.surrogates:
            return None
        pair = (self.dense, variant)
        surrogates = [self.surrogates[name] for name in pair]
        seeds = self._seed(self.dense), self._seed(variant)
        if lattice:
            return on_a_lattice(*surrogates, seeds)
        return pair_up(*surrogates, tuple(self.draws(name) for name in pair), seeds)

    @_remembered
    def movement(self, variant: str, threshold: float) -> Movement | None:
        """How one network's landscape differs from the dense one's; None without draws of both."""
        if (pair := self.pair(variant)) is None:
            return None
        names, rows = (self.dense, variant), (pair.here, pair.there)
        spread = []
        for name, some in zip(names, rows, strict=True):
            surrogate = self.surrogates[name]
            spread.append((surrogate.noise * surrogate.run_scale)[some])
        landscapes = (self.landscapes[name] for name in names)
        return movement(*landscapes, pair, spread, threshold)

    def risk(self, variant: str, threshold: float) -> RiskInterval:
        """Risk of one network over the dense network's region of interest.

        Means are losses, with one-sided bounds (`hpstudy.analysis.intervals.Loss`).
        """
        pair = self._common(variant)
        if pair is None:
            return RiskInterval(*[UNKNOWN] * 4)
        dense, other = pair
        found = risk_draws(dense, other, threshold)
        best = other.max(axis=1)
        mean = loss(*loss_draws(other, best - found.mean))
        share = float(np.abs(np.median(best)))
        relative = Interval(*(x / share for x in mean.interval)) if share else UNKNOWN
        return RiskInterval(
            mean.interval, interval(found.std), relative, interval(found.relative_std)
        )

    def extra_risk(self, variant: str, threshold: float) -> np.ndarray:
        """Mean risk of one network over the dense one's region, less `uncertain_risk`, by draw.

        Returns
        -------
        ndarray of shape (n_draws,)
            In percentage points; empty without draws of both.
        """
        pair = self._common(variant)
        if pair is None:
            return np.array([])
        return risk_draws(*pair, threshold).mean - self.uncertain_risk(variant, threshold)

    def uncertain_risk(self, variant: str, threshold: float) -> np.ndarray:
        """Mean risk of the dense network where its region is as uncertain as it is to another's.

        A draw loses no more than the threshold over its own region, while what is not known of
        another network counts as loss there. To compare like with like the dense network's values
        are of one draw and its region is of another.

        Returns
        -------
        ndarray of shape (n_draws,)
            Over the points common to `variant`, in percentage points; empty without draws of both.
        """
        pair = self._common(variant)
        if pair is None:
            return np.array([])
        return risk_draws(pair[0], np.roll(pair[0], 1, axis=0), threshold).mean

    def bounded(self, variant: str, threshold: float) -> Interval:
        """Share of the dense network's region where another loses at most twice its bound.

        In [0, 1] (`hpstudy.analysis.intervals.bounded_share`).
        """
        pair = self._common(variant)
        return UNKNOWN if pair is None else interval(bounded_share(*pair, threshold))

    def keeping(self, variant: str, rank: int = 0) -> tuple[float, Interval]:
        """Risk of keeping the dense network's measured optimum, that one setting.

        Parameters
        ----------
        variant : str
        rank : int, default 0
            1 for the setting that measured second best in its place, and so on.

        Returns
        -------
        measured : float
            d_theta there (equation 3.4) in the metric's unit; NaN where the network has no value.
        corrected : Interval
            Of the noise-free landscape, with the one-sided bounds of `lost`.
        """
        row = self._kept_row(variant, rank)
        measured = float("nan")
        if row is not None:
            landscape = self.landscapes[variant]
            measured = landscape.best - float(landscape.points["value"].iloc[row])
        return measured, self.lost(variant, rank).interval

    def lost(self, variant: str, rank: int = 0) -> Loss:
        """Loss of keeping the dense network's measured optimum (`hpstudy.analysis.intervals.Loss`).

        Where the network was not trained there the loss is taken from its surface, if the setting
        lies within its range; NaN otherwise, and without draws.
        """
        found = self.loss_draws(variant, rank)
        return NO_LOSS if found is None else loss(*found)

    @_remembered
    def loss_draws(self, variant: str, rank: int = 0) -> tuple[np.ndarray, np.ndarray] | None:
        """The draws behind `lost` (`hpstudy.analysis.intervals.loss_draws`); None where there are none."""
        drawn, row = self.draws(variant), self._kept_row(variant, rank)
        dense = self.landscapes[self.dense]
        if drawn is None or dense.points["value"].notna().sum() <= rank:
            return None
        if row is None:
            at = ranked_row(dense, rank)
            if not within(dense, self.landscapes[variant])[at]:
                return None
            place = dense.places[[at]]
            drawn = self.surrogates[variant].draws(DRAWS, self._seed(variant), place)
            row = -1
        return loss_draws(drawn, drawn[:, row])

    def interpolated(self, variant: str) -> bool:
        """Whether a network was not trained at the dense network's measured optimum."""
        return self._kept_row(variant) is None

    @_remembered
    def regret(self, variant: str) -> Regret | None:
        """Regret curves of one network; None without draws or a value at the kept setting."""
        row, drawn = self._kept_row(variant), self.draws(variant)
        if row is None or drawn is None:
            return None
        points = self.landscapes[variant].places
        # A value of 0 is one more step below the least positive one.
        points = np.where(np.isfinite(points), points, np.nanmin(points, axis=0) - 1.0)
        climbs = max(_FEWEST_CLIMBS, min(SEARCHED, _CLIMBING // len(points) ** 2))
        climbed = local_search(drawn[:climbs], points, row, 1, np.random.default_rng(0))
        return Regret(_curve(random_search(drawn[:SEARCHED], row)), _curve(climbed))

    def _seed(self, variant: str) -> int:
        """Seed of a network's draws, which are independent of the others'."""
        return list(self.landscapes).index(variant) + 1000 * self.batch

    def _common(self, variant: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Draws of the dense network and of another at the settings that both have."""
        pair = self.pair(variant)
        # All of the other's points stay: its best may lie where the dense network has none.
        return (pair.dense, pair.other) if pair is not None and pair.both.any() else None

    def _kept_row(self, variant: str, rank: int = 0) -> int | None:
        """Row of the dense optimum, or what comes after it, among the points of another network."""
        dense = self.landscapes[self.dense]
        here, there = common_points(dense, self.landscapes[variant])
        if dense.points["value"].notna().sum() <= rank:
            return None
        found = there[here == ranked_row(dense, rank)]
        return int(found[0]) if len(found) else None


def ranked_row(landscape: Landscape, rank: int) -> int:
    """Row of the point that measured best (rank 0), second best (1) and so on."""
    best = best_row(landscape)
    rows = landscape.points["value"].drop(index=landscape.points.index[best])
    order = rows.sort_values(ascending=False, kind="stable").index
    return best if rank == 0 else landscape.points.index.get_loc(order[rank - 1])


def best_row(landscape: Landscape) -> int:
    """Row of `Landscape.best_at` among the points."""
    best = landscape.points["value"] >= landscape.best - TOLERANCE
    return int(np.flatnonzero(best)[0])


def _curve(curves: np.ndarray) -> Curve:
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    return Curve(curves.mean(axis=0), low, high)


@lru_cache(maxsize=16)
def _surrogate(landscape: Landscape) -> Surrogate:
    # The same landscape is analysed again beside others, and the process is what takes the time.
    return Surrogate(landscape)
