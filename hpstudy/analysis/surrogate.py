"""A noise-free landscape behind the measured one: a Gaussian process, and draws from it."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from hpstudy.analysis.intervals import Array, Mask, Rows
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.noise import Noise
from hpstudy.hardware import single_threaded

DRAWS = 10_000
"""Landscapes drawn; the ends of a 95 % interval then have 250 draws beyond them."""

# Choices over which the surface is averaged. Lengths are shares of the grid's span; amplitudes
# multiply the values' deviation, and smaller ones would take weak landscapes for flat ones.
_LENGTHS = (0.15, 0.3, 0.6, 1.2, 2.4, 4.8)
_AMPLITUDES = np.geomspace(0.5, 128.0, 13)
# The level of the surface is all but free: its deviation is ten amplitudes.
_LEVEL = 100.0
# Of more points a sample chooses the kernels, and fewer landscapes are drawn: the work grows with
# the cube of the points.
_SAMPLE, _KEPT, _MANY = 90, 8, 100
# Depths beyond the median and so many deviations of a mean are compressed, as no smooth surface
# follows a cliff. The deepest is at most so many bounds deep: what undoes it is then not steep.
_DEEP, _DEEPEST = 6.0, 100.0
# Added to variances of the kernel, 1 each, so that their matrices have inverses and roots.
_JITTER, _LEFT = 1e-8, 1e-6


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
    across the inverse band; a run adds independent noise of deviation sigma g (`Noise`). Choices of
    kernel, lengths, a and sigma are averaged by their marginal likelihood times that of the scatter
    between seeds. All points with a value and a place on the axes take part, at least `FEWEST`;
    depths below the best are compressed by a logarithm beyond `_bound`.

    Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: equations 2.23 to 2.26
    (posterior), 4.17 (Matern), 5.8 (marginal likelihood).
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

    @cached_property
    def _logs(self) -> Array:
        return self.landscape.logs[self.used]

    @cached_property
    def noise(self) -> float:
        """Deviation of a run at the best point, without its seed's effect: median over choices."""
        weights = self._weighed[1].sum(axis=(0, 1))
        middle = np.interp(0.5, weights.cumsum() - weights / 2, np.log(self._noises[0]))
        return self.spread * float(np.exp(middle))

    @property
    def deviations(self) -> Array:
        """Standard deviation of each point's mean, of shape (n_points,)."""
        return self.noise * self.noise_model.mean_scale

    @single_threaded
    def draws(self, number: int = DRAWS, seed: int = 0, also: Array | None = None) -> Array:
        """Plausible noise-free values at the landscape's points, and elsewhere.

        Of shape (number, n_points + n_also), oriented as the landscape's values and never better
        than its ceiling; -inf at points without a value.

        Parameters
        ----------
        number : int, default 10,000
            Landscapes to draw; fewer by 100 over the points where these are more.
        seed : int, default 0
        also : ndarray of shape (n_also, 2), optional
            Further places, as log10 of the axes; the surface is interpolated there.
        """
        also = np.empty((0, 2)) if also is None else also
        # Values elsewhere leave those at the points as they are.
        generator, elsewhere = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        used, count = self.used, len(self.used)
        number = max(number * _MANY // max(count, _MANY), 1)
        drawn = np.empty((number, used.sum() + len(also)))
        choices, weights = self._weighed
        picked = generator.choice(weights.size, number, p=weights.ravel())
        kernel, amplitude, noise = np.unravel_index(picked, weights.shape)
        for k in np.unique(kernel):
            rows = np.flatnonzero(kernel == k)
            choice, scales = choices[k], _AMPLITUDES[amplitude[rows], None]
            deviation = self._noises[0][noise[rows], None]
            variance = scales**2 * choice.eigenvalues
            share = variance / (variance + deviation**2)
            # Turned into the eigenvectors, whose signs and order processors choose differently.
            scatter = generator.standard_normal(share.shape) @ choice.vectors
            scatter *= deviation * np.sqrt(share)
            own = (share * choice.values + scatter) @ choice.vectors.T / self._roots
            drawn[rows, : own.shape[1]] = own
            if len(also):
                pull, root = self._interpolation(choice.kernel, also)
                rest = elsewhere.standard_normal((len(rows), len(also))) @ root.T
                drawn[rows, own.shape[1] :] = own @ pull.T + scales * rest
        values = np.full((number, count + len(also)), -np.inf)
        values[:, np.r_[used, np.ones(len(also), bool)]] = self._values(drawn)
        unplaced = np.flatnonzero(~used & ~np.isnan(self.landscape.values))
        scatter = generator.standard_normal((number, len(unplaced)))
        spread = self.deviations[unplaced]
        values[:, unplaced] = self.noise_model.values[unplaced] + scatter * spread
        levels = self.noise_model.levels(generator, number)
        values[:, :count] += levels
        values[:, count:] += levels.mean(axis=1, keepdims=True)
        return values.clip(max=self.landscape.ceiling)

    @cached_property
    def _depth(self) -> Array:
        """Depths below the best of the points that are used."""
        values = self.noise_model.values[self.used]
        return np.asarray(np.nanmax(values) - values)

    @cached_property
    def _bound(self) -> float:
        """Depth up to which values are taken as they are."""
        logs, span = self._logs, np.maximum(np.ptp(self._logs, axis=0), 1e-9)
        apart = (((logs[:, None] - logs[None]) / span) ** 2).sum(axis=-1)
        np.fill_diagonal(apart, np.inf)
        near = np.argsort(apart, axis=1)[:, :4]
        rough = 1.33 * float(np.median(np.abs(self._depth - self._depth[near].mean(axis=1))))
        # Where half of the points tie with the best, both of these are 0.
        least = max(float(self._depth.max()) / _DEEPEST, 1e-6)
        return max(float(np.median(self._depth)), _DEEP * rough, least)

    def squeeze(self, depth: Array) -> Array:
        """Depths, compressed beyond `_bound`."""
        deep = self._bound * (1 + np.log(np.maximum(depth / self._bound, 1.0)))
        return np.where(depth > self._bound, deep, depth)

    def unsqueeze(self, depth: Array) -> Array:
        """Inverse of `squeeze`."""
        deep = self._bound * np.exp((depth / self._bound - 1).clip(0.0, 50.0))
        return np.where(depth > self._bound, deep, depth)

    @cached_property
    def _squeezed(self) -> Array:
        return self.squeeze(self._depth)

    @property
    def _middle(self) -> float:
        return float(self._squeezed.mean())

    @property
    def spread(self) -> float:
        """Deviation of the compressed depths."""
        return max(float(self._squeezed.std()), 1e-6)

    def _values(self, standard: Array) -> Array:
        """Values of squeezed depths in units of their spread from their middle."""
        top = np.nanmax(self.noise_model.values[self.used])
        return np.asarray(top - self.unsqueeze(self._middle + self.spread * standard))

    @cached_property
    def _roots(self) -> Array:
        """Reciprocals of the deviations of the points' means, in those of one run at the best."""
        slope = np.minimum(self._bound / np.maximum(self._depth, 1e-9), 1.0)
        return np.reciprocal(self.noise_model.mean_scale[self.used] * slope)

    @cached_property
    def _noises(self) -> tuple[Array, Array]:
        """Deviations of a run in spreads of the means, and the logarithms of their weights."""
        return self.noise_model.nodes(self.spread, self._roots)

    @cached_property
    def _kernels(self) -> list[_Kernel]:
        turns, lengths = [False, True], list(product(_LENGTHS, _LENGTHS))
        if np.ptp(self._logs[:, 1]) == 0:
            turns, lengths = [False], [(length, 1.0) for length in _LENGTHS]
        return [_Kernel(*choice) for choice in product(turns, (False, True), lengths)]

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

    @single_threaded
    def _weigh(self, rows: Rows, kernels: list[_Kernel]) -> tuple[list[_Choice], Array]:
        """`_weighed` of some rows of the measured points and some kernels."""
        values, root = (self._squeezed[rows] - self._middle) / self.spread, self._roots[rows]
        places, (nodes, widths) = self._places(self._logs[rows]), self._noises
        choices, logs = [], []
        # With the runs' noise made equal one diagonalisation serves every amplitude and noise.
        for kernel in kernels:
            prior = _covariance(places[kernel.rotated], places[kernel.rotated], kernel)
            eigenvalues, vectors = np.linalg.eigh(root[:, None] * prior * root)
            eigenvalues = eigenvalues.clip(0.0)
            turned = vectors.T @ (root * values)
            choices.append(_Choice(kernel, eigenvalues, vectors, turned))
            variance = _AMPLITUDES[:, None, None] ** 2 * eigenvalues + nodes[None, :, None] ** 2
            logs.append(-0.5 * (turned**2 / variance + np.log(variance)).sum(axis=-1))
        likelihood = np.stack(logs) + widths
        deviation, degrees = self.noise_model.replicates
        if degrees:
            scatter = degrees * (deviation / self.spread) ** 2
            likelihood = likelihood - degrees * np.log(nodes) - scatter / (2 * nodes**2)
        weights: Array = np.exp(likelihood - logsumexp(likelihood))
        kept = np.flatnonzero(weights.sum(axis=(1, 2)) > 1e-5)
        weights = weights[kept]
        return [choices[k] for k in kept], weights / weights.sum()

    @single_threaded
    def mean_depth(self, places: Array) -> Array:
        """Expected depth below the best measured value, compressed (`squeeze`), at any places.

        Of shape (n_places,), for log10 of the axes of shape (n_places, 2).
        """
        choices, weights = self._weighed
        heaviest = np.argsort(-weights.sum(axis=(1, 2)))[:_KEPT]
        mean: Array = np.zeros(len(places))
        for choice, weight in zip([choices[k] for k in heaviest], weights[heaviest], strict=True):
            variance = _AMPLITUDES[:, None, None] ** 2 * choice.eigenvalues
            share = variance / (variance + self._noises[0][:, None] ** 2)
            share = np.einsum("an,ane->e", weight, share)
            own = (share * choice.values) @ choice.vectors.T / self._roots
            mean += self._pull(choice.kernel, places)[0] @ own
        return np.asarray(self._middle + self.spread * mean / weights[heaviest].sum(), float)

    def _pull(self, kernel: _Kernel, also: Array) -> tuple[Array, Array, Array]:
        """Weights of the points' values in those elsewhere, their covariance, and the places."""
        old, new = (self._places(logs)[kernel.rotated] for logs in (self._logs, also))
        prior = _covariance(old, old, kernel) + _JITTER * np.eye(len(old))
        across = _covariance(new, old, kernel)
        return np.asarray(np.linalg.solve(prior, across.T).T, float), across, new

    def _interpolation(self, kernel: _Kernel, also: Array) -> tuple[Array, Array]:
        """Weights of the points' values in those elsewhere, and a root of what is left open."""
        # Verdicts near a limit draw ten times as often, at the same places.
        known, key = self.__dict__.setdefault("_between", {}), (kernel, also.tobytes())
        if key not in known:
            pull, across, new = self._pull(kernel, also)
            left = _covariance(new, new, kernel) - pull @ across.T
            root = np.linalg.cholesky((left + left.T) / 2 + _LEFT * np.eye(len(new)))
            known[key] = pull, np.asarray(root, float)
        found: tuple[Array, Array] = known[key]
        return found

    def _places(self, logs: Array) -> tuple[Array, Array]:
        """Places in spans of the grid, as they are and turned by 45 degrees; shape (n, 2) each."""
        span = np.maximum(np.ptp(self._logs, axis=0), 1e-9)
        straight = (logs - self._logs.min(axis=0)) / span
        turned = np.column_stack([straight.sum(axis=1), straight[:, 0] - straight[:, 1]])
        return straight, turned / np.sqrt(2)


def _covariance(places: Array, others: Array, kernel: _Kernel) -> Array:
    squares = ((places[:, None] - others[None]) / np.array(kernel.lengths)) ** 2
    apart: Array = np.sqrt(squares.sum(axis=-1))
    if kernel.smooth:
        return np.exp(-0.5 * apart**2) + _LEVEL
    apart = np.sqrt(5.0) * apart
    return (1.0 + apart + apart**2 / 3.0) * np.exp(-apart) + _LEVEL
