"""Which settings of its networks a study trains."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hpstudy.config.checks import distinct
from hpstudy.config.validation import Frozen

GRID, RETUNE = "grid", "retune"
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
    """Which settings of pruned networks are trained: the whole grid, or those that decide.

    With `retune`, the dense network's grid is trained first. Then `batch` settings of each pruned
    network are trained at a time, by what its runs show so far (`hpstudy.retune`), and at most
    `budget` in all.
    """

    name: Literal["grid", "retune"] = "grid"
    batch: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 2
    budget: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 30


def _design(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and value.keys() - {"name"} and value.get("name", GRID) == GRID:
        raise ValueError("must have the name retune if it has a batch or a budget")
    return value


AnyDesign = Annotated[
    Design,
    BeforeValidator(_design, json_schema_input_type=Literal["grid", "retune"] | Design),
]
