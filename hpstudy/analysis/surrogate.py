"""A noise-free landscape behind the measured one: a Gaussian process, and draws from it.

Everything that carries an interval in this package is computed on these draws as it is on the
measured values: a region, an ellipse, a risk. What the draws disagree on is what the noise of the
runs leaves open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np
from scipy.special import logsumexp
from scipy.stats import chi2
from threadpoolctl import ThreadpoolController

from hpstudy.analysis.intervals import Array, Mask, Rows
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.noise import Noise

DRAWS = 10_000
"""Landscapes drawn; the ends of a 95 % interval then have 250 draws beyond them."""
FEWEST = 6
"""Fewest measured points for a surface; fewer show nothing of its smoothness."""

# Choices over which the surface is averaged, each weighed by its marginal likelihood. Lengths are
# shares of the grid's span; the rest multiplies the values' deviation. Smaller amplitudes would
# take weak landscapes for flat ones.
_LENGTHS = (0.15, 0.3, 0.6, 1.2, 2.4, 4.8)
_AMPLITUDES = np.geomspace(0.5, 128.0, 13)
# Least and greatest noise of a mean as a share of the means' spread, and nodes between them.
_NOISES = (0.003, 1.5, 32)
# Tails of chi squared between which replicates place the noise.
_TAILS = np.r_[1e-6, 1e-4, 1e-3, np.linspace(0.01, 0.99, 25), 1 - 1e-3, 1 - 1e-4, 1 - 1e-6]
# The level of the surface is all but free: its deviation is ten amplitudes.
_LEVEL = 100.0
# Of more points than a grid has, a sample chooses the kernels that all points are then averaged
# over, and fewer landscapes are drawn: the work grows with the cube of the points.
_SAMPLE, _KEPT, _MANY = 90, 8, 100
# Deeper than the median, and than so many deviations of a mean, depths are taken by their
# logarithm: no smooth surface follows a cliff.
_DEEP = 6.0
# Bounds in the greatest depth, at most: the exponential that undoes the logarithm is no steeper.
_DEEPEST = 100.0
# Added to variances of the kernel, 1 each, so that their matrices have inverses and roots.
_JITTER, _LEFT = 1e-8, 1e-6

P = ParamSpec("P")
R = TypeVar("R")
_threads = ThreadpoolController()


def _single_threaded(method: Callable[P, R]) -> Callable[P, R]:
    # Matrices of a hundred rows gain nothing from threads, and lose twentyfold to them where
    # another process has the core.
    wrapped: Callable[P, R] = _threads.wrap(limits=1, user_api="blas")(method)
    return wrapped


class _Kernel(NamedTuple):
    rotated: bool
    smooth: bool
    lengths: tuple[float, float]


class _Choice(NamedTuple):
    """A kernel, diagonalised: everything about it is then arithmetic on vectors."""

    kernel: _Kernel
    eigenvalues: Array
    vectors: Array
    values: Array


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Gaussian process through the measured points of one landscape.

    The covariance of the noise-free values is a^2 (k + 100), with k the squared exponential or the
    Matern 5/2 kernel, over the log10 axes as they are or, of two, turned by 45 degrees, along and
    across the inverse band; a run adds independent noise of deviation sigma g, with g from
    `hpstudy.analysis.noise.Noise`. All choices of kernel, lengths, a and sigma are averaged by
    their marginal likelihood times that of the scatter between seeds, so that sigma is known from
    both: replicates where there are any, and otherwise from how smooth the surface is. All points
    with a value and a place on the axes take part, whatever they measured; depths below the best
    are compressed by a logarithm beyond `_squeezed`'s bound.

    At least `FEWEST` of the landscape's points need a value and a place.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006: equations 2.23
    to 2.26 (posterior), 4.17 (Matern), 5.8 (marginal likelihood).
    """

    landscape: Landscape

    @cached_property
    def noise_model(self) -> Noise:
        """Noise of the runs as far as replicates show it."""
        return Noise(self.landscape)

    @cached_property
    def used(self) -> Mask:
        """Which of the landscape's points the surface goes through, of shape (n_points,)."""
        return ~np.isnan(self.landscape.values) & self.landscape.placed

    @property
    def replicates(self) -> tuple[float, int]:
        """Deviation of runs that differ by seed alone and its degrees (`Noise.replicates`)."""
        return self.noise_model.replicates

    @cached_property
    def noise(self) -> float:
        """Standard deviation of one run about the noise-free landscape, at the best point.

        The median over all choices, in the metric's unit: from replicates and the surface's
        smoothness together; without what a seed does to all settings alike.
        """
        weights = self._weighed[1].sum(axis=(0, 1))
        middle = np.interp(0.5, weights.cumsum() - weights / 2, np.log(self._noises[0]))
        return self._spread * float(np.exp(middle))

    @property
    def run_scale(self) -> Array:
        """Deviation of each point's mean over that of one run at the best point."""
        seeds: Array = self.landscape.points["seeds"].to_numpy(float)
        return self.noise_model.scale / np.sqrt(seeds)

    @_single_threaded
    def draws(self, number: int = DRAWS, seed: int = 0, also: Array | None = None) -> Array:
        """Plausible noise-free values at the landscape's points, and elsewhere.

        Parameters
        ----------
        number : int, default 10,000
            Landscapes to draw; fewer by 100 over the points where these are more.
        seed : int, default 0
        also : ndarray of shape (n_also, 2), optional
            Further places, as log10 of the axes; the surface is interpolated there.

        Returns
        -------
        ndarray of shape (number, n_points + n_also)
            Oriented as the landscape's values, and never better than its ceiling; -inf at points
            without a value, which are then never the best and never near it.
        """
        also = np.empty((0, 2)) if also is None else also
        # Values elsewhere leave those at the points as they are.
        generator, elsewhere = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        used, count = self.used, len(self.used)
        number = max(number * _MANY // max(count, _MANY), 1)
        depth = np.empty((number, used.sum() + len(also)))
        choices, weights = self._weighed
        picked = generator.choice(weights.size, number, p=weights.ravel())
        kernel, amplitude, noise = np.unravel_index(picked, weights.shape)
        for k in np.unique(kernel):
            rows = np.flatnonzero(kernel == k)
            choice, scales = choices[k], _AMPLITUDES[amplitude[rows], None]
            deviation = self._noises[0][noise[rows], None]
            variance = scales**2 * choice.eigenvalues
            share = variance / (variance + deviation**2)
            scatter = generator.standard_normal(share.shape) * deviation * np.sqrt(share)
            drawn = (share * choice.values + scatter) @ choice.vectors.T / self._roots
            if len(also):
                pull, root = self._interpolation(choice.kernel, also)
                rest = elsewhere.standard_normal((len(rows), len(also))) @ root.T
                drawn = np.hstack([drawn, drawn @ pull.T + scales * rest])
            depth[rows] = self._middle + self._spread * drawn
        values = np.full((number, count + len(also)), -np.inf)
        values[:, np.r_[used, np.ones(len(also), bool)]] = self._top - _stretched(
            depth, self._bound
        )
        unplaced = ~used & ~np.isnan(self.landscape.values)
        if unplaced.any():
            scatter = generator.standard_normal((number, unplaced.sum()))
            values[:, np.flatnonzero(unplaced)] = self.noise_model.values[unplaced] + scatter * (
                self.noise * self.run_scale[unplaced]
            )
        levels = self.noise_model.levels(generator, number)
        values[:, :count] += levels
        values[:, count:] += levels.mean(axis=1, keepdims=True)
        return values.clip(max=self.landscape.ceiling)

    @_single_threaded
    def predict(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Mean and deviation of the noise-free landscape at values of its two axes.

        Each of shape (n,), as the values are; oriented as the landscape's values.
        """
        new = self._turned(np.log10(np.column_stack([first, second])))
        choices, weights = self._weighed
        means, seconds = np.zeros(len(new[0])), np.zeros(len(new[0]))
        # What has no weight to speak of costs as much time as the rest.
        kept = np.where(weights > 1e-3 * weights.max(), weights, 0.0)
        kept /= kept.sum()
        for k in np.flatnonzero(kept.sum(axis=(1, 2))):
            choice = choices[k]
            old = self._places[choice.kernel.rotated]
            across = _covariance(new[choice.kernel.rotated], old, choice.kernel)
            turned = (across * self._roots) @ choice.vectors
            for a, s in np.argwhere(kept[k]):
                variance = _AMPLITUDES[a] ** 2
                scale = variance * choice.eigenvalues + self._noises[0][s] ** 2
                mean = variance * (turned @ (choice.values / scale))
                known = variance**2 * (turned**2 @ (1 / scale))
                left = (variance * (1 + _LEVEL) - known).clip(0.0)
                means += kept[k, a, s] * mean
                seconds += kept[k, a, s] * (mean**2 + left)
        deviation = self._spread * np.sqrt((seconds - means**2).clip(0.0))
        depth = self._middle + self._spread * means
        steep = np.maximum(np.exp(depth / self._bound - 1), 1.0)
        return self._top - _stretched(depth, self._bound), steep * deviation

    # --- what is measured, and its units ----------------------------------------------------------

    @cached_property
    def _top(self) -> float:
        return float(np.nanmax(self.noise_model.values[self.used]))

    @cached_property
    def _depth(self) -> Array:
        return self._top - self.noise_model.values[self.used]

    @cached_property
    def _bound(self) -> float:
        """Depth up to which values are taken as they are."""
        logs = self.landscape.logs[self.used]
        span = np.maximum(np.ptp(logs, axis=0), 1e-9)
        apart = (((logs[:, None] - logs[None]) / span) ** 2).sum(axis=-1)
        np.fill_diagonal(apart, np.inf)
        near = np.argsort(apart, axis=1)[:, :4]
        rough = 1.33 * float(np.median(np.abs(self._depth - self._depth[near].mean(axis=1))))
        # Where half of the points tie with the best, both of these are 0.
        least = max(float(self._depth.max()) / _DEEPEST, 1e-6)
        return max(float(np.median(self._depth)), _DEEP * rough, least)

    @cached_property
    def _squeezed(self) -> Array:
        deep = np.maximum(self._depth / self._bound, 1.0)
        return np.where(self._depth > self._bound, self._bound * (1 + np.log(deep)), self._depth)

    @cached_property
    def _middle(self) -> float:
        return float(self._squeezed.mean())

    @cached_property
    def _spread(self) -> float:
        return max(float(self._squeezed.std()), 1e-6)

    @cached_property
    def _roots(self) -> Array:
        """Reciprocals of the deviations of the points' means, in those of one run at the best."""
        slope = np.minimum(self._bound / np.maximum(self._depth, 1e-9), 1.0)
        return np.reciprocal(self.run_scale[self.used] * slope)

    @cached_property
    def _noises(self) -> tuple[Array, Array]:
        """Deviations of a run in spreads of the means, and the logarithms of their weights.

        The noise of single runs can make all of the means' spread, which is then smaller by the
        root of their number; and replicates show it as finely as their degrees allow.
        """
        least, most, count = _NOISES
        nodes = np.geomspace(least * np.median(self._roots), most * self._roots.max(), count)
        deviation, degrees = self.replicates
        if degrees and deviation > 0:
            fine = deviation / self._spread * np.sqrt(degrees / chi2.ppf(_TAILS, degrees))
            coarse = np.geomspace(fine.min(), fine.max(), 15)
            nodes = np.unique(np.r_[nodes, fine, coarse])
        return nodes, np.log(np.gradient(np.log(nodes)))

    # --- kernels ----------------------------------------------------------------------------------

    @cached_property
    def _kernels(self) -> list[_Kernel]:
        flags = (False, True)
        if np.ptp(self.landscape.logs[self.used][:, 1]) == 0:
            lines = [(length, 1.0) for length in _LENGTHS]
            return [_Kernel(*choice) for choice in product((False,), flags, lines)]
        lengths = product(_LENGTHS, _LENGTHS)
        return [_Kernel(*choice) for choice in product(flags, flags, lengths)]

    @cached_property
    def _weighed(self) -> tuple[list[_Choice], Array]:
        """Every choice, and the weights of shape (n_choices, n_amplitudes, n_noises)."""
        number, kernels = len(self._depth), self._kernels
        if number > _SAMPLE:
            sample = np.random.default_rng(0).choice(number, _SAMPLE, replace=False)
            choices, weights = self._weigh(np.sort(sample), kernels)
            kept = max(_KEPT * 300 // max(number, 300), 2)
            kernels = [choices[k].kernel for k in np.argsort(-weights.sum(axis=(1, 2)))[:kept]]
        return self._weigh(np.arange(number), kernels)

    @_single_threaded
    def _weigh(self, rows: Rows, kernels: list[_Kernel]) -> tuple[list[_Choice], Array]:
        """`_weighed` of some rows of the measured points and some kernels."""
        values = (self._squeezed[rows] - self._middle) / self._spread
        # With the runs' noise made equal one diagonalisation serves every amplitude and noise.
        root, choices, logs = self._roots[rows], [], []
        nodes, widths = self._noises
        for kernel in kernels:
            places = self._places[kernel.rotated][rows]
            prior = _covariance(places, places, kernel)
            eigenvalues, vectors = np.linalg.eigh(root[:, None] * prior * root)
            eigenvalues = eigenvalues.clip(0.0)
            turned = vectors.T @ (root * values)
            choices.append(_Choice(kernel, eigenvalues, vectors, turned))
            variance = _AMPLITUDES[:, None, None] ** 2 * eigenvalues + nodes[None, :, None] ** 2
            logs.append(-0.5 * (turned**2 / variance + np.log(variance)).sum(axis=-1))
        likelihood = np.stack(logs) + widths
        deviation, degrees = self.replicates
        if degrees:
            scatter = degrees * (deviation / self._spread) ** 2
            likelihood = likelihood - degrees * np.log(nodes) - scatter / (2 * nodes**2)
        weights: Array = np.exp(likelihood - logsumexp(likelihood))
        # Of what has no weight to speak of nothing is kept.
        kept = np.flatnonzero(weights.sum(axis=(1, 2)) > 1e-5)
        weights = weights[kept]
        return [choices[k] for k in kept], weights / weights.sum()

    def _interpolation(self, kernel: _Kernel, also: Array) -> tuple[Array, Array]:
        """Weights of the points' values in those elsewhere, and a root of what is left open."""
        old, new = self._places[kernel.rotated], self._turned(also)[kernel.rotated]
        prior = _covariance(old, old, kernel) + _JITTER * np.eye(len(old))
        across = _covariance(new, old, kernel)
        pull = np.linalg.solve(prior, across.T).T.astype(float)
        left = _covariance(new, new, kernel) - pull @ across.T
        root = np.linalg.cholesky((left + left.T) / 2 + _LEFT * np.eye(len(new)))
        return pull, root.astype(float)

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        return self._turned(self.landscape.logs[self.used])

    def _turned(self, logs: Array) -> tuple[Array, Array]:
        """Places in spans of the grid, as they are and turned by 45 degrees; shape (n, 2) each."""
        own = self.landscape.logs[self.used]
        straight = (logs - own.min(axis=0)) / np.maximum(np.ptp(own, axis=0), 1e-9)
        turned = np.column_stack([straight.sum(axis=1), straight[:, 0] - straight[:, 1]])
        return straight, turned / np.sqrt(2)


def surrogate_of(landscape: Landscape) -> Surrogate:
    """Surrogate of a landscape, made once and kept by it.

    The landscape is analysed again in other tables, and the process is what takes the time.
    """
    surrogate: Surrogate = landscape.__dict__.setdefault("_surrogate", Surrogate(landscape))
    return surrogate


def _stretched(depth: Array, bound: float) -> Array:
    """Depths of squeezed ones."""
    return np.where(depth > bound, bound * np.exp((depth / bound - 1).clip(0.0, 50.0)), depth)


def _covariance(places: Array, others: Array, kernel: _Kernel) -> Array:
    squares = ((places[:, None] - others[None]) / np.array(kernel.lengths)) ** 2
    apart: Array = np.sqrt(squares.sum(axis=-1))
    if kernel.smooth:
        return np.exp(-0.5 * apart**2) + _LEVEL
    apart = np.sqrt(5.0) * apart
    return (1.0 + apart + apart**2 / 3.0) * np.exp(-apart) + _LEVEL
