"""Which settings of its networks a study trains."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hpstudy.config.checks import distinct
from hpstudy.config.validation import Frozen
from hpstudy.errors import HpstudyError

GRID, LEVEL_SET, RETUNE = "grid", "level-set", "retune"
FEWEST = 6
"""Fewest settings with a value for a surface through them; fewer show nothing of its smoothness."""

# torch's generators take signed integers of 64 bits.
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Seeds = Annotated[tuple[Seed, ...], AfterValidator(distinct)]


class Replicates(Frozen):
    """Further seeds where noise matters, and at `random` points outside the regions of interest."""

    seeds: Seeds
    random: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 4


class Design(Frozen):
    """Which settings are trained: the whole grid, those that may be good, or those that decide.

    With `level-set`, `batch` settings of each network are trained at a time, and those that can
    hardly lie in the widest region of interest are skipped. With `retune`, the dense network's grid
    is trained first. Then `batch` settings of each pruned network are trained at a time, by what
    its runs show so far (`hpstudy.retune`), and at most `budget` in all.
    """

    name: Literal["grid", "level-set", "retune"] = "grid"
    batch: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 2
    budget: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 30

    @model_validator(mode="after")
    def _batches_fit(self) -> "Design":
        if self.name == RETUNE and self.batch > self.budget:
            raise ValueError(f"must have a budget of at least its batch of {self.batch}")
        return self


def no_race(value: Any) -> Any:
    """False; refuses anything else, which earlier versions took for runs that are stopped early."""
    if value is not False:
        raise HpstudyError(
            "racing was removed; use `design: level-set`, which skips settings and trains the "
            "others whole"
        )
    return value


def _design(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    # The dump of a design has all of its keys.
    if isinstance(value, dict) and not value.keys() >= Design.model_fields.keys():
        name = value.get("name", GRID)
        if "budget" in value and name != RETUNE:
            raise ValueError("must have the name retune if it has a budget")
        if "batch" in value and name == GRID:
            raise ValueError("must have the name level-set or retune if it has a batch")
    return value


AnyDesign = Annotated[
    Design,
    BeforeValidator(
        _design, json_schema_input_type=Literal["grid", "level-set", "retune"] | Design
    ),
]
