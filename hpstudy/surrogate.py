"""A noise-free landscape behind the measured one: a Gaussian process, and draws from it.

Everything that carries an interval in this package is computed on these draws as it is on the
measured values: a region, an ellipse, a risk. What the draws disagree on is what the noise of the
runs leaves open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from threadpoolctl import ThreadpoolController

from hpstudy.landscape import Landscape

DRAWS = 1000
"""Landscapes drawn; the ends of a 95 % interval then have 25 draws beyond them."""

# Matrices of a hundred rows gain nothing from threads, and lose twentyfold to them where another
# process has the core.
_single_threaded = ThreadpoolController().wrap(limits=1, user_api="blas")

# Points lower than this below the best, in percentage points, lie beyond a cliff that no smooth
# surface follows; they are far outside every region, and are taken as they were measured.
DEPTH = 6.0
# Choices over which the surface is averaged, each weighed by its marginal likelihood. Lengths are
# shares of the grid's span; the rest multiplies the values' deviation.
_LENGTHS = (0.15, 0.3, 0.6, 1.2, 2.4, 4.8)
# Whether the axes are turned by 45 degrees, whether it is the squared exponential, both lengths.
_KERNELS = list(product((False, True), (False, True), product(_LENGTHS, _LENGTHS)))
_AMPLITUDES = np.geomspace(0.25, 128.0, 19)
_NOISES = np.geomspace(0.01, 1.5, 41)
# The level of the surface is all but free: its deviation is ten amplitudes.
_LEVEL = 100.0
# Of more points than a grid has, a sample chooses the kernels that all points are then averaged
# over: the work grows with the cube of the points.
_SAMPLE, _KEPT = 90, 8
# Fewer measured points than this tell nothing of a surface's smoothness.
FEWEST = 6


class _Choice(NamedTuple):
    """One kernel, diagonalised: everything about it is then arithmetic on vectors."""

    rotated: bool
    smooth: bool
    lengths: tuple[float, float]
    eigenvalues: np.ndarray
    vectors: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Gaussian process through the measured points of one landscape.

    The covariance of the noise-free values is a^2 (k + 100), with k the squared exponential or the
    Matern 5/2 kernel, over the two log10 axes as they are or turned by 45 degrees, along and across
    the inverse band; a run adds independent noise of standard deviation sigma. All choices of
    kernel, lengths, a and sigma are averaged by their marginal likelihood times that of the scatter
    between seeds, so that sigma is known from both: replicates where there are any, and otherwise
    from how smooth the surface is.

    Attributes
    ----------
    landscape : Landscape
        What was measured; at least `FEWEST` of its points need a value.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006: equations 2.23
    to 2.26 (posterior), 4.17 (Matern), 5.8 (marginal likelihood).
    """

    landscape: Landscape

    @cached_property
    def inside(self) -> np.ndarray:
        """Which rows of the landscape's points the surface goes through, of shape (n_points,).

        Those at most `DEPTH` points below the best, and at least the better half.
        """
        values = self.landscape.points["value"].to_numpy(float)
        return values >= min(self.landscape.best - DEPTH, np.nanmedian(values))

    @cached_property
    def _measured(self) -> pd.DataFrame:
        return self.landscape.points[self.inside]

    @cached_property
    def _spread(self) -> float:
        values = self._measured["value"].to_numpy(float)
        return max(float(values.std()), 1e-6)

    @cached_property
    def replicates(self) -> tuple[float, int]:
        """Pooled standard deviation of runs that differ by seed alone, and its degrees of freedom.

        Returns
        -------
        deviation : float
            sqrt(sum (n - 1) s^2 / sum (n - 1)) over the points with several seeds that the surface
            goes through, in percentage points; NaN without any.
        degrees : int
            sum (n - 1).
        """
        several = self._measured[self._measured["std"].notna()]
        degrees = int((several["seeds"] - 1).sum())
        if degrees == 0:
            return float("nan"), 0
        squares = float(((several["seeds"] - 1) * several["std"] ** 2).sum())
        return (squares / degrees) ** 0.5, degrees

    @cached_property
    @_single_threaded
    def _weighed(self) -> tuple[list[_Choice], np.ndarray]:
        """Every choice, and the weights of shape (n_choices, n_amplitudes, n_noises)."""
        number, kernels = len(self._measured), _KERNELS
        if number > _SAMPLE:
            some = np.random.default_rng(0).choice(number, _SAMPLE, replace=False)
            weights = self._weigh(np.sort(some), kernels)[1].sum(axis=(1, 2))
            kernels = [kernels[k] for k in np.argsort(-weights)[:_KEPT]]
        return self._weigh(np.arange(number), kernels)

    def _weigh(
        self, rows: np.ndarray, kernels: list[tuple[bool, bool, tuple[float, float]]]
    ) -> tuple[list[_Choice], np.ndarray]:
        """`_weighed` of some rows of the measured points and some kernels."""
        points = self._measured.iloc[rows]
        values = (points["value"].to_numpy(float) - self._measured["value"].mean()) / self._spread
        # With the runs' noise made equal, by root of their number, one diagonalisation serves
        # every amplitude and noise.
        root = np.sqrt(points["seeds"].to_numpy(float))
        places, choices = self._places(points), []
        for rotated, smooth, lengths in kernels:
            prior = _covariance(places[rotated], places[rotated], lengths, smooth)
            eigenvalues, vectors = np.linalg.eigh(root[:, None] * prior * root)
            eigenvalues = eigenvalues.clip(0.0)
            turned = vectors.T @ (root * values)
            choices.append(_Choice(rotated, smooth, lengths, eigenvalues, vectors, turned))
        logs = np.stack([_log_likelihood(choice) for choice in choices])
        deviation, degrees = self.replicates
        if degrees:
            scatter = degrees * (deviation / self._spread) ** 2
            logs = logs - degrees * np.log(_NOISES) - scatter / (2 * _NOISES**2)
        return choices, np.exp(logs - logsumexp(logs))

    @property
    def noise(self) -> float:
        """Standard deviation of one run about the noise-free landscape, in percentage points.

        The median over all choices: from replicates and the surface's smoothness together.
        """
        weights = self._weighed[1].sum(axis=(0, 1))
        # Many replicates tell it more finely than the choices lie apart.
        middle = np.interp(0.5, weights.cumsum() - weights / 2, np.log(_NOISES))
        return self._spread * float(np.exp(middle))

    @_single_threaded
    def draws(self, number: int = DRAWS, seed: int = 0) -> np.ndarray:
        """Plausible noise-free values at the landscape's points.

        Parameters
        ----------
        number : int, default 1000
            Landscapes to draw.
        seed : int, default 0
            Of the generator; the same gives the same draws.

        Returns
        -------
        ndarray of shape (number, n_points)
            In the metric's unit, in the order of `landscape.points`; -inf at points without a
            value, which are then never the best and never near it.
        """
        generator = np.random.default_rng(seed)
        drawn = np.full((number, len(self.inside)), -np.inf)
        row = 0
        for choice, amplitude, noise, count in self._chosen(generator, number):
            variance = amplitude**2 * choice.eigenvalues
            share = variance / (variance + noise**2)
            scatter = generator.standard_normal((count, len(share))) * noise * np.sqrt(share)
            turned = (share * choice.values + scatter) @ choice.vectors.T
            rows = slice(row, row + count)
            drawn[rows, self.inside] = turned / np.sqrt(self._measured["seeds"].to_numpy(float))
            row += count
        drawn[:, self.inside] = (
            self._measured["value"].mean() + self._spread * drawn[:, self.inside]
        )
        others = ~self.inside & self.landscape.points["value"].notna().to_numpy()
        points = self.landscape.points[others]
        noise = self.noise / np.sqrt(points["seeds"].to_numpy(float))
        scatter = generator.standard_normal((number, len(points)))
        drawn[:, others] = points["value"].to_numpy(float) + noise * scatter
        return drawn[generator.permutation(number)]

    @_single_threaded
    def predict(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Surface between the measured points.

        Parameters
        ----------
        first, second : array-like of shape (n,)
            Places on the landscape's two axes; real values, not logarithms.

        Returns
        -------
        mean, deviation : ndarray of shape (n,)
            In the metric's unit, of the noise-free landscape.
        """
        wanted = pd.DataFrame({self.landscape.axes[0]: first, self.landscape.axes[1]: second})
        new, old = self._places(wanted), self._places(self._measured)
        root = np.sqrt(self._measured["seeds"].to_numpy(float))
        choices, weights = self._weighed
        means, seconds = np.zeros(len(wanted)), np.zeros(len(wanted))
        # What has no weight to speak of costs as much time as the rest.
        kept = np.where(weights > 1e-3 * weights.max(), weights, 0.0)
        kept /= kept.sum()
        for k in np.flatnonzero(kept.sum(axis=(1, 2))):
            choice = choices[k]
            across = _covariance(
                new[choice.rotated], old[choice.rotated], choice.lengths, choice.smooth
            )
            turned = (across * root) @ choice.vectors
            for a, s in np.argwhere(kept[k]):
                variance = _AMPLITUDES[a] ** 2
                scale = variance * choice.eigenvalues + _NOISES[s] ** 2
                mean = variance * (turned @ (choice.values / scale))
                known = variance**2 * (turned**2 @ (1 / scale))
                left = (variance * (1 + _LEVEL) - known).clip(0.0)
                means += kept[k, a, s] * mean
                seconds += kept[k, a, s] * (mean**2 + left)
        deviation = np.sqrt((seconds - means**2).clip(0.0))
        return self._measured["value"].mean() + self._spread * means, self._spread * deviation

    def _chosen(
        self, generator: np.random.Generator, number: int
    ) -> Iterator[tuple[_Choice, float, float, int]]:
        """Choices drawn by weight: kernel, amplitude, noise, and how many draws it gets."""
        choices, weights = self._weighed
        counts = generator.multinomial(number, weights.ravel()).reshape(weights.shape)
        for k, a, s in np.argwhere(counts):
            yield choices[k], _AMPLITUDES[a], _NOISES[s], int(counts[k, a, s])

    def _places(self, points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Points in spans of the grid, as they are and turned by 45 degrees; shape (n, 2) each."""
        columns = []
        for axis in self.landscape.axes:
            ends = np.log10(self._measured[axis].to_numpy(float))
            span = max(float(np.ptp(ends)), 1e-9)
            columns.append((np.log10(points[axis].to_numpy(float)) - ends.min()) / span)
        straight = np.column_stack(columns)
        turned = np.column_stack([straight.sum(axis=1), straight[:, 0] - straight[:, 1]])
        return straight, turned / np.sqrt(2)


def _log_likelihood(choice: _Choice) -> np.ndarray:
    """Log marginal likelihood up to a constant, of shape (n_amplitudes, n_noises)."""
    variance = _AMPLITUDES[:, None, None] ** 2 * choice.eigenvalues + _NOISES[None, :, None] ** 2
    return -0.5 * (choice.values**2 / variance + np.log(variance)).sum(axis=-1)


def _covariance(
    some: np.ndarray, others: np.ndarray, lengths: tuple[float, float], smooth: bool
) -> np.ndarray:
    apart = np.sqrt((((some[:, None] - others[None]) / np.array(lengths)) ** 2).sum(axis=-1))
    if smooth:
        return np.exp(-0.5 * apart**2) + _LEVEL
    apart = np.sqrt(5.0) * apart
    return (1.0 + apart + apart**2 / 3.0) * np.exp(-apart) + _LEVEL
