"""All landscapes of one table with the noise in them: what each number is, and how sure.

One surrogate and one set of draws a network, made when first asked for; everything here is then
arithmetic on arrays.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hpstudy.intervals import (
    UNKNOWN,
    Ellipses,
    Interval,
    axis_interval,
    bounded_share,
    ellipses,
    interval,
    regions,
    risk_draws,
)
from hpstudy.landscape import Landscape
from hpstudy.movement import FITTED, Movement, movement
from hpstudy.outcomes import Best, Curve, Regret, RiskInterval, Shape
from hpstudy.overlap import Band, band
from hpstudy.regret import local_search, random_search
from hpstudy.risk import common_points
from hpstudy.surrogate import DRAWS, FEWEST, Surrogate

# Trainings times points of all searches on one landscape's draws: about a second's work, which
# only tables larger than a grid reach.
_CLIMBING = 20_000_000
_FEWEST_CLIMBS = 50


@dataclass(frozen=True, eq=False)
class Analysis:
    """Landscapes of one table, analysed together.

    Attributes
    ----------
    landscapes : dict of str to Landscape
        The dense network first, as `hpstudy.landscape.landscapes` returns them.
    """

    landscapes: dict[str, Landscape]

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
            if one.points["value"].notna().sum() >= FEWEST
        }

    def draws(self, variant: str) -> np.ndarray | None:
        """Noise-free landscapes of one network (`Surrogate.draws`); None where it has none.

        Each network's draws are independent of the others', as its runs are.
        """
        if variant not in self.surrogates:
            return None
        return _draws(self.surrogates[variant], list(self.landscapes).index(variant))

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

    def edge(self, variant: str) -> float:
        """Share of the draws whose best lies on the edge of the network's grid; NaN without any."""
        drawn = self.draws(variant)
        if drawn is None:
            return float("nan")
        landscape = self.landscapes[variant]
        places = landscape.points[list(landscape.axes)].to_numpy(float)
        outer = ((places == places.min(axis=0)) | (places == places.max(axis=0))).any(axis=1)
        return float(outer[drawn.argmax(axis=1)].mean())

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
        found = ellipses(_places(self.landscapes[variant]), inside)
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
            band=band(kept.first, kept.second, kept.angle),
            fitted=share,
        )

    def movement(self, variant: str, threshold: float) -> Movement | None:
        """How one network's landscape differs from the dense one's; None without draws of both."""
        one, other = self.draws(self.dense), self.draws(variant)
        if one is None or other is None:
            return None
        noise = (self.surrogates[self.dense].noise, self.surrogates[variant].noise)
        pair = (self.landscapes[self.dense], self.landscapes[variant])
        return movement(*pair, (one, other), noise, threshold)

    def risk(self, variant: str, threshold: float) -> RiskInterval:
        """Risk of one network over the dense network's region of interest."""
        pair = self._common(variant)
        if pair is None:
            return RiskInterval(*[UNKNOWN] * 4)
        dense, other = pair
        return RiskInterval(*(interval(values) for values in risk_draws(dense, other, threshold)))

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

        In [0, 1] (`hpstudy.intervals.bounded_share`).
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
            d_theta there (equation 3.4) in percentage points; NaN where the network has no value.
        corrected : Interval
            Of the noise-free landscape.
        """
        row = self._kept_row(variant, rank)
        if row is None:
            return float("nan"), UNKNOWN
        landscape, drawn = self.landscapes[variant], self.draws(variant)
        measured = landscape.best - float(landscape.points["value"].iloc[row])
        if drawn is None:
            return measured, UNKNOWN
        return measured, interval(drawn.max(axis=1) - drawn[:, row])

    def regret(self, variant: str) -> Regret | None:
        """Regret curves of one network; None where they cannot be told."""
        return _regret(self, variant)

    def _common(self, variant: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Draws of the dense network and of another at the points that both have."""
        dense, other = self.draws(self.dense), self.draws(variant)
        if dense is None or other is None:
            return None
        # All of the other's points stay: its best may lie where the dense network has none.
        here, there = common_points(self.landscapes[self.dense], self.landscapes[variant])
        aligned = np.full(other.shape, -np.inf)
        aligned[:, there] = dense[:, here]
        return (aligned, other) if len(here) else None

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
    at = [landscape.points[axis] == value for axis, value in landscape.best_at.items()]
    return int(np.flatnonzero(at[0] & at[1])[0])


def _places(landscape: Landscape) -> np.ndarray:
    return np.log10(landscape.points[list(landscape.axes)].to_numpy(float))


def _curve(curves: np.ndarray) -> Curve:
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    return Curve(curves.mean(axis=0), low, high)


@lru_cache(maxsize=256)
def _regret(analysis: Analysis, variant: str) -> Regret | None:
    row, drawn = analysis._kept_row(variant), analysis.draws(variant)
    if row is None or drawn is None:
        return None
    points = _places(analysis.landscapes[variant])
    generator = np.random.default_rng(0)
    climbs = max(_FEWEST_CLIMBS, min(len(drawn), _CLIMBING // len(points) ** 2))
    climbed = local_search(drawn[:climbs], points, row, 1, generator)
    return Regret(_curve(random_search(drawn, row)), _curve(climbed))


@lru_cache(maxsize=256)
def _surrogate(landscape: Landscape) -> Surrogate:
    # The same landscape is analysed again beside others, and the process is what takes the time.
    return Surrogate(landscape)


@lru_cache(maxsize=256)
def _draws(surrogate: Surrogate, seed: int) -> np.ndarray:
    return surrogate.draws(DRAWS, seed)
