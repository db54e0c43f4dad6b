"""Racing: a run is stopped early if it can no longer reach the region of interest."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

# Standard deviations by which an expectation must miss what is needed. Chosen by replay
# (benchmarks/README.md): with 2 more images are trained and no more of the region is kept, with 1
# a few fewer, and twice as much of it is lost.
DEVIATIONS = 1.5
# Finished runs below which no run is stopped.
FEWEST = 6
# Ten nats is worse than guessing among ten thousand classes; above it all losses are equal.
_HIGHEST_LOSS = 10.0
# Length scales in decades of lr and weight decay and in nats of training loss, and noise as a share
# of the deviation of accuracies, over which the likelihood is maximised.
_DECADES = (0.3, 0.6, 1.2, 2.4)
_NATS = (0.15, 0.3, 0.6, 1.2)
_NOISE = (0.01, 0.03, 0.1, 0.3)


class StopReason(NamedTuple):
    """Expected final accuracy of a stopped run, its standard deviation, and the one needed.

    In percent; the one needed is the lowest of the region of interest.
    """

    expected: float
    deviation: float
    needed: float


@dataclass(frozen=True)
class Race:
    """Finished runs of a network, which decide whether its next runs are stopped early.

    A Gaussian process describes their final accuracy over log10 lr, log10 weight decay and the
    training loss of the epoch that the new run has reached. Its scales maximise the marginal
    likelihood; its deviations are multiplied by the root mean square of the standardised
    leave-one-out errors where that exceeds 1. A run is stopped if
    expected + `DEVIATIONS` x deviation < best - threshold. Runs without weight decay have no place
    on a logarithmic axis: they are never stopped, and count for the best accuracy alone.

    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006: equations
    2.25 and 2.26 (expectation and variance), 5.8 (marginal likelihood), 5.12 (leave-one-out).

    Attributes
    ----------
    points, losses, accuracies : tuple
        lr and weight_decay of each finished run, its training loss after each epoch (a diverged
        run's may end early), and its final accuracy in percent.
    threshold : float
        Threshold of the region of interest (equation 3.3), in percentage points.
    """

    points: tuple[tuple[float, float], ...]
    losses: tuple[tuple[float, ...], ...]
    accuracies: tuple[float, ...]
    threshold: float

    def stop_reason(self, lr: float, weight_decay: float, losses: list[float]) -> StopReason | None:
        """Reason to stop a run with these training losses; None while it may reach the region."""
        placed = sum(decay > 0 for _, decay in self.points)
        if weight_decay == 0 or placed < FEWEST or not math.isfinite(losses[-1]):
            return None
        expected, deviation = _surface(self, len(losses)).predict((lr, weight_decay), losses[-1])
        needed = max(self.accuracies) - self.threshold
        if expected + DEVIATIONS * deviation >= needed:
            return None
        return StopReason(expected, deviation, needed)


class _Surface:
    """Gaussian process of the final accuracies, given the losses after one epoch.

    scikit-learn's gives the same numbers, but takes five to twenty times as long here, and seconds
    to import in every worker.
    """

    def __init__(self, race: Race, epoch: int):
        points = np.array(race.points)
        placed = points[:, 1] > 0
        reached = np.array([losses[min(epoch, len(losses)) - 1] for losses in race.losses])
        self.inputs = _inputs(points[placed], reached[placed])
        accuracies = np.array(race.accuracies)[placed]
        self.mean = accuracies.mean()
        highest = -math.inf
        for decades, nats, noise in product(_DECADES, _NATS, _NOISE):
            scales = np.array([decades, decades, nats])
            covariance = _kernel(self.inputs, self.inputs, scales)
            factor = cho_factor(covariance + noise**2 * np.eye(len(accuracies)), lower=True)
            weights = cho_solve(factor, accuracies - self.mean)
            # Twice the log likelihood at the variance that maximises it, without constants.
            variance = max((accuracies - self.mean) @ weights / len(accuracies), 1e-12)
            logs = 2 * np.log(np.diag(factor[0])).sum()
            likelihood = -len(accuracies) * math.log(variance) - logs
            if likelihood > highest:
                highest, self.scales, self.noise = likelihood, scales, noise
                self.factor, self.weights, self.variance = factor, weights, variance
        precision = np.diag(cho_solve(self.factor, np.eye(len(accuracies))))
        standardised = self.weights / precision / np.sqrt(self.variance / precision)
        self.widening = max(1.0, float(np.sqrt(np.mean(standardised**2))))

    def predict(self, point: tuple[float, float], loss: float) -> tuple[float, float]:
        """Expectation in percent and its standard deviation, the noise of a run included."""
        kernel = _kernel(_inputs(np.array([point]), np.array([loss])), self.inputs, self.scales)[0]
        explained = kernel @ cho_solve(self.factor, kernel)
        variance = self.variance * max(1 + self.noise**2 - explained, 1e-12)
        return float(self.mean + kernel @ self.weights), self.widening * math.sqrt(variance)


# All runs of a level meet equal races, each in a copy of its own.
_surface = lru_cache(maxsize=1024)(_Surface)


def _inputs(points: np.ndarray, losses: np.ndarray) -> np.ndarray:
    losses = np.clip(np.nan_to_num(losses, nan=_HIGHEST_LOSS), None, _HIGHEST_LOSS)
    return np.column_stack([np.log10(points), losses])


def _kernel(first: np.ndarray, second: np.ndarray, scales: np.ndarray) -> np.ndarray:
    distances = (first[:, None] - second[None]) / scales
    return np.asarray(np.exp(-0.5 * (distances**2).sum(-1)))
