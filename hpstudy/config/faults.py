"""What is wrong with a params file, in one sentence, from what pydantic found."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from hpstudy.errors import HpstudyError, listed, nearest, shown


def one_sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """All faults of values that were to be a `model`, each with its key and value.

    Parameters
    ----------
    error : ValidationError
    model : type
        Class of pydantic; the kinds of its values refuse others in words that follow their key
        ("must be ..."), or by an HpstudyError, which is whole.
    """
    faults = dict.fromkeys(_fault(fault, model) for fault in error.errors())
    return "; ".join(fault.removesuffix(".") for fault in faults) + "."


def _fault(fault: dict[str, Any], model: type[BaseModel]) -> str:
    place = ".".join(map(str, fault["loc"]))
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, HpstudyError):
        return str(reason)
    if reason is not None:
        return f"{place} {reason}".strip()
    if fault["type"] == "missing":
        return f"the key {place!r} is missing"
    if fault["type"] == "extra_forbidden":
        keys = list(_at(model, fault["loc"][:-1]).model_fields)
        close = nearest(str(fault["loc"][-1]), keys)
        hint = f" (did you mean {close!r}?)" if close else ""
        return f"unknown key {shown(place)}{hint}; valid: {listed(keys)}"
    keys = _at(model, fault["loc"]).model_fields
    return f"{place} must have the keys {listed(keys)}, unlike {shown(fault['input'])}"


def _at(model: Any, place: tuple) -> type[BaseModel]:
    """Class of the mapping at a place in the values of a model."""
    for part in place:
        found = model.model_fields[part].annotation
        model = next(one for one in (found, *get_args(found)) if hasattr(one, "model_fields"))
    return model
