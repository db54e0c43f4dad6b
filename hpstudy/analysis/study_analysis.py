"""All landscapes of one table with the noise in them: quantities with their intervals."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, wraps
from inspect import signature
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from hpstudy.analysis.intervals import (
    NO_LOSS,
    UNKNOWN,
    Array,
    Interval,
    Loss,
    axis_interval,
    interval,
    loss,
    loss_draws,
)
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import NO_BAND, Band, band, fit_ellipses, roi
from hpstudy.analysis.risk import (
    Curve,
    RegionRisk,
    Regret,
    local_search,
    random_search,
    risk_draws,
    share_within_bound,
)
from hpstudy.analysis.shift import (
    FITTED,
    LandscapeShift,
    Pair,
    landscape_shift,
    on_a_lattice,
    pair_up,
    within,
)
from hpstudy.analysis.surrogate import DRAWS, Surrogate
from hpstudy.config.design import FEWEST

# Trainings times points of all searches on one landscape's draws: about a second's work, which
# only tables larger than a grid reach.
_CLIMBING = 13_500_000
_FEWEST_CLIMBS = 50
SEARCHED = 2000
"""Draws whose expected regrets are averaged; fewer are climbed on tables larger than a grid."""

F = TypeVar("F", bound=Callable[..., Any])


def remembered(method: F) -> F:
    """Method whose results its object keeps, by its arguments."""
    parameters = signature(method)

    @wraps(method)
    def remembering(*args: Hashable, **kwargs: Hashable) -> Any:
        call = parameters.bind(*args, **kwargs)
        call.apply_defaults()
        self, *key = call.args
        results = self.__dict__.setdefault(f"_{method.__name__}", {})
        if tuple(key) not in results:
            results[tuple(key)] = method(*call.args)
        return results[tuple(key)]

    return cast(F, remembering)


class Shape(NamedTuple):
    """Points, ellipse (`Ellipses`) and band of a region of the noise-free landscape.

    NaN where fewer than nine in ten draws have an ellipse; `fitted` is the share that have one.
    """

    n: Interval = UNKNOWN
    length: Interval = UNKNOWN
    width: Interval = UNKNOWN
    first: Interval = UNKNOWN
    second: Interval = UNKNOWN
    angle: Interval = UNKNOWN
    band: Band = NO_BAND
    fitted: float = float("nan")


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """Landscapes of one table, the dense network's first, analysed together.

    `batch` is the number of the batch of draws; each is drawn anew from the same surrogates.
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
        """Surrogates of the landscapes that have enough points with a value."""
        # Kept by the landscape, which other analyses share: the process is what takes the time.
        return {
            name: landscape.__dict__.setdefault("_surrogate", Surrogate(landscape))
            for name, landscape in self.landscapes.items()
            if (~np.isnan(landscape.values) & landscape.placed).sum() >= FEWEST
        }

    @remembered
    def draws(self, variant: str) -> Array | None:
        """Noise-free landscapes of one network (`Surrogate.draws`); None where it has none."""
        if variant not in self.surrogates:
            return None
        return self.surrogates[variant].draws(DRAWS, self._seed(variant))

    def roi_probability(self, variant: str, threshold: float) -> Array:
        """Probability of each point to be in the region of interest; NaN without draws."""
        drawn = self.draws(variant)
        if drawn is None:
            return np.full(len(self.landscapes[variant].points), np.nan)
        return np.asarray(roi(drawn, threshold).mean(axis=0))

    def edge_probability(self, variant: str, margin: float = 0.0) -> float:
        """Share of the draws whose best on the edge exceeds that inside by a margin, or NaN."""
        drawn, landscape = self.draws(variant), self.landscapes[variant]
        if drawn is None:
            return float("nan")
        ends = {axis: list(landscape.ends(axis)) for axis in landscape.axes}
        edge = landscape.points[list(ends)].isin(ends).any(axis=1).to_numpy()
        if edge.all() or not edge.any():
            return float(edge.all())
        return float((drawn[:, edge].max(axis=1) > drawn[:, ~edge].max(axis=1) + margin).mean())

    def best(self, variant: str) -> Interval:
        """Noise-free value of one network at the setting that measured best."""
        drawn, landscape = self.draws(variant), self.landscapes[variant]
        return UNKNOWN if drawn is None else interval(drawn[:, landscape.best_row])

    @remembered
    def shape(self, variant: str, threshold: float) -> Shape:
        """Size, place and direction of one network's region of interest."""
        drawn, landscape = self.draws(variant), self.landscapes[variant]
        if drawn is None:
            return Shape()
        inside = roi(drawn, threshold)
        n, ellipses = interval(inside.sum(axis=1)), fit_ellipses(landscape.logs, inside)
        fitted = float(ellipses.fitted.mean())
        if fitted < FITTED:
            # The draws that have one are those whose regions are the largest.
            return Shape(n, fitted=fitted)
        ellipses = ellipses.select(ellipses.fitted)
        length, width, first, second = (interval(values) for values in ellipses[:4])
        # A region on one axis has no direction.
        line = band(ellipses) if len(landscape.axes) == 2 else NO_BAND
        return Shape(n, length, width, first, second, axis_interval(ellipses.angle), line, fitted)

    @remembered
    def pair(self, variant: str, lattice: bool = False) -> Pair | None:
        """Draws of the dense network and of another at the same settings; None without both."""
        drawn, other_drawn = self.draws(self.dense), self.draws(variant)
        if drawn is None or other_drawn is None:
            return None
        dense, other = self.surrogates[self.dense], self.surrogates[variant]
        seeds = self._seed(self.dense), self._seed(variant)
        if lattice:
            return on_a_lattice(dense, other, seeds)
        return pair_up(dense, other, seeds, (drawn, other_drawn))

    def common(self, variant: str) -> tuple[Array, Array] | None:
        """Draws of the dense network and of another at the second one's settings.

        None without draws of both, and without a setting that both have.
        """
        pair = self.pair(variant)
        # All of the other's points stay: its best may lie where the dense network has none.
        return (pair.dense, pair.other) if pair is not None and pair.both.any() else None

    @remembered
    def shift(self, variant: str, threshold: float) -> LandscapeShift | None:
        """Comparison with the dense network's landscape; None without draws of both."""
        pair = self.pair(variant)
        if pair is None:
            return None
        dense, other = self.surrogates[self.dense], self.surrogates[variant]
        spread = dense.deviations, other.deviations
        return landscape_shift(dense.landscape, other.landscape, pair, spread, threshold)

    def accuracy_drop(self, variant: str, against: str = "") -> Interval:
        """Best of another network, the dense one by default, less this one's.

        Both are noise-free at their measured optima.
        """
        names = (against or self.dense, variant)
        best = [
            drawn[:, self.landscapes[name].best_row]
            for name in names
            if (drawn := self.draws(name)) is not None
        ]
        return interval(best[0] - best[1]) if len(best) == 2 else UNKNOWN

    @remembered
    def risk(self, variant: str, threshold: float) -> RegionRisk[Interval]:
        """Risk over the dense network's region; the means have the one-sided bounds of a `Loss`."""
        pair = self.common(variant)
        if pair is None:
            return RegionRisk(*[UNKNOWN] * 4)
        drawn, best = risk_draws(*pair, threshold), pair[1].max(axis=1)
        mean = loss(*loss_draws(pair[1], best - drawn.mean)).interval
        scale = float(np.abs(np.median(best)))
        relative = Interval(*(end / scale for end in mean)) if scale else UNKNOWN
        return RegionRisk(mean, interval(drawn.std), relative, interval(drawn.relative_std))

    def extra_risk(self, variant: str, threshold: float) -> Array:
        """Mean risk of one network less the dense network's, by draw; empty without draws of both.

        What is not known of a network counts as loss over another's region. To compare like with
        like the dense network's values are of one draw and its region is of another.
        """
        pair = self.common(variant)
        if pair is None:
            return np.array([])
        uncertain = risk_draws(pair[0], np.roll(pair[0], 1, axis=0), threshold)
        return risk_draws(*pair, threshold).mean - uncertain.mean

    def share_within_bound(self, variant: str, threshold: float) -> Interval:
        """`hpstudy.analysis.risk.share_within_bound`."""
        pair = self.common(variant)
        return UNKNOWN if pair is None else interval(share_within_bound(*pair, threshold))

    def measured_transfer_regret(self, variant: str) -> float:
        """Risk d_theta (equation 3.4) at the dense network's measured optimum; NaN if not known."""
        row, landscape = self._transferred_row(variant), self.landscapes[variant]
        return float("nan") if row is None else float(landscape.best - landscape.values[row])

    def transfer_regret(self, variant: str, rank: int = 0) -> Loss:
        """Loss of keeping the dense network's measured optimum, or its next best by `rank`.

        Read off its surface where the network was trained around the setting but not there; NaN
        beyond its range, and without draws.
        """
        drawn = self.transfer_regret_draws(variant, rank)
        return NO_LOSS if drawn is None else loss(*drawn)

    @remembered
    def transfer_regret_draws(self, variant: str, rank: int = 0) -> tuple[Array, Array] | None:
        """Draws behind `transfer_regret` (`hpstudy.analysis.intervals.loss_draws`)."""
        drawn, row = self.draws(variant), self._transferred_row(variant, rank)
        dense = self.landscapes[self.dense]
        setting = dense.ranked_row(rank)
        if drawn is None or setting is None:
            return None
        if row is None:
            if not within(dense, self.landscapes[variant])[setting]:
                return None
            place = dense.logs[[setting]]
            drawn, row = self.surrogates[variant].draws(DRAWS, self._seed(variant), place), -1
        return loss_draws(drawn, drawn[:, row])

    def interpolated(self, variant: str) -> bool:
        """Whether a network was not trained at the dense network's measured optimum."""
        return self._transferred_row(variant) is None

    @remembered
    def regret(self, variant: str) -> Regret | None:
        """Regret curves of one network; None without draws or a value at the kept setting."""
        row, drawn = self._transferred_row(variant), self.draws(variant)
        if row is None or drawn is None:
            return None
        logs = self.landscapes[variant].logs
        # A value of 0 is one more step below the least positive one.
        logs = np.where(np.isfinite(logs), logs, np.nanmin(logs, axis=0) - 1.0)
        climbs = max(_FEWEST_CLIMBS, min(SEARCHED, _CLIMBING // len(logs) ** 2))
        climbed = local_search(drawn[:climbs], logs, row, np.random.default_rng(0))
        return Regret(_curve(random_search(drawn[:SEARCHED], row)), _curve(climbed))

    def _seed(self, variant: str) -> int:
        return list(self.landscapes).index(variant) + 1000 * self.batch

    def _transferred_row(self, variant: str, rank: int = 0) -> int | None:
        """Row of the dense optimum among the points of another network."""
        dense = self.landscapes[self.dense]
        dense_rows, rows = common_points(dense, self.landscapes[variant])
        match = rows[dense_rows == dense.ranked_row(rank)]
        return int(match[0]) if len(match) else None


def _curve(curves: Array) -> Curve:
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    return Curve(curves.mean(axis=0), low, high)
