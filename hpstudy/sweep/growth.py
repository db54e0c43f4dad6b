"""What has ended of a study, and what that says: how its grids grow, and what is trained again."""

from collections.abc import Callable, Iterable, Mapping, Set
from math import isnan
from typing import NamedTuple

from hpstudy.config.grid import BASE, Extent, Growth, Point, region
from hpstudy.config.study import DENSE, Study
from hpstudy.sweep.replicates import points_to_repeat

# Ids of a variant's runs at some points, with one seed.
RunIds = Callable[[str, Iterable[Point], int], list[str]]


class Progress(NamedTuple):
    """What has ended of a study, and what that says.

    Attributes
    ----------
    ended : dict of str to float
        Top-1 accuracy of the store's runs by id; NaN for one that was stopped early and needs no
        more training, and for one that has failed.
    growths : dict of str to Growth
        How far the grid of each variant has grown, dense first. A pruned network's grid holds all
        of the dense one's, whose region of interest the risk is taken over (equations 3.4 to 3.6),
        and grows further by its own results; when all have ended they grow to one extent.
    replicates : dict of str to list of Point
        Points of a variant that are trained again with further seeds; none of a variant before its
        grid and the dense network's have ended.
    spared : set of str
        Ids of the runs that no race may stop: the prior's, whose filters are ranked, the pruned
        networks' in the dense region of interest, over which the risk is taken, and the replicates.
    failed : set of str
        Ids of the store's runs that came to nothing.
    """

    ended: dict[str, float]
    growths: dict[str, Growth]
    replicates: dict[str, list[Point]]
    spared: set[str]
    failed: Set[str] = frozenset()


def assess(
    study: Study,
    known: Iterable[str],
    run_ids: RunIds,
    ended: Mapping[str, float],
    prior: str,
    failed: Set[str] = frozenset(),
) -> Progress:
    """Progress of a study; the same for the same results, in whatever order they came.

    Parameters
    ----------
    study : Study
    known : iterable of str
        Pruned variants whose networks are known.
    run_ids : callable
        Ids of the dense or a known variant's runs at some points, with one seed.
    ended : mapping of str to float
        Top-1 accuracy in percent by run id; NaN for one that was stopped early or has failed.
    prior : str
        Id of the run whose filters are ranked.
    failed : set of str
        Ids of the runs that have failed.
    """
    known, threshold, spared = tuple(known), max(study.roi), {prior}
    results = _Results(study, run_ids, _without_stopped(ended, spared - failed))
    growths = {DENSE: results.growth(DENSE, BASE)}
    extent = growths[DENSE].extent
    dense = results.whole(DENSE, extent) if study.racing or study.replicates else {}
    if study.racing:
        near_best = region(dense, threshold)
        inside = [p for p in points_of(study, extent) if (p.lr, p.weight_decay) in near_best]
        spared |= {i for name in known for seed in study.seeds for i in run_ids(name, inside, seed)}
        results = _Results(study, run_ids, _without_stopped(ended, spared - failed))
    for variant in study.variants:
        if variant not in growths:
            growths[variant] = growths[DENSE]._replace(settled=False, touched=())
            if variant in known and growths[DENSE].settled:
                growths[variant] = results.growth(variant, extent)
    if known and set(known) == {*growths} - {DENSE}:
        growths = _to_one_extent(growths, results)
        extent = growths[DENSE].extent
        dense = results.whole(DENSE, extent) if dense else {}
    replicates = {}
    for variant in (DENSE, *known) if dense and study.replicates else ():
        if own := results.whole(variant, growths[variant].extent):
            further, name = study.replicates.random, f"{study.name} {variant}"
            chosen = points_to_repeat(own, dense, threshold, further, name)
            replicates[variant] = [Point(lr=lr, weight_decay=decay) for lr, decay in chosen]
            for seed in study.replicates.seeds:
                spared |= set(run_ids(variant, replicates[variant], seed))
    return Progress(_without_stopped(ended, spared - failed), growths, replicates, spared, failed)


def _to_one_extent(growths: dict[str, Growth], results: "_Results") -> dict[str, Growth]:
    """Settled grids grown to one extent: where one network alone was trained none is compared."""
    while all(growth.settled for growth in growths.values()):
        sides = zip(*(growth.extent for growth in growths.values()), strict=True)
        most = Extent(*(tuple(map(max, *axis)) for axis in sides))
        if all(growth.extent == most for growth in growths.values()):
            break
        growths = {variant: results.growth(variant, most) for variant in growths}
    return growths


def points_of(study: Study, extent: Extent) -> list[Point]:
    """All points of a study's grid, coarse to fine."""
    return [point for level in study.grid.levels(study.prior, extent) for point in level]


class _Results:
    """Accuracies at the points of the grids, by the runs of the study's own seeds."""

    def __init__(self, study: Study, run_ids: RunIds, ended: Mapping[str, float]):
        self.study, self.run_ids, self.ended = study, run_ids, ended

    def growth(self, variant: str, start: Extent) -> Growth:
        grid, study = self.study.grid, self.study
        if not any(grid.limits.values()):
            return Growth(start, True, ())
        return grid.grow(study.prior, self.of(variant, grid.largest), max(study.roi), start)

    def whole(self, variant: str, extent: Extent) -> dict[tuple[float, float], float]:
        """Those of a whole grid; none before all of it has ended."""
        results = self.of(variant, extent)
        return results if len(results) == len(points_of(self.study, extent)) else {}

    def of(self, variant: str, extent: Extent) -> dict[tuple[float, float], float]:
        """Mean accuracy of the points at which the runs of all seeds have ended."""
        points, seeds, ended = points_of(self.study, extent), self.study.seeds, self.ended
        ids = [self.run_ids(variant, points, seed) for seed in seeds]
        return {
            (point.lr, point.weight_decay): sum(ended[run_id] for run_id in each) / len(seeds)
            for point, *each in zip(points, *ids, strict=True)
            if all(run_id in ended for run_id in each)
        }


def _without_stopped(ended: Mapping[str, float], spared: set[str]) -> dict[str, float]:
    # What another study's race stopped may be a run that this one's may not stop.
    return {run_id: x for run_id, x in ended.items() if not (run_id in spared and isnan(x))}
