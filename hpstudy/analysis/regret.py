"""Regret that a pruned network is left with after k of its hyperparameters were tried again."""

import math

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.analysis.intervals import Array
from hpstudy.config.grid import TOLERANCE
from hpstudy.errors import HpstudyError


def random_search(values: ArrayLike, kept: int) -> Array:
    """Expected regret after training at the kept point and at k others drawn at random.

    The k are drawn without replacement from the N = n - 1 other points, and the best of the k + 1
    is used. Let w_1 >= ... >= w_N be the others' values, none below the kept one's, which is
    w_{N+1}. None of the j best is among the k with the hypergeometric probability

        P(j, k) = C(N - j, k) / C(N, k),   P(j, 0) = 1,
        P(j, k + 1) = P(j, k) (N - j - k) / (N - k),

    and each such failure costs one step down the order, so that

        R(k) = max(f) - max(w_1, w_{N+1}) + sum over j = 1..N of (w_j - w_{j+1}) P(j, k),

    where the first difference is 0. All terms are positive and the recurrence only multiplies, so
    it is exact to rounding for grids of any size. It supposes that a training shows a point's
    value without noise: use it on draws of noise-free values, not on single noisy runs.

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Values of the network at its grid points, in the metric's unit; -inf where it has none.
    kept : int
        Position of the dense network's optimum among the points.

    Returns
    -------
    ndarray of shape (..., n)
        R(k) for k = 0 to n - 1, never increasing: R(0) is the risk of keeping the settings
        (equation 3.4), R(n - 1) is 0. Infinite for as long as all trained points may be without a
        value, which takes a kept point without one.

    Raises
    ------
    HpstudyError
        If a value is NaN or +inf, a landscape has no value at all, or `kept` is not one of the
        points.
    """
    values = _checked(values, kept)
    own = values[..., [kept]]
    others = -np.sort(-np.delete(values, kept, axis=-1), axis=-1)
    n = values.shape[-1]
    # Differences of infinities are NaN: what they stand for is put in at the end.
    lowest = np.where(np.isfinite(values), values, np.inf).min(axis=-1, keepdims=True)
    floor = np.where(np.isfinite(own), own, lowest)
    ladder = np.concatenate([np.maximum(others, floor), floor], axis=-1)
    steps = ladder[..., :-1] - ladder[..., 1:]
    rank = np.arange(1, n)
    missed = np.ones(n - 1)
    curve = np.zeros(values.shape)
    for k in range(n - 1):
        curve[..., k] = steps @ missed
        missed *= np.maximum(n - 1 - rank - k, 0) / (n - 1 - k)
    # k others without a value can be drawn, if there are k.
    without = np.isneginf(others).sum(axis=-1, keepdims=True)
    curve[np.isneginf(own) & (np.arange(n) <= without)] = np.inf
    return curve


def local_search(
    values: ArrayLike, logs: ArrayLike, kept: int, orders: int, generator: np.random.Generator
) -> Array:
    """Expected regret after training at the kept point and at k others found by climbing.

    Always trained next is the untried point that is nearest to the best one so far, by Euclidean
    distance in steps of the grid, ties at random. Around the best that is: its four neighbours
    along the axes, then the four diagonal ones, then those two steps away; a better one that is
    found becomes the centre at once. So the search climbs, and widens where it can climb no
    further. With V(k) the points trained in one order,

        R(k) = max(f) - mean over orders of max over V(k) of f.

    It too supposes that a training shows a point's value without noise.

    Parameters
    ----------
    values : ndarray of shape (..., n)
        As for `random_search`.
    logs : ndarray of shape (n, 2)
        log10 of the two axes. A step of the grid leads to the next value that any point has on an
        axis, however far it is; the grid may have holes.
    kept : int
        As for `random_search`.
    orders : int
        Random orders to average over, each draw its own.
    generator : numpy.random.Generator
        Of the random orders.

    Returns
    -------
    ndarray of shape (..., n)
        As for `random_search`. Infinite while any order has met no point with a value.

    Raises
    ------
    HpstudyError
        As `random_search`; also if `orders` is below 1 or the points do not match the values.
    """
    values = _checked(values, kept)
    n = values.shape[-1]
    logs = np.asarray(logs, float)
    if logs.shape != (n, 2):
        raise HpstudyError(
            f"{n} values need points of shape ({n}, 2), not {' x '.join(map(str, logs.shape))}."
        )
    if orders < 1:
        raise HpstudyError(f"a local search needs one random order or more, not {orders}.")
    # Logarithms of equal values may differ in the last bits.
    first, second = (np.unique(axis.round(9), return_inverse=True)[1] for axis in logs.T)
    squares = np.subtract.outer(first, first) ** 2 + np.subtract.outer(second, second) ** 2
    distance = squares.astype(float)

    searches = np.repeat(values.reshape(-1, n), orders, axis=0)
    row = np.arange(len(searches))
    best = np.full(len(searches), kept)
    spent = np.zeros(searches.shape)
    spent[:, kept] = np.inf
    reached = np.empty(searches.shape)
    reached[:, 0] = searches[:, kept]
    for k in range(1, n):
        # Squared distances are whole numbers: what is below one settles nothing but ties.
        ties = generator.random(searches.shape, dtype=np.float32)
        tried = np.argmin(distance[best] + spent + ties, axis=1)
        spent[row, tried] = np.inf
        best = np.where(searches[row, tried] > reached[:, k - 1], tried, best)
        reached[:, k] = searches[row, best]
    curves = searches.max(axis=1, keepdims=True) - reached
    return np.reshape(curves.reshape(-1, orders, n).mean(axis=1), values.shape)


def smallest_k(curve: ArrayLike, target: float) -> int | None:
    """Fewest further trainings that bring an expected regret of shape (n,) to a target.

    0 where keeping the settings is good enough already; None where the curve ends above the target.

    Raises
    ------
    HpstudyError
        If the target is negative or not finite.
    """
    if not (math.isfinite(target) and target >= 0):
        raise HpstudyError(f"a regret can be brought to a target of 0 or more, not {target}.")
    reached = np.flatnonzero(np.asarray(curve, float) <= target + TOLERANCE)
    return int(reached[0]) if len(reached) else None


def _checked(values: ArrayLike, kept: int) -> Array:
    values = np.asarray(values, float)
    bad = values[np.isnan(values) | np.isposinf(values)]
    if bad.size:
        raise HpstudyError(f"a point's value is a finite number, or -inf for none, not {bad[0]}.")
    n = values.shape[-1]
    if not 0 <= kept < n:
        raise HpstudyError(f"the kept point is one of 0 to {n - 1}, not {kept}.")
    if np.isneginf(values).all(axis=-1).any():
        raise HpstudyError("a regret needs a value at one point or more; here all are -inf.")
    return values
