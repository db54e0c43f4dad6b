"""What to run: a study as frozen, validated data, and the identity of each of its runs."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from hpstudy.errors import HpstudyError, nearest, unknown
from hpstudy.grid import Axis, Frozen, Grid, Point, Positive

# Raised when the meaning of a field or of the arithmetic changes, so that old rows are not reused.
SCHEMA = 2

DENSE = "unpruned"
METHODS = ("uniform", "nonuniform")
CRITERIA = ("l1", "l1-normalised")
# Precision of products; "-compiled" where torch.compile makes the kernels.
PRECISIONS = ("float32", "tf32", "bfloat16")
ARITHMETICS = (*PRECISIONS, *(f"{name}-compiled" for name in PRECISIONS))
AUTO = "auto"
MODEL_NAMES = ("resnet20", "resnet56", "mobilenetv2", "resnet50")

Count = Annotated[int, Field(ge=1)]
# torch's generators take no more than 64 bits, the sign among them.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"needs distinct values, unlike {list(seeds)}")
    return seeds


Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)]


class Data(Frozen):
    """Images to train and to evaluate on (thesis, section 3.1.1)."""

    name: str
    image_size: Annotated[int, Field(ge=8, le=224)]
    train_images: Count | None = None
    test_images: Count | None = None
    holdout: Literal["test"] | Annotated[float, Field(gt=0, le=0.5)] = "test"


class Recipe(Frozen):
    """SGD with momentum and a step-wise learning rate (thesis, section 3.1.3 and Table 3.3)."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    lr_decay_epochs: tuple[Count, ...]

    @field_validator("lr_decay_epochs")
    @classmethod
    def _increasing(cls, epochs: tuple[int, ...]) -> tuple[int, ...]:
        if list(epochs) != sorted(set(epochs)):
            raise ValueError(f"must increase, unlike {list(epochs)}")
        return epochs

    @model_validator(mode="after")
    def _decays_while_training(self) -> "Recipe":
        if any(epoch >= self.epochs for epoch in self.lr_decay_epochs):
            raise ValueError(
                f"lr_decay_epochs {list(self.lr_decay_epochs)} must lie before epochs {self.epochs}"
            )
        return self


class Replicates(Frozen):
    """Further seeds at the points where run-to-run noise matters (`hpstudy.replicates`).

    `random` is the number of points beside the regions of interest.
    """

    seeds: Seeds
    random: Annotated[int, Field(ge=0)] = 4


class Study(Frozen):
    """A model, its pruned variants and the grid on which each is trained from scratch."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    model: str
    data: Data
    recipe: Recipe
    prior: Point
    grid: Grid
    variants: tuple[str, ...]
    criterion: str = "l1-normalised"
    seeds: Seeds = (0,)
    replicates: Replicates | None = None
    roi: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.5, 1.0)
    arithmetic: str = AUTO
    racing: bool = False

    @field_validator("model")
    @classmethod
    def _known_model(cls, name: str) -> str:
        if name not in MODEL_NAMES:
            raise unknown("model", name, MODEL_NAMES)
        return name

    @field_validator("criterion")
    @classmethod
    def _known_criterion(cls, name: str) -> str:
        if name not in CRITERIA:
            raise unknown("criterion", name, CRITERIA)
        return name

    @field_validator("arithmetic")
    @classmethod
    def _known_arithmetic(cls, name: str) -> str:
        if name not in (AUTO, *ARITHMETICS):
            raise unknown("arithmetic", name, (AUTO, *ARITHMETICS))
        return name

    @field_validator("variants")
    @classmethod
    def _dense_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({parse_variant(name) for name in names}) != len(names):
            raise ValueError(f"names a variant twice: {', '.join(names)}")
        # Every comparison is against the dense network, so it is always part of the study.
        return (DENSE, *(name for name in names if name != DENSE))

    @model_validator(mode="after")
    def _replicates_are_further_runs(self) -> "Study":
        further = self.replicates.seeds if self.replicates else ()
        if both := sorted(set(further) & set(self.seeds)):
            raise ValueError(
                f"replicates.seeds {list(further)} must be others than seeds {list(self.seeds)}, "
                f"unlike {', '.join(map(str, both))}"
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
            if max(abs(math.log10(value)) for value in values) + reach > 30:
                raise ValueError(f"{name} reaches beyond 1e-30 to 1e+30")
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Study":
        """Study described by the YAML file `path`.

        Raises
        ------
        HpstudyError
            If the file is missing or no YAML mapping, or a key, type or value is wrong; the
            sentence names it and the nearest valid one.
        """
        path = Path(path)
        if not path.is_file():
            found = sorted(str(p) for p in Path("params").glob("*/*.yaml"))
            close = nearest(str(path), found)
            hint = f"; did you mean {close}?" if close else ""
            raise HpstudyError(f"no params file at {path}{hint}")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise HpstudyError(f"{path} is not valid YAML: {reason}") from None
        if not isinstance(values, dict):
            raise HpstudyError(f"{path} must hold a study's keys and values, not {values!r}")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise HpstudyError(f"{path}: {_one_sentence(error)}") from None

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
    weight_decay: Positive
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
    match = re.fullmatch(r"(uniform|nonuniform)-(0\.\d{1,4})", str(name))
    if not match or float(match[2]) == 0:
        examples = valid or (DENSE, "uniform-0.6", "nonuniform-0.6", "uniform-0.2")
        raise unknown("pruning", name, examples)
    return match[1], float(match[2])


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _one_sentence(error: ValidationError) -> str:
    """All faults of a params file in one line, each with its key and value."""
    faults = []
    for fault in error.errors():
        # pydantic's names for the alternatives of a value are no words of a params file.
        if fault["type"] == "model_type" and fault["loc"][-1] == "Axis":
            continue
        place = ".".join(
            str(part)
            for part in fault["loc"]
            if not re.match(r"(tuple|literal)\[|constrained-|Axis$", str(part))
        )
        if fault["type"] == "extra_forbidden":
            keys = _keys(fault["loc"][:-1])
            close = nearest(str(fault["loc"][-1]), keys)
            hint = f"did you mean {close!r}? " if close else ""
            faults.append(f"unknown key {place!r}; {hint}Valid: {', '.join(keys)}")
        elif fault["type"] == "missing":
            faults.append(f"the key {place!r} is missing")
        else:
            reason = fault["msg"].removeprefix("Value error, ").removesuffix(".")
            named = isinstance(fault["input"], dict) or fault["type"] == "value_error"
            value = "" if named else f" (got {fault['input']!r})"
            faults.append(f"{place}: {reason}{value}" if place else f"{reason}")
    return "; ".join(dict.fromkeys(faults)) + "."


def _keys(place: tuple) -> list[str]:
    """Valid keys of the mapping at `place` in a params file."""
    model: Any = Study
    for part in place:
        known = {"data": Data, "recipe": Recipe, "prior": Point, "grid": Grid}
        known |= {"replicates": Replicates}
        model = known.get(part, Axis if model is Grid else model)
    return list(model.model_fields)
