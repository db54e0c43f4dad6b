"""What a check finds in a file: that it is whole, with a few facts, or every fault."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hpstudy.errors import count, printed

# Lines printed of one file; what is wrong with it is told by the first.
MOST_LINES = 20

# How facts are said; "558 stopped" is the rule.
_WORDS = {"schema": "schema {}", "sha256": "SHA-256 {}", "note": "{}"}
_NOUNS = {"runs": "run", "rows": "row", "rankings": "ranking"}


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    run : str
        Id of the run; empty for a fault of the whole file.
    words : str
        What is wrong, without a full stop.
    """

    run: str
    words: str


@dataclass
class Findings:
    """What a check has found in one file.

    Attributes
    ----------
    path : Path
    facts : dict
        What was counted, by name.
    faults : list of Fault
    """

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, words: str, run: object = "") -> None:
        """Note what is wrong, with a run of the file or with all of it."""
        self.faults.append(Fault(str(run), words.removesuffix(".")))

    def lines(self) -> list[str]:
        """One line for a file that is whole, else one for each of its first faults."""
        if not self.faults:
            facts = [_fact(name, value) for name, value in self.facts.items()]
            return [printed(f"{self.path}: {', '.join(['whole', *facts])}")]
        lines = [self._line(fault) for fault in self.faults[:MOST_LINES]]
        if more := len(self.faults) - len(lines):
            lines.append(f"{self.path}: {count(more, 'more fault')}")
        return [printed(line) for line in lines]

    def _line(self, fault: Fault) -> str:
        if str(self.path) in fault.words:
            return fault.words
        return f"{self.path}: {f'run {fault.run}: ' * bool(fault.run)}{fault.words}"

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, with all faults."""
        faults = [fault._asdict() for fault in self.faults]
        return {"path": str(self.path), "whole": not faults, **self.facts, "faults": faults}


def _fact(name: str, value: Any) -> str:
    if name in _WORDS:
        return _WORDS[name].format(value)
    if name == "networks_rebuilt":
        return f"{count(value, 'network')} rebuilt"
    return count(value, _NOUNS[name]) if name in _NOUNS else f"{value:,} {name.replace('_', ' ')}"


def reasons(error: ValidationError) -> str:
    """What pydantic has found wrong with values, by the places of the first few."""
    faults = error.errors()[:3]
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)
