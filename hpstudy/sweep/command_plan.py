"""The runs of a study of a command against a store."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.command_study import LABELS, PRUNING, RESULTS, CommandStudy
from hpstudy.config.grid import Point
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.errors import HpstudyError, shown
from hpstudy.networks import files as network_files
from hpstudy.networks.network_report import read_report
from hpstudy.storage.store import Store
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.executors import Job
from hpstudy.training.command import CommandCall, search_path

if TYPE_CHECKING:
    from hpstudy.networks.verified import VerifiedNetwork

# Methods that the ratio of the dense network fits: nothing is removed.
_DENSE_METHOD = "uniform"


@dataclass(kw_only=True)
class CommandPlan(AnyPlan):
    """Runs of a command, in the folder of its params file (see `CommandPlan.open`).

    `files` are the hashes of those that can change the numbers. A run's folder lies beside the
    store, under `commands`, and a pruned network's under `networks`.
    """

    study: CommandStudy
    whole: CommandStudy
    store: Store
    cwd: Path
    files: dict[str, str]
    precision: str = "own command"
    certificates: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[tuple[Any, ...], list[Any]] = field(default_factory=dict)
    networks: dict[str, Path] = field(default_factory=dict)
    _opened: "dict[Path | None, tuple[VerifiedNetwork, str]]" = field(default_factory=dict)

    @classmethod
    def open(cls, study: CommandStudy, store: Store, cwd: str | Path, pruning: str = "all") -> Self:
        """Plan of a study: finds its program and files, prunes its network, asks the store.

        Raises
        ------
        HpstudyError
            If the program, a file or the model is missing, a FLOPs ratio is out of reach, or the
            dense network's run at the prior left no weights.
        """
        cwd = Path(cwd).resolve()
        check_program(study.words[0], cwd)
        part = study.with_variants(pruning)
        files = _file_hashes(study, cwd)
        plan = cls(study=part, whole=study, store=store, cwd=cwd, files=files)
        if study.weights and "{out}" not in study.weights and not plan._weights_file().is_file():
            raise HpstudyError(f"there is no file of weights {plan._weights_file()}")
        # Nodes of a cluster look for it, to see whether they share the disk.
        plan.run_folder(plan.prior).parent.mkdir(exist_ok=True)
        if study.model is not None:
            plan._open_network(DENSE, None)
        plan.prune()
        if plan.needs_ranking:
            # Any ranking shows whether a ratio is out of reach.
            network, _ = plan._verified(None)
            for variant in part.variants[1:]:
                method, ratio = parse_variant(variant)
                how = method, study.criterion, study.tolerance
                network.choose(network.usable, ratio, *how)
        return plan

    def reopened(self, study: Any) -> Self:
        """See `AnyPlan.reopened`."""
        return type(self).open(study, self.store, self.cwd)

    @property
    def axes(self) -> tuple[str, ...]:
        """See `AnyPlan.axes`."""
        return self.study.axes

    @property
    def metric(self) -> str:
        """See `AnyPlan.metric`."""
        return self.study.metric.key

    @property
    def goal(self) -> str:
        """See `AnyPlan.goal`."""
        return self.study.metric.goal

    @property
    def percent(self) -> bool:
        """See `AnyPlan.percent`."""
        return self.study.metric.most < math.inf

    def values(self) -> dict[str, float]:
        """See `AnyPlan.values`."""
        sign = -1 if self.goal == "minimize" else 1
        return {run_id: sign * value for run_id, value in super().values().items()}

    @property
    def prior(self) -> CommandSpec:
        """See `AnyPlan.prior`."""
        return self._template(DENSE)

    def _template(self, variant: str) -> CommandSpec:
        study, report = self.study, self.certificates.get(variant)
        return CommandSpec.at_prior(study, self.files, variant, report)

    def _job(self, variant: str, run_id: str, point: Point, seed: int, ranks: bool) -> Job:
        own = {"lr": point.lr, "weight_decay": point.weight_decay, "seed": seed}
        spec = self._template(variant).model_copy(update=own)
        return Job(variant, run_id, spec, call=self.call(spec))

    def run_folder(self, spec: CommandSpec) -> Path:
        """Folder of a run: its log, its status, and what the command leaves there."""
        return self.store.path.resolve().parent / "commands" / spec.folder

    def call(self, spec: CommandSpec) -> CommandCall:
        """Command of a run, with everything filled in."""
        method, ratio = parse_variant(spec.variant)
        folder = self.run_folder(spec)
        values: dict[str, Any] = {**spec.setting, **self.study.fixed, "seed": spec.seed}
        values |= {"variant": spec.variant, "method": method, "flops_ratio": ratio, "out": folder}
        if network := self.networks.get(spec.variant):
            values["report"] = network / network_files.REPORT
            values["weights"] = network / network_files.WEIGHTS
        words = tuple(word.format_map(values) for word in self.study.words)
        size = self.size_of(spec.variant)
        sizes = size["macs"], size["params"]
        return CommandCall(spec, words, folder, self.cwd, self.study.timeout, sizes)

    def size_of(self, variant: str) -> dict[str, int | None]:
        """See `AnyPlan.size_of`."""
        if path := self.networks.get(variant):
            report = read_report(path / network_files.REPORT)
            return {"macs": report.macs, "params": report.params}
        return {"macs": None, "params": None}

    def prune(self) -> None:
        """See `AnyPlan.prune`: a command that prunes by itself has all networks from the start.

        Raises HpstudyError if the run at the prior diverged or left no weights.
        """
        if not self.needs_ranking:
            return
        variants = self.study.variants[1:]
        if self.study.model is None:
            self.certificates = {variant: {} for variant in variants}
            return
        weights = self._weights_file()
        if "{out}" in str(self.study.weights):
            prior = self.prior.run_id
            if (value := self.values().get(prior)) is None:
                return
            if math.isnan(value):
                raise HpstudyError(
                    f"the dense network of {self.study.name} diverged at its prior "
                    f"{self.prior.setting}, so that its filters cannot be ranked; choose a prior "
                    "at which it trains"
                )
            if not weights.is_file():
                raise HpstudyError(
                    f"the dense network's run at the prior left no {weights}, by which filters are "
                    "ranked; name a file of them under `weights`, or let the command save its "
                    "state dict there and give the study another first seed, which is trained anew"
                )
        for variant in variants:
            self._open_network(variant, weights)

    def _weights_file(self) -> Path:
        text = str(self.study.weights).replace("{out}", str(self.run_folder(self.prior)))
        return self.cwd / text

    def _open_network(self, variant: str, weights: Path | None) -> None:
        """Prune the network to a variant, unless a plan before this one did."""
        study = self.study
        what = study.model_dump(
            mode="json",
            include={"model", "arguments", "input_shape", *PRUNING},
        )
        origin = [what, variant, self.files, weights and _sha256(weights)]
        text = json.dumps(origin, sort_keys=True)
        name = f"{variant}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        folder = self.store.path.resolve().parent / "networks" / name
        if not (folder / network_files.REPORT).is_file():
            verified, ranked = self._verified(weights)
            method, ratio = parse_variant(variant)
            how = ratio, _DENSE_METHOD if variant == DENSE else method
            network, report = verified.prune(
                *(*how, study.criterion, study.tolerance), ranked=ranked, arguments=study.arguments
            )
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                network_files.write(Path(scratch) / name, network, report, None)
                try:
                    os.replace(Path(scratch) / name, folder)
                except OSError:  # another sweep has just written it
                    pass
        self.networks[variant] = folder
        if variant != DENSE:
            self.certificates[variant] = read_report(folder / network_files.REPORT).model_dump()

    def _verified(self, weights: Path | None) -> "tuple[VerifiedNetwork, str]":
        """The model, whose groups of channels are verified once for all variants."""
        if weights not in self._opened:
            import torch

            from hpstudy.networks.sources import open_network
            from hpstudy.networks.verified import VerifiedNetwork

            study = self.study
            inputs = torch.zeros(1, *(study.input_shape or (3, 224, 224)))
            # The model's code may lie beside the params file.
            with chdir(self.cwd):
                opened = open_network(str(study.model), inputs, study.arguments, weights)
            spared = ("stem", "output", *study.spare)
            network = VerifiedNetwork.open(
                *opened[:3], study.scope, spared, study.exact, study.round_to
            )
            self._opened[weights] = network, opened.ranked
        return self._opened[weights]

    def table(self) -> pd.DataFrame:
        """Recorded runs of the study, as they are published, under the names of axes and metric."""
        study = self.study
        names = dict(zip(("lr", "weight_decay"), study.axes, strict=False))
        names["top1"] = study.metric.key
        table = super().table().drop(columns=["lr", "weight_decay"][len(study.axes) :])
        columns = [*LABELS, *study.axes, "seed", study.metric.key, *RESULTS]
        return table.rename(columns=names)[columns]


def check_program(word: str, cwd: Path) -> None:
    """Refuse a command whose program is not there."""
    path = str(cwd / word) if os.sep in word else word
    if shutil.which(path, path=search_path()) is None:
        raise HpstudyError(
            f"command begins with {shown(word)}, but there is no such program in "
            f"{cwd if os.sep in word else 'the PATH'}"
        )


def _file_hashes(study: CommandStudy, cwd: Path) -> dict[str, str]:
    """Hashes of the files in `cwd` that the command and the model name, and of `files`."""
    module = str(study.model or "").partition(":")[0].replace(".", "/")
    named = [word for word in (*study.words, f"{module}.py") if not Path(word).is_absolute()]
    names = [name for name in named if (cwd / name).is_file()]
    for name in study.files:
        if not (cwd / name).is_file():
            raise HpstudyError(f"files names {shown(name)}, but there is no such file in {cwd}")
    return {name: _sha256(cwd / name) for name in sorted({*names, *study.files})}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
