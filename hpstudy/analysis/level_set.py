"""Level-set design of a sweep: settings that hardly lie in the region of interest are skipped.

The next settings are those that most likely lie in the region of interest, given what is trained
(level set estimation: Gotovos et al., Active learning for level set estimation, IJCAI 2013).
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.pruned_landscape import PrunedLandscape, Runs
from hpstudy.analysis.pruned_prior import Prior
from hpstudy.analysis.retune_task import with_diverged
from hpstudy.analysis.surrogate import Surrogate
from hpstudy.config.grid import setting_key
from hpstudy.errors import HpstudyError

Setting = tuple[float, float]

MISSED = 0.1
"""Share of the region of interest that the skipped settings may be expected to hold."""
STARTS = 5
"""Settings that a network starts with."""

# The prior that was fitted on measured pairs trains as much (benchmarks/level_set.py), and leans on
# studies like the one that is being trained.
_PRIOR = Prior.vague()
_DRAWS = 1000
# Quarters of each axis at which the starts lie: the middle, then along and across the band.
_QUARTERS = ((2, 2), (1, 3), (3, 1), (1, 1), (3, 3))


def next_settings(
    landscape: Landscape | None,
    grid: Iterable[Setting],
    threshold: float,
    batch: int,
    dense: Landscape | None = None,
) -> list[Setting]:
    """Settings of a grid to train next; none when each of the rest is skipped.

    A network starts with `STARTS` settings around the grid's middle. A pruned one then trains the
    dense network's region of interest, over which its risk is taken (equation 3.4). Then follow the
    settings likeliest to reach the best measured value less the threshold, until those that are
    left are expected to hold at most `MISSED` of the region; none that is likelier in it than not
    is skipped. The probability is of a measurement, noise included: that decides on the measured
    region (equation 3.3). It comes from `Surrogate`, and for a pruned network from
    `PrunedLandscape` with its vague prior. Settings with a value of 0 have no place on the axes,
    and are never skipped.

    The answer depends on the arguments alone, not on the order of the grid. The settings of a batch
    do not wait for each other, so that larger batches train more.

    Parameters
    ----------
    landscape : Landscape or None
        Settings trained so far, over two axes; None before the first. Diverged ones count as the
        worst value. Stopped and failed ones have no value, and do not come again.
    grid : iterable of (first, second)
        Settings of the whole sweep.
    threshold : float
        Of the region of interest, in the metric's unit.
    batch : int
        Greatest number of settings to return, such as the number of workers.
    dense : Landscape, optional
        The dense network's settings, once its own design has ended; None for the dense network.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite, the batch is below 1, or a landscape has other
        than two axes.
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise HpstudyError(f"a level set needs a threshold of 0 or more: {threshold}.")
    if batch < 1:
        raise HpstudyError(f"a batch holds 1 setting or more: {batch}.")
    for given in (landscape, dense):
        if given is not None and len(given.axes) != 2:
            raise HpstudyError(f"a level set needs two axes, not {', '.join(given.axes)}.")
    settings = _from_the_middle(grid)
    trained = set() if landscape is None else set(landscape.keys)
    left = [setting for setting in settings if _key(setting) not in trained]
    first = _starts(settings) if len(trained) < STARTS else []
    if dense is not None:
        region = set(dense.keys[dense.in_roi(threshold)])
        first += [setting for setting in settings if _key(setting) in region]
    first += [setting for setting in settings if 0 in setting]
    if waiting := [setting for setting in dict.fromkeys(first) if setting in left]:
        return waiting[:batch]
    if landscape is None or not left or not np.isfinite(landscape.values).any():
        return left[:batch]
    chances = _chances(landscape, np.log10(left), threshold, dense)
    # Equal chances keep the order from the middle.
    order = np.argsort(-chances, kind="stable")
    likeliest = chances[order]
    rest = likeliest[::-1].cumsum()[::-1]
    missed = MISSED * (landscape.in_roi(threshold).sum() + chances.sum())
    asked = (likeliest >= 0.5) | (rest > missed)
    return [left[k] for k in order[asked][:batch]]


def _chances(
    landscape: Landscape, places: Array, threshold: float, dense: Landscape | None
) -> Array:
    """Probability of each place to be measured in the region of interest so far."""
    worst, surrogate = np.inf, None
    if dense is not None and np.isfinite(dense.values).sum() >= STARTS:
        surrogate = Surrogate(with_diverged(dense))
        worst = float(surrogate.landscape.values.min())
    landscape = with_diverged(landscape, worst)
    needed = landscape.best - threshold
    if surrogate is None and (landscape.placed & np.isfinite(landscape.values)).sum() < STARTS:
        return np.ones(len(places))
    if (stopped := landscape.placed & ~np.isfinite(landscape.values)).any():
        # Such a run is taken to lie outside the region; how far, the surface says.
        values, _ = _draws(landscape, landscape.logs[stopped], surrogate)
        points = landscape.points.copy()
        points.loc[stopped, "value"] = np.minimum(values, needed).mean(axis=0)
        landscape = replace(landscape, points=points)
    values, noise = _draws(landscape, places, surrogate)
    generator = np.random.default_rng(len(landscape.points))
    noise = noise / math.sqrt(landscape.seeds)
    measured = values + noise * generator.standard_normal(values.shape)
    return np.asarray((measured >= needed).mean(axis=0))


def _draws(landscape: Landscape, places: Array, dense: Surrogate | None) -> tuple[Array, Array]:
    """Draws of the values at the places, and a run's deviations there."""
    used = landscape.placed & np.isfinite(landscape.values)
    if dense is None:
        own = Surrogate(landscape)
        values = own.draws(_DRAWS, 0, places)[:, len(used) :]
        return values, np.full_like(values, own.noise)
    count = int(used.sum())
    each = landscape.points["seeds"].to_numpy(float)[used]
    runs = Runs(np.arange(count), landscape.values[used], np.zeros(count, int), each)
    pruned = PrunedLandscape(dense, np.vstack([landscape.logs[used], places]), _PRIOR)
    draws = pruned.draws(runs, _DRAWS, np.random.default_rng(count))
    return draws.values[:, count:], draws.noise[:, count:]


def _key(setting: Setting) -> tuple[str, str]:
    return setting_key(setting[0]), setting_key(setting[1])


def _from_the_middle(grid: Iterable[Setting]) -> list[Setting]:
    """Distinct settings, the nearest to the middle of the grid's ranks first."""
    settings = sorted({_key(setting): setting for setting in grid}.values())
    if not settings:
        return []
    ranks = np.column_stack([_ranks(axis) for axis in zip(*settings, strict=True)])
    apart = (np.abs(ranks - 0.5) ** 2).sum(axis=1).round(9)
    return [settings[k] for k in np.argsort(apart, kind="stable")]


def _starts(settings: list[Setting]) -> list[Setting]:
    """Settings nearest to `_QUARTERS` of the axes, each once; `settings` are from the middle."""
    if not settings:
        return []
    ranks = np.column_stack([_ranks(axis) for axis in zip(*settings, strict=True)])
    apart = [((ranks - np.array(at) / 4) ** 2).sum(axis=1).round(9) for at in _QUARTERS]
    return [settings[k] for k in dict.fromkeys(int(one.argmin()) for one in apart)]


def _ranks(values: Iterable[float]) -> Array:
    """Ranks among the distinct values, from 0 to 1; one half for a single one."""
    ranks = pd.Series(list(values)).map(setting_key).astype(float).rank(method="dense") - 1
    return np.asarray(ranks / ranks.max() if ranks.max() else ranks + 0.5, float)
