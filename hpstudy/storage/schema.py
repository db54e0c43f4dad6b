"""Shapes of what is kept: the rows of a store, and the record beside a published table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    Json,
    PositiveInt,
    ValidationError,
    model_validator,
)

from hpstudy.config.arithmetic import Arithmetic
from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.design import GRID, LEVEL_SET, RETUNE
from hpstudy.config.runspec import Network, RunSpec
from hpstudy.config.study import DENSE, Study
from hpstudy.config.validation import one_sentence, reasons
from hpstudy.errors import HpstudyError, count
from hpstudy.storage.database import FINAL_COLUMNS
from hpstudy.storage.tables import SETTING, read_record


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("must not be negative")
    return value


# NaN or infinite once a training has diverged.
Loss = Annotated[float, AfterValidator(_not_negative)]
Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Curve(BaseModel, extra="forbid"):
    """Learning curve: one value per epoch."""

    train_loss: list[Loss]
    loss: list[Loss]
    top1: list[Percent]


class SpecRow(BaseModel):
    """A row that belongs to a run."""

    run_id: str
    spec: Json[RunSpec | CommandSpec]

    @model_validator(mode="after")
    def _has_its_id(self) -> Self:
        if self.spec.run_id != self.run_id:
            raise ValueError(f"its settings have the id {self.spec.run_id}")
        return self


class FailureRow(SpecRow):
    """Why a run came to nothing."""

    reason: Text


class CommandRow(SpecRow):
    """Results of a command's run: `top1` is its metric, None for a run that diverged."""

    spec: Json[CommandSpec]
    top1: float | None
    diverged: bool
    epochs: PositiveInt
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    macs: PositiveInt | None
    params: PositiveInt | None
    device: Text
    curve: Json[dict[Literal["value"], list[float]]]

    @model_validator(mode="after")
    def _ends_as_its_curve(self) -> Self:
        values = self.curve["value"]
        if len(values) != self.epochs:
            raise ValueError(f"its curve has {count(len(values), 'value')}, not {self.epochs}")
        last = values[-1] if math.isfinite(values[-1]) else None
        if self.top1 != last or self.diverged != (last is None):
            raise ValueError(f"its metric is {self.top1}, but its curve ends with {values[-1]}")
        return self


class RunRow(SpecRow):
    """Results of a run; None for a missing number."""

    spec: Json[RunSpec]
    top1: Percent | None
    top5: Percent | None
    loss: Loss | None
    best_top1: Percent | None
    best_epoch: PositiveInt | None
    train_loss: Loss | None
    diverged: bool
    stopped: bool = False
    epochs: PositiveInt
    seconds: Positive
    images_per_second: Positive
    macs: PositiveInt
    params: PositiveInt
    device: Text
    torch: Text
    curve: Json[Curve]

    @model_validator(mode="after")
    def _ended_as_its_curve_says(self) -> Self:
        curve = self.curve
        for name, values in curve:
            if len(values) != self.epochs:
                number = count(len(values), "value")
                raise ValueError(f"its curve has {number} of {name}, but epochs is {self.epochs}")
        epochs, last = self.spec.recipe.epochs, curve.train_loss[-1]
        ended = self.epochs == epochs or not math.isfinite(last)
        if self.epochs > epochs or self.stopped == ended:
            how = "was stopped" if self.stopped else "ended"
            words = f"it {how} after {self.epochs} of {count(epochs, 'epoch')}"
            raise ValueError(f"{words} with a loss of {last}")
        expected: dict[str, Any] = dict.fromkeys(FINAL_COLUMNS) | {"diverged": False}
        if not self.stopped:
            best = max(curve.top1)
            expected = {name: values[-1] for name, values in curve}
            expected |= {"best_top1": best, "best_epoch": curve.top1.index(best) + 1}
            if not math.isfinite(last):
                expected["diverged"] = True
        for name, value in expected.items():
            own = getattr(self, name)
            if own != value and not (own is None and math.isnan(value)):
                raise ValueError(f"{name} is {own}, but must be {value}")
        return self


class StopReason(NamedTuple):
    """Expected final accuracy, its standard deviation, and the one needed, in percent."""

    expected: float
    deviation: float
    needed: float


class StoppedRow(RunRow):
    """A run that an earlier version stopped early; `threshold` is in percentage points."""

    stopped: bool = True
    threshold: Annotated[float, Field(gt=0, le=100)]
    verdict: Json[StopReason]

    @model_validator(mode="after")
    def _could_not_reach_the_region(self) -> Self:
        expected, deviation, needed = self.verdict
        # The deviations by which it had to miss what was needed.
        if not expected + 1.5 * deviation < needed:
            raise ValueError(
                f"it was stopped at an expected accuracy of {expected} with the deviation "
                f"{deviation}, though {needed} was needed"
            )
        return self


class Ranking(BaseModel):
    """Scores of the filters of a dense network, by layer."""

    weights_sha256: Sha256
    scores: dict[str, list[Loss]]


class RankingRow(Ranking):
    """A ranking as the store keeps it."""

    scores: Json[dict[str, list[Loss]]]


class DecisionRow(BaseModel):
    """Arithmetic of the runs of a study."""

    family: str
    arithmetic: Arithmetic


class LeaseRow(BaseModel):
    """A run that a sweep trains."""

    run_id: str
    sweep: str


class Certificate(BaseModel, extra="allow"):
    """Report of a pruned network (`hpstudy.networks.pruning_report`), with what is read of it.

    Those of the study's own networks have `kept`, and those from a source `shapes`.
    """

    classes: PositiveInt
    weights_sha256: Sha256
    widths: dict[str, PositiveInt]
    kept: dict[str, list[int]] = {}
    shapes: dict[str, PositiveInt] | None = None


def run_widths(certificate: Mapping[str, Any]) -> dict[str, int] | None:
    """What identifies the runs of a pruned network: its shape, or the widths of its layers.

    A network from a source that has lost nothing is the dense one: None.
    """
    if (shapes := certificate.get("shapes")) is None:
        return dict(certificate["widths"])
    return dict(shapes) or None


class Images(BaseModel):
    """Number of images, and the hash of those that no name fixes."""

    train: PositiveInt
    test: PositiveInt
    fingerprint: str | None = None


class Counts(BaseModel):
    """What a record counts in its table; `missing` by variant, `failed` by run id."""

    runs: int
    stopped: int
    missing: dict[str, int]
    failed: dict[str, str] = {}
    train_seconds: float
    images: int
    device: str
    arithmetic: Arithmetic


class StudyRecord(BaseModel):
    """Record beside the published table of a study."""

    study: Study
    images: Images
    network: Network | None = None
    certificates: dict[str, Certificate]
    ranking: Ranking | None = None
    record: Counts

    def run_spec(self, variant: str, **setting: Any) -> RunSpec:
        """Run of a known variant, at the prior unless lr, weight_decay and seed are given."""
        widths = None
        if variant != DENSE:
            widths = run_widths(self.certificates[variant].model_dump())
        fingerprint, arithmetic = self.images.fingerprint, self.record.arithmetic
        spec = RunSpec.at_prior(self.study, fingerprint, widths, arithmetic, self.network)
        return spec.model_copy(update=setting)

    def count_faults(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """What the record counts otherwise than the rows of its table show it."""
        record, seeds = self.record, self.study.seeds
        numbers = {
            "runs": len(rows),
            "stopped": sum(row["stopped"] for row in rows),
            "images": sum(row["epochs"] or 0 for row in rows) * self.images.train,
        }
        for name, number in numbers.items():
            if getattr(record, name) != number:
                yield f"its record says {name} {getattr(record, name)}, the table {number}"
        # Of networks that were trained over the grid.
        design = {GRID: self.study.variants, RETUNE: (DENSE,), LEVEL_SET: ()}
        for variant in design[self.study.design.name]:
            settings = {
                tuple(row[name] for name in SETTING)
                for row in rows
                if row["variant"] == variant and row["seed"] in seeds
            }
            rates, decays = ({setting[k] for setting in settings} for k in (0, 1))
            gaps = len(rates) * len(decays) * len(seeds) - len(settings)
            if gaps > (missing := record.missing.get(variant, 0)):
                yield f"{variant} lacks {count(gaps, 'run')}, but its record says {missing}"


def read_study_record(table: Path) -> StudyRecord:
    """Record beside a published table.

    Raises HpstudyError if it is not there, or a key, type or value is wrong.
    """
    path = table.with_suffix(".json")
    content = read_record(path, table)
    data = content["study"]["data"]
    images = {name: data.pop(name) for name in Images.model_fields if name in data}
    try:
        study = Study.model_validate(content["study"])
    except ValidationError as error:
        raise HpstudyError(f"{path}: {one_sentence(error, Study)}") from None
    try:
        return StudyRecord.model_validate(content | {"study": study, "images": images})
    except ValidationError as error:
        raise HpstudyError(f"{path} is no record of a table: {reasons(error)[0]}") from None
