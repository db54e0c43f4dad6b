"""The runs of a study: which there are, which are missing, and what they are published as."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.data import dataset_size
from hpstudy.errors import HpstudyError
from hpstudy.grid import BASE, Extent, Growth, Point
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
        data = self.study.data
        if data.name.startswith("folder:"):
            # The fingerprint stands for the images; where they lie changes no number.
            data = data.model_copy(update={"name": "folder"})
        return RunSpec(
            model=self.study.model,
            data=data,
            fingerprint=self.fingerprint,
            recipe=self.study.recipe,
            lr=point.lr,
            weight_decay=point.weight_decay,
            seed=seed,
            widths=None if variant == DENSE else self.certificates[variant]["widths"],
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

    def growths(self) -> dict[str, Growth]:
        """How far the results so far have extended the grid of each variant, dense first.

        A pruned network's grid holds all of the dense one's, whose region of interest the risk is
        taken over (equations 3.4 to 3.6); it grows further by its own results.
        """
        growths = {DENSE: self._growth(DENSE, BASE)}
        for variant in self.study.variants:
            if variant not in growths:
                growths[variant] = growths[DENSE]._replace(settled=False, touched=())
                if variant in self.certificates and growths[DENSE].settled:
                    growths[variant] = self._growth(variant, growths[DENSE].extent)
        return growths

    def _growth(self, variant: str, start: Extent) -> Growth:
        grid, study = self.study.grid, self.study
        if not any(grid.limits.values()):
            return Growth(start, True, ())
        levels = grid.levels(study.prior, grid.largest)
        points = [point for level in levels for point in level]
        table = self.store.frame(
            (self._labels(variant), self._spec(point, seed, variant))
            for point in points
            for seed in study.seeds
        )
        cells = table.groupby(["lr", "weight_decay"])["top1"]
        results = {
            point: float(values.mean(skipna=False))
            for point, values in cells
            if len(values) == len(study.seeds)
        }
        return grid.grow(study.prior, results, max(study.roi), start)

    def _labels(self, variant: str) -> dict[str, Any]:
        method, ratio = parse_variant(variant)
        name = self.study.name
        return {"study": name, "variant": variant, "method": method, "flops_ratio": ratio}

    def runs(self) -> Iterator[tuple[dict[str, Any], RunSpec]]:
        """Labels and specification of every run known so far, in the order to train them.

        Coarse to fine over all variants, so that landscapes can be compared early.
        """
        study = self.study
        known = [name for name in study.variants if name == DENSE or name in self.certificates]
        labels = {variant: self._labels(variant) for variant in known}
        growths = self.growths()
        levels = {v: study.grid.levels(study.prior, growths[v].extent) for v in known}
        for seed in study.seeds:
            for same in zip(*levels.values(), strict=True):
                for variant, points in zip(known, same, strict=True):
                    for point in points:
                        yield labels[variant], self._spec(point, seed, variant)

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
        grid, prior, seeds = self.study.grid, self.study.prior, len(self.study.seeds)
        total = {
            name: seeds * sum(map(len, grid.levels(prior, growth.extent)))
            for name, growth in self.growths().items()
        }
        done = self.table()["variant"].value_counts()
        rows = [
            {"variant": name, "total": total[name], "done": int(done.get(name, 0))}
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
        extents = [growth.extent for growth in self.growths().values()]
        for name in Extent._fields:
            values = [self.study.grid.values(name, self.study.prior, each) for each in extents]
            study["grid"][name] = sorted(set().union(*values))
        counts = self.counts()["missing"]
        record = {
            "study": study,
            "certificates": self.certificates,
            "record": {
                "command": command,
                "runs": len(table),
                "missing": {name: int(count) for name, count in counts.items() if count},
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
