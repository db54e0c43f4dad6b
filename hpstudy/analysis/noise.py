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
from scipy.stats import chi2

from hpstudy.analysis.intervals import Array
from hpstudy.analysis.landscape import Landscape

FEWEST_DEGREES = 8
"""Degrees of freedom of replicates from which the growth of noise is estimated."""
GROWTH = (0.2, 0.3)
"""Prior of the noise's growth with the first axis: mean and deviation, in decades per decade."""
RATIOS = np.r_[0.0, np.geomspace(0.01, 100.0, 60)]
"""Variances of the seeds' effects over that of the noise at the best point."""

# Least and greatest noise of a mean as a share of the means' spread, and nodes between them.
_NODES = (0.003, 1.5, 32)
# Tails of chi squared between which replicates place the noise.
_TAILS = np.r_[1e-6, 1e-4, 1e-3, np.linspace(0.01, 0.99, 25), 1 - 1e-3, 1 - 1e-4, 1 - 1e-6]
# A seed that fewer settings were trained with has an effect that only they share: noise.
_SHARED = 5
_GROWTHS = np.linspace(-0.6, 1.4, 51)[:, None, None]
# Decades per median depth below the best; deeper than two of these noise grows no further.
_DEEPENINGS = np.linspace(-0.3, 1.0, 27)[None, :, None]
_DEEPEST = 2.0
# Least deviation between seeds, in the metric's unit: what a surface leaves of constant values.
_LEAST = 1e-6


class SeedEffects(NamedTuple):
    """Posterior of the seeds' effects for each of `RATIOS`.

    The probability of the ratio, of shape (n_ratios,); the effects' means, (n_ratios, n_seeds); and
    roots R of their covariances R R^T, (n_ratios, n_seeds, n_seeds).
    """

    weights: Array
    means: Array
    roots: Array

    @property
    def mean(self) -> Array:
        """Posterior mean of the effects, of shape (n_seeds,)."""
        return np.asarray(self.weights @ self.means)

    def draw(self, generator: np.random.Generator, number: int) -> Array:
        """Draws of the effects, of shape (number, n_seeds)."""
        ratio = generator.choice(len(self.weights), number, p=self.weights)
        noise = generator.standard_normal((number, self.means.shape[1]))
        return np.asarray(self.means[ratio] + np.einsum("kij,kj->ki", self.roots[ratio], noise))


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
        return float(self.seeds.weights @ (RATIOS / (1 + RATIOS)))

    def levels(self, generator: np.random.Generator, number: int) -> Array:
        """Draws of what the seeds' effects still add to the points' `values`.

        Of shape (number, n_points), or zeros of shape (1, 1) where `seeds` is None.
        """
        if self.seeds is None:
            return np.zeros((1, 1))
        effects = self.seeds.draw(generator, number) - self.seeds.mean
        return np.asarray(effects @ self._shares.T)

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

    @property
    def mean_scale(self) -> Array:
        """Deviation of each point's mean over that of one run at the best point."""
        return np.asarray(self.scale / np.sqrt(self.landscape.points["seeds"].to_numpy(float)))

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

    def nodes(self, spread: float, roots: Array) -> tuple[Array, Array]:
        """Plausible deviations of a run over the `spread` of means, and their weights' logarithms.

        `roots` are reciprocals of `mean_scale`: noise of single runs can make all of the spread,
        which is smaller by the root of their number. Replicates add finer nodes.
        """
        least, most, count = _NODES
        nodes = np.geomspace(least * np.median(roots), most * roots.max(), count)
        deviation, degrees = self.replicates
        if degrees and deviation > 0:
            fine = deviation / spread * np.sqrt(degrees / chi2.ppf(_TAILS, degrees))
            coarse = np.geomspace(fine.min(), fine.max(), 15)
            nodes = np.unique(np.r_[nodes, fine, coarse])
        return nodes, np.log(np.gradient(np.log(nodes)))

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
    def _design(self) -> Array:
        """Which seed each single run has, of shape (n_runs, n_seeds); zeros for a rare one."""
        seeds = self._singles["seed"]
        counts = seeds.value_counts()
        common = np.array(sorted(counts.index[counts >= _SHARED]))
        return np.asarray(seeds.to_numpy()[:, None] == common[None], float)

    @cached_property
    def _shares(self) -> Array:
        """Share of each point's mean that a seed has, of shape (n_points, n_seeds)."""
        points = self.landscape.points
        shares = np.zeros((len(points), self._design.shape[1]))
        np.add.at(shares, self._singles["point"].to_numpy(), self._design)
        return np.asarray(shares / points["seeds"].to_numpy(float)[:, None])

    def _seed_effects(self, scale: Array) -> SeedEffects | None:
        """Linear mixed model: points are fixed effects, seeds random ones, their ratio averaged.

        The ratio's weights are the restricted likelihood, with the noise's variance at its best.
        """
        count, rows = self._design.shape[1], self._singles["point"].to_numpy()
        degrees = len(rows) - len(np.unique(rows))
        if count < 2 or degrees < 2:
            return None
        # Centred at each point, which takes the landscape off.
        residual = (self._singles["value"].to_numpy() - self.landscape.values[rows]) / scale[rows]
        design = (self._design - self._shares[rows]) / scale[rows, None]
        gram, pull = design.T @ design, design.T @ residual
        logs, means, roots = [], [], []
        for ratio in RATIOS:
            inverse = np.linalg.inv(np.eye(count) + ratio * gram)
            mean = ratio * inverse @ pull
            variance = max(float(residual @ residual - pull @ mean), 1e-18) / degrees
            logs.append(0.5 * np.linalg.slogdet(inverse)[1] - degrees / 2 * np.log(variance))
            means.append(mean)
            values, vectors = np.linalg.eigh(ratio * variance * (inverse + inverse.T) / 2)
            # The symmetric root is one, whichever eigenvectors a processor chooses.
            roots.append(vectors * np.sqrt(values.clip(0.0)) @ vectors.T)
        weights = np.exp(np.array(logs) - logsumexp(logs))
        return SeedEffects(weights / weights.sum(), np.array(means), np.array(roots))

    def _scatter(self, seeds: SeedEffects | None) -> tuple[Array, Array]:
        """Degrees of freedom and variance between seeds at each point, of shape (n_points,)."""
        points = self.landscape.points
        variances = points["std"].to_numpy(float) ** 2
        degrees = np.where(np.isfinite(variances), points["seeds"].to_numpy(float) - 1, 0.0)
        if seeds is None or degrees.sum() == 0:
            return degrees, np.where(degrees > 0, variances, 0.0)
        rows, count = self._singles["point"].to_numpy(), self._design.shape[1]
        values = self._singles["value"].to_numpy() - self._design @ seeds.mean
        middle = self.landscape.values - self._shares @ seeds.mean
        squares = np.bincount(rows, (values - middle[rows]) ** 2, len(points))
        # The effects take a degree each but one, or less where they are hardly there.
        each = degrees.sum() / count
        taken = (count - 1) * seeds.weights @ (RATIOS / (RATIOS + 1 / each))
        degrees = degrees * max(1 - taken / degrees.sum(), 0.1)
        return degrees, np.where(degrees > 0, squares / np.maximum(degrees, 1e-9), 0.0)

    def _fit_growth(self, degrees: Array, variances: Array) -> tuple[float, float]:
        """`growth`, by the likelihood of the scatter at each point."""
        if degrees.sum() < FEWEST_DEGREES:
            return 0.0, 0.0
        # Seeds that agree to the last digit say nothing of where noise grows.
        variances = variances.clip(_LEAST**2)
        along, depth = self._places
        logs = np.log(10) * (_GROWTHS * along + _DEEPENINGS * depth)
        total = (degrees * variances * np.exp(-2 * logs)).sum(axis=-1)
        likelihood = -(degrees * logs).sum(axis=-1) - degrees.sum() / 2 * np.log(total)
        likelihood -= 0.5 * ((_GROWTHS[..., 0] - GROWTH[0]) / GROWTH[1]) ** 2
        likelihood -= 0.5 * (_DEEPENINGS[..., 0] / GROWTH[1]) ** 2
        weights = np.exp(likelihood - logsumexp(likelihood))
        growth, deepening = ((weights * grid[..., 0]).sum() for grid in (_GROWTHS, _DEEPENINGS))
        return float(growth), float(deepening)

    def _scale(self, growth: float, deepening: float) -> Array:
        along, depth = self._places
        return np.asarray(10 ** (growth * along + deepening * depth))

    @property
    def _places(self) -> tuple[Array, Array]:
        """Decades along the first axis from the best point, and median depths below it.

        Of values of 0 and of missing ones: no decades, and `_DEEPEST`, which is the most.
        """
        first, values = self.landscape.logs[:, 0], self.landscape.values
        along = np.nan_to_num(first - first[np.nanargmax(values)])
        depth = self.landscape.best - values
        middle = max(float(np.nanmedian(depth)), 1e-9)
        return along, np.nan_to_num(depth / middle, nan=_DEEPEST).clip(0.0, _DEEPEST)
