"""What to run: a study as its params file describes it."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

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

from hpstudy.config.arithmetic import AUTO, PADDED, POPULATION, ArithmeticOrAuto, split_arithmetic
from hpstudy.config.checks import distinct, json_values, printable, test_or_share
from hpstudy.config.design import FEWEST, RETUNE, AnyDesign, Design, Replicates, Seeds, no_race
from hpstudy.config.grid import Axis, Grid, Prior
from hpstudy.config.validation import Frozen, one_sentence, read_params
from hpstudy.errors import HpstudyError, did_you_mean, listed, shown, unknown

BuiltIn = Literal["resnet20", "resnet56", "mobilenetv2-shallow", "mobilenetv2", "resnet50"]
Scope = Literal["inside", "all"]
Stem = Literal["small"]
Criterion = Literal["l1", "l1-normalised"]
Executor = Literal["local", "ray"]

MODEL_NAMES: tuple[str, ...] = get_args(BuiltIn)
SCOPES: tuple[str, ...] = get_args(Scope)
# Where the networks of others and one's own come from: a package that lists them, or a function.
SOURCE = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W_][\w.-]{0,99}"
SOURCE_FORMS = "torchvision:NAME, timm:NAME or package.module:factory"
POPULATION_MODELS = ("resnet20", "resnet56")
METHODS = ("uniform", "nonuniform")
CRITERIA: tuple[str, ...] = get_args(Criterion)
EXECUTORS = LOCAL, RAY = "local", "ray"
# Beginnings of the names of data sets, before a colon.
FOLDER, TORCHVISION = "folder", "torchvision"
DENSE = "unpruned"
VARIANT_EXAMPLES = (DENSE, "uniform-0.6", "nonuniform-0.6", "uniform-0.2")
STUDY_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"

# Plans hold all runs of a study in memory.
MOST_RUNS = 1_000_000


def _model(name: Any) -> Any:
    if name not in MODEL_NAMES and not (isinstance(name, str) and is_source(name)):
        raise HpstudyError(
            f"unknown model {shown(str(name))}{did_you_mean(name, MODEL_NAMES)}; valid: "
            f"{listed(MODEL_NAMES)}, {SOURCE_FORMS}"
        )
    return name


def _variant(name: Any) -> Any:
    parse_variant(name)
    return name


Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
Threshold = Annotated[float, Field(strict=True, gt=0, le=100)]
Variant = Annotated[str, BeforeValidator(_variant)]
Source = Annotated[str, Field(pattern=f"^{SOURCE}$")]
Model = Annotated[BuiltIn | Source, BeforeValidator(_model)]
Arguments = Annotated[dict[str, Any], AfterValidator(json_values)]


def _or_none(arguments: dict[str, Any] | None) -> dict[str, Any] | None:
    return json_values(arguments) or None


class Data(Frozen):
    """Images to train and to evaluate on (thesis, section 3.1.1)."""

    name: Annotated[str, AfterValidator(printable)]
    image_size: Annotated[int, Field(strict=True, ge=8, le=224)]
    train_images: Count | None = None
    test_images: Count | None = None
    holdout: Annotated[str | float, BeforeValidator(test_or_share)] = "test"
    arguments: Annotated[dict[str, Any] | None, AfterValidator(_or_none)] = None

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


class AnyStudy(Frozen):
    """What studies have in common, whether hpstudy trains (`Study`) or a command does."""

    if TYPE_CHECKING:  # Fields of the subclasses, each in its own order.
        name: str
        variants: tuple[Variant, ...]
        seeds: Seeds
        replicates: Replicates | None
        roi: tuple[Threshold, ...]
        design: Design
        executor: Executor

        @property
        def grid(self) -> Grid: ...  # noqa: D102
        @property
        def prior(self) -> Prior: ...  # noqa: D102

    @field_validator("variants", check_fields=False)
    @classmethod
    def _dense_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({parse_variant(name) for name in names}) != len(names):
            raise ValueError("must name each variant once")
        # Every comparison is against the dense network, so it is always part of the study.
        return (DENSE, *(name for name in names if name != DENSE))

    def check_size(self) -> None:
        """Raise ValueError if seeds come twice, or for more or fewer runs than a plan needs."""
        placed = math.prod(
            axis.points if isinstance(axis, Axis) else sum(value > 0 for value in axis)
            for _, axis in self.grid
        )
        if self.design.name == RETUNE and placed < FEWEST:
            raise ValueError(
                f"grid must have at least {FEWEST} settings above 0 for the design retune, not "
                f"{placed}"
            )
        further = self.replicates.seeds if self.replicates else ()
        if both := sorted(set(further) & set(self.seeds)):
            raise ValueError(
                f"replicates.seeds must differ from the seeds {shown(list(self.seeds))}, but both "
                f"have {listed(both)}"
            )
        runs = self.grid.most_points() * len(self.variants) * len(self.seeds)
        if runs > MOST_RUNS:
            raise ValueError(
                f"grid, variants and seeds must make at most {MOST_RUNS:,} runs together, not "
                f"{runs:,}"
            )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Study that a YAML file describes.

        Raises
        ------
        HpstudyError
            If the file is missing or no YAML mapping, or a key, type or value is wrong; names the
            nearest valid one.
        """
        try:
            return cls.model_validate(read_params(path))
        except ValidationError as error:
            raise HpstudyError(f"{path}: {one_sentence(error, cls)}") from None

    def with_variants(self, pruning: str) -> Self:
        """The study cut to the dense network and the variant `pruning`; "all" keeps every one."""
        if pruning == "all":
            return self
        parse_variant(pruning, ("all", *self.variants))
        return self.model_copy(update={"variants": tuple(dict.fromkeys((DENSE, pruning)))})


class Study(AnyStudy):
    """A model, its pruned variants and the grid on which each is trained from scratch.

    The keys from `arguments` to `tolerance` are for networks from a source (`is_source`).
    """

    name: Annotated[str, Field(pattern=f"^{STUDY_NAME}$")]
    model: Model
    arguments: Arguments = {}
    stem: Stem | None = None
    scope: Scope = "inside"
    spare: tuple[Annotated[str, AfterValidator(printable)], ...] = ()
    round_to: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = None
    exact: Annotated[bool, Field(strict=True)] = True
    tolerance: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.001
    data: Data
    recipe: Recipe
    prior: Prior
    grid: Grid
    variants: tuple[Variant, ...]
    criterion: Criterion = "l1-normalised"
    seeds: Seeds = (0,)
    replicates: Replicates | None = None
    roi: Annotated[tuple[Threshold, ...], AfterValidator(distinct)] = (0.5, 1.0)
    design: AnyDesign = Design()
    arithmetic: ArithmeticOrAuto = AUTO
    executor: Executor = "local"
    # Records of earlier studies have this key.
    racing: Annotated[Literal[False], BeforeValidator(no_race)] = False

    @model_validator(mode="after")
    def _fits_the_model(self) -> "Study":
        given = [key for key in SOURCE_KEYS if not _is_default(self, key)]
        if given and not is_source(self.model):
            raise ValueError(
                f"{given[0]} is a key for the models {SOURCE_FORMS}; {self.model} does not take it"
            )
        if split_arithmetic(self.arithmetic)[0].endswith(PADDED) and not self.can_be_padded:
            raise ValueError(
                f"arithmetic {self.arithmetic} is for pruned networks of {listed(MODEL_NAMES)}"
            )
        if self.arithmetic == POPULATION and not self.can_be_population:
            raise ValueError(
                f"arithmetic {POPULATION} is for {listed(POPULATION_MODELS)} on images of 16, 32, "
                f"64 or 128 pixels, not {self.model} on {self.data.image_size}"
            )
        return self

    @property
    def can_be_population(self) -> bool:
        """Whether its networks can be trained as one program of a GPU."""
        return self.model in POPULATION_MODELS and self.data.image_size in (16, 32, 64, 128)

    @property
    def can_be_padded(self) -> bool:
        """Whether it has pruned networks whose widths can be padded."""
        return len(self.variants) > 1 and not is_source(self.model)

    @model_serializer(mode="wrap")
    def _without_unused_keys(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records of the study's own networks are as they were before there were others.
        unused = [] if is_source(self.model) else list(SOURCE_KEYS)
        unused += ["design"] if self.design == Design() else []
        return {key: value for key, value in values(self).items() if key not in unused}

    @model_validator(mode="after")
    def _fits_together(self) -> "Study":
        self.check_size()
        for name, axis in self.grid:
            # Beyond these, products in single precision are 0 or infinite.
            reach, values = (axis.reach, ()) if isinstance(axis, Axis) else (0.0, axis)
            values = (getattr(self.prior, name), *filter(None, values))
            if max(abs(math.log10(value)) for value in values) + reach > 30:
                raise ValueError(
                    f"{name} must stay within 1e-30 and 1e+30, at the prior and all over the grid"
                )
        return self


SOURCE_KEYS = ("arguments", "stem", "scope", "spare", "round_to", "exact", "tolerance")


def _is_default(study: Study, key: str) -> bool:
    return bool(getattr(study, key) == Study.model_fields[key].default)


def is_source(model: str) -> bool:
    """Whether a model is torchvision:NAME, timm:NAME or package.module:factory."""
    return re.fullmatch(SOURCE, model) is not None


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
