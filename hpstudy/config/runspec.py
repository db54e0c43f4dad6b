"""The identity of one run: everything that can change its numbers."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from hpstudy.config.design import Seed
from hpstudy.config.grid import Decay, Positive
from hpstudy.config.study import (
    FOLDER,
    TORCHVISION,
    Arguments,
    Count,
    Data,
    Recipe,
    Stem,
    Study,
)
from hpstudy.config.validation import Frozen

# Raised when the meaning of a field or of the arithmetic changes, so that old rows are not reused.
SCHEMA = 2


class Network(Frozen):
    """What the name of a network from a source (`config.study.is_source`) does not fix.

    `arguments` are those of its factory, `stem` is that of the study, and `sha256` identifies the
    network that the factory makes (`hpstudy.networks.identity.network_hash`).
    """

    arguments: Arguments = {}
    stem: Stem | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class RunSpec(Frozen):
    """Everything that can change the numbers of one training, and nothing else.

    `widths` are the output channels of the pruned layers (None for the dense network); how they
    were chosen does not matter. Of a network from a source they are the channels that its parts
    keep (`hpstudy.networks.shapes`), and `network` says the rest. `fingerprint` is the hash of a
    data set whose name does not fix its content.
    """

    model: str
    data: Data
    fingerprint: str | None = None
    recipe: Recipe
    lr: Positive
    weight_decay: Decay
    seed: Seed
    widths: dict[str, Count] | None = None
    network: Network | None = None
    arithmetic: str
    schema_version: int = SCHEMA

    @model_serializer(mode="wrap")
    def _without_no_network(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs of the study's own networks keep the ids that they had before there were others.
        fields: dict[str, Any] = values(self)
        if self.network is None:
            del fields["network"]
        return fields

    @classmethod
    def at_prior(
        cls,
        study: Study,
        fingerprint: str | None,
        widths: Mapping[str, int] | None,
        arithmetic: str,
        network: Network | None = None,
    ) -> "RunSpec":
        """Run of a network of a study at the prior, with the first seed."""
        data = study.data
        kind, colon, _ = data.name.partition(":")
        if colon and kind != TORCHVISION:
            # The fingerprint identifies the images, wherever they lie and whoever returns them.
            name = kind if kind == FOLDER else "factory"
            data = data.model_copy(update={"name": name, "arguments": None})
        return cls(
            model=study.model,
            data=data,
            fingerprint=fingerprint,
            recipe=study.recipe,
            **study.prior.model_dump(),
            seed=study.seeds[0],
            widths=None if widths is None else dict(widths),
            network=network,
            arithmetic=arithmetic,
        )

    @property
    def labels(self) -> dict[str, str]:
        """Columns that a published table has for runs of this kind alone."""
        return {"model": self.model, "dataset": self.data.name}

    @property
    def setting(self) -> dict[str, float]:
        """Values of the axes by their names."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    @property
    def run_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all fields as canonical JSON."""
        return _digest(_canonical(self.model_dump(mode="json")))

    def run_ids(self, settings: Iterable[tuple[float, float, int]]) -> list[str]:
        """`run_id` of this run at other settings (lr, weight_decay, seed).

        A second for 100,000 of them, because no run is made.
        """
        names = ("lr", "weight_decay", "seed")
        template = _canonical(self.model_dump(mode="json") | {name: f"\0{name}" for name in names})
        ids = []
        for lr, weight_decay, seed in settings:
            text = template
            for name, value in zip(names, (float(lr), float(weight_decay), seed), strict=True):
                text = text.replace(json.dumps(f"\0{name}"), repr(value))
            ids.append(_digest(text))
        return ids

    @property
    def family(self) -> str:
        """Hash of the fields that all runs of a study share, the arithmetic excepted."""
        own = {"lr", "weight_decay", "seed", "widths", "arithmetic"}
        return _digest(_canonical(self.model_dump(mode="json", exclude=own)))


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
