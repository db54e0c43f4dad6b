"""The runs of a study against a store: which there are, and which are missing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.grid import Point
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import AUTO, DENSE, Study, parse_variant
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.pruning import choose_channels
from hpstudy.storage.rebuild import prune_variant
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import Job
from hpstudy.sweep.growth import Growth, Progress, assess, points_of
from hpstudy.training.augmentation import check_last_batch
from hpstudy.training.datasets import Size, dataset_size
from hpstudy.training.datasets import data_root as resolve_root
from hpstudy.training.device import default_precision

# Variant, id, point and seed of a run. Making the specification takes longer.
PlannedRun = tuple[str, str, Point, int]


@dataclass
class Plan:
    """A study's runs against a store (see `Plan.open`).

    The runs of pruned variants are known once their networks are: the filters are ranked on the
    dense network trained at the prior (section 3.2), whose run is part of every plan. `study` is
    cut to the planned variants, and `whole` has all; `certificates` are the reports of the pruned
    networks that are known, by variant.
    """

    study: Study
    whole: Study
    store: Store
    data_root: Path
    size: Size
    fingerprint: str | None
    network: PrunableNetwork
    precision: str
    certificates: dict[str, dict[str, Any]] = field(default_factory=dict)
    _templates: dict[tuple[str, str], RunSpec] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        study: Study,
        store: Store,
        data_root: str | Path | None = None,
        pruning: str = "all",
    ) -> "Plan":
        """Plan of a study: reads the size of its data set, builds its networks, asks the store.

        `data_root` is that of `hpstudy.training.datasets.data_root`, and `pruning` the one pruned
        variant to plan beside the dense network, or "all".

        Raises
        ------
        HpstudyError
            If the data set is unavailable or too small, a FLOPs ratio is out of reach, or the
            dense network diverged at the prior.
        """
        root = resolve_root(data_root)
        size = dataset_size(study.data, root)
        check_last_batch(size.train, study.recipe.batch_size)
        network = PrunableNetwork(study.model, size.classes, study.data.image_size)
        precision = default_precision() if study.arithmetic == AUTO else study.arithmetic
        part = study.with_variants(pruning)
        plan = cls(part, study, store, root, size, size.fingerprint, network, precision)
        if study.arithmetic == AUTO:
            plan.precision = store.precision(plan.prior.family) or precision
        # Any ranking shows whether a ratio is out of reach.
        ranks = {layer: [1.0 + k for k in range(n)] for layer, n in network.cost.widths.items()}
        for variant in part.variants[1:]:
            choose_channels(network.cost, ranks, *parse_variant(variant), study.criterion)
        plan.prune()
        return plan

    @property
    def prior(self) -> RunSpec:
        """Run of the dense network whose filters are ranked."""
        return self._spec(self.study.prior, self.study.seeds[0], DENSE)

    @property
    def undecided(self) -> bool:
        """Whether the study leaves its precision open, and no sweep has decided it yet."""
        return self.study.arithmetic == AUTO and self.store.precision(self.prior.family) is None

    def decide(self, precision: str) -> None:
        """Fix the precision of all runs of the study, unless a sweep has fixed it already."""
        if self.undecided:
            self.precision = self.store.decide_precision(self.prior.family, precision)
            self.certificates.clear()
            self.prune()

    def _spec(self, point: Point, seed: int, variant: str) -> RunSpec:
        # The study is validated, and its runs need not be.
        own = {"lr": point.lr, "weight_decay": point.weight_decay, "seed": seed}
        return self._template(variant).model_copy(update=own)

    def _template(self, variant: str) -> RunSpec:
        """Run of a known variant at the prior."""
        if (key := (variant, self.precision)) not in self._templates:
            widths = None if variant == DENSE else self.certificates[variant]["widths"]
            spec = RunSpec.at_prior(self.study, self.fingerprint, widths, self.precision)
            self._templates[key] = spec
        return self._templates[key]

    @property
    def needs_ranking(self) -> bool:
        """Whether pruned variants wait for the dense network trained at the prior."""
        return len(self.certificates) < len(self.study.variants) - 1

    def prune(self) -> None:
        """Prune the network to all variants, if the store has the ranking.

        Raises HpstudyError if the dense network diverged at the prior.
        """
        ranking = self.store.ranking(self.prior) if self.needs_ranking else None
        if ranking is None:
            return
        study, prior = self.study, self.prior
        if not all(map(isfinite, chain.from_iterable(ranking["scores"].values()))):
            raise HpstudyError(
                f"the dense network of {study.name} diverged at its prior, lr {prior.lr} and "
                f"weight_decay {prior.weight_decay}, so that its filters cannot be ranked; choose "
                "a prior at which it trains"
            )
        for variant in study.variants[1:]:
            report = prune_variant(self.network, study, variant, prior.run_id, ranking)
            self.certificates[variant] = report

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

    def levels(self, growths: Mapping[str, Growth]) -> dict[str, list[list[Point]]]:
        """Points of the grid of every variant whose network is known, coarse to fine."""
        grid, prior = self.study.grid, self.study.prior
        known = (DENSE, *self.certificates)
        return {variant: grid.levels(prior, growths[variant].extent) for variant in known}

    def _walk(self, progress: Progress) -> Iterator[PlannedRun]:
        """Every known run in the order of training: coarse to fine, and replicates last."""
        levels = self.levels(progress.growths)
        for seed in self.study.seeds:
            for level in zip(*levels.values(), strict=True):
                yield from self._at(dict(zip(levels, level, strict=True)), seed)
        yield from self.replicates(progress)

    def replicates(self, progress: Progress) -> Iterator[PlannedRun]:
        """Runs with further seeds."""
        for seed in self.study.replicates.seeds if self.study.replicates else ():
            yield from self._at(progress.replicates, seed)

    def _at(self, points: Mapping[str, list[Point]], seed: int) -> Iterator[PlannedRun]:
        for variant, level in points.items():
            for run_id, point in zip(self.run_ids(variant, level, seed), level, strict=True):
                yield variant, run_id, point, seed

    def runs(self) -> Iterator[tuple[dict[str, Any], RunSpec]]:
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
        jobs = []
        for variant, run_id, point, seed in runs:
            spec, checkpoint = self._spec(point, seed, variant), self.store.checkpoint(run_id)
            jobs.append(Job(variant, run_id, spec, run_id == prior, checkpoint=checkpoint))
        return jobs

    def counts(self) -> pd.DataFrame:
        """Known runs of each variant: columns `total`, `done`, `failed` and `missing`."""
        progress = assess(self)
        ids: dict[str, set[str]] = {variant: set() for variant in self.study.variants}
        for variant, run_id, *_ in self._walk(progress):
            ids[variant].add(run_id)
        rows = {}
        for variant, run_ids in ids.items():
            total = len(run_ids)
            if not run_ids:  # its network waits for the ranking
                extent = progress.growths[variant].extent
                total = len(points_of(self.study, extent)) * len(self.study.seeds)
            failed = len(run_ids & progress.failed)
            done = len(run_ids & progress.ended.keys()) - failed
            rows[variant] = total, done, failed, total - done - failed
        columns = ["total", "done", "failed", "missing"]
        return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis("variant")

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published."""
        return self.store.frame(self.runs(), max(self.study.roi) if self.study.racing else None)
