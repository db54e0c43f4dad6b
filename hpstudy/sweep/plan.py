"""The runs of a study: which there are, and which are missing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.grid import Growth, Point
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import AUTO, DENSE, Study, parse_variant
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.pruning import choose_channels
from hpstudy.networks.pruning_report import prune_network
from hpstudy.storage.store import Store
from hpstudy.sweep.growth import Progress, assess, points_of
from hpstudy.training.augmentation import check_last_batch
from hpstudy.training.datasets import data_root as resolve_root
from hpstudy.training.datasets import dataset_size, fingerprint
from hpstudy.training.device import default_arithmetic


class Plan:
    """A study's runs against a store.

    The runs of pruned variants exist once their networks do: the filters are ranked on the dense
    network trained at the prior (section 3.2), whose run is therefore part of every plan.

    Parameters
    ----------
    study : Study
    store : Store
    data_root : path, optional
        See `hpstudy.training.datasets.data_root`.
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
        self.network = PrunableNetwork(study.model, self.size.classes, study.data.image_size)
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
                report = prune_network(
                    self.network,
                    ranking["scores"],
                    method,
                    ratio,
                    self.study.criterion,
                    ranked=ranked,
                    weights_sha256=ranking["weights_sha256"],
                )
                self.certificates[variant] = report.model_dump()

    def progress(self) -> Progress:
        """What has ended of the study, and what that says of the grids and of the replicates."""
        whole, failed = self.store.accuracies(), self.store.failures()
        early = self.store.stopped(max(self.study.roi)) if self.study.racing else ()
        ended = dict.fromkeys((*failed, *early), nan) | whole
        names, prior = self.certificates, self.prior.run_id
        return assess(self.study, names, self.run_ids, ended, prior, frozenset(failed))

    def failures(self) -> dict[str, str]:
        """Why runs of the study came to nothing, by their ids."""
        failed = self.store.failures()
        known = {run_id for _, run_id, *_ in self._walk(self.progress())} if failed else set()
        return {id_: reason for id_, reason in failed.items() if id_ in {*known, self.prior.run_id}}

    def retry(self) -> None:
        """Make runs missing again that have failed."""
        self.store.forgive(self.failures())

    def grid_to_come(self) -> int:
        """Most runs of a grid that are not planned yet, because a region may touch its end."""
        growths = self.progress().growths.values()
        if all(growth.settled for growth in growths):
            return 0
        most = self.study.grid.most_points()
        further = sum(most - len(points_of(self.study, growth.extent)) for growth in growths)
        return further * len(self.study.seeds)

    def replicates_to_come(self) -> tuple[int, int]:
        """Fewest and most replicates of the networks whose points are not chosen yet.

        Fewest on grids as they are now, most on the largest that they may become; a race may leave
        fewer points with a value to choose from.
        """
        progress, replicates = self.progress(), self.study.replicates
        if replicates is None:
            return 0, 0
        sizes = [
            len(points_of(self.study, growth.extent))
            for variant, growth in progress.growths.items()
            if variant not in progress.replicates
        ]
        fewest = sum(min(size, 1 + replicates.random) for size in sizes)
        most = len(sizes) * self.study.grid.most_points() if self.grid_to_come() else sum(sizes)
        return fewest * len(replicates.seeds), most * len(replicates.seeds)

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

    def _walk(self, progress: Progress) -> Iterator[tuple[str, str, Point, int]]:
        """Variant, id, point and seed of every run known so far, in the order to train them.

        Coarse to fine over all variants, so that landscapes can be compared early; replicates last.
        """
        levels = self.levels(progress.growths)
        for seed in self.study.seeds:
            for same in zip(*levels.values(), strict=True):
                for variant, points in zip(levels, same, strict=True):
                    yield from self._at(variant, points, seed)
        yield from self.repeats(progress.replicates)

    def repeats(
        self, replicates: Mapping[str, list[Point]]
    ) -> Iterator[tuple[str, str, Point, int]]:
        """Variant, id, point and seed of every run at the points to train again."""
        if replicates:
            for seed in self.study.replicates.seeds:
                for variant, points in replicates.items():
                    yield from self._at(variant, points, seed)

    def _at(
        self, variant: str, points: list[Point], seed: int
    ) -> Iterator[tuple[str, str, Point, int]]:
        for run_id, point in zip(self.run_ids(variant, points, seed), points, strict=True):
            yield variant, run_id, point, seed

    def runs(self) -> Iterator[tuple[dict[str, Any], RunSpec]]:
        """Labels and specification of every run known so far, in the order to train them."""
        name = self.study.name
        for variant, _, point, seed in self._walk(self.progress()):
            method, ratio = parse_variant(variant)
            labels = {"study": name, "variant": variant, "method": method, "flops_ratio": ratio}
            yield labels, self._spec(point, seed, variant)

    def missing(self) -> list[tuple[str, RunSpec]]:
        """Variant and specification of the runs to train, the prior's first if it is needed."""
        return list(self.wanted().values())

    def wanted(self) -> dict[str, tuple[str, RunSpec]]:
        """The same by the ids of the runs."""
        progress = self.progress()
        first, prior = {}, self.prior
        if self.needs_ranking and (run_id := prior.run_id) not in progress.failed:
            first[run_id] = DENSE, prior
        return first | {
            run_id: (variant, self._spec(point, seed, variant))
            for variant, run_id, point, seed in self._walk(progress)
            if run_id not in progress.ended and run_id not in first
        }

    def counts(self) -> pd.DataFrame:
        """Runs of each variant: columns `total`, `done`, `failed`, `missing`, indexed by variant.

        Replicates count once they are known.
        """
        progress = self.progress()
        known, done, failed = Counter(), Counter(), Counter()
        for variant, run_id, *_ in self._walk(progress):
            known[variant] += 1
            failed[variant] += run_id in progress.failed
            done[variant] += run_id in progress.ended and run_id not in progress.failed
        for variant, growth in progress.growths.items():
            if variant not in known:  # it waits for its ranking
                known[variant] = len(points_of(self.study, growth.extent)) * len(self.study.seeds)
        columns = {"total": known, "done": done, "failed": failed}
        rows = {
            name: {key: column[name] for key, column in columns.items()}
            for name in self.study.variants
        }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")
        return frame.assign(missing=frame["total"] - frame["done"] - frame["failed"])

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published."""
        return self.store.frame(self.runs(), max(self.study.roi) if self.study.racing else None)
