"""The runs of a study that hpstudy trains against a store."""

from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any, Self

from hpstudy.config.arithmetic import AUTO, split_arithmetic
from hpstudy.config.grid import Point
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, Study
from hpstudy.errors import HpstudyError
from hpstudy.storage.rebuild import prune_variant
from hpstudy.storage.schema import run_widths
from hpstudy.storage.store import Store
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.executors import Job
from hpstudy.training.augmentation import check_last_batch
from hpstudy.training.datasets import Size, dataset_size
from hpstudy.training.datasets import data_root as resolve_root
from hpstudy.training.device import default_precision
from hpstudy.training.run import StudyNetwork, open_network


@dataclass(kw_only=True)
class Plan(AnyPlan):
    """A study's runs against a store (see `Plan.open`).

    The filters are ranked on the dense network trained at the prior (section 3.2), whose run is
    part of every plan.
    """

    study: Study
    whole: Study
    store: Store
    precision: str
    data_root: Path
    size: Size
    fingerprint: str | None
    network: StudyNetwork
    certificates: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[tuple[Any, ...], list[Any]] = field(default_factory=dict)
    _templates: dict[tuple[str, str], RunSpec] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        study: Study,
        store: Store,
        data_root: str | Path | None = None,
        pruning: str = "all",
        network: StudyNetwork | None = None,
    ) -> Self:
        """Plan of a study: reads the size of its data set, builds its networks, asks the store.

        `data_root` is that of `hpstudy.training.datasets.data_root`, and `pruning` the one pruned
        variant to plan beside the dense network, or "all". The dense `network` of another plan of
        the study is not built again.

        Raises
        ------
        HpstudyError
            If the data set is unavailable or too small, a FLOPs ratio is out of reach, or the
            dense network diverged at the prior.
        """
        root = resolve_root(data_root)
        size = dataset_size(study.data, root)
        share = split_arithmetic(study.arithmetic)[1]
        check_last_batch(size.train, study.recipe.batch_size, share)
        network = network or open_network(study, size.classes)
        precision = default_precision() if study.arithmetic == AUTO else study.arithmetic
        part = study.with_variants(pruning)
        plan = cls(
            study=part,
            whole=study,
            store=store,
            precision=precision,
            data_root=root,
            size=size,
            fingerprint=size.fingerprint,
            network=network,
        )
        if study.arithmetic == AUTO:
            plan.precision = store.precision(plan.prior.family) or precision
        for variant in part.variants[1:]:
            network.widths_for(study, variant)
        plan.prune()
        return plan

    def reopened(self, study: Study) -> Self:
        """See `AnyPlan.reopened`."""
        return type(self).open(study, self.store, self.data_root, network=self.network)

    @property
    def prior(self) -> RunSpec:
        """Run of the dense network whose filters are ranked."""
        return self._template(DENSE)

    @property
    def share(self) -> int:
        """See `AnyPlan.share`."""
        return split_arithmetic(self.precision)[1]

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

    def _template(self, variant: str) -> RunSpec:
        """Run of a known variant at the prior."""
        if (key := (variant, self.precision)) not in self._templates:
            widths = None if variant == DENSE else run_widths(self.certificates[variant])
            about = self.fingerprint, widths, self.precision, self.network.identity
            self._templates[key] = RunSpec.at_prior(self.study, *about)
        return self._templates[key]

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

    def _job(self, variant: str, run_id: str, point: Point, seed: int, ranks: bool) -> Job:
        spec, checkpoint = self._spec(point, seed, variant), self.store.checkpoint(run_id)
        return Job(variant, run_id, spec, ranks, checkpoint=checkpoint)

    def widths_of(self, variant: str) -> dict[str, int] | None:
        """Widths of a variant's pruned layers, by an untrained network while it is not known."""
        if variant == DENSE:
            return None
        if variant in self.certificates:
            return run_widths(self.certificates[variant])
        return self.network.widths_for(self.study, variant)

    def size_of(self, variant: str) -> dict[str, int | None]:
        """See `AnyPlan.size_of`."""
        macs, params = self.network.size(self.widths_of(variant))
        return {"macs": macs, "params": params}
