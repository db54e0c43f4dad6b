"""Racing: whether a run in training can still reach the region of interest."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

# Standard deviations that an expectation must lie below what is needed. Chosen by replay
# (benchmarks/README.md): with 2 more images are trained and no more of the region is kept, with 1
# a few fewer, and twice as much of it is lost.
DEVIATIONS = 1.5
# Finished runs below which nothing is told from them.
FEWEST = 6
# Ten nats is worse than guessing among ten thousand classes; beyond it all losses are equal.
_HIGHEST_LOSS = 10.0
# Choices of the surface's scales, over which its likelihood is maximised: decades, nats, and the
# share of the accuracies' deviation that is noise.
_DECADES = (0.3, 0.6, 1.2, 2.4)
_NATS = (0.15, 0.3, 0.6, 1.2)
_NOISE = (0.01, 0.03, 0.1, 0.3)


class StopReason(NamedTuple):
    """Why a run was stopped.

    Attributes
    ----------
    expected : float
        Accuracy that it would have ended at, in percent.
    deviation : float
        Standard deviation of that expectation, in percentage points.
    needed : float
        Accuracy of the region of interest's lower end, in percent.
    """

    expected: float
    deviation: float
    needed: float


@dataclass(frozen=True)
class Race:
    """Finished runs of a network, against which its next ones are raced.

    Runs without weight decay have no place on a logarithmic axis: they are never stopped, and say
    of others no more than how good the best is.

    What they ended at is described by a Gaussian process over log10 lr, log10 weight decay and
    the training loss of the epoch that the new run has reached, one for each epoch. Its scales
    maximise the marginal likelihood, and its deviations are widened by the root mean square of
    the standardised leave-one-out errors where that exceeds 1. A run is stopped after an epoch if
    expected + `DEVIATIONS` x deviation < best - threshold.

    Attributes
    ----------
    points : tuple of (float, float)
        lr and weight_decay of each finished run.
    losses : tuple of tuple of float
        Its training loss after each epoch; a diverged run's may end early.
    accuracies : tuple of float
        What it ended at, in percent.
    threshold : float
        Of the region of interest (equation 3.3), in percentage points.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006: equations
    2.25 and 2.26 (expectation and variance), 5.8 (marginal likelihood), 5.12 (leave-one-out).
    """

    points: tuple[tuple[float, float], ...]
    losses: tuple[tuple[float, ...], ...]
    accuracies: tuple[float, ...]
    threshold: float

    def stop_reason(self, lr: float, weight_decay: float, losses: list[float]) -> StopReason | None:
        """Why to stop a run after these training losses; None while it may reach the region."""
        placed = sum(decay > 0 for _, decay in self.points)
        if weight_decay == 0 or placed < FEWEST or not math.isfinite(losses[-1]):
            return None
        expected, deviation = _surface(self, len(losses)).predict((lr, weight_decay), losses[-1])
        needed = max(self.accuracies) - self.threshold
        if expected + DEVIATIONS * deviation >= needed:
            return None
        return StopReason(expected, deviation, needed)


class _Surface:
    """Gaussian process through the finished runs of a race, by what they had at one epoch."""

    def __init__(self, race: Race, epoch: int):
        points = np.array(race.points)
        placed = points[:, 1] > 0
        reached = np.array([losses[min(epoch, len(losses)) - 1] for losses in race.losses])
        self.inputs = _inputs(points[placed], reached[placed])
        accuracies = np.array(race.accuracies)[placed]
        self.mean = accuracies.mean()
        best = math.inf
        for decades, nats, noise in product(_DECADES, _NATS, _NOISE):
            scales = np.array([decades, decades, nats])
            covariance = _kernel(self.inputs, self.inputs, scales)
            factor = cho_factor(covariance + noise**2 * np.eye(len(accuracies)), lower=True)
            weights = cho_solve(factor, accuracies - self.mean)
            # The likelihood at the variance that maximises it, constants left out.
            variance = max((accuracies - self.mean) @ weights / len(accuracies), 1e-12)
            logs = 2 * np.log(np.diag(factor[0])).sum()
            unlikely = len(accuracies) * math.log(variance) + logs
            if unlikely < best:
                best, self.scales, self.noise = unlikely, scales, noise
                self.factor, self.weights, self.variance = factor, weights, variance
        precision = np.diag(cho_solve(self.factor, np.eye(len(accuracies))))
        standardised = self.weights / precision / np.sqrt(self.variance / precision)
        self.widening = max(1.0, float(np.sqrt(np.mean(standardised**2))))

    def predict(self, point: tuple[float, float], loss: float) -> tuple[float, float]:
        """Expectation in percent and its standard deviation, the noise of a run included."""
        kernel = _kernel(_inputs(np.array([point]), np.array([loss])), self.inputs, self.scales)[0]
        known = kernel @ cho_solve(self.factor, kernel)
        variance = self.variance * max(1 + self.noise**2 - known, 1e-12)
        return float(self.mean + kernel @ self.weights), self.widening * math.sqrt(variance)


@lru_cache(maxsize=1024)
def _surface(race: Race, epoch: int) -> _Surface:
    # All runs of a level meet the same finished runs.
    return _Surface(race, epoch)


def _inputs(points: np.ndarray, losses: np.ndarray) -> np.ndarray:
    losses = np.clip(np.nan_to_num(losses, nan=_HIGHEST_LOSS), None, _HIGHEST_LOSS)
    return np.column_stack([np.log10(points), losses])


def _kernel(some: np.ndarray, others: np.ndarray, scales: np.ndarray) -> np.ndarray:
    apart = (some[:, None] - others[None]) / scales
    return np.exp(-0.5 * (apart**2).sum(-1))
