"""Names of arithmetics: the precision of products, and the number of devices that share a run."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

# "-compiled" where torch.compile makes the kernels.
Precision = Literal[
    "float32", "tf32", "bfloat16", "float32-compiled", "tf32-compiled", "bfloat16-compiled"
]
ARITHMETICS: tuple[str, ...] = get_args(Precision)
AUTO = "auto"
# Devices that share a batch add in another order than one, so rows say how many there were.
_SHARED = rf"({'|'.join(ARITHMETICS)})-over([2-9]|[1-9][0-9])"


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
