"""What to run: a study as its params file describes it."""

import json
import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from hpstudy.config.grid import Axis, Grid, Prior
from hpstudy.config.validation import Frozen, one_sentence, read_mapping
from hpstudy.errors import HpstudyError, did_you_mean, listed, shown, unknown

Model = Literal["resnet20", "resnet56", "mobilenetv2-shallow", "mobilenetv2", "resnet50"]
Criterion = Literal["l1", "l1-normalised"]
# Precision of products; "-compiled" where torch.compile makes the kernels.
Arithmetic = Literal[
    "float32", "tf32", "bfloat16", "float32-compiled", "tf32-compiled", "bfloat16-compiled"
]
Executor = Literal["local", "ray"]

MODEL_NAMES: tuple[str, ...] = get_args(Model)
METHODS = ("uniform", "nonuniform")
CRITERIA: tuple[str, ...] = get_args(Criterion)
ARITHMETICS: tuple[str, ...] = get_args(Arithmetic)
EXECUTORS: tuple[str, ...] = get_args(Executor)
LOCAL, RAY = "local", "ray"
# Beginnings of the names of data sets, before a colon.
FOLDER, TORCHVISION = "folder", "torchvision"
AUTO = "auto"
DENSE = "unpruned"
VARIANT_EXAMPLES = (DENSE, "uniform-0.6", "nonuniform-0.6", "uniform-0.2")
STUDY_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"

# Plans hold all runs of a study in memory.
MOST_RUNS = 1_000_000

Values = TypeVar("Values", bound=tuple[Hashable, ...])


def _distinct(values: Values) -> Values:
    if not values or len(set(values)) != len(values):
        raise ValueError("must hold one or more distinct values")
    return values


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be text of printed characters")
    return text


def _test_or_share(value: Any) -> Any:
    if value != "test" and not (isinstance(value, float) and 0 < value <= 0.5):
        raise ValueError("must be 'test', or the held-out share: above 0 and at most 0.5")
    return value


def _of_json(values: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must hold values that JSON can hold, as finite numbers") from None
    return values or None


def _variant(name: Any) -> Any:
    parse_variant(name)
    return name


Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
# torch's generators take signed integers of 64 bits.
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Seeds = Annotated[tuple[Seed, ...], AfterValidator(_distinct)]
Threshold = Annotated[float, Field(strict=True, gt=0, le=100)]
Variant = Annotated[str, BeforeValidator(_variant)]


class Data(Frozen):
    """Images to train and to evaluate on (thesis, section 3.1.1)."""

    name: Annotated[str, AfterValidator(_printable)]
    image_size: Annotated[int, Field(strict=True, ge=8, le=224)]
    train_images: Count | None = None
    test_images: Count | None = None
    holdout: Annotated[str | float, BeforeValidator(_test_or_share)] = "test"
    arguments: Annotated[dict[str, Any] | None, AfterValidator(_of_json)] = None

    @model_serializer(mode="wrap")
    def _arguments_if_any(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The ids of runs hash what is written here, and were there before arguments were.
        values: dict[str, Any] = fields(self)
        if values.get("arguments") is None:
            values.pop("arguments", None)
        return values


class Recipe(Frozen):
    """SGD with momentum and a step-wise learning rate (thesis, section 3.1.3 and Table 3.3)."""

    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2, le=1_000_000_000)]
    momentum: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.9
    lr_decay: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.1
    lr_decay_epochs: tuple[Count, ...]

    @model_validator(mode="after")
    def _decays_in_order(self) -> "Recipe":
        steps = (*self.lr_decay_epochs, self.epochs)
        if list(steps) != sorted(set(steps)):
            raise ValueError(
                f"must have increasing lr_decay_epochs below its epochs {self.epochs}, not "
                f"{shown(list(self.lr_decay_epochs))}"
            )
        return self


class Replicates(Frozen):
    """Further seeds where noise matters, and at `random` points outside the regions of interest."""

    seeds: Seeds
    random: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 4


class Study(Frozen):
    """A model, its pruned variants and the grid on which each is trained from scratch."""

    name: Annotated[str, Field(pattern=f"^{STUDY_NAME}$")]
    model: Model
    data: Data
    recipe: Recipe
    prior: Prior
    grid: Grid
    variants: tuple[Variant, ...]
    criterion: Criterion = "l1-normalised"
    seeds: Seeds = (0,)
    replicates: Replicates | None = None
    roi: Annotated[tuple[Threshold, ...], AfterValidator(_distinct)] = (0.5, 1.0)
    arithmetic: Literal["auto"] | Arithmetic = "auto"
    executor: Executor = "local"
    racing: Annotated[bool, Field(strict=True)] = False

    @field_validator("variants")
    @classmethod
    def _dense_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({parse_variant(name) for name in names}) != len(names):
            raise ValueError("must name each variant once")
        # Every comparison is against the dense network, so it is always part of the study.
        return (DENSE, *(name for name in names if name != DENSE))

    @model_validator(mode="after")
    def _fits_together(self) -> "Study":
        further = self.replicates.seeds if self.replicates else ()
        if both := sorted(set(further) & set(self.seeds)):
            raise ValueError(
                f"replicates.seeds must differ from the seeds {shown(list(self.seeds))}, but both "
                f"have {listed(both)}"
            )
        for name, axis in self.grid:
            # Beyond these, products in single precision are 0 or infinite.
            reach, values = (axis.reach, ()) if isinstance(axis, Axis) else (0.0, axis)
            values = (getattr(self.prior, name), *filter(None, values))
            if max(abs(math.log10(value)) for value in values) + reach > 30:
                raise ValueError(
                    f"{name} must stay within 1e-30 and 1e+30, at the prior and all over the grid"
                )
        runs = self.grid.most_points() * len(self.variants) * len(self.seeds)
        if runs > MOST_RUNS:
            raise ValueError(
                f"grid, variants and seeds must make at most {MOST_RUNS:,} runs together, not "
                f"{runs:,}"
            )
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Study":
        """Study that a YAML file describes.

        Raises
        ------
        HpstudyError
            If the file is missing or no YAML mapping, or a key, type or value is wrong; names the
            nearest valid one.
        """
        try:
            content = read_mapping(path)
        except FileNotFoundError:
            hint = did_you_mean(path, map(str, sorted(Path("params").glob("*/*.yaml"))))
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


def parse_variant(name: str, valid: tuple[str, ...] = ()) -> tuple[str, float]:
    """Method and FLOPs ratio, the share in (0, 1] that remains, of a variant's name.

    The name is `unpruned`, or METHOD-RATIO such as `uniform-0.6`.

    Raises
    ------
    HpstudyError
        For any other name; lists the `valid` ones, if given.
    """
    if name == DENSE:
        return DENSE, 1.0
    match = re.fullmatch(rf"({'|'.join(METHODS)})-(0\.[0-9]{{1,4}})", str(name))
    if match and float(match[2]) > 0:
        return match[1], float(match[2])
    if valid:
        raise unknown("pruning", name, valid)
    raise HpstudyError(
        f"unknown pruning {shown(str(name))}{did_you_mean(name, VARIANT_EXAMPLES)}; valid: "
        f"{DENSE}, or uniform or nonuniform with the share of the FLOPs that remains, from "
        "uniform-0.0001 to nonuniform-0.9999."
    )
