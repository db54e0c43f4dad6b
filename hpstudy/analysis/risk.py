"""What a pruned network loses that keeps the dense network's settings, and regains by retuning."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hpstudy.analysis.intervals import Array, Mask
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import roi
from hpstudy.config.grid import TOLERANCE

T = TypeVar("T")

# --- risk of keeping settings ---------------------------------------------------------------------


class RegionRisk(NamedTuple, Generic[T]):
    """Mean and population standard deviation of d_theta over a region (equations 3.4 to 3.6).

    In the metric's unit, and as fractions of the absolute best value. NaN where the region has no
    point with a value.
    """

    mean: T
    std: T
    relative_mean: T
    relative_std: T


def region_risk(inside: Mask, values: Array, best: Array) -> RegionRisk[Array]:
    """Risk over a region of each draw (thesis, section 3.3.2, equations 3.4 to 3.6).

    `inside` is the dense network's region, `values` are those of the network at risk, both of shape
    (..., n_points), and `best` of shape (...) is its best anywhere. Points where values are not
    finite are left out.
    """
    loss = np.asarray(best)[..., None] - values
    inside = inside & np.isfinite(loss)
    loss = np.where(inside, loss, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = inside.sum(axis=-1)
        mean = loss.sum(axis=-1) / n
        std = np.sqrt((inside * (loss - mean[..., None]) ** 2).sum(axis=-1) / n)
        return RegionRisk(mean, std, mean / np.abs(best), std / np.abs(best))


def risk_draws(dense: Array, other: Array, threshold: float | Array) -> RegionRisk[Array]:
    """Risk in each draw of two landscapes at the same points; -inf where one has no value."""
    return region_risk(roi(dense, threshold), other, other.max(axis=1))


def share_within_bound(dense: Array, other: Array, threshold: float) -> Array:
    """Share of the dense network's good settings at which another loses at most twice a threshold.

    Each loss and bound is relative to its network's own best. NaN where the other network has no
    value in the region. Thesis, section 4.2: about 75 %, for a bound of 0.005 that becomes 0.01.
    """
    best = other.max(axis=1, keepdims=True)
    loss = (best - other) / np.abs(best)
    inside = roi(dense, threshold) & np.isfinite(loss)
    bound = 2 * threshold / np.abs(dense.max(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((inside & (loss <= bound)).sum(axis=1) / inside.sum(axis=1))


class Risk(NamedTuple):
    """Risk of one network over the dense network's region of interest, as in `RegionRisk`.

    `points` is a DataFrame of the region's points at which the network has a value: the axes,
    value, risk (equation 3.4), relative (equation 3.6). Relative risks are NaN where the best is 0.
    """

    mean: float
    std: float
    relative_mean: float
    relative_std: float
    points: pd.DataFrame

    @property
    def n(self) -> int:
        """Points that the risk is taken over."""
        return len(self.points)


def risk(dense: Landscape, landscape: Landscape, threshold: float = 0.5) -> Risk:
    """Risk of training a network, or the dense one itself, at the dense network's good settings.

    Every point of the dense network's region of interest is scored by how far the network falls
    short of its own best there. Refuses a threshold that is negative or not finite, and landscapes
    over different axes.
    """
    dense_rows, rows = common_points(dense, landscape)
    values = np.full(len(dense.points), np.nan)
    values[dense_rows] = landscape.values[rows]
    inside, best = dense.in_roi(threshold), landscape.best
    mean, std, *_ = region_risk(inside, values, np.array(best))
    points = dense.points[list(dense.axes)].assign(value=values)[inside]
    points = points.dropna(subset="value").reset_index(drop=True)
    scale = abs(best) or np.nan
    points["risk"] = best - points["value"]
    points["relative"] = points["risk"] / scale
    return Risk(float(mean), float(std), float(mean / scale), float(std / scale), points)


def risks(landscapes: dict[str, Landscape], threshold: float = 0.5) -> dict[str, Risk]:
    """Risk of each network over the region of interest of the first, the dense one (Table 4.2)."""
    dense = next(iter(landscapes.values()))
    return {name: risk(dense, landscape, threshold) for name, landscape in landscapes.items()}


# --- regret after further trainings ---------------------------------------------------------------


class Curve(NamedTuple):
    """Expected regret after k = 0, 1, ... trainings in addition to that at the kept setting.

    Mean over the draws, and the ends of their central 95 %; each of shape (n,).
    """

    estimate: Array
    low: Array
    high: Array


class Regret(NamedTuple):
    """Regret by `random_search` and by `local_search` from the dense network's optimum."""

    random: Curve
    local: Curve


def random_search(values: ArrayLike, kept: int) -> Array:
    """Expected regret after training at the kept point and at k others drawn at random.

    The k are drawn without replacement from the N = n - 1 other points, and the best of the k + 1
    is used, as if a training showed a point's value without noise. Let w_1 >= ... >= w_N be the
    others' values, none below the kept one's, which is w_{N+1}. None of the j best is among the k
    with the hypergeometric probability

        P(j, k) = C(N - j, k) / C(N, k),   P(j, 0) = 1,
        P(j, k + 1) = P(j, k) (N - j - k) / (N - k),

    and each such failure costs one step down the order, so that

        R(k) = max(f) - max(w_1, w_{N+1}) + sum over j = 1..N of (w_j - w_{j+1}) P(j, k),

    where the first difference is 0.

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Noise-free values of the network at its grid points; -inf where it has none.
    kept : int
        Position of the dense network's optimum among the points; it has a value.

    Returns
    -------
    ndarray of shape (..., n)
        R(k) for k = 0 to n - 1: R(0) is the risk of keeping the settings (equation 3.4).
    """
    values = np.asarray(values, float)
    own = values[..., [kept]]
    others = -np.sort(-np.delete(values, kept, axis=-1), axis=-1)
    ladder = np.concatenate([np.maximum(others, own), own], axis=-1)
    steps = ladder[..., :-1] - ladder[..., 1:]
    number = steps.shape[-1]
    rank, missed = np.arange(1, number + 1), np.ones(number)
    curve = np.zeros(values.shape)
    for k in range(number):
        curve[..., k] = steps @ missed
        missed *= np.maximum(number - rank - k, 0) / (number - k)
    return curve


def local_search(
    values: ArrayLike, logs: ArrayLike, kept: int, generator: np.random.Generator
) -> Array:
    """Regret after training at the kept point and at k = 0 to n - 1 others found by climbing.

    Always trained next is the untried point that is nearest to the best one so far, by Euclidean
    distance in steps of the grid: its four neighbours along the axes, then the four diagonal ones,
    then those two steps away. A better one becomes the centre at once. Ties are settled at random,
    in each draw anew. Of the shape of `values`.

    Parameters
    ----------
    values : ndarray of shape (n_draws, n)
        As for `random_search`, as is `kept`.
    logs : ndarray of shape (n, 2)
        log10 of the two axes. A step of the grid leads to the next value that any point has on an
        axis, however far it is; the grid may have holes.
    kept : int
    generator : numpy.random.Generator
    """
    values, logs = np.asarray(values, float), np.asarray(logs, float)
    # Logarithms of equal values may differ in the last bits.
    first, second = (np.unique(axis.round(9), return_inverse=True)[1] for axis in logs.T)
    squares = np.subtract.outer(first, first) ** 2 + np.subtract.outer(second, second) ** 2
    distance = squares.astype(float)

    row, best = np.arange(len(values)), np.full(len(values), kept)
    spent, reached = np.zeros(values.shape), np.empty(values.shape)
    spent[:, kept] = np.inf
    reached[:, 0] = values[:, kept]
    for k in range(1, values.shape[1]):
        # Squared distances are whole numbers: what is below one settles nothing but ties.
        ties = generator.random(values.shape, dtype=np.float32)
        tried = np.argmin(distance[best] + spent + ties, axis=1)
        spent[row, tried] = np.inf
        best = np.where(values[row, tried] > reached[:, k - 1], tried, best)
        reached[:, k] = values[row, best]
    return np.asarray(values.max(axis=1, keepdims=True) - reached)


def smallest_k(curve: ArrayLike, target: float) -> int | None:
    """Fewest further trainings that bring a regret of shape (n,) to a target; None if none does."""
    reached = np.flatnonzero(np.asarray(curve, float) <= target + TOLERANCE)
    return int(reached[0]) if len(reached) else None
