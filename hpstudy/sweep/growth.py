"""How far the grids of a study have grown, and which of their points get further seeds."""

import random
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import product
from math import isnan
from typing import NamedTuple

import numpy as np

from hpstudy.config.grid import BASE, Extent, Grid, Point, roi
from hpstudy.config.study import DENSE, Study

# Ids of a variant's runs at some points, with one seed.
RunIds = Callable[[str, Iterable[Point], int], list[str]]
# Learning rate and weight decay.
Setting = tuple[float, float]
# Top-1 accuracy in percent by setting; NaN for one without a value.
Results = Mapping[Setting, float]


class Growth(NamedTuple):
    """How far a grid has grown.

    Attributes
    ----------
    extent : Extent
        Steps added to its sides.
    settled : bool
        Whether every point has a result and none is to be added.
    touched : tuple of str
        Ends of a settled grid that the region of interest touches, though they may not be extended
        further: "low lr", "high lr", "low weight_decay", "high weight_decay".
    """

    extent: Extent
    settled: bool
    touched: tuple[str, ...]


class Progress(NamedTuple):
    """State of a study that follows from its ended runs.

    Attributes
    ----------
    ended : dict of str to float
        Top-1 accuracy by run id; NaN for a run that was stopped early or has failed.
    growths : dict of str to Growth
        Growth of the grid of each variant. The grid of a pruned network holds all of the dense
        one's, over whose region of interest the risk is taken (equations 3.4 to 3.6), and grows
        further by its own results; when all have ended they grow to one extent.
    replicates : dict of str to list of Point
        Points of each variant that get further seeds, once its grid and the dense one have ended.
    spared : set of str
        Ids of runs that no race may stop: the prior's, the pruned networks' in the dense region of
        interest, and the replicates.
    failed : set of str
        Ids of the failed runs.
    """

    ended: dict[str, float]
    growths: dict[str, Growth]
    replicates: dict[str, list[Point]]
    spared: set[str]
    failed: Set[str]


def assess(
    study: Study,
    pruned: Iterable[str],
    run_ids: RunIds,
    ended: Mapping[str, float],
    prior: str,
    failed: Set[str] = frozenset(),
) -> Progress:
    """Progress of a study, which does not depend on the order in which runs have ended.

    Parameters
    ----------
    study : Study
    pruned : iterable of str
        Pruned variants whose networks are known.
    run_ids : callable
        Ids of a known variant's runs at some points, with one seed.
    ended : mapping of str to float
        Top-1 accuracy in percent by run id; NaN for a run that was stopped early or has failed.
    prior : str
        Id of the run whose filters are ranked.
    failed : set of str
        Ids of the failed runs.
    """
    pruned, threshold, spared = tuple(pruned), max(study.roi), {prior}
    results = _GridResults(study, run_ids, _without_stopped(ended, spared - failed))
    growths = {DENSE: results.growth(DENSE, BASE)}
    extent = growths[DENSE].extent
    dense = results.whole(DENSE, extent) if study.racing or study.replicates else {}
    if study.racing:
        near_best = region(dense, threshold)
        points = [p for p in points_of(study, extent) if (p.lr, p.weight_decay) in near_best]
        for variant, seed in product(pruned, study.seeds):
            spared.update(run_ids(variant, points, seed))
        results = _GridResults(study, run_ids, _without_stopped(ended, spared - failed))
    for variant in study.variants[1:]:
        if variant in pruned and growths[DENSE].settled:
            growths[variant] = results.growth(variant, extent)
        else:
            growths[variant] = Growth(extent, False, ())
    if pruned and set(pruned) == set(study.variants[1:]):
        growths = _to_one_extent(growths, results)
        dense = dense and results.whole(DENSE, growths[DENSE].extent)
    replicates = {}
    if dense and study.replicates:
        for variant in (DENSE, *pruned):
            if own := results.whole(variant, growths[variant].extent):
                name, number = f"{study.name} {variant}", study.replicates.random
                settings = replicated_settings(own, dense, threshold, number, name)
                replicates[variant] = [Point(lr=lr, weight_decay=decay) for lr, decay in settings]
                for seed in study.replicates.seeds:
                    spared.update(run_ids(variant, replicates[variant], seed))
    return Progress(_without_stopped(ended, spared - failed), growths, replicates, spared, failed)


def _without_stopped(ended: Mapping[str, float], spared: Set[str]) -> dict[str, float]:
    # The race of another study may have stopped a run that this study's race may not stop.
    return {
        run_id: top1 for run_id, top1 in ended.items() if run_id not in spared or not isnan(top1)
    }


def points_of(study: Study, extent: Extent) -> list[Point]:
    """All points of a study's grid, coarse to fine."""
    return [point for level in study.grid.levels(study.prior, extent) for point in level]


@dataclass(frozen=True)
class _GridResults:
    """Accuracies on the grids of a study, by the runs of the study's own seeds."""

    study: Study
    run_ids: RunIds
    ended: Mapping[str, float]

    def growth(self, variant: str, start: Extent) -> Growth:
        grid, study = self.study.grid, self.study
        if not any(grid.limits.values()):
            return Growth(start, True, ())
        return grow(grid, study.prior, self.of(variant, grid.largest), max(study.roi), start)

    def whole(self, variant: str, extent: Extent) -> Results:
        """Results of a grid whose runs have all ended; empty before."""
        results = self.of(variant, extent)
        return results if len(results) == len(points_of(self.study, extent)) else {}

    def of(self, variant: str, extent: Extent) -> Results:
        """Mean accuracy at the points where the runs of all seeds have ended."""
        points, seeds, ended = points_of(self.study, extent), self.study.seeds, self.ended
        ids = [self.run_ids(variant, points, seed) for seed in seeds]
        return {
            (point.lr, point.weight_decay): sum(ended[run_id] for run_id in point_ids) / len(seeds)
            for point, *point_ids in zip(points, *ids, strict=True)
            if all(run_id in ended for run_id in point_ids)
        }


def _to_one_extent(growths: dict[str, Growth], results: _GridResults) -> dict[str, Growth]:
    """Settled grids grown until all have one extent, so that every point can be compared."""
    while all(growth.settled for growth in growths.values()):
        sides = zip(*(growth.extent for growth in growths.values()), strict=True)
        union = Extent(*(tuple(map(max, *axis)) for axis in sides))
        if all(growth.extent == union for growth in growths.values()):
            break
        growths = {variant: results.growth(variant, union) for variant in growths}
    return growths


def grow(
    grid: Grid, prior: Point, results: Results, threshold: float, start: Extent = BASE
) -> Growth:
    """Extend a grid on every side that the region of interest touches, until it is inside.

    A side grows by one step once all points so far have a result, so that the growth does not
    depend on the order in which results arrive. A weight decay of 0 is no end of the grid.

    Parameters
    ----------
    grid : Grid
    prior : Point
    results : mapping of (lr, weight_decay) to float
        Accuracies in percent of the trained points; NaN for a point without a value, which lies
        outside the region.
    threshold : float
        Width of the region of interest (equation 3.3), in percentage points.
    start : Extent
        Extent to begin with.

    References
    ----------
    Thesis, section 3.3, extends its grids by hand in this way.
    """
    extent = start
    while True:
        axes = [grid.values(name, prior, extent) for name in Extent._fields]
        settings = list(product(*axes))
        if any(setting not in results for setting in settings):
            return Growth(extent, False, ())
        inside = region({setting: results[setting] for setting in settings}, threshold)
        sides, touched = [], []
        for k, (name, limit) in enumerate(grid.limits.items()):
            positive, reached = [x for x in axes[k] if x], {setting[k] for setting in inside}
            side = []
            for end, values, steps in zip(
                ("low", "high"), (positive[:1], positive[-1:]), extent[k], strict=True
            ):
                hit = not reached.isdisjoint(values)
                touched += [f"{end} {name}"] if hit else []
                side.append(max(steps, min(steps + hit, limit)))
            sides.append(tuple(side))
        if (grown := Extent(*sides)) == extent:
            return Growth(extent, True, tuple(touched))
        extent = grown


def region(results: Results, threshold: float) -> set[Setting]:
    """Settings in the region of interest (equation 3.3)."""
    inside = roi(np.array(list(results.values()), dtype=float), threshold)
    return {setting for setting, near in zip(results, inside, strict=True) if near}


def replicated_settings(
    own: Results, dense: Results, threshold: float, number: int, name: str
) -> list[Setting]:
    """Settings of a network that get further seeds: where noise decides, and a few random ones.

    Parameters
    ----------
    own, dense : mapping of (lr, weight_decay) to float
        Accuracies in percent at all points of the network's grid and of the dense network's.
    threshold : float
        Width of the regions of interest (equation 3.3), in percentage points.
    number : int
        Number of settings to draw outside the regions; all that are left, if there are fewer.
    name : str
        Seed of the draw.

    Returns
    -------
    list of (lr, weight_decay)
        The union of the two regions, increasing, then the settings drawn, all of them with a value.
    """
    regions = region(own, threshold) | region(dense, threshold)
    # The order is of all settings, so that one that gains a value displaces only the last drawn.
    order = random.Random(name).sample(sorted(own), len(own))
    outside = [setting for setting in order if setting not in regions and not isnan(own[setting])]
    return sorted(regions) + outside[:number]
