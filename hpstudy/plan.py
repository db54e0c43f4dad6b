"""The runs of a study: which there are, and which are missing."""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hpstudy.batches import check_last_batch
from hpstudy.data import dataset_size
from hpstudy.errors import HpstudyError
from hpstudy.grid import BASE, Extent, Growth, Point, region
from hpstudy.machine import default_arithmetic
from hpstudy.pruning import choose_channels, prune
from hpstudy.sources import data_root as resolve_root
from hpstudy.sources import fingerprint
from hpstudy.store import Store
from hpstudy.study import AUTO, DENSE, RunSpec, Study, parse_variant
from hpstudy.surgery import Network


class Progress(NamedTuple):
    """What has ended of a study.

    Attributes
    ----------
    ended : dict of str to float
        Top-1 accuracy of the store's runs by id; NaN for one that was stopped early and needs no
        more training.
    growths : dict of str to Growth
        How far the grid of each variant has grown.
    spared : set of str
        Ids of the runs that no race may stop: the prior's, whose filters are ranked, and the
        pruned networks' in the dense region of interest, over which the risk is taken.
    """

    ended: dict[str, float]
    growths: dict[str, Growth]
    spared: set[str]


class Plan:
    """A study's runs against a store.

    The runs of pruned variants exist once their networks do: the filters are ranked on the dense
    network trained at the prior (section 3.2), whose run is therefore part of every plan.

    Parameters
    ----------
    study : Study
    store : Store
    data_root : path, optional
        See `hpstudy.data.data_root`.
    pruning : str
        The one pruned variant to plan for beside the dense network; "all" plans the whole study.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        data_root: str | Path | None = None,
        pruning: str = "all",
    ):
        self.whole, study = study, study.with_variants(pruning)
        self.study, self.store, self.data_root = study, store, resolve_root(data_root)
        self.size = dataset_size(study.data, self.data_root)
        check_last_batch(self.size.train, study.recipe.batch_size)
        self.fingerprint = fingerprint(study.data, self.data_root)
        self.network = Network(study.model, self.size.classes, study.data.image_size)
        self.certificates: dict[str, dict[str, Any]] = {}
        self._made: dict[tuple[str, str], RunSpec] = {}
        # Refuses a ratio that is out of reach before anything is trained.
        untrained = {
            layer: list(range(1, width + 1)) for layer, width in self.network.cost.widths.items()
        }
        for variant in study.variants:
            method, ratio = parse_variant(variant)
            if variant != DENSE:
                choose_channels(self.network.cost, untrained, method, ratio, study.criterion)
        self.arithmetic = default_arithmetic() if study.arithmetic == AUTO else study.arithmetic
        if study.arithmetic == AUTO and (decided := store.arithmetic(self.prior.family)):
            self.arithmetic = decided
        self.certify()

    @property
    def prior(self) -> RunSpec:
        """Run of the dense network whose filters are ranked."""
        return self._spec(self.study.prior, self.study.seeds[0], DENSE)

    @property
    def undecided(self) -> bool:
        """Whether the arithmetic is left open by the study, and no sweep has decided it yet."""
        return self.study.arithmetic == AUTO and self.store.arithmetic(self.prior.family) is None

    def decide(self, arithmetic: str) -> None:
        """Fix the arithmetic of all runs of the study, unless it is fixed already.

        A landscape never mixes two, whatever later machines would choose.
        """
        if self.undecided:
            self.arithmetic = self.store.decide(self.prior.family, arithmetic)
            self.certificates.clear()
            self.certify()

    def _spec(self, point: Point, seed: int, variant: str) -> RunSpec:
        # What was validated with the study is not validated again for each of its runs.
        own = {"lr": point.lr, "weight_decay": point.weight_decay, "seed": seed}
        return self._any_run(variant).model_copy(update=own)

    def _any_run(self, variant: str) -> RunSpec:
        """Run of a known variant at the prior, which the others differ from in their settings."""
        if (key := (variant, self.arithmetic)) not in self._made:
            data, prior = self.study.data, self.study.prior
            if data.name.startswith("folder:"):
                # The fingerprint stands for the images; where they lie changes no number.
                data = data.model_copy(update={"name": "folder"})
            self._made[key] = RunSpec(
                model=self.study.model,
                data=data,
                fingerprint=self.fingerprint,
                recipe=self.study.recipe,
                lr=prior.lr,
                weight_decay=prior.weight_decay,
                seed=self.study.seeds[0],
                widths=None if variant == DENSE else self.certificates[variant]["widths"],
                arithmetic=self.arithmetic,
            )
        return self._made[key]

    @property
    def needs_ranking(self) -> bool:
        """Whether pruned variants wait for the dense network trained at the prior."""
        return len(self.certificates) < len(self.study.variants) - 1

    def certify(self) -> None:
        """Make the pruned networks, if the ranking they need is in the store."""
        ranking = self.store.ranking(self.prior) if len(self.study.variants) > 1 else None
        if ranking is None:
            return
        if not all(isfinite(score) for scores in ranking["scores"].values() for score in scores):
            raise HpstudyError(
                f"the dense network of {self.study.name} diverged at its prior, lr "
                f"{self.prior.lr} and weight_decay {self.prior.weight_decay}, so that its filters "
                "cannot be ranked; choose a prior at which it trains"
            )
        ranked = f"dense network trained at the prior, run {self.prior.run_id}"
        for variant in self.study.variants:
            if variant != DENSE and variant not in self.certificates:
                method, ratio = parse_variant(variant)
                self.certificates[variant] = prune(
                    self.network,
                    {**ranking, "ranked": ranked},
                    method,
                    ratio,
                    self.study.criterion,
                )

    @property
    def growths(self) -> dict[str, Growth]:
        """How far the results so far have extended the grid of each variant, dense first.

        A pruned network's grid holds all of the dense one's, whose region of interest the risk is
        taken over (equations 3.4 to 3.6); it grows further by its own results.
        """
        return self.progress().growths

    def progress(self) -> Progress:
        """What has ended of the study, and what that says of the grids."""
        ended = self.store.accuracies()
        if self.study.racing:
            stopped = self.store.stopped(max(self.study.roi)) - {self.prior.run_id}
            ended = dict.fromkeys(stopped, nan) | ended
        growths = {DENSE: self._growth(DENSE, BASE, ended)}
        spared = {self.prior.run_id}
        if self.study.racing:
            spared |= self._inside(growths[DENSE].extent, ended)
            ended = {key: x for key, x in ended.items() if not (isnan(x) and key in spared)}
        for variant in self.study.variants:
            if variant not in growths:
                growths[variant] = growths[DENSE]._replace(settled=False, touched=())
                if variant in self.certificates and growths[DENSE].settled:
                    growths[variant] = self._growth(variant, growths[DENSE].extent, ended)
        return Progress(ended, growths, spared)

    def _growth(self, variant: str, start: Extent, ended: Mapping[str, float]) -> Growth:
        grid, study = self.study.grid, self.study
        if not any(grid.limits.values()):
            return Growth(start, True, ())
        results = self._results(variant, grid.largest, ended)
        return grid.grow(study.prior, results, max(study.roi), start)

    def _results(
        self, variant: str, extent: Extent, ended: Mapping[str, float]
    ) -> dict[tuple[float, float], float]:
        """Mean accuracy of the points at which the runs of all seeds have ended."""
        points, seeds = self._points(extent), self.study.seeds
        ids = [self.run_ids(variant, points, seed) for seed in seeds]
        return {
            (point.lr, point.weight_decay): sum(ended[run_id] for run_id in each) / len(seeds)
            for point, *each in zip(points, *ids, strict=True)
            if all(run_id in ended for run_id in each)
        }

    def _inside(self, extent: Extent, ended: Mapping[str, float]) -> set[str]:
        """Ids of the pruned networks' runs in the dense region of interest, once it is known."""
        points = self._points(extent)
        results = self._results(DENSE, extent, ended)
        if len(results) < len(points):
            return set()
        near_best = region(results, max(self.study.roi))
        inside = [point for point in points if (point.lr, point.weight_decay) in near_best]
        return {
            run_id
            for variant in self.certificates
            for seed in self.study.seeds
            for run_id in self.run_ids(variant, inside, seed)
        }

    def _points(self, extent: Extent) -> list[Point]:
        return [p for level in self.study.grid.levels(self.study.prior, extent) for p in level]

    def run_ids(self, variant: str, points: Iterable[Point], seed: int) -> list[str]:
        """Ids of a known variant's runs at some points."""
        settings = ((point.lr, point.weight_decay, seed) for point in points)
        return self._any_run(variant).run_ids(settings)

    def levels(self, growths: Mapping[str, Growth]) -> dict[str, list[list[Point]]]:
        """Points of the grid of every variant whose network is known, coarse to fine."""
        grid, prior = self.study.grid, self.study.prior
        return {
            variant: grid.levels(prior, growth.extent)
            for variant, growth in growths.items()
            if variant == DENSE or variant in self.certificates
        }

    def _walk(self, growths: Mapping[str, Growth]) -> Iterator[tuple[str, str, Point, int]]:
        """Variant, id, point and seed of every run known so far, in the order to train them.

        Coarse to fine over all variants, so that landscapes can be compared early.
        """
        levels = self.levels(growths)
        for seed in self.study.seeds:
            for same in zip(*levels.values(), strict=True):
                for variant, points in zip(levels, same, strict=True):
                    ids = self.run_ids(variant, points, seed)
                    for run_id, point in zip(ids, points, strict=True):
                        yield variant, run_id, point, seed

    def runs(self) -> Iterator[tuple[dict[str, Any], RunSpec]]:
        """Labels and specification of every run known so far, in the order to train them."""
        name = self.study.name
        for variant, _, point, seed in self._walk(self.growths):
            method, ratio = parse_variant(variant)
            labels = {"study": name, "variant": variant, "method": method, "flops_ratio": ratio}
            yield labels, self._spec(point, seed, variant)

    def missing(self) -> list[tuple[str, RunSpec]]:
        """Variant and specification of the runs to train, the prior's first if it is needed."""
        ended, growths, _ = self.progress()
        first = []
        if self.needs_ranking:
            first = [(DENSE, self.prior)]
            ended.setdefault(self.prior.run_id, nan)
        return first + [
            (variant, self._spec(point, seed, variant))
            for variant, run_id, point, seed in self._walk(growths)
            if run_id not in ended
        ]

    def counts(self) -> pd.DataFrame:
        """Runs of each variant: columns `total`, `done` and `missing`, indexed by variant."""
        progress, seeds = self.progress(), self.study.seeds
        rows = []
        for variant, growth in progress.growths.items():
            points, done = self._points(growth.extent), 0
            if variant == DENSE or variant in self.certificates:
                ids = (i for seed in seeds for i in self.run_ids(variant, points, seed))
                done = sum(run_id in progress.ended for run_id in ids)
            rows.append({"variant": variant, "total": len(points) * len(seeds), "done": done})
        frame = pd.DataFrame(rows).set_index("variant").loc[list(self.study.variants)]
        return frame.assign(missing=frame["total"] - frame["done"])

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published."""
        return self.store.frame(self.runs(), max(self.study.roi) if self.study.racing else None)
