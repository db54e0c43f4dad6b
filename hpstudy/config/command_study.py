"""A study that one's own command trains: a params file with a `command`."""

import math
import re
import shlex
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hpstudy.config.checks import distinct
from hpstudy.config.design import GRID, LEVEL_SET, AnyDesign, Design, Replicates, Seeds
from hpstudy.config.grid import AnyAxis, Grid, Positive, Prior
from hpstudy.config.study import (
    DENSE,
    STUDY_NAME,
    AnyStudy,
    Count,
    Criterion,
    Executor,
    Study,
    Variant,
)
from hpstudy.config.validation import Frozen, read_params
from hpstudy.errors import did_you_mean, listed, shown

NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
# Placeholders of every command, beside the axes and the fixed values.
GIVEN = ("seed", "variant", "method", "flops_ratio", "out", "report", "weights")
# Columns of the published table, beside the axes and the metric.
LABELS = ("run_id", "study", "variant", "method", "flops_ratio")
RESULTS = ("diverged", "stopped", "epochs", "seconds", "macs", "params", "device", "curve")
# Keys that are arguments of `hpstudy.prune`.
PRUNING = ("criterion", "scope", "round_to", "spare", "exact", "tolerance")
# Words that only a shell understands.
_SHELL = ("|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1")


class Metric(Frozen):
    """The number that a run ends with, and where it is read.

    With `from: json` it is under `key` in lines of the output that are JSON objects; with `csv` in
    the column `key` of `file`; with `pattern` the group of a regular expression. `file`, a name in
    the run's folder, is read in place of the output. Of several values the last one is the result,
    and all of them are the learning curve.
    """

    source: Annotated[Literal["json", "csv", "pattern"], Field(alias="from")]
    # It names a column on pages and in spreadsheets.
    key: Annotated[str, Field(pattern=r"^[^\W_][\w .+/%()-]{0,99}$")]
    pattern: str | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    goal: Literal["maximize", "minimize"] = "maximize"
    # percent is 0 to 100; fraction is 0 to 1, and published in percent; others are only printed.
    unit: Annotated[str, Field(min_length=1, max_length=40)] = "percent"

    @model_validator(mode="after")
    def _can_be_read(self) -> "Metric":
        if (self.source == "pattern") != (self.pattern is not None):
            raise ValueError("must have a pattern with `from: pattern`, and only there")
        if self.pattern is not None and _groups(self.pattern) != 1:
            raise ValueError(
                "must have as its pattern a regular expression with one group, such as "
                f"acc=([0-9.]+), not {shown(self.pattern)}"
            )
        if self.source == "csv" and self.file is None:
            raise ValueError("must name the file with `from: csv`, such as `file: metrics.csv`")
        if self.file is not None and Path(self.file).name != self.file:
            raise ValueError(
                f"must name a file in the run's folder, without the folder, not {shown(self.file)}"
            )
        return self

    @property
    def most(self) -> float:
        """Largest possible value as read; if it is finite, the smallest is 0."""
        return {"percent": 100.0, "fraction": 1.0}.get(self.unit, math.inf)

    @property
    def factor(self) -> float:
        """Factor from the value as read to the published one."""
        return 100.0 if self.unit == "fraction" else 1.0


def _groups(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error:
        return 0


def _one_or_two(axes: dict[str, Any]) -> dict[str, Any]:
    if len(axes) not in (1, 2):
        raise ValueError(f"must have one or two hyperparameters, not {listed(axes) or 'none'}")
    return axes


class CommandStudy(AnyStudy):
    """A study whose runs are trained by one's own command, one process each.

    The command is split into words as a shell would, and run without one, in the folder of the
    params file. Each `{placeholder}` in a word becomes a value: an axis of the grid, a `fixed`
    value, or one of `GIVEN`. With a `model`, hpstudy prunes the network for each variant, and
    `{report}` and `{weights}` are files of it (`hpstudy.rebuild`); without, `{variant}` or
    `{method}` and `{flops_ratio}` tell the command which network to train.
    """

    name: Annotated[str, Field(pattern=f"^{STUDY_NAME}$")]
    command: str
    metric: Metric
    swept: Annotated[dict[str, AnyAxis], AfterValidator(_one_or_two), Field(alias="grid")]
    start: Annotated[dict[str, Positive], Field(alias="prior")]
    fixed: dict[str, bool | int | float | str] = {}
    # Files beside those in the command whose content can change the numbers.
    files: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = (DENSE,)
    model: str | None = None
    arguments: dict[str, Any] = {}
    input_shape: tuple[Count, ...] | None = None
    # A file, or one that the dense network's run at the prior leaves: "{out}/weights.pt".
    weights: str | None = None
    criterion: Criterion = "l1-normalised"
    scope: Literal["inside", "all"] = "inside"
    round_to: Count | None = None
    spare: tuple[str, ...] = ()
    exact: Annotated[bool, Field(strict=True)] = True
    # Share of the dense FLOPs by which a ratio may be missed.
    tolerance: Annotated[float, Field(strict=True, ge=0, lt=1)] = 1e-3
    seeds: Seeds = (0,)
    replicates: Replicates | None = None
    roi: Annotated[tuple[Positive, ...], AfterValidator(distinct)] = (0.5, 1.0)
    design: AnyDesign = Design()
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    executor: Executor = "local"

    @model_validator(mode="after")
    def _fits_together(self) -> "CommandStudy":
        self.check_size()
        columns = (*GIVEN, *LABELS[:2], *RESULTS, self.metric.key)
        for names, taken in ((self.swept, columns), (self.fixed, (*GIVEN, *self.swept))):
            for name in names:
                if not re.fullmatch(NAME, name) or name in taken:
                    raise ValueError(
                        f"grid and fixed must have other names than {shown(name)}: letters, digits "
                        f"and _, and none of {listed(taken)}"
                    )
        if self.metric.key in (*LABELS, "seed", *RESULTS):
            raise ValueError(
                f"metric must have another key than {shown(self.metric.key)}, which is a column of "
                "every table"
            )
        if self.start.keys() != self.swept.keys():
            raise ValueError(
                f"prior, the dense network's present setting, must have the keys of grid: "
                f"{listed(self.swept)}; it has {listed(self.start)}"
            )
        if not self.metric.most < math.inf and "roi" not in self.model_fields_set:
            raise ValueError(
                f"the key 'roi' is missing: the losses that matter, in {self.metric.unit}; only a "
                "metric in percent has a default"
            )
        if self.design.name == LEVEL_SET and len(self.swept) != 2:
            raise ValueError("grid must have two hyperparameters for the design level-set")
        self._check_network()
        self._check_command()
        return self

    def _check_network(self) -> None:
        if self.model is None:
            own = {"arguments", "input_shape", "weights", *PRUNING}
            if given := sorted(own & self.model_fields_set):
                raise ValueError(f"the key 'model' is missing, which {listed(given)} would be of")
            return
        if self.weights is None and len(self.variants) > 1:
            raise ValueError(
                "the key 'weights' is missing: a file of trained weights that rank the filters, or "
                "'{out}/weights.pt' for one that the dense network's run at the prior leaves"
            )
        if self.input_shape is None and self.model.partition(":")[0] not in ("torchvision", "timm"):
            raise ValueError(
                "the key 'input_shape' is missing: that of an input of the model without the "
                "batch, such as [3, 32, 32]"
            )

    def _check_command(self) -> None:
        valid = (*self.swept, *self.fixed, *GIVEN)
        used: set[str] = set()
        for word in self.words:
            if word in _SHELL:
                raise ValueError(
                    f"command has {shown(word)}, but no shell runs it; write a script that needs "
                    "one, and name the script"
                )
            used |= _placeholders(word, valid)
        seeds = len(self.seeds) > 1 or self.replicates is not None or self.design.name != GRID
        for name in (*self.swept, *self.fixed, *(["seed"] if seeds else [])):
            if name not in used:
                raise ValueError(
                    f"command lacks {{{name}}}, and would run the same for each {name}"
                )
        if len(self.variants) > 1 and not used & {"variant", "flops_ratio", "report", "weights"}:
            raise ValueError("command lacks {report} or {variant}, and would train one network")
        if self.model is None and used & {"report", "weights"}:
            raise ValueError("command has {report} or {weights}, but the key 'model' is missing")
        if "weights" in used and (self.weights is None or "{out}" in self.weights):
            raise ValueError("command has {weights}, but the key 'weights' names no file")
        if self.metric.file and "out" not in used:
            raise ValueError(
                f"command lacks {{out}}, the folder in which {self.metric.file} is read"
            )

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Words of the command, with their placeholders."""
        try:
            words = tuple(shlex.split(self.command))
        except ValueError as error:
            raise ValueError(f"command must be words as in a shell: {error}") from None
        if not words:
            raise ValueError("command must hold words")
        return words

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the hyperparameters that are swept."""
        return tuple(self.swept)

    @cached_property
    def grid(self) -> Grid:
        """The grid: lr is the first axis, weight_decay the second, or 1 without one."""
        first, *second = self.swept.values()
        return Grid.model_construct(lr=first, weight_decay=second[0] if second else (1.0,))

    @cached_property
    def prior(self) -> Prior:
        """The prior on the axes of `grid`."""
        first, *second = self.start.values()
        return Prior(lr=first, weight_decay=second[0] if second else 1.0)


def load_study(path: str | Path) -> Study | CommandStudy:
    """Study of either kind that a params file describes; see `AnyStudy.load`."""
    return (CommandStudy if "command" in read_params(path) else Study).load(path)


def _placeholders(word: str, valid: tuple[str, ...]) -> set[str]:
    """Names of the placeholders in a word; raises ValueError for any other use of braces."""
    try:
        parts = [part for part in Formatter().parse(word) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f"command has {shown(word)}; write {{{{ and }}}} for braces") from error
    for _, name, form, conversion in parts:
        if name not in valid or form or conversion:
            hint = did_you_mean(name, valid)
            raise ValueError(
                f"command has the unknown placeholder {{{name}}}{hint}; valid: {listed(valid)}"
            )
    return {str(name) for _, name, *_ in parts}
