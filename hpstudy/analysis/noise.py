"""Noise of runs as replicates show it: its size, where it grows, and what seeds share.

A run is y = f(setting) + u(seed) + sigma g(setting) e: the landscape, an effect of its seed that
all settings share, and independent noise whose size grows with the learning rate and away from
the optimum.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from hpstudy.analysis.intervals import Array
from hpstudy.analysis.landscape import Landscape

FEWEST_DEGREES = 8
"""Degrees of freedom of replicates from which the growth of noise is estimated."""
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
    roots : ndarray of shape (n_ratios, n_seeds, n_seeds)
        Roots of their covariances: R R^T.
    """

    weights: Array
    means: Array
    roots: Array

    @property
    def mean(self) -> Array:
        """Posterior mean of the effects, of shape (n_seeds,)."""
        mean: Array = self.weights @ self.means
        return mean

    def draw_ratios(self, generator: np.random.Generator, number: int) -> Array:
        """Draws of the variance of the effects over that of the noise, of shape (number,)."""
        ratios: Array = _RATIOS[generator.choice(len(_RATIOS), number, p=self.weights)]
        return ratios

    def draw(self, generator: np.random.Generator, number: int) -> Array:
        """Draws of the effects, of shape (number, n_seeds)."""
        ratio = generator.choice(len(self.weights), number, p=self.weights)
        noise = generator.standard_normal((number, self.means.shape[1]))
        drawn: Array = self.means[ratio] + np.einsum("kij,kj->ki", self.roots[ratio], noise)
        return drawn


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of the runs of one landscape, as its replicates show it."""

    landscape: Landscape

    @property
    def values(self) -> Array:
        """Means over seeds without the seeds' shared effects, of shape (n_points,)."""
        values = self.landscape.values
        return values if self.seeds is None else values - self._shares @ self.seeds.mean

    @property
    def shared(self) -> float:
        """Share of a run's variance that is its seed's effect; NaN where seeds cannot show it."""
        if self.seeds is None:
            return float("nan")
        return float(self.seeds.weights @ (_RATIOS / (1 + _RATIOS)))

    def levels(self, generator: np.random.Generator, number: int) -> Array:
        """Draws of what the seeds' effects still add to the points' `values`.

        Of shape (number, n_points), or zeros of shape (1, 1) where `seeds` is None; what all points
        have in common cancels in differences.
        """
        if self.seeds is None:
            return np.zeros((1, 1))
        effects = self.seeds.draw(generator, number) - self.seeds.mean
        levels: Array = effects @ self._shares.T
        return levels

    @property
    def seeds(self) -> SeedEffects | None:
        """Effects of the seeds; None where fewer than two were used at several settings."""
        return self._fitted[0]

    @property
    def growth(self) -> tuple[float, float]:
        """Growth of a run's deviation: decades per decade of the first axis, and per median depth.

        Posterior means; (0, 0) where the replicates have fewer than `FEWEST_DEGREES` degrees.
        """
        return self._fitted[1]

    @property
    def scale(self) -> Array:
        """Deviation of a run at each point over that at the best one, of shape (n_points,)."""
        return self._scale(*self.growth)

    @cached_property
    def replicates(self) -> tuple[float, int]:
        """Deviation at the best point of runs that differ by seed alone, and its degrees.

        sqrt(sum nu s^2 / g^2 / sum nu) over the points with several seeds, without what the seeds
        share, NaN without any; and sum nu, less what the seeds' effects take.
        """
        degrees, variances = self._scatter(self.seeds)
        if degrees.sum() < 0.5:
            return float("nan"), 0
        deviation = ((degrees * variances / self.scale**2).sum() / degrees.sum()) ** 0.5
        return float(deviation), round(degrees.sum())

    @cached_property
    def _fitted(self) -> tuple[SeedEffects | None, tuple[float, float]]:
        first = self._seed_effects(np.ones(len(self.landscape.points)))
        growth = self._fit_growth(*self._scatter(first))
        return (first and self._seed_effects(self._scale(*growth))), growth

    @cached_property
    def _singles(self) -> pd.DataFrame:
        """Single runs; empty where only means are known."""
        if self.landscape.singles is None:
            return pd.DataFrame({"point": np.empty(0, int), "seed": [], "value": []})
        return self.landscape.singles

    @cached_property
    def _common_seeds(self) -> list[int]:
        """Seeds that enough settings were trained with to have an effect of their own."""
        counts = self._singles["seed"].value_counts()
        return sorted(counts.index[counts >= _SHARED])

    @cached_property
    def _design(self) -> Array:
        """Which seed each single run has, of shape (n_runs, n_seeds); zeros for a rare one."""
        seeds = self._singles["seed"].to_numpy()
        design: Array = (seeds[:, None] == np.array(self._common_seeds)[None]).astype(float)
        return design

    @cached_property
    def _shares(self) -> Array:
        """Share of each point's mean that a seed has, of shape (n_points, n_seeds)."""
        points = self.landscape.points
        shares = np.zeros((len(points), len(self._common_seeds)))
        np.add.at(shares, self._singles["point"].to_numpy(), self._design)
        seeds: Array = points["seeds"].to_numpy(float)
        return shares / seeds[:, None]

    def _seed_effects(self, scale: Array) -> SeedEffects | None:
        """Linear mixed model: points are fixed effects, seeds random ones, their ratio averaged.

        The ratio's weights are the restricted likelihood, with the noise's variance at its best.
        """
        if len(self._common_seeds) < 2:
            return None
        rows = self._singles["point"].to_numpy()
        # Centred at each point, which takes the landscape off.
        residual = (self._singles["value"].to_numpy() - self.landscape.values[rows]) / scale[rows]
        design = (self._design - self._shares[rows]) / scale[rows, None]
        gram, pull = design.T @ design, design.T @ residual
        degrees = len(rows) - len(np.unique(rows))
        if degrees < 2:
            return None
        count = len(self._common_seeds)
        logs, means, roots = [], [], []
        for ratio in _RATIOS:
            inverse = np.linalg.inv(np.eye(count) + ratio * gram)
            mean = ratio * inverse @ pull
            variance = max(float(residual @ residual - pull @ mean), 1e-18) / degrees
            logs.append(0.5 * np.linalg.slogdet(inverse)[1] - degrees / 2 * np.log(variance))
            means.append(mean)
            values, vectors = np.linalg.eigh(ratio * variance * (inverse + inverse.T) / 2)
            roots.append(vectors * np.sqrt(values.clip(0.0)))
        weights = np.exp(np.array(logs) - logsumexp(logs))
        return SeedEffects(weights / weights.sum(), np.array(means), np.array(roots))

    def _scatter(self, seeds: SeedEffects | None) -> tuple[Array, Array]:
        """Degrees of freedom and variance between seeds at each point, of shape (n_points,)."""
        points = self.landscape.points
        variances = points["std"].to_numpy(float) ** 2
        degrees = np.where(np.isfinite(variances), points["seeds"].to_numpy(float) - 1, 0.0)
        variances = np.where(degrees > 0, variances, 0.0)
        if seeds is None or degrees.sum() == 0:
            return degrees, variances
        rows = self._singles["point"].to_numpy()
        values = self._singles["value"].to_numpy() - self._design @ seeds.mean
        middle = self.landscape.values - self._shares @ seeds.mean
        squares = np.bincount(rows, (values - middle[rows]) ** 2, len(points))
        # The effects take a degree each but one, or less where they are hardly there.
        each = degrees.sum() / len(self._common_seeds)
        taken = (len(self._common_seeds) - 1) * seeds.weights @ (_RATIOS / (_RATIOS + 1 / each))
        degrees = degrees * max(1 - taken / degrees.sum(), 0.1)
        return degrees, np.where(degrees > 0, squares / np.maximum(degrees, 1e-9), 0.0)

    def _fit_growth(self, degrees: Array, variances: Array) -> tuple[float, float]:
        """`growth`, by the likelihood of the scatter at each point."""
        if degrees.sum() < FEWEST_DEGREES:
            return 0.0, 0.0
        # Seeds that agree to the last digit say nothing of where noise grows.
        variances = variances.clip(_LEAST**2)
        logs = np.log(10) * (_GROWTHS * self._along + _DEEPENINGS * self._depth)
        total = (degrees * variances * np.exp(-2 * logs)).sum(axis=-1)
        likelihood = -(degrees * logs).sum(axis=-1) - degrees.sum() / 2 * np.log(total)
        likelihood -= 0.5 * ((_GROWTHS[..., 0] - GROWTH[0]) / GROWTH[1]) ** 2
        likelihood -= 0.5 * (_DEEPENINGS[..., 0] / GROWTH[1]) ** 2
        weights = np.exp(likelihood - logsumexp(likelihood))
        growth, deepening = ((weights * grid[..., 0]).sum() for grid in (_GROWTHS, _DEEPENINGS))
        return float(growth), float(deepening)

    def _scale(self, growth: float, deepening: float) -> Array:
        scale: Array = 10 ** (growth * self._along + deepening * self._depth)
        return scale

    @cached_property
    def _along(self) -> Array:
        """Decades along the first axis from the best point; 0 where a value is 0."""
        first = self.landscape.logs[:, 0]
        along: Array = np.nan_to_num(first - first[np.nanargmax(self.landscape.values)])
        return along

    @cached_property
    def _depth(self) -> Array:
        """Median depths below the best, at most `_DEEPEST`; as deep where there is no value."""
        depth = self.landscape.best - self.landscape.values
        middle = max(float(np.nanmedian(depth)), 1e-9)
        return np.nan_to_num(depth / middle, nan=_DEEPEST).clip(0.0, _DEEPEST)
