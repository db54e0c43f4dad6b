"""Draws of two networks' landscapes at the same settings."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from hpstudy.analysis.intervals import Array, Mask, Rows
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import Ellipses, fit_ellipses, roi
from hpstudy.analysis.surrogate import DRAWS, Surrogate

COMMON = 0.5
"""Share of either network's settings that both must have before surfaces are not interpolated."""
RUNGS = {1: 61, 2: 13}
"""Values of each axis of a lattice, by the number of axes."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Draws of the dense network's landscape and of another's at the same settings.

    Attributes
    ----------
    dense, other : ndarray of shape (n_draws, n_points)
        -inf where a network has no value.
    logs : ndarray of shape (n_points, 2)
        log10 of the two axes.
    both : ndarray of bool, shape (n_points,)
        Where both networks have a value.
    dense_rows, other_rows : ndarray of int
        `common_points` of the two landscapes.
    interpolated : bool
        Whether values come from the surfaces between the settings.
    """

    dense: Array
    other: Array
    logs: Array
    both: Mask
    dense_rows: Rows
    other_rows: Rows
    interpolated: bool

    @property
    def shared(self) -> tuple[Array, Array]:
        """Draws of the two networks where both have a value."""
        return self.dense[:, self.both], self.other[:, self.both]

    def rois(self, threshold: float) -> tuple[Mask, Mask]:
        """Regions of interest of the two networks among the `shared` settings."""
        dense, other = self.shared
        return roi(dense, threshold), roi(other, threshold)

    def ellipses(self, threshold: float) -> tuple[Ellipses, Ellipses] | None:
        """Ellipses of `rois`; None where the networks share no setting."""
        if not self.both.any():
            return None
        dense, other = self.rois(threshold)
        logs = self.logs[self.both]
        return fit_ellipses(logs, dense), fit_ellipses(logs, other)


def pair_up(
    dense: Surrogate,
    other: Surrogate,
    seeds: tuple[int, int],
    draws: tuple[Array, Array],
) -> Pair:
    """Draws of two networks at all settings of the second.

    Where they share fewer than half of either's settings, as two random searches do, both surfaces
    are interpolated to all settings of both that lie within the range of each, the first network's
    first. Over one axis they are interpolated to a lattice, as the few settings on one line place
    a region's ends only roughly.

    `draws` are those of the two at their own settings, and `seeds` those of the draws.
    """
    landscapes = dense.landscape, other.landscape
    if len(landscapes[0].axes) == 1:
        return on_a_lattice(dense, other, seeds)
    rows = common_points(*landscapes)
    fewer = min((~np.isnan(landscape.values)).sum() for landscape in landscapes)
    if len(rows[0]) >= COMMON * fewer:
        n = min(map(len, draws))
        aligned = np.full((n, draws[1].shape[1]), -np.inf)
        aligned[:, rows[1]] = draws[0][:n][:, rows[0]]
        both = np.isin(np.arange(aligned.shape[1]), rows[1])
        return Pair(aligned, draws[1][:n], landscapes[1].logs, both, *rows, interpolated=False)
    kept = within(*landscapes), within(*landscapes[::-1])
    # A setting of both is one setting.
    kept[1][rows[1][np.isin(rows[0], np.flatnonzero(kept[0]))]] = False
    logs = [landscape.logs[inside] for landscape, inside in zip(landscapes, kept, strict=True)]
    first = dense.draws(DRAWS, seeds[0], logs[1])
    second = other.draws(DRAWS, seeds[1], logs[0])
    n, counts = min(len(first), len(second)), [len(landscape.points) for landscape in landscapes]
    first = np.hstack([first[:n, : counts[0]][:, kept[0]], first[:n, counts[0] :]])
    second = np.hstack([second[:n, counts[1] :], second[:n, : counts[1]][:, kept[1]]])
    both = np.isfinite(first[0]) & np.isfinite(second[0])
    return Pair(first, second, np.vstack(logs), both, *rows, interpolated=True)


def on_a_lattice(dense: Surrogate, other: Surrogate, seeds: tuple[int, int]) -> Pair:
    """Draws of two networks' surfaces on an even lattice over the range that both span."""
    pair, number = (dense, other), len(dense.landscape.axes)
    logs = [surrogate.landscape.logs[surrogate.used] for surrogate in pair]
    low = np.max([place.min(axis=0) for place in logs], axis=0)[:number]
    high = np.min([place.max(axis=0) for place in logs], axis=0)[:number]
    rungs = RUNGS[number] if (low < high).all() else 0
    ticks = [np.linspace(*ends, rungs) for ends in zip(low, high, strict=True)]
    lattice = np.array(list(product(*ticks, *[[0.0]] * (2 - number)))).reshape(-1, 2)
    drawn = [
        surrogate.draws(DRAWS, seed, lattice)[:, len(surrogate.landscape.points) :]
        for surrogate, seed in zip(pair, seeds, strict=True)
    ]
    n = min(map(len, drawn))
    rows, both = common_points(dense.landscape, other.landscape), np.ones(len(lattice), bool)
    return Pair(drawn[0][:n], drawn[1][:n], lattice, both, *rows, interpolated=True)


def within(landscape: Landscape, other: Landscape) -> Mask:
    """Which measured points of a landscape lie in the range that another's measured points span."""
    span = other.logs[other.placed & ~np.isnan(other.values)]
    low, high = span.min(axis=0) - 1e-9, span.max(axis=0) + 1e-9
    # A value of 0 has the place NaN, which is in no range.
    inside: Mask = ((landscape.logs >= low) & (landscape.logs <= high)).all(axis=1)
    return inside & ~np.isnan(landscape.values)
