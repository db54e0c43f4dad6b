"""The arithmetics that a network can be trained in: each gives numbers of its own."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

# Precision of products; "-compiled" where torch.compile makes the kernels, and "-padded" where
# pruned layers are trained at multiples of 8 channels (`hpstudy.training.values`). In a population
# networks of one shape are trained as one program (`hpstudy.training.population`).
Precision = Literal[
    "float32",
    "tf32",
    "bfloat16",
    "float32-compiled",
    "tf32-compiled",
    "bfloat16-compiled",
    "bfloat16-compiled-padded",
    "bfloat16-population",
]
ARITHMETICS: tuple[str, ...] = get_args(Precision)
AUTO = "auto"
COMPILED, PADDED, POPULATION = "-compiled", "-padded", "bfloat16-population"
NEED_GPU = ("tf32", "tf32-compiled", POPULATION)
# Devices that share a batch add in another order than one, so rows say how many there were.
_SHARED = (
    rf"({'|'.join(name for name in ARITHMETICS if name != POPULATION)})-over([2-9]|[1-9][0-9])"
)


def _known(name: Any) -> Any:
    if name in ARITHMETICS or (isinstance(name, str) and re.fullmatch(_SHARED, name)):
        return name
    raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, ARITHMETICS))})


def _known_or_auto(name: Any) -> Any:
    return name if name == AUTO else _known(name)


_Name = Precision | Annotated[str, Field(pattern=f"^{_SHARED}$")]
Arithmetic = Annotated[_Name, BeforeValidator(_known)]
ArithmeticOrAuto = Annotated[Literal["auto"] | _Name, BeforeValidator(_known_or_auto)]


def split_arithmetic(arithmetic: str) -> tuple[str, int]:
    """Precision of an arithmetic, and the number of devices that share each of its runs."""
    precision, _, devices = arithmetic.partition("-over")
    return precision, int(devices or 1)
