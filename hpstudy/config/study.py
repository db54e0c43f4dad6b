"""What to run: a study as frozen, validated data, and the identity of each of its runs."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from hpstudy.config.faults import one_sentence
from hpstudy.config.grid import Axis, Decay, Frozen, Grid, Positive, Prior
from hpstudy.config.kinds import Truth, choice, integer, number, values, word
from hpstudy.config.reading import read_mapping
from hpstudy.errors import HpstudyError, listed, nearest, shown, unknown

# Raised when the meaning of a field or of the arithmetic changes, so that old rows are not reused.
SCHEMA = 2

DENSE = "unpruned"
METHODS = ("uniform", "nonuniform")
CRITERIA = ("l1", "l1-normalised")
# Precision of products; "-compiled" where torch.compile makes the kernels.
PRECISIONS = ("float32", "tf32", "bfloat16")
ARITHMETICS = (*PRECISIONS, *(f"{name}-compiled" for name in PRECISIONS))
AUTO = "auto"
LOCAL, RAY = EXECUTORS = ("local", "ray")
EXAMPLES = (DENSE, "uniform-0.6", "nonuniform-0.6", "uniform-0.2")
MODEL_NAMES = ("resnet20", "resnet56", "mobilenetv2-shallow", "mobilenetv2", "resnet50")

# Plans hold all runs of a study in memory.
MOST_RUNS = 1_000_000

Count = integer(1, 1_000_000_000)
# torch's generators take no more than 64 bits, the sign among them.
Seed = integer(0, 2**63 - 1)


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"must hold one or more distinct values, unlike {shown(list(seeds))}")
    return seeds


Seeds = Annotated[values(Seed, "[0, 1]"), AfterValidator(_distinct)]


def is_study_name(text: str) -> bool:
    """Whether a study may be called so: its table, its page and its titles bear the name."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", text))


_SHARE = TypeAdapter(
    number(
        "'test', or the share of the training images that is held out: above 0 and at most 0.5",
        lambda value: 0 < value <= 0.5,
    )
)
Threshold = number("a number above 0 and at most 100", lambda value: 0 < value <= 100)


class Data(Frozen):
    """Images to train and to evaluate on (thesis, section 3.1.1)."""

    name: word("text of printed characters", str.isprintable)
    image_size: integer(8, 224)
    train_images: Count | None = None
    test_images: Count | None = None
    holdout: str | float = "test"

    @field_validator("holdout", mode="before")
    @classmethod
    def _test_or_share(cls, value: Any) -> str | float:
        return value if value == "test" else _SHARE.validate_python(value)


class Recipe(Frozen):
    """SGD with momentum and a step-wise learning rate (thesis, section 3.1.3 and Table 3.3)."""

    epochs: Count
    batch_size: integer(2, 1_000_000_000)
    momentum: number("a number from 0 to below 1", lambda value: 0 <= value < 1) = 0.9
    lr_decay: number("a number above 0 and at most 1", lambda value: 0 < value <= 1) = 0.1
    lr_decay_epochs: values(Count, "[30, 45]")

    @field_validator("lr_decay_epochs")
    @classmethod
    def _increasing(cls, epochs: tuple[int, ...]) -> tuple[int, ...]:
        if list(epochs) != sorted(set(epochs)):
            raise ValueError(f"must increase, unlike {shown(list(epochs))}")
        return epochs

    @model_validator(mode="after")
    def _decays_while_training(self) -> "Recipe":
        if any(epoch >= self.epochs for epoch in self.lr_decay_epochs):
            raise ValueError(
                f"must have its lr_decay_epochs {shown(list(self.lr_decay_epochs))} before its "
                f"epochs {self.epochs}"
            )
        return self


class Replicates(Frozen):
    """Further seeds at the points where run-to-run noise matters (`hpstudy.sweep.replicates`).

    `random` is the number of points beside the regions of interest.
    """

    seeds: Seeds
    random: integer(0, 1_000_000) = 4


def _variant(name: Any) -> str:
    parse_variant(name)
    return name


class Study(Frozen):
    """A model, its pruned variants and the grid on which each is trained from scratch."""

    name: word(
        "1 to 64 small letters, digits, dots, dashes and underlines, the first of them a letter or "
        "digit",
        is_study_name,
    )
    model: choice("model", MODEL_NAMES)
    data: Data
    recipe: Recipe
    prior: Prior
    grid: Grid
    variants: values(Annotated[str, BeforeValidator(_variant)], "[uniform-0.6, nonuniform-0.6]")
    criterion: choice("criterion", CRITERIA) = "l1-normalised"
    seeds: Seeds = (0,)
    replicates: Replicates | None = None
    roi: Annotated[values(Threshold, "[0.5, 1.0]"), AfterValidator(_distinct)] = (0.5, 1.0)
    arithmetic: choice("arithmetic", (AUTO, *ARITHMETICS)) = AUTO
    executor: choice("executor", EXECUTORS) = LOCAL
    racing: Truth = False

    @field_validator("variants")
    @classmethod
    def _dense_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({parse_variant(name) for name in names}) != len(names):
            raise ValueError(f"must name each variant once, unlike {listed(names)}")
        # Every comparison is against the dense network, so it is always part of the study.
        return (DENSE, *(name for name in names if name != DENSE))

    @model_validator(mode="after")
    def _replicates_are_further_runs(self) -> "Study":
        further = self.replicates.seeds if self.replicates else ()
        if both := sorted(set(further) & set(self.seeds)):
            raise ValueError(
                f"replicates.seeds must be others than the seeds {shown(list(self.seeds))}, unlike "
                f"{listed(both)}"
            )
        return self

    @model_validator(mode="after")
    def _within_single_precision(self) -> "Study":
        for name in ("lr", "weight_decay"):
            axis, values = getattr(self.grid, name), [getattr(self.prior, name)]
            reach = 0.0
            if isinstance(axis, Axis):
                reach = axis.reach
            else:
                values += axis
            if max(abs(math.log10(value)) for value in values if value) + reach > 30:
                raise ValueError(
                    f"{name} must stay within 1e-30 and 1e+30, at the prior and all over the grid"
                )
        return self

    @model_validator(mode="after")
    def _can_be_listed(self) -> "Study":
        runs = self.grid.most_points() * len(self.variants) * len(self.seeds)
        if runs > MOST_RUNS:
            raise ValueError(
                f"grid, variants and seeds must make at most {MOST_RUNS:,} runs together, not "
                f"{runs:,}"
            )
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Study":
        """Study described by the YAML file `path`.

        Raises
        ------
        HpstudyError
            If the file is missing or no plain YAML mapping, or a key, type or value is wrong; the
            sentence names it and the nearest valid one.
        """
        try:
            content = read_mapping(path)
        except FileNotFoundError:
            found = sorted(str(p) for p in Path("params").glob("*/*.yaml"))
            close = nearest(str(path), found)
            hint = f" (did you mean {close}?)" if close else ""
            raise HpstudyError(f"no params file at {path}{hint}.") from None
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise HpstudyError(f"{path}: {one_sentence(error, cls)}") from None

    def with_variants(self, pruning: str) -> "Study":
        """The study cut to the dense network and the variant `pruning`; "all" keeps every one."""
        if pruning == "all":
            return self
        parse_variant(pruning, ("all", *self.variants))
        return self.model_copy(update={"variants": tuple(dict.fromkeys((DENSE, pruning)))})


class RunSpec(Frozen):
    """Everything that can change the numbers of one training, and nothing else.

    `widths` are the output channels of the pruned layers (None for the dense network): they, and
    not the way they were chosen, decide what is trained. `fingerprint` stands for the content of
    a data set that its name does not fix.
    """

    model: str
    data: Data
    fingerprint: str | None = None
    recipe: Recipe
    lr: Positive
    weight_decay: Decay
    seed: Seed
    widths: dict[str, Count] | None = None
    arithmetic: str
    schema_version: int = SCHEMA

    @property
    def run_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all fields as canonical JSON."""
        return _digest(_canonical(self.model_dump(mode="json")))

    def run_ids(self, settings: Iterable[tuple[float, float, int]]) -> list[str]:
        """`run_id` of this run at other settings (lr, weight_decay, seed), without making each.

        A store of 100,000 runs is compared with a study in a second in this way.
        """
        own = ("lr", "seed", "weight_decay")
        marked = self.model_dump(mode="json") | {name: f"<{name}>" for name in own}
        pieces = re.split(r'"<(?:lr|seed|weight_decay)>"', _canonical(marked))
        a, b, c, d = pieces
        return [
            _digest(f"{a}{float(lr)!r}{b}{seed}{c}{float(weight_decay)!r}{d}")
            for lr, weight_decay, seed in settings
        ]

    @property
    def family(self) -> str:
        """The same of the fields that all runs of a study share, the arithmetic left out."""
        own = {"lr", "weight_decay", "seed", "widths", "arithmetic"}
        return _digest(_canonical(self.model_dump(mode="json", exclude=own)))


def parse_variant(name: str, valid: tuple[str, ...] = ()) -> tuple[str, float]:
    """Method and FLOPs ratio (the share that remains) of a variant's name.

    Returns
    -------
    tuple of (str, float)
        ("unpruned", 1.0), or a method and a ratio in (0, 1), as ("uniform", 0.6).

    Raises
    ------
    HpstudyError
        If the name is neither `unpruned` nor `METHOD-RATIO`.
    """
    if name == DENSE:
        return DENSE, 1.0
    match = re.fullmatch(r"(uniform|nonuniform)-(0\.[0-9]{1,4})", str(name))
    if match and float(match[2]) > 0:
        return match[1], float(match[2])
    if valid:
        raise unknown("pruning", name, valid)
    close = nearest(str(name), EXAMPLES)
    hint = f" (did you mean {close!r}?)" if close else ""
    raise HpstudyError(
        f"unknown pruning {shown(str(name))}{hint}; valid: {DENSE}, or uniform or nonuniform with "
        "the share of the FLOPs that remains, from uniform-0.0001 to nonuniform-0.9999."
    )


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
