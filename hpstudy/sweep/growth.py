"""How far the grids of a study have grown, and which of their points get further seeds."""

import random
from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import chain, compress, product
from math import isnan, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpstudy.config.grid import BASE, Extent, Grid, Point, roi
from hpstudy.config.study import DENSE, AnyStudy
from hpstudy.sweep.measured import measured
from hpstudy.sweep.retuning import Retunings
from hpstudy.sweep.skipping import choose

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan, PlannedRun

Setting = tuple[float, float]
# Metric by (lr, weight_decay), larger is better; NaN for a setting without a value.
Results = Mapping[Setting, float]


class Growth(NamedTuple):
    """How far a grid has grown.

    It is settled once every point has a result and none is to be added. The region of interest then
    touches the ends `touched`, such as "low lr", though they may not be extended further.
    """

    extent: Extent
    settled: bool
    touched: tuple[str, ...]


class Progress(NamedTuple):
    """State of a study that follows from its ended runs, in whatever order they ended.

    Attributes
    ----------
    ended : dict of str to float
        Metric by run id, larger is better; NaN for a run that has failed.
    growths : dict of str to Growth
        By variant. The grid of a pruned network holds all of the dense one's, over whose region of
        interest the risk is taken (equations 3.4 to 3.6), and grows further by its own results;
        when all have ended they grow to one extent.
    replicates : dict of str to list of Point
        Points of each variant that get further seeds, once its grid and the dense one have ended.
    failed : set of str
        Ids of failed runs.
    retuned : dict of str to list of PlannedRun
        Runs of each pruned network that is not trained over the grid, once the dense one is ready.
    chosen : dict of str to list of Point
        Points of each network that are trained or to be trained now, where others are skipped.
    """

    ended: dict[str, float]
    growths: dict[str, Growth]
    replicates: dict[str, list[Point]]
    failed: Set[str]
    retuned: dict[str, list["PlannedRun"]]
    chosen: dict[str, list[Point]]


def assess(plan: "AnyPlan") -> Progress:
    """Progress of a study, by what its store holds."""
    study, pruned, threshold = plan.study, tuple(plan.certificates), max(plan.study.roi)
    failed = plan.store.failures().keys()
    values = plan.values()
    ended = dict.fromkeys(failed, nan) | values
    chosen: dict[str, list[Point]] = {}
    if plan.skips:
        growths, chosen, results = _level_sets(plan, ended)
    else:
        results = _GridResults(plan, ended)
        growths = _grids(plan, results)
    replicates = {}
    dense_results = results.whole(DENSE, growths[DENSE].extent) if study.replicates else {}
    if dense_results and study.replicates:
        for variant in (DENSE, *(() if plan.retunes else pruned)):
            if own := results.whole(variant, growths[variant].extent):
                name, number = f"{study.name} {variant}", study.replicates.random
                settings = replicated_settings(own, dense_results, threshold, number, name)
                replicates[variant] = [Point(lr=lr, weight_decay=decay) for lr, decay in settings]
    progress = Progress(ended, growths, replicates, failed, {}, chosen)
    if plan.retunes and (ready := retunings(plan, progress, values)):
        progress.retuned.update({variant: ready.trainings(variant) for variant in pruned})
    return progress


def _grids(plan: "AnyPlan", results: "_GridResults") -> dict[str, Growth]:
    """Growths of the grids of a study that trains them whole."""
    dense = results.growth(DENSE, BASE)
    growths, pruned = {DENSE: dense}, plan.certificates
    for variant in plan.study.variants[1:]:
        growths[variant] = Growth(dense.extent, plan.retunes, ())
        if variant in pruned and dense.settled and not plan.retunes:
            growths[variant] = results.growth(variant, dense.extent)
    if pruned and not plan.needs_ranking and not plan.retunes:
        # Settled grids grow until all have one extent, so that every point can be compared.
        while all(growth.settled for growth in growths.values()):
            extents = {growth.extent for growth in growths.values()}
            if len(extents) == 1:
                break
            lr, weight_decay = np.max(list(extents), axis=0).tolist()
            union = Extent(tuple(lr), tuple(weight_decay))
            growths = {variant: results.growth(variant, union) for variant in growths}
    return growths


def _level_sets(
    plan: "AnyPlan", ended: dict[str, float]
) -> "tuple[dict[str, Growth], dict[str, list[Point]], _GridResults]":
    """Growths and chosen points of a study that skips settings, which count as without a value.

    A pruned network waits for the dense one, whose good settings it is trained at.
    """
    study, growths, points, dense = plan.study, dict[str, Growth](), dict[str, list[Point]](), None
    known = dict(ended)
    for variant in (DENSE, *plan.certificates):
        start = growths[DENSE].extent if growths else BASE
        growths[variant], points[variant] = Growth(start, False, ()), []
        if variant != DENSE and dense is None:
            continue
        skipped: dict[str, float] = {}
        while True:
            growth = _GridResults(plan, ended | skipped).growth(variant, start)
            every = points_of(study, growth.extent)
            found = choose(plan, variant, every, ended, dense)
            points[variant] = found.points
            those = set(found.points)
            rest = [point for point in every if point not in those]
            ids = [plan.run_ids(variant, rest, seed) for seed in study.seeds]
            before, skipped = skipped, dict.fromkeys(chain.from_iterable(ids), nan)
            if found.asked:
                growth = growth._replace(settled=False, touched=())
            if found.asked or skipped.keys() <= before.keys():
                break
        growths[variant] = growth
        known = skipped | known
        if variant == DENSE and growth.settled:
            runs = [run for seed in study.seeds for run in plan.at({DENSE: found.trained}, seed)]
            dense = measured(plan, runs, plan.values())[DENSE]
    for variant in study.variants[1:]:
        growths.setdefault(variant, Growth(growths[DENSE].extent, False, ()))
    return growths, points, _GridResults(plan, known)


def retunings(plan: "AnyPlan", progress: Progress, values: Mapping[str, float]) -> Retunings | None:
    """Retunings of a study's pruned networks; None before all runs of its dense one have ended."""
    dense = [run for run in plan.grid_runs(progress) if run[0] == DENSE]
    ready = progress.growths[DENSE].settled and all(run[1] in progress.ended for run in dense)
    replicated = not plan.study.replicates or DENSE in progress.replicates
    return Retunings(plan, dense, values) if ready and replicated else None


def points_of(study: AnyStudy, extent: Extent) -> list[Point]:
    """All points of a study's grid, coarse to fine."""
    return [point for level in study.grid.levels(study.prior, extent) for point in level]


@dataclass(frozen=True)
class _GridResults:
    """Accuracies on the grids of a study, by the runs of the study's own seeds."""

    plan: "AnyPlan"
    ended: Mapping[str, float]

    def growth(self, variant: str, start: Extent) -> Growth:
        study = self.plan.study
        if not any(study.grid.limits.values()):
            return Growth(start, True, ())
        results = self.of(variant, study.grid.largest)
        return grow(study.grid, study.prior, results, max(study.roi), start)

    def whole(self, variant: str, extent: Extent) -> Results:
        """Results of a grid whose runs have all ended; empty before."""
        results = self.of(variant, extent)
        return results if len(results) == len(points_of(self.plan.study, extent)) else {}

    def of(self, variant: str, extent: Extent) -> Results:
        """Mean accuracy at the points where the runs of all seeds have ended."""
        points, seeds = points_of(self.plan.study, extent), self.plan.study.seeds
        ids = [self.plan.run_ids(variant, points, seed) for seed in seeds]
        return {
            (point.lr, point.weight_decay): sum(self.ended[id_] for id_ in point_ids) / len(seeds)
            for point, *point_ids in zip(points, *ids, strict=True)
            if all(id_ in self.ended for id_ in point_ids)
        }


def grow(
    grid: Grid, prior: Point, results: Results, threshold: float, start: Extent = BASE
) -> Growth:
    """Extend a grid on every side that the region of interest touches, until it is inside.

    A side grows by one step once all points so far have a result, so that the growth does not
    depend on their order. A point without a value (NaN) lies outside the region; a weight decay of
    0 is no end of the grid. `threshold` is in percentage points.

    References
    ----------
    Thesis, section 3.3, extends its grids by hand in this way.
    """
    extent = start
    while True:
        axes = grid.values("lr", prior, extent), grid.values("weight_decay", prior, extent)
        settings = list(product(*axes))
        if any(setting not in results for setting in settings):
            return Growth(extent, False, ())
        inside = region({setting: results[setting] for setting in settings}, threshold)
        sides, touched = [], []
        for k, (name, limit) in enumerate(grid.limits.items()):
            positive, reached = [x for x in axes[k] if x], {setting[k] for setting in inside}
            hits = [not reached.isdisjoint(end) for end in (positive[:1], positive[-1:])]
            touched += [f"{end} {name}" for end in compress(("low", "high"), hits)]
            low, high = (
                max(n, min(n + hit, limit)) for n, hit in zip(extent[k], hits, strict=True)
            )
            sides.append((low, high))
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
    """Settings of a network that get further seeds: where noise decides, and some at random.

    Parameters
    ----------
    own, dense : Results
        Accuracies on the network's grid and on the dense one's.
    threshold : float
        Width of the regions of interest (equation 3.3), in percentage points.
    number : int
        Settings to draw outside the regions, if there are as many with a value.
    name : str
        Seed of the draw.

    Returns
    -------
    list of (lr, weight_decay)
        The union of the two regions, increasing, then the settings drawn.
    """
    regions = region(own, threshold) | region(dense, threshold)
    # The order is of all settings, so that one that gains a value displaces only the last drawn.
    order = random.Random(name).sample(sorted(own), len(own))
    outside = [setting for setting in order if setting not in regions and not isnan(own[setting])]
    return sorted(regions) + outside[:number]
