"""Which hyperparameter the result hangs on: variance of a landscape by its axes."""

import numpy as np

from hpstudy.analysis.intervals import Array, Interval, interval
from hpstudy.analysis.study_analysis import StudyAnalysis

SHARES = ("first", "second", "together")
"""Parts of a landscape's variance: each axis alone, and what only both together explain."""


def variance_shares(values: Array) -> Array:
    """Shares of a grid's variance by its axes, of shape (n_draws, 3), in the order of `SHARES`.

    `values` are of shape (n_draws, first, second), and every setting weighs the same. The mean over
    an axis leaves what the other one does alone; the three shares add up to 1, and are NaN where a
    landscape is flat. Hutter, Hoos and Leyton-Brown, An efficient approach for assessing
    hyperparameter importance, ICML 2014, section 2.
    """
    values = values - values.mean(axis=(1, 2), keepdims=True)
    first, second = values.mean(axis=2), values.mean(axis=1)
    rest = values - first[:, :, None] - second[:, None, :]
    parts = [(part**2).mean(axis=tuple(range(1, part.ndim))) for part in (first, second, rest)]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.array(parts).T / (values**2).mean(axis=(1, 2))[:, None])


def shares(analysis: StudyAnalysis, variant: str, depth: float) -> dict[str, Interval] | None:
    """Shares of the variance of one network's noise-free landscape, by `SHARES`.

    Values deeper than `depth` below the best count as that deep, so that a cliff does not decide.
    None where the settings are no whole grid over two axes.
    """
    landscape, drawn = analysis.landscapes[variant], analysis.draws(variant)
    sizes = [landscape.points[axis].nunique() for axis in landscape.axes]
    whole = len(sizes) == 2 and min(sizes) > 1 and len(landscape.points) == sizes[0] * sizes[1]
    if drawn is None or not whole or not np.isfinite(drawn).all():
        return None
    clipped = np.maximum(drawn, drawn.max(axis=1, keepdims=True) - depth)
    found = variance_shares(clipped.reshape(-1, *sizes))
    return dict(zip(SHARES, map(interval, found.T), strict=True))
