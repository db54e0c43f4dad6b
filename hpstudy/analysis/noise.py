"""What replicates say of the noise of runs: its size, where it grows, and what seeds share.

A run is y = f(setting) + u(seed) + sigma g(setting) e: the landscape, an effect of its seed that
all settings share, and independent noise whose size grows with the learning rate and away from
the optimum.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from hpstudy.analysis.landscape import Landscape

FEWEST_DEGREES = 8
"""Degrees of freedom of replicates from which they say where noise grows."""
GROWTH = (0.2, 0.3)
"""Prior of the noise's growth with the first axis: mean and deviation, in decades per decade."""

# A seed that fewer settings were trained with has an effect that only they share: noise.
_SHARED = 5
# Variance of the seeds' effects over that of the noise at the best point.
_RATIOS = np.r_[0.0, np.geomspace(0.01, 100.0, 60)]
_GROWTHS = np.linspace(-0.6, 1.4, 51)[:, None, None]
# Decades per median depth below the best; deeper than two of these noise grows no further.
_DEEPENINGS = np.linspace(-0.3, 1.0, 27)[None, :, None]
_DEEPEST = 2.0
# Least deviation between seeds, in the metric's unit: what a surface leaves of constant values.
_LEAST = 1e-6


class SeedEffects(NamedTuple):
    """Effects of the seeds for each ratio of their variance to the noise's.

    Attributes
    ----------
    weights : ndarray of shape (n_ratios,)
        Posterior probability of each ratio.
    means : ndarray of shape (n_ratios, n_seeds)
        In the metric's unit.
    roots : ndarray of shape (n_ratios, n_seeds, n_seeds)
        Roots of their covariances: R R^T.
    """

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Posterior mean of the effects, of shape (n_seeds,)."""
        return self.weights @ self.means

    def draw_ratios(self, generator: np.random.Generator, number: int) -> np.ndarray:
        """Draws of the variance of the effects over that of the noise, of shape (number,)."""
        return generator.choice(_RATIOS, number, p=self.weights)

    def draw(self, generator: np.random.Generator, number: int) -> np.ndarray:
        """Draws of the effects, of shape (number, n_seeds)."""
        ratio = generator.choice(len(self.weights), number, p=self.weights)
        noise = generator.standard_normal((number, self.means.shape[1]))
        return self.means[ratio] + np.einsum("kij,kj->ki", self.roots[ratio], noise)


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of the runs of one landscape, as its replicates show it.

    Attributes
    ----------
    landscape : Landscape
    """

    landscape: Landscape

    @property
    def values(self) -> np.ndarray:
        """Means over seeds, of shape (n_points,), once the seeds' shared effects are taken off."""
        values = self.landscape.points["value"].to_numpy(float)
        return values if self.seeds is None else values - self._shares @ self.seeds.mean

    @property
    def shared(self) -> float:
        """Share of a run's variance that its seed's effect is; NaN where no seeds tell it."""
        if self.seeds is None:
            return float("nan")
        return float(self.seeds.weights @ (_RATIOS / (1 + _RATIOS)))

    def levels(self, generator: np.random.Generator, number: int) -> np.ndarray:
        """Draws of what the seeds' effects still add to the points' `values`.

        Returns
        -------
        ndarray of shape (number, n_points), or 0.0 where no seeds tell it
            In the metric's unit; what all points have of it in common cancels in differences.
        """
        if self.seeds is None:
            return np.zeros((1, 1))
        return (self.seeds.draw(generator, number) - self.seeds.mean) @ self._shares.T

    @property
    def seeds(self) -> SeedEffects | None:
        """Effects of the seeds; None where fewer than two were used at several settings."""
        return self._fitted[0]

    @property
    def growth(self) -> tuple[float, float]:
        """Growth of a run's deviation: decades per decade of the first axis, and per median depth.

        The posterior mean, from the scatter between seeds at each point; (0, 0) where that has
        fewer than `FEWEST_DEGREES` degrees of freedom.
        """
        return self._fitted[1]

    @property
    def scale(self) -> np.ndarray:
        """Deviation of a run at each point over that at the best one, of shape (n_points,)."""
        return self._scale(*self.growth)

    @cached_property
    def replicates(self) -> tuple[float, int]:
        """Standard deviation at the best point of runs that differ by seed alone, and its degrees.

        Returns
        -------
        deviation : float
            sqrt(sum nu s^2 / g^2 / sum nu) over the points with several seeds, in the metric's
            unit, without what the seeds share; NaN without any.
        degrees : int
            sum nu, less what the seeds' effects take.
        """
        degrees, variances = self._scatter(self.seeds)
        if degrees.sum() < 0.5:
            return float("nan"), 0
        deviation = ((degrees * variances / self.scale**2).sum() / degrees.sum()) ** 0.5
        return float(deviation), round(degrees.sum())

    @cached_property
    def _fitted(self) -> tuple[SeedEffects | None, tuple[float, float]]:
        first = self._seed_effects(np.ones(len(self.landscape.points)))
        growth = self._grown(*self._scatter(first))
        return (first and self._seed_effects(self._scale(*growth))), growth

    @cached_property
    def _often(self) -> list:
        """Seeds that enough settings were trained with to have an effect of their own."""
        if self.landscape.singles is None:
            return []
        counts = self.landscape.singles["seed"].value_counts()
        return sorted(counts.index[counts >= _SHARED])

    @cached_property
    def _design(self) -> np.ndarray:
        """Which seed each single run has, of shape (n_runs, n_seeds); zeros for a rare one."""
        seeds = self.landscape.singles["seed"].to_numpy()
        return (seeds[:, None] == np.array(self._often)[None]).astype(float)

    @cached_property
    def _shares(self) -> np.ndarray:
        """Share of each point's mean that a seed has, of shape (n_points, n_seeds)."""
        points = self.landscape.points
        table = np.zeros((len(points), len(self._often)))
        np.add.at(table, self.landscape.singles["point"].to_numpy(), self._design)
        return table / points["seeds"].to_numpy(float)[:, None]

    def _seed_effects(self, scale: np.ndarray) -> SeedEffects | None:
        """Linear mixed model: points are fixed effects, seeds random ones, their ratio averaged.

        The ratio's weights are the restricted likelihood, with the noise's variance at its best.
        """
        if len(self._often) < 2:
            return None
        singles = self.landscape.singles
        at = singles["point"].to_numpy()
        off = singles["value"].to_numpy() - self.landscape.points["value"].to_numpy()[at]
        # Centred at each point, which takes the landscape off.
        centred = (self._design - self._shares[at]) / scale[at, None]
        off = off / scale[at]
        known, pull = centred.T @ centred, centred.T @ off
        degrees = len(singles) - len(np.unique(at))
        if degrees < 2:
            return None
        count = len(self._often)
        logs, means, roots = [], [], []
        for ratio in _RATIOS:
            inverse = np.linalg.inv(np.eye(count) + ratio * known)
            mean = ratio * inverse @ pull
            variance = max(float(off @ off - pull @ mean), 1e-18) / degrees
            logs.append(0.5 * np.linalg.slogdet(inverse)[1] - degrees / 2 * np.log(variance))
            means.append(mean)
            values, vectors = np.linalg.eigh(ratio * variance * (inverse + inverse.T) / 2)
            roots.append(vectors * np.sqrt(values.clip(0.0)))
        weights = np.exp(np.array(logs) - logsumexp(logs))
        return SeedEffects(weights / weights.sum(), np.array(means), np.array(roots))

    def _scatter(self, seeds: SeedEffects | None) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom and variance between seeds at each point, of shape (n_points,)."""
        points = self.landscape.points
        variances = points["std"].to_numpy(float) ** 2
        degrees = np.where(np.isfinite(variances), points["seeds"].to_numpy(float) - 1, 0.0)
        variances = np.where(degrees > 0, variances, 0.0)
        if seeds is None or degrees.sum() == 0:
            return degrees, variances
        singles = self.landscape.singles
        at = singles["point"].to_numpy()
        left = singles["value"].to_numpy() - self._design @ seeds.mean
        middle = points["value"].to_numpy(float) - self._shares @ seeds.mean
        squares = np.bincount(at, (left - middle[at]) ** 2, len(points))
        # The effects take a degree each but one, or less where they are hardly there.
        each = degrees.sum() / len(self._often)
        taken = (len(self._often) - 1) * seeds.weights @ (_RATIOS / (_RATIOS + 1 / each))
        degrees = degrees * max(1 - taken / degrees.sum(), 0.1)
        return degrees, np.where(degrees > 0, squares / np.maximum(degrees, 1e-9), 0.0)

    def _grown(self, degrees: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
        """`growth`, by the likelihood of the scatter at each point."""
        if degrees.sum() < FEWEST_DEGREES:
            return 0.0, 0.0
        # Seeds that agree to the last digit say nothing of where noise grows.
        variances = variances.clip(_LEAST**2)
        logs = np.log(10) * (_GROWTHS * self._along + _DEEPENINGS * self._depth)
        total = (degrees * variances * np.exp(-2 * logs)).sum(axis=-1)
        likely = -(degrees * logs).sum(axis=-1) - degrees.sum() / 2 * np.log(total)
        likely -= 0.5 * ((_GROWTHS[..., 0] - GROWTH[0]) / GROWTH[1]) ** 2
        likely -= 0.5 * (_DEEPENINGS[..., 0] / GROWTH[1]) ** 2
        weights = np.exp(likely - logsumexp(likely))
        means = ((weights * grid[..., 0]).sum() for grid in (_GROWTHS, _DEEPENINGS))
        return tuple(float(mean) for mean in means)

    def _scale(self, growth: float, deepening: float) -> np.ndarray:
        return 10 ** (growth * self._along + deepening * self._depth)

    @cached_property
    def _along(self) -> np.ndarray:
        """Decades along the first axis from the best point; 0 where a value is 0."""
        first = self.landscape.places[:, 0]
        best = first[np.nanargmax(self.landscape.points["value"])]
        return np.nan_to_num(first - best)

    @cached_property
    def _depth(self) -> np.ndarray:
        """Median depths below the best, at most `_DEEPEST`; as deep where there is no value."""
        depth = self.landscape.best - self.landscape.points["value"].to_numpy(float)
        middle = max(float(np.nanmedian(depth)), 1e-9)
        return np.nan_to_num(depth / middle, nan=_DEEPEST).clip(0.0, _DEEPEST)
