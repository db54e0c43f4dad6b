"""Files of settings: read as text or YAML, checked by pydantic, refused in one sentence."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from hpstudy.errors import HpstudyError, did_you_mean, listed, shown, unknown

# A params file has about a thousand characters.
MOST_BYTES = 65_536


class Frozen(BaseModel):
    """Part of a params file: no other keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Content of a file of at most `most` bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the caller knows which ones there are.
    HpstudyError
        If it cannot be read, or is too large.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(-1 if most is None else most + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise HpstudyError(f"{path} is a folder, not a file.") from None
    except OSError as error:
        raise HpstudyError(f"{shown(str(path))} cannot be read: {error.strerror}.") from None
    except ValueError:
        # Python's answer to a name with a null byte.
        raise HpstudyError(f"{path} cannot be the name of a file.") from None
    if most is not None and len(content) > most:
        raise HpstudyError(f"{path} has more than {most:,} bytes, which no such file needs.")
    return content


def read_text(path: str | Path, most: int | None = None) -> str:
    """Text of a file in UTF-8; errors as of `read_bytes`."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HpstudyError(f"{path} is not text in UTF-8.") from None


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Keys and values of a YAML file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    HpstudyError
        If it is no YAML mapping, or a key comes twice; names the line.
    """
    text = read_text(path, MOST_BYTES)
    try:
        values = yaml.load(text, _SafeLoader)  # noqa: S506
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character {chr(error.character)!r} is not allowed"
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        problem = ", ".join(filter(None, (error.context, error.problem)))
    except (RecursionError, ValueError, AttributeError):
        raise HpstudyError(
            f"{path} is not valid YAML: it is nested too deeply, or a value does not fit its tag."
        ) from None
    else:
        if not isinstance(values, dict):
            raise HpstudyError(f"{path} must hold keys and values, not {shown(values)}.")
        return values
    raise HpstudyError(f"line {line} of {path} is not valid YAML: {problem}.")


def read_params(path: str | Path) -> dict[str, Any]:
    """Keys and values of a params file; raises HpstudyError if it is missing or no YAML mapping."""
    try:
        return read_mapping(path)
    except FileNotFoundError:
        hint = did_you_mean(path, map(str, sorted(Path("params").glob("*/*.yaml"))))
        raise HpstudyError(f"no params file at {path}{hint}.") from None


_INTEGER, _FLOAT, _DATE = (f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))


class _SafeLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no annotations.
    """YAML with the numbers of its version 1.2, and every key once.

    1e-4 is a number; 1:30, 0x10 and 2024-01-01 are text.
    """

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] not in (_INTEGER, _FLOAT, _DATE)]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: list[Any] = []
        for key, _ in node.value:
            if key.value in keys:
                problem = f"the key {shown(key.value)} comes twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            keys.append(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_SafeLoader.add_implicit_resolver(
    _INTEGER, re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789")
)
_SafeLoader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.inf$|\.nan$"),
    list("-+.0123456789"),
)


def as_params_file(value: Any) -> Any:
    """Value of a reader of YAML 1.1, such as papermill, as `read_mapping` would have it.

    YAML 1.1 takes 1e-4 for text.
    """
    match value:
        case dict():
            return {key: as_params_file(item) for key, item in value.items()}
        case list():
            return [as_params_file(item) for item in value]
        case str():
            # Written as YAML 1.1, text that was in quotes is in quotes again.
            return yaml.load(yaml.safe_dump(value), _SafeLoader)  # noqa: S506
    return value


def one_sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Every fault of a mapping that is not a `model`, each with its key and its value."""
    faults = dict.fromkeys(_fault(dict(fault), model) for fault in error.errors())
    return "; ".join(fault.removesuffix(".") for fault in faults) + "."


def _fault(fault: dict[str, Any], model: type[BaseModel]) -> str:
    place, value = ".".join(map(str, fault["loc"])), fault["input"]
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, HpstudyError):
        return str(reason)
    match fault["type"]:
        case "missing":
            return f"the key {place!r} is missing"
        case "extra_forbidden":
            keys = _keys(model, fault["loc"][:-1])
            hint = did_you_mean(fault["loc"][-1], keys)
            return f"unknown key {shown(place)}{hint}; valid: {listed(keys)}"
        case "model_type":
            keys = _keys(model, fault["loc"])
            return f"{place} must have the keys {listed(keys)}, not {shown(value)}"
        case "literal_error":
            return str(unknown(place, value, re.findall("'(.+?)'", fault["ctx"]["expected"])))
    problem = str(reason)
    if reason is None:
        problem = re.sub(r"^\w+ should", "must", fault["msg"])
        problem = problem.replace("a valid tuple", "a list")
        problem = problem.replace("a valid boolean", "true or false")
    # What is wrong with several keys together is said without their whole mapping.
    wrong = "" if isinstance(value, dict) else f", not {shown(value)}"
    return f"{place} {problem}{wrong}".strip()


def _keys(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """Keys of the mapping at a place in the values of a model."""
    for part in place:
        # A name that is no key is that of an axis, in a mapping of models.
        field = next((f for name, f in _fields(model).items() if name == part), None)
        model = next(_models(field.annotation), model) if field else model
    return list(_fields(model))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models in an annotation, such as that of a mapping of them."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def reasons(error: ValidationError) -> list[str]:
    """What pydantic finds wrong, with the place and the value."""
    words = []
    for fault in error.errors():
        place = ".".join(map(str, fault["loc"]))
        if not place:
            words.append(str(fault["ctx"]["error"]))
        elif fault["type"] == "missing":
            words.append(f"it lacks {place}")
        else:
            words.append(f"{place} is {shown(fault['input'])}: {fault['msg']}")
    return words
