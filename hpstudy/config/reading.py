"""Text files and YAML read so that no file can harm: small, plain, every fault with its line."""

from pathlib import Path
from typing import Any

import yaml

from hpstudy.errors import HpstudyError, shown

# A params file has about a thousand characters, on four levels.
MOST_BYTES, DEEPEST = 65_536, 16
_PLAIN = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")


def read_text(path: str | Path, most: int | None = None) -> str:
    """Text of a file in UTF-8.

    Parameters
    ----------
    path : path
    most : int, optional
        Bytes that it may have; what lies beyond is not read.

    Raises
    ------
    FileNotFoundError
        If there is no such file: only the caller knows what else there is.
    HpstudyError
        If it cannot be read, is too large, or is no text.
    """
    content = read_bytes(path, most)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HpstudyError(f"{path} is not text in UTF-8.") from None


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Content of a file, of at most so many bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such file: only the caller knows what else there is.
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
        # Python's word for a name that no file can have.
        raise HpstudyError(f"{path} cannot be the name of a file.") from None
    if most is not None and len(content) > most:
        raise HpstudyError(f"{path} has more than {most:,} bytes, which no such file needs.")
    return content


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Keys and values of a YAML file: lists, mappings, text, numbers, true, false and null.

    Dates are text, as are numbers that are not written with ten digits, a point and an exponent.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    HpstudyError
        If it is no such file; the sentence says in which line. Aliases are refused, as a few
        lines of them can stand for more values than there is memory; so are keys that come twice.
    """
    text = read_text(path, MOST_BYTES)
    try:
        node = _Loader(text).get_single_node()
        values = None if node is None else _value(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise HpstudyError(
            f"line {line} of {path} holds the character {chr(error.character)!r}, which YAML may "
            "not."
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        second = isinstance(error, yaml.composer.ComposerError)
        problem = "it begins a second document" if second else error.problem
        raise HpstudyError(f"line {line} of {path} is no plain YAML: {problem}.") from None
    if not isinstance(values, dict):
        raise HpstudyError(f"{path} must hold keys and values, not {shown(values)}.")
    return values


class _Loader(yaml.SafeLoader):
    """Composes nodes, but no alias and not too deep."""

    def __init__(self, text: str):
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _fault(event, f"it uses the alias *{event.anchor}, instead of the value itself")
        self._depth += 1
        if self._depth > DEEPEST:
            raise _fault(event, f"it nests values more than {DEEPEST} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _fault(place: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _value(node: yaml.Node) -> Any:
    """Value of a node and of all below it."""
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in _PLAIN:
        raise _fault(node, f"it has the tag {node.tag!r}")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if kind == "null":
        return None
    if kind == "bool":
        return yaml.SafeLoader.bool_values.get(node.value.lower(), node.value)
    return _number(node.value) if kind in ("int", "float") else node.value


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(key, "it has a key that is not a word")
        if key.value in values:
            raise _fault(key, f"it has the key {shown(key.value)} twice")
        values[key.value] = _value(value)
    return values


def _number(text: str) -> int | float | str:
    # YAML writes .inf and .nan; and what it takes for numbers to other bases, such as 1:30 for 90,
    # stays text.
    plain = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text
