"""Which trainings of a pruned network come next in a study that retunes (`hpstudy.retune`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import TYPE_CHECKING

import numpy as np

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.retune import Retuning, retune
from hpstudy.config.design import FEWEST
from hpstudy.config.grid import Point
from hpstudy.sweep.measured import measured

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan, PlannedRun


@dataclass(frozen=True)
class Retunings:
    """Trainings of the pruned networks of a study whose dense network is trained.

    `dense` are the runs of the dense network, and `values` the metric of each run that ended, by
    id in the order of the store: larger is better, and NaN where it diverged.
    """

    plan: "AnyPlan"
    dense: Sequence["PlannedRun"]
    values: Mapping[str, float]

    def trainings(self, variant: str) -> list["PlannedRun"]:
        """Runs of a pruned network: those that ended, in their order, and those to train next.

        What to train next is asked for after whole batches, each in the order of its ids. So it
        depends neither on which run of a batch ends first, nor on interruptions. There is nothing
        to train while too few settings of the dense network have a value.
        """
        had = self._had(variant)
        fixed = had[: len(had) - len(had) % self.plan.study.design.batch]
        known = {run_id for _, run_id, *_ in had}
        asked = (self._run(variant, setting) for setting in self._next(variant, fixed))
        return [*had, *(run for run in asked if run[1] not in known)]

    def verdict(self, variant: str) -> Retuning:
        """What the runs of a pruned network say; raises HpstudyError as `hpstudy.retune` does."""
        return self._ask(self._had(variant))

    def _next(self, variant: str, had: Sequence["PlannedRun"]) -> list[dict[str, float]]:
        placed = {(p.lr, p.weight_decay) for _, id_, p, _ in self.dense if self._placed(id_, p)}
        if len(placed) < FEWEST:
            return []
        # A failed run that is trained again has another result.
        known = sum(run_id in self.values for _, run_id, *_ in self.dense)
        key = variant, known, *(run_id for _, run_id, *_ in had)
        if key not in self.plan.asked:
            self.plan.asked[key] = self._ask(had).next
        return self.plan.asked[key]

    def _placed(self, run_id: str, point: Point) -> bool:
        value = self.values.get(run_id, np.nan)
        return bool(np.isfinite(value)) and min(point.lr, point.weight_decay) > 0

    def _ask(self, had: Sequence["PlannedRun"]) -> Retuning:
        design = self.plan.study.design
        return retune(
            *self._networks(had),
            tolerable=min(self.plan.study.roi),
            batch=design.batch,
            budget=design.budget,
        )

    def networks(self, variant: str) -> tuple[Landscape, Landscape | None]:
        """Landscapes of the dense and of a pruned network, which may have no run yet."""
        return self._networks(self._had(variant))

    def _networks(self, had: Sequence["PlannedRun"]) -> tuple[Landscape, Landscape | None]:
        runs = [run for run in (*self.dense, *had) if run[1] in self.values]
        dense, *pruned = measured(self.plan, runs, self.values).values()
        return dense, next(iter(pruned), None)

    def _run(self, variant: str, setting: Mapping[str, float]) -> "PlannedRun":
        lr, *decay = (setting[axis] for axis in self.plan.axes)
        point = Point(lr=lr, weight_decay=decay[0] if decay else 1.0)
        seed = next(islice(self._seeds(), int(setting["seed"]), None))
        return variant, self.plan.run_ids(variant, [point], seed)[0], point, seed

    def _seeds(self) -> Iterator[int]:
        """Seeds of a setting, one after the other: those of the study, and then any others."""
        study = self.plan.study
        own = (*study.seeds, *(study.replicates.seeds if study.replicates else ()))
        return chain(own, (seed for seed in count() if seed not in own))

    def _had(self, variant: str) -> list["PlannedRun"]:
        """Runs of a variant that ended, batch by batch in the order of the store."""
        points = list({(p.lr, p.weight_decay): p for _, _, p, _ in self.dense}.values())
        found: dict[str, PlannedRun] = {}
        for seed in self._seeds():
            runs = zip(self.plan.run_ids(variant, points, seed), points, strict=True)
            here = {id_: (variant, id_, point, seed) for id_, point in runs if id_ in self.values}
            if not here:
                break
            found |= here
        number = {run_id: k for k, run_id in enumerate(self.values)}
        order, size = sorted(found, key=number.__getitem__), self.plan.study.design.batch
        batches = (sorted(order[k : k + size]) for k in range(0, len(order), size))
        return [found[run_id] for run_id in chain.from_iterable(batches)]
