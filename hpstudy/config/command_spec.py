"""The identity of one run of a command: everything that can change its numbers."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from hpstudy.config.command_study import CommandStudy, Metric
from hpstudy.config.design import Seed
from hpstudy.config.grid import Decay
from hpstudy.config.validation import Frozen


class CommandSpec(Frozen):
    """Everything that can change the numbers of one run of a command, as far as hpstudy knows it.

    `files` are hashes of the files that the command names, and `network` is the hash of the pruned
    network's report; None where the command prunes. `lr` and `weight_decay` are the values of the
    first and the second of the `axes`. What the files import is not looked at.
    """

    command: str
    files: dict[str, str]
    fixed: dict[str, bool | int | float | str]
    metric: Metric
    axes: tuple[str, ...]
    lr: Decay
    weight_decay: Decay
    seed: Seed
    variant: str
    network: str | None = None

    @classmethod
    def at_prior(
        cls,
        study: CommandStudy,
        files: Mapping[str, str],
        variant: str,
        report: Mapping[str, Any] | None,
    ) -> Self:
        """Run of a variant at the prior, with the first seed.

        `report` is that of the variant's pruned network, None where there is none.
        """
        network = None
        if report:
            names = ["architecture_sha256", "removed"]
            if "{weights}" in study.command:
                names.append("pruned_sha256")
            network = _hash([report[name] for name in names])
        return cls(
            command=study.command,
            files=dict(files),
            fixed=study.fixed,
            metric=study.metric,
            axes=study.axes,
            lr=study.prior.lr,
            weight_decay=study.prior.weight_decay,
            seed=study.seeds[0],
            variant=variant,
            network=network,
        )

    @property
    def labels(self) -> dict[str, str]:
        """Columns that a published table has for runs of this kind alone."""
        return {}

    @property
    def setting(self) -> dict[str, float]:
        """Values of the axes by their names."""
        return dict(zip(self.axes, (self.lr, self.weight_decay), strict=False))

    @property
    def run_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all fields as canonical JSON."""
        return self._digest(set())

    @property
    def folder(self) -> str:
        """Name of the run's folder: the metric may change, and the finished run is read again."""
        return self._digest({"metric"})

    def run_ids(self, settings: Iterable[tuple[float, float, int]]) -> list[str]:
        """`run_id` of this run at other settings (values of the axes, and seed)."""
        names = ("lr", "weight_decay", "seed")
        return [
            self.model_copy(update=dict(zip(names, setting, strict=True))).run_id
            for setting in settings
        ]

    def _digest(self, without: set[str]) -> str:
        return _hash(self.model_dump(mode="json", by_alias=True, exclude=without))[:16]


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
