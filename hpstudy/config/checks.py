"""Checks of single values of a params file, which pydantic has no type for."""

import json
from collections.abc import Hashable
from typing import Any, TypeVar

Values = TypeVar("Values", bound=tuple[Hashable, ...])


def distinct(values: Values) -> Values:
    """Refuse repeated values, and none."""
    if not values or len(set(values)) != len(values):
        raise ValueError("must hold one or more distinct values")
    return values


def printable(text: str) -> str:
    """Refuse text that a terminal would not show."""
    if not text.isprintable():
        raise ValueError("must be text of printed characters")
    return text


def json_values(values: Any) -> Any:
    """Refuse what a record, which is JSON, cannot hold."""
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must hold values that JSON can hold, as finite numbers") from None
    return values


def test_or_share(value: Any) -> Any:
    """Refuse what is neither "test" nor a share to hold out."""
    if value != "test" and not (isinstance(value, float) and 0 < value <= 0.5):
        raise ValueError("must be 'test', or the held-out share: above 0 and at most 0.5")
    return value
