"""Draws of two networks' landscapes at the same settings."""

from itertools import product
from typing import NamedTuple

import numpy as np

from hpstudy.analysis.intervals import Array, Mask
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import Ellipses, fit_ellipses, roi
from hpstudy.analysis.surrogate import DRAWS, Surrogate

COMMON = 0.5
"""Share of either network's settings that both must have before surfaces are not interpolated."""
RUNGS = {1: 61, 2: 13}
"""Values of each axis of a lattice, by the number of axes."""


class Pair(NamedTuple):
    """Draws of the dense network's landscape and of another's at the same settings.

    Of shape (n_draws, n_points), -inf where a network has no value; `logs` of shape (n_points, 2)
    are log10 of the axes, and `both` says where both networks have a value. `interpolated` draws
    come from the surfaces between the settings.
    """

    dense: Array
    other: Array
    logs: Array
    both: Mask
    interpolated: bool

    @property
    def shared(self) -> tuple[Array, Array]:
        """Draws of the two networks where both have a value."""
        return self.dense[:, self.both], self.other[:, self.both]

    def rois(self, threshold: float) -> tuple[Mask, Mask]:
        """Regions of interest of the two networks among the `shared` settings."""
        dense, other = self.shared
        return roi(dense, threshold), roi(other, threshold)

    def ellipses(self, threshold: float) -> tuple[Ellipses, Ellipses]:
        """Ellipses of `rois`."""
        dense, other = self.rois(threshold)
        return fit_ellipses(self.logs[self.both], dense), fit_ellipses(self.logs[self.both], other)


def pair_up(
    dense: Surrogate, other: Surrogate, seeds: tuple[int, int], draws: tuple[Array, Array]
) -> Pair:
    """Draws of two networks at all settings of the second, given `draws` at their own settings.

    Where they share fewer than half of either's settings, as two random searches do, both surfaces
    are interpolated to all settings of both that lie within the range of each, the first network's
    first. Over one axis they are interpolated to a lattice, as the few settings on one line place
    a region's ends only roughly.
    """
    one, two = dense.landscape, other.landscape
    if len(one.axes) == 1:
        return on_a_lattice(dense, other, seeds)
    rows, other_rows = common_points(one, two)
    fewer = min((~np.isnan(landscape.values)).sum() for landscape in (one, two))
    if len(rows) >= COMMON * fewer:
        n = min(map(len, draws))
        aligned = np.full((n, len(two.points)), -np.inf)
        aligned[:, other_rows] = draws[0][:n][:, rows]
        both = np.isin(np.arange(len(two.points)), other_rows)
        return Pair(aligned, draws[1][:n], two.logs, both, interpolated=False)
    kept, other_kept = within(one, two), within(two, one)
    # A setting of both is one setting.
    other_kept[other_rows[kept[rows]]] = False
    logs, other_logs = one.logs[kept], two.logs[other_kept]
    first = dense.draws(DRAWS, seeds[0], other_logs)
    second = other.draws(DRAWS, seeds[1], logs)
    n = min(len(first), len(second))
    own, elsewhere = np.split(first[:n], [len(one.points)], axis=1)
    first = np.hstack([own[:, kept], elsewhere])
    own, elsewhere = np.split(second[:n], [len(two.points)], axis=1)
    second = np.hstack([elsewhere, own[:, other_kept]])
    both = np.ones(first.shape[1], bool)
    return Pair(first, second, np.vstack([logs, other_logs]), both, interpolated=True)


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
    n, both = min(map(len, drawn)), np.ones(len(lattice), bool)
    return Pair(drawn[0][:n], drawn[1][:n], lattice, both, interpolated=True)


def within(landscape: Landscape, other: Landscape) -> Mask:
    """Which measured points of a landscape lie in the range that another's measured points span."""
    span = other.logs[other.placed & ~np.isnan(other.values)]
    low, high = span.min(axis=0) - 1e-9, span.max(axis=0) + 1e-9
    # A value of 0 has the place NaN, which is in no range.
    inside: Mask = ((landscape.logs >= low) & (landscape.logs <= high)).all(axis=1)
    return inside & ~np.isnan(landscape.values)
