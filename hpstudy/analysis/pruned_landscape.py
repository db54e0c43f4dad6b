"""What the dense network's landscape says of a pruned one before, and after, some trainings.

A run of the pruned network at x with seed u is

    y = c + rho g(x - s) + delta(x) + e_u + sigma r(x) e,

with g the dense network's posterior mean relative to its best, s a shift, rho a scale, e_u the
effect of a seed that all settings share, and r the growth of noise (`Noise`). The difference

    delta ~ GP(0, (a0^2 q^2 + a1^2 g(x) g(x')) k(x, x'; l))

is small where the dense network is good and grows with depth; q is the noise of a run. A small
share of the prior says that the dense landscape tells nothing. Every combination of s, rho, sigma,
a0, a1 and l is weighed by its prior, fitted on measured pairs of networks, times its marginal
likelihood. Landscapes are drawn by Matheron's rule (Wilson et al., Efficiently sampling functions
from Gaussian process posteriors, ICML 2020, equation 10).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from hpstudy.analysis.intervals import Array, Rows
from hpstudy.analysis.noise import RATIOS
from hpstudy.analysis.pruned_prior import (
    ADDITIVE,
    DEEPENING,
    LENGTHS,
    NOISES,
    OWN,
    OWN_LENGTHS,
    SCALES,
    SHIFTS,
    Prior,
)
from hpstudy.analysis.surrogate import Surrogate
from hpstudy.hardware import single_threaded

# Deviation of the free level, in units of spread and noise.
_LEVEL = 10.0
# Variance of the seeds' effects over that of noise, where the dense network's runs say nothing.
_SHARED = 0.4
_JITTER = 1e-6


class Runs(NamedTuple):
    """Runs of the pruned network: row of the setting, value, number of the seed; (n_runs,) each.

    `each` is the number of trainings behind each value.
    """

    rows: Rows
    values: Array
    seeds: Rows
    each: Array

    def first(self, number: int) -> "Runs":
        """The first so many runs."""
        return Runs(
            self.rows[:number], self.values[:number], self.seeds[:number], self.each[:number]
        )


class Draws(NamedTuple):
    """Plausible landscapes of the pruned network.

    `values` (n_draws, n_settings) are without noise, and relative to no level but that of the runs;
    `noise` are a run's deviations, of the same shape.
    """

    values: Array
    noise: Array


@dataclass(frozen=True, eq=False)
class PrunedLandscape:
    """Hypotheses on the landscape of a pruned network over `settings`.

    `settings`, of shape (n_settings, 2), are log10 of the axes, all of them finite.
    """

    dense: Surrogate
    settings: Array
    prior: Prior

    @cached_property
    def _depths(self) -> Array:
        """Dense landscape below its best at each setting less each shift, (n_shifts^2, n)."""
        moved = [self.settings - [first, second] for first in SHIFTS for second in SHIFTS]
        depth = self.dense.mean_depth(np.concatenate(moved)).reshape(len(moved), -1)
        depth = depth - depth.min(axis=1, keepdims=True)
        # Beyond the grid the surface is a guess.
        most = max(1.3 * float(depth[len(moved) // 2].max()), 1e-9)
        return np.asarray(np.minimum(depth, most), float)

    @property
    def depth(self) -> Array:
        """Depth of the dense landscape below its best, compressed, of shape (n_settings,)."""
        depth: Array = self._depths[len(self._depths) // 2]
        return depth

    @cached_property
    def _means(self) -> Array:
        """Mean of each scale and shift, of shape (scales x shifts, n_settings)."""
        return np.asarray((-SCALES[:, None, None] * self._depths).reshape(-1, len(self.settings)))

    @cached_property
    def _kernels(self) -> Array:
        """Covariances of the difference, then those of an own landscape; (k, n, n)."""
        span = np.maximum(np.ptp(self.settings, axis=0), 1e-9)
        places = self.settings / span
        squares = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
        spread, depth = self.dense.spread, np.outer(self.depth, self.depth)
        unit = np.hypot(self.dense.noise, 0.03 * spread)
        return np.array(
            [
                ((a0 * unit) ** 2 + a1**2 * depth) * np.exp(-0.5 * squares / length**2)
                for a0 in ADDITIVE
                for a1 in DEEPENING
                for length in LENGTHS
            ]
            + [
                (amplitude * spread) ** 2 * np.exp(-0.5 * squares / length**2)
                for amplitude in OWN
                for length in OWN_LENGTHS
            ]
        )

    @cached_property
    def _roots(self) -> Array:
        size = np.diagonal(self._kernels, axis1=1, axis2=2).mean(axis=1)[:, None, None]
        root: Array = np.linalg.cholesky(
            self._kernels + _JITTER * size * np.eye(len(self.settings))
        )
        return root

    @cached_property
    def _level(self) -> float:
        """Variance of the free level."""
        return (_LEVEL * (self.dense.spread + self.dense.noise)) ** 2

    @cached_property
    def growth(self) -> Array:
        """Deviation of a run at each setting over that at the dense network's best."""
        along, deepening = self.dense.noise_model.growth
        first = self.settings[:, 0]
        decades = (first - first[self.depth.argmin()]).clip(-1.5, 1.5)
        depth = self.depth / max(float(np.median(self.depth)), 1e-9)
        return np.asarray(10 ** (along * decades + deepening * depth.clip(0, 2))).clip(0.3, 8.0)

    @property
    def replicated(self) -> bool:
        """Whether runs of the dense network that differ by seed alone show its noise."""
        return self.dense.noise_model.replicates[1] > 0

    def shared(self, runs: Runs) -> float:
        """Variance of the effect of a seed that all settings share.

        That of the dense network's runs, or a share of their noise, counts for two degrees of
        freedom; runs of the pruned network that differ by seed alone show the rest.
        """
        seeds, noise = self.dense.noise_model.seeds, self.dense.noise**2
        ratio = _SHARED if seeds is None else float(seeds.weights @ RATIOS.clip(max=10.0))
        degrees = len(runs.rows) - len(np.unique(runs.rows))
        if degrees < 1:
            return ratio * noise
        values = pd.Series(runs.values / self.growth[runs.rows])
        groups = values.groupby(runs.rows)
        between = float((groups.transform("mean") - values).pow(2).sum()) / degrees
        return (2 * ratio * noise + degrees * max(between - noise, 0.0)) / (2 + degrees)

    @property
    def _differences(self) -> int:
        return self.prior.kernel.size

    def _precisions(self, runs: Runs) -> tuple[Array, Array]:
        """Inverse covariances of the runs for each kernel and noise, and log determinants."""
        rows, same = runs.rows, runs.seeds[:, None] == runs.seeds
        common = self._level + self.shared(runs) * same
        noise = (self.dense.noise * NOISES) ** 2
        own = np.diag(self.growth[rows] ** 2 / runs.each)
        covariance = (self._kernels[:, rows][:, :, rows] + common)[:, None] + (
            noise[:, None, None] * own
        )
        return np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]

    @single_threaded
    def likelihood(self, runs: Runs) -> tuple[Array, Array]:
        """Log marginal likelihoods, of the shapes of `Prior.logs`."""
        return self._likelihood(self.squeezed(runs.values), runs, *self._precisions(runs))

    def _likelihood(
        self, values: Array, runs: Runs, inverse: Array, logdet: Array
    ) -> tuple[Array, Array]:
        number = self._differences
        left = values - self._means[:, runs.rows]
        squares = np.einsum(
            "ksnm,hn,hm->ksh",
            inverse[:number],
            left,
            left,
            optimize=["einsum_path", (0, 1), (0, 1)],
        )
        own = np.einsum("ksnm,n,m->ks", inverse[number:], values, values)
        return -0.5 * (squares + logdet[:number, :, None]), -0.5 * (own + logdet[number:])

    def squeezed(self, values: Array) -> Array:
        """Values relative to the best, compressed beyond the dense network's bound."""
        return -self.dense.squeeze(values.max() - values)

    @single_threaded
    def draws(self, runs: Runs, number: int, generator: np.random.Generator) -> Draws:
        """Draws from the posterior, given the runs; from the prior without any.

        Values are relative to the best one measured, or to the best drawn on average.
        """
        logs = self.prior.logs(self.replicated)
        if count := len(runs.rows):
            values, (inverse, logdet) = self.squeezed(runs.values), self._precisions(runs)
            likelihood = self._likelihood(values, runs, inverse, logdet)
            logs = logs[0] + likelihood[0], logs[1] + likelihood[1]
        flat = np.concatenate([logs[0].ravel(), logs[1].ravel()])
        weights = np.exp(flat - logsumexp(flat))
        weights /= weights.sum()
        picked = np.repeat(np.arange(len(flat)), generator.multinomial(number, weights))
        differs = picked < logs[0].size
        kernel, noise, mean = (
            np.r_[of, own]
            for of, own in zip(
                np.unravel_index(picked[differs], logs[0].shape),
                self._own_hypotheses(picked[~differs] - logs[0].size, logs[1].shape),
                strict=True,
            )
        )
        means = np.vstack([self._means, np.zeros(len(self.settings))])
        deviation = self.dense.noise * NOISES[noise]
        drawn = np.empty((number, len(self.settings)))
        (seeds, which), shared = np.unique(runs.seeds, return_inverse=True), self.shared(runs)
        for k in np.unique(kernel):
            rows = np.flatnonzero(kernel == k)
            size = (len(rows), len(self.settings))
            drawn[rows] = means[mean[rows]] + generator.standard_normal(size) @ self._roots[k].T
            if not count:
                continue
            drawn[rows] += np.sqrt(self._level) * generator.standard_normal((len(rows), 1))
            effects = np.sqrt(shared) * generator.standard_normal((len(rows), len(seeds)))
            scatter = generator.standard_normal((len(rows), count))
            scatter *= self.growth[runs.rows] / np.sqrt(runs.each)
            left = values - drawn[rows][:, runs.rows] - effects[:, which]
            left -= deviation[rows, None] * scatter
            pull = self._kernels[k][runs.rows] + self._level
            for s in np.unique(noise[rows]):
                own = noise[rows] == s
                drawn[rows[own]] += left[own] @ inverse[k, s] @ pull
        generator.shuffle(order := np.arange(number))
        top = runs.values.max() if count else 0.0
        landscape = self.dense.landscape
        values = (top - self.dense.unsqueeze(-drawn)).clip(max=landscape.ceiling)
        noises = deviation[:, None] * self.growth
        return Draws(values[order], noises[order])

    def _own_hypotheses(self, picked: Rows, shape: tuple[int, ...]) -> tuple[Rows, Rows, Rows]:
        kernel, noise = np.unravel_index(picked, shape)
        # Their mean is the last one, which is flat.
        return kernel + self._differences, noise, np.full(len(picked), len(self._means))
