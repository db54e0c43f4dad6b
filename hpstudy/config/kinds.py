"""Kinds of values in a params file, each of which refuses all others in its own words."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator

from hpstudy.errors import shown, unknown


def number(what: str, fits: Callable[[float], bool]) -> Any:
    """Kind of finite numbers.

    Parameters
    ----------
    what : str
        What one must be, such as "a number above 0".
    fits : callable
        Whether a number is one.

    Returns
    -------
    type
        Annotated for pydantic. YAML reads 1e-4 as a word, so that words of numbers are numbers.
    """
    return Annotated[float, BeforeValidator(partial(_number, what, fits))]


def integer(low: int, high: int) -> Any:
    """Kind of integers from `low` to `high`."""
    return Annotated[int, BeforeValidator(partial(_integer, low, high))]


def choice(what: str, valid: tuple[str, ...]) -> Any:
    """Kind of the words `valid`; the sentence calls one a `what`."""
    return Annotated[str, BeforeValidator(partial(_choice, what, valid))]


def values(kind: Any, example: str) -> Any:
    """Kind of lists of values of a kind, as tuples; `example` shows one."""
    return Annotated[tuple[kind, ...], BeforeValidator(partial(_values, example))]


def word(what: str, fits: Callable[[str], bool]) -> Any:
    """Kind of text; `what` says what one must be, `fits` whether a text is one."""
    return Annotated[str, BeforeValidator(partial(_word, what, fits))]


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


Truth = Annotated[bool, BeforeValidator(_truth)]
"""Kind of true and false alone."""


def _number(what: str, fits: Callable[[float], bool], value: Any) -> float:
    found = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            found = float(value)
    if not (math.isfinite(found) and fits(found)):
        raise ValueError(f"must be {what}, not {shown(value)}")
    return found


def _integer(low: int, high: int, value: Any) -> int:
    found = None
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            found = int(value)
    whole = found is not None and (isinstance(value, str) or found == value)
    if not (whole and low <= found <= high):
        raise ValueError(f"must be an integer from {low:,} to {high:,}, not {shown(value)}")
    return found


def _choice(what: str, valid: tuple[str, ...], value: Any) -> str:
    if value not in valid:
        raise unknown(what, value, valid)
    return value


def _values(example: str, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list such as {example}, not {shown(value)}")
    return value


def _word(what: str, fits: Callable[[str], bool], value: Any) -> str:
    if not (isinstance(value, str) and fits(value)):
        raise ValueError(f"must be {what}, not {shown(value)}")
    return value
