"""The runs of a study of either kind against a store: which there are, and which are missing."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Self

import numpy as np
import pandas as pd

from hpstudy.config.design import GRID, LEVEL_SET, RETUNE
from hpstudy.config.grid import AXES, Point
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.storage.store import Spec, Store
from hpstudy.sweep.executors import Job
from hpstudy.sweep.growth import Progress, assess, points_of

# Variant, id, point and seed of a run. Making the specification takes longer.
PlannedRun = tuple[str, str, Point, int]


class AnyPlan(ABC):
    """A study's runs against a store.

    The runs of pruned variants are known once their networks are. `study` is cut to the planned
    variants, and `whole` has all; `certificates` are the reports of the pruned networks that are
    known, by variant.
    """

    study: Any
    whole: Any
    store: Store
    precision: str
    # Runs trained at once by the sweep of this process, if there is one.
    workers: int | None = None
    certificates: dict[str, dict[str, Any]]
    # What a design wants next, by what it was asked after: a sweep asks often.
    asked: dict[tuple[Any, ...], list[Any]]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the hyperparameters in its table."""
        return AXES

    @property
    def metric(self) -> str:
        """Column of the metric in its table."""
        return "top1"

    @property
    def goal(self) -> str:
        """Whether more of the metric is better: "maximize" or "minimize"."""
        return "maximize"

    @property
    def percent(self) -> bool:
        """Whether the metric in its table is in percent."""
        return True

    @abstractmethod
    def reopened(self, study: Any) -> Self:
        """Plan of a study with other variants against the same store."""

    @property
    def share(self) -> int:
        """Number of devices that train a run together."""
        return 1

    @property
    @abstractmethod
    def prior(self) -> Spec:
        """Run of the dense network at the prior."""

    @abstractmethod
    def _template(self, variant: str) -> Spec:
        """Run of a known variant at the prior."""

    @abstractmethod
    def _job(self, variant: str, run_id: str, point: Point, seed: int, ranks: bool) -> Job:
        """Run to train; `ranks` says whether it is the prior's."""

    @abstractmethod
    def prune(self) -> None:
        """Prune the network to all variants, if what ranks its filters is known."""

    @abstractmethod
    def size_of(self, variant: str) -> dict[str, int | None]:
        """Sizes `macs` and `params` of a variant, nearly so while its network is not known."""

    def values(self) -> dict[str, float]:
        """Metric of each run that ended, by id: larger is better, and NaN where it diverged."""
        return self.store.accuracies()

    def _spec(self, point: Point, seed: int, variant: str) -> Spec:
        # The study is validated, and its runs need not be.
        own = {"lr": point.lr, "weight_decay": point.weight_decay, "seed": seed}
        return self._template(variant).model_copy(update=own)

    @property
    def retunes(self) -> bool:
        """Whether pruned networks are retuned in few trainings, and not trained over the grid."""
        return bool(self.study.design.name == RETUNE)

    @property
    def skips(self) -> bool:
        """Whether settings that hardly lie in a region of interest are not trained."""
        return bool(self.study.design.name == LEVEL_SET)

    @property
    def needs_ranking(self) -> bool:
        """Whether pruned variants wait for the dense network trained at the prior."""
        return len(self.certificates) < len(self.study.variants) - 1

    def failures(self) -> dict[str, str]:
        """Reasons of the study's failed runs, by their ids."""
        if not (failed := self.store.failures()):
            return {}
        known = {self.prior.run_id, *(run_id for _, run_id, *_ in self._walk(assess(self)))}
        return {run_id: reason for run_id, reason in failed.items() if run_id in known}

    def retry_failed(self) -> None:
        """Make failed runs missing again."""
        self.store.forgive(self.failures())

    def run_ids(self, variant: str, points: Iterable[Point], seed: int) -> list[str]:
        """Ids of a known variant's runs at some points."""
        settings = ((point.lr, point.weight_decay, seed) for point in points)
        return self._template(variant).run_ids(settings)

    def levels(self, progress: Progress) -> dict[str, list[list[Point]]]:
        """Points of the grid of every variant that is trained over it, coarse to fine."""
        if self.skips:
            return {variant: [points] for variant, points in progress.chosen.items()}
        grid, prior = self.study.grid, self.study.prior
        known = (DENSE, *(() if self.retunes else self.certificates))
        return {name: grid.levels(prior, progress.growths[name].extent) for name in known}

    def _walk(self, progress: Progress) -> Iterator[PlannedRun]:
        """Every known run in the order of training."""
        yield from self.grid_runs(progress)
        yield from chain.from_iterable(progress.retuned.values())

    def grid_runs(self, progress: Progress) -> Iterator[PlannedRun]:
        """Runs over grids, coarse to fine, and then replicates."""
        levels = self.levels(progress)
        for seed in self.study.seeds:
            for level in zip(*levels.values(), strict=True):
                yield from self.at(dict(zip(levels, level, strict=True)), seed)
        yield from self.replicates(progress)

    def replicates(self, progress: Progress) -> Iterator[PlannedRun]:
        """Runs with further seeds."""
        for seed in self.study.replicates.seeds if self.study.replicates else ():
            yield from self.at(progress.replicates, seed)

    def at(self, points: Mapping[str, list[Point]], seed: int) -> Iterator[PlannedRun]:
        """Runs with one seed at some points of variants."""
        for variant, level in points.items():
            for run_id, point in zip(self.run_ids(variant, level, seed), level, strict=True):
                yield variant, run_id, point, seed

    def runs(self) -> Iterator[tuple[dict[str, Any], Spec]]:
        """Labels and specification of every known run, in the order of training."""
        for variant, _, point, seed in self._walk(assess(self)):
            method, ratio = parse_variant(variant)
            labels = {"study": self.study.name, "variant": variant, "method": method}
            yield labels | {"flops_ratio": ratio}, self._spec(point, seed, variant)

    def missing(self) -> list[Job]:
        """Runs to train, the prior's first if the ranking needs it."""
        progress, study, prior = assess(self), self.study, self.prior.run_id
        runs = [run for run in self._walk(progress) if run[1] not in progress.ended]
        if self.needs_ranking and prior not in progress.failed:
            runs = [run for run in runs if run[1] != prior]
            runs.insert(0, (DENSE, prior, study.prior, study.seeds[0]))
        return [self._job(*run, run[1] == prior) for run in runs]

    def skipped(self) -> dict[str, int]:
        """Numbers of settings that are not trained, of each network whose level set is known."""
        progress = assess(self)
        return {
            variant: len(points_of(self.study, progress.growths[variant].extent)) - len(points)
            for variant, points in progress.chosen.items()
            if progress.growths[variant].settled
        }

    def counts(self) -> pd.DataFrame:
        """Known runs of each variant: columns `total`, `done`, `failed` and `missing`."""
        progress = assess(self)
        ids: dict[str, set[str]] = {variant: set() for variant in self.study.variants}
        for variant, run_id, *_ in self._walk(progress):
            ids[variant].add(run_id)
        rows = {}
        for variant, run_ids in ids.items():
            total = len(run_ids)
            if not run_ids and self.study.design.name == GRID:  # its network waits for the ranking
                extent = progress.growths[variant].extent
                total = len(points_of(self.study, extent)) * len(self.study.seeds)
            failed = len(run_ids & progress.failed)
            done = len(run_ids & progress.ended.keys()) - failed
            rows[variant] = total, done, failed, total - done - failed
        columns = ["total", "done", "failed", "missing"]
        return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis("variant")

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published.

        Those of a network that is retuned are in the order of training.
        """
        runs = list(self.runs())
        table = self.store.frame(runs)
        if not self.retunes:
            return table
        number = {spec.run_id: k for k, (_, spec) in enumerate(runs)}
        order = table["run_id"].map(number).where(table["variant"] != DENSE, -1)
        return table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)
