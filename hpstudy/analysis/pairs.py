"""Draws of the dense network's landscape and of another's at the same settings.

Where the two were trained at the same settings these are taken as they are. Where they share fewer
than half of either's, as two random searches do, both surfaces are interpolated to all settings of
both that lie within the range of each. Over one axis they are interpolated to a lattice of
settings, as the few on one line place a region's ends only roughly.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.risk import common_points
from hpstudy.analysis.surrogate import DRAWS, Surrogate

COMMON = 0.5
"""Share of either network's settings that both must have before surfaces are not interpolated."""

RUNGS = {1: 61, 2: 13}
"""Values of each axis of a lattice, by the number of axes."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two networks' draws at the same settings.

    Attributes
    ----------
    dense, other : ndarray of shape (n_draws, n_points)
        -inf where a network has no value.
    places : ndarray of shape (n_points, 2)
        As `hpstudy.analysis.landscape.Landscape.places`.
    both : ndarray of bool, shape (n_points,)
        At which both networks have a value.
    here, there : ndarray of int
        Rows of the two landscapes' points that are one setting with two values
        (`hpstudy.analysis.risk.common_points`).
    interpolated : bool
        Whether values at settings that only one network was trained at come from the surface of
        the other.
    """

    dense: np.ndarray
    other: np.ndarray
    places: np.ndarray
    both: np.ndarray
    here: np.ndarray
    there: np.ndarray
    interpolated: bool


def pair_up(
    one: Surrogate,
    other: Surrogate,
    draws: tuple[np.ndarray, np.ndarray],
    seeds: tuple[int, int],
) -> Pair:
    """Draws of two networks at the same settings.

    Parameters
    ----------
    one, other : Surrogate
        Of the dense network and of another.
    draws : tuple of ndarray of shape (n_draws, n_points)
        Of the two at their own settings.
    seeds : tuple of int
        Of the generators of these draws.

    Returns
    -------
    Pair
        At all settings of the other network; or, interpolated, of both within common ranges, the
        dense network's first.
    """
    here, there = common_points(one.landscape, other.landscape)
    pair = one.landscape, other.landscape
    if len(one.landscape.axes) == 1:
        return on_a_lattice(one, other, seeds)
    fewer = min(x.points["value"].notna().sum() for x in pair)
    if len(here) >= COMMON * fewer:
        n = min(map(len, draws))
        aligned = np.full((n, draws[1].shape[1]), -np.inf)
        aligned[:, there] = draws[0][:n][:, here]
        both = np.isin(np.arange(aligned.shape[1]), there)
        return Pair(aligned, draws[1][:n], other.landscape.places, both, here, there, False)
    rows = [within(x, y) for x, y in (pair, pair[::-1])]
    # A setting of both is one setting.
    rows[1][there[np.isin(here, np.flatnonzero(rows[0]))]] = False
    places = [x.places[kept] for x, kept in zip(pair, rows, strict=True)]
    drawn = []
    for surrogate, seed, place in zip((one, other), seeds, places[::-1], strict=True):
        drawn.append(surrogate.draws(DRAWS, seed, place))
    n, counts = min(map(len, drawn)), [len(x.points) for x in pair]
    dense = np.hstack([drawn[0][:n, : counts[0]][:, rows[0]], drawn[0][:n, counts[0] :]])
    pruned = np.hstack([drawn[1][:n, counts[1] :], drawn[1][:n, : counts[1]][:, rows[1]]])
    both = np.isfinite(dense[0]) & np.isfinite(pruned[0])
    return Pair(dense, pruned, np.vstack(places), both, here, there, True)


def on_a_lattice(one: Surrogate, other: Surrogate, seeds: tuple[int, int]) -> Pair:
    """Draws of two networks' surfaces on an even lattice over the range that both span.

    Parameters
    ----------
    one, other, seeds
        As for `pair_up`.
    """
    logs = [x.landscape.places[x.inside] for x in (one, other)]
    low = np.max([x.min(axis=0) for x in logs], axis=0)
    high = np.min([x.max(axis=0) for x in logs], axis=0)
    number = len(one.landscape.axes)
    rungs = RUNGS[number] if (low < high)[:number].all() else 0
    ticks = [np.linspace(*ends, rungs) for ends in zip(low[:number], high[:number], strict=True)]
    lattice = np.array(list(product(*ticks, *[[0.0]] * (2 - number)))).reshape(-1, 2)
    drawn = [
        x.draws(DRAWS, seed, lattice)[:, len(x.landscape.points) :]
        for x, seed in zip((one, other), seeds, strict=True)
    ]
    n = min(map(len, drawn))
    rows = common_points(one.landscape, other.landscape)
    both = np.ones(len(lattice), bool)
    return Pair(drawn[0][:n], drawn[1][:n], lattice, both, *rows, True)


def within(landscape: Landscape, other: Landscape) -> np.ndarray:
    """Which points of a landscape lie in the range that another's measured points span."""
    known = other.places[other.placed & other.points["value"].notna().to_numpy()]
    places, slack = landscape.places, 1e-9
    with np.errstate(invalid="ignore"):
        inside = (places >= known.min(axis=0) - slack) & (places <= known.max(axis=0) + slack)
    return inside.all(axis=1) & landscape.placed & landscape.points["value"].notna().to_numpy()
