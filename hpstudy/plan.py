"""The runs of a study: which there are, which are missing, and what they are published as."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.data import dataset_size
from hpstudy.errors import HpstudyError
from hpstudy.machine import default_arithmetic, environment
from hpstudy.pruning import choose_channels, prune
from hpstudy.sources import data_root as resolve_root
from hpstudy.sources import fingerprint
from hpstudy.store import Store, publish
from hpstudy.study import AUTO, DENSE, RunSpec, Study, parse_variant
from hpstudy.surgery import Network
from hpstudy.training import check_last_batch


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
        prior = self.study.prior
        return self._spec(prior.lr, prior.weight_decay, self.study.seeds[0], None)

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

    def _spec(
        self, lr: float, weight_decay: float, seed: int, widths: dict[str, int] | None
    ) -> RunSpec:
        data = self.study.data
        if data.name.startswith("folder:"):
            # The fingerprint stands for the images; where they lie changes no number.
            data = data.model_copy(update={"name": "folder"})
        return RunSpec(
            model=self.study.model,
            data=data,
            fingerprint=self.fingerprint,
            recipe=self.study.recipe,
            lr=lr,
            weight_decay=weight_decay,
            seed=seed,
            widths=widths,
            arithmetic=self.arithmetic,
        )

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

    def runs(self) -> Iterator[tuple[dict[str, Any], RunSpec]]:
        """Labels and specification of every run known so far, the dense network's first."""
        for variant in self.study.variants:
            if variant != DENSE and variant not in self.certificates:
                continue
            widths = None if variant == DENSE else self.certificates[variant]["widths"]
            method, ratio = parse_variant(variant)
            labels = {
                "study": self.study.name,
                "variant": variant,
                "method": method,
                "flops_ratio": ratio,
            }
            for seed in self.study.seeds:
                for point in self.study.points():
                    yield labels, self._spec(point.lr, point.weight_decay, seed, widths)

    def missing(self) -> list[tuple[str, RunSpec]]:
        """Variant and specification of the runs to train, the prior's first if it is needed."""
        recorded = self.store.recorded()
        wanted = {spec.run_id: (labels["variant"], spec) for labels, spec in self.runs()}
        if self.needs_ranking:
            recorded.discard(self.prior.run_id)
            wanted = {self.prior.run_id: (DENSE, self.prior)} | wanted
        return [entry for run_id, entry in wanted.items() if run_id not in recorded]

    def counts(self) -> pd.DataFrame:
        """Runs of each variant: columns `total`, `done` and `missing`, indexed by variant."""
        total = (
            len(self.study.seeds)
            * len(self.study.axis("lr"))
            * len(self.study.axis("weight_decay"))
        )
        done = self.table()["variant"].value_counts()
        rows = [
            {"variant": name, "total": total, "done": int(done.get(name, 0))}
            for name in self.study.variants
        ]
        frame = pd.DataFrame(rows).set_index("variant")
        return frame.assign(missing=frame["total"] - frame["done"])

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published."""
        return self.store.frame(self.runs())

    def publish(self, folder: str | Path, command: str, workers: int) -> Path:
        """Write the study's table and record to `folder`; the path of the table.

        Variants of the whole study that this plan leaves out keep the rows that they have.
        """
        if self.study != self.whole:
            return self._with_others().publish(folder, command, workers)
        table = self.table()
        study = self.study.model_dump(mode="json")
        study["data"] |= {"train": self.size.train, "test": self.size.test}
        study["grid"] = {name: list(self.study.axis(name)) for name in ("lr", "weight_decay")}
        record = {
            "study": study,
            "certificates": self.certificates,
            "record": {
                "command": command,
                "runs": len(table),
                "missing": int(self.counts()["missing"].sum()),
                "train_seconds": round(float(table["seconds"].sum()), 1),
                "images": int((table["epochs"] * self.size.train).sum()),
                "device": ", ".join(sorted(set(table["device"]))),
                "workers": workers,
                "arithmetic": self.arithmetic,
                **environment(),
            },
        }
        return publish(table, record, folder)

    def _with_others(self) -> "Plan":
        """Plan of these variants and of all others of the whole study that have runs."""
        recorded = set(Plan(self.whole, self.store, self.data_root).table()["variant"])
        names = [name for name in self.whole.variants if name in recorded]
        # One that the params file does not list is published with them, last.
        names = tuple(dict.fromkeys([DENSE, *names, *self.study.variants]))
        study = self.whole.model_copy(update={"variants": names})
        return Plan(study, self.store, self.data_root)
