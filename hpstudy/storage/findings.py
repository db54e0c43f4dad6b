"""What the check of a store or a table finds."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.runspec import RunSpec
from hpstudy.errors import count, listed, printed
from hpstudy.storage import command_tables, rebuild, schema
from hpstudy.storage.tables import SETTING

# Printed lines of a file; the first ones tell what is wrong with it.
MOST_LINES = 20


class Fault(NamedTuple):
    """One thing that is wrong with a run of a file; `run` is empty for the whole file."""

    run: str
    words: str


@dataclass
class Findings:
    """Result of the check of one file; `facts` are its numbers by name."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    networks: set[rebuild.Built] = field(default_factory=set)
    not_rebuilt: set[str] = field(default_factory=set)

    def add(self, faults: Iterable[str], run: object = "") -> None:
        """Add faults of a run, or of the whole file."""
        self.faults += [Fault(str(run), words.removesuffix(".")) for words in faults]

    def size_faults(self, row: schema.RunRow, classes: int | None = None) -> Iterator[str]:
        """Sizes of a run that its network, which is built again, has not.

        Where the number of classes is unknown, there is no network to compare with.
        """
        spec = row.spec
        if classes := classes or rebuild.known_classes(spec.data.name):
            built = *rebuild.network_key(spec, classes), tuple((spec.widths or {}).items())
            if (sizes := rebuild.network_size(built)) is None:
                self.not_rebuilt.add(spec.model)
                return
            self.networks.add(built)
            for name, size in zip(("macs", "params"), sizes, strict=True):
                if getattr(row, name) != size:
                    yield f"{name} is {getattr(row, name)}, but its network has {size}"

    def note_networks(self) -> None:
        """Add the number of networks that were built again, and the names of those that were not.

        Code of one's own is not imported for a check.
        """
        self.facts["networks_rebuilt"] = len(self.networks)
        if self.not_rebuilt:
            self.facts["not_rebuilt"] = listed(sorted(self.not_rebuilt))

    def lines(self) -> list[str]:
        """One line for a whole file, else one for each of its first faults."""
        if not self.faults:
            return [printed(f"{self.path}: whole, {self.numbers()}")]
        lines = []
        for run, words in self.faults[:MOST_LINES]:
            place = "" if str(self.path) in words else f"{self.path}: "
            lines.append(f"{place}run {run}: {words}" if run else f"{place}{words}")
        if more := len(self.faults) - len(lines):
            lines.append(f"{self.path}: {count(more, 'more fault')}")
        return list(map(printed, lines))

    def numbers(self) -> str:
        """Facts as words, without hashes: "runs 40, missing 0"."""
        facts = {name: value for name, value in self.facts.items() if name != "sha256"}
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())

    def as_json(self) -> dict[str, Any]:
        """Facts and all faults as plain values."""
        faults = [fault._asdict() for fault in self.faults]
        return {"path": str(self.path), "whole": not faults, **self.facts, "faults": faults}


@dataclass(kw_only=True)
class CheckedTable(Findings):
    """A published table with what is wrong; `rows` hold None where there is no number."""

    record: schema.StudyRecord
    rows: list[dict[str, Any]]

    @property
    def identified(self) -> bool:
        """Whether the record identifies the images: older ones lack the hash of a folder."""
        images, data = self.record.images, self.record.study.data
        return images.fingerprint is not None or rebuild.known_classes(data.name) is not None

    def spec(self, row: Mapping[str, Any]) -> RunSpec:
        """Run of a row."""
        return self.record.run_spec(row["variant"], **{name: row[name] for name in SETTING})


@dataclass(kw_only=True)
class CheckedCommandTable(Findings):
    """A published table of a command's runs with what is wrong; `rows` as of `CheckedTable`."""

    record: command_tables.CommandRecord
    rows: list[dict[str, Any]]

    def spec(self, row: Mapping[str, Any]) -> CommandSpec:
        """Run of a row."""
        return command_tables.command_spec(self.record, row)
