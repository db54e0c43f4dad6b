"""Whether stores and published tables are whole: ids, values and networks are computed again."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.errors import HpstudyError, count, listed, printed, shown
from hpstudy.storage import schema
from hpstudy.storage.database import RESULT_COLUMNS, VERSION, reading, schema_of
from hpstudy.storage.rebuild import (
    Built,
    certificate_faults,
    known_classes,
    ranking_faults,
    size_faults,
)
from hpstudy.storage.tables import TABLE_COLUMNS, read_published

Row = TypeVar("Row", bound=BaseModel)
STORE, TABLE = ".sqlite", ".csv"
# Printed lines of a file; the first ones tell what is wrong with it.
MOST_LINES = 20

# Shapes of the rows of a store, by table.
_SHAPES: dict[str, type[BaseModel]] = {
    "runs": schema.RunRow,
    "stopped": schema.StoppedRow,
    "failures": schema.FailureRow,
    "rankings": schema.RankingRow,
    "arithmetics": schema.DecisionRow,
}
# Rows of a table that contradict the runs that have ended.
_CONTRADICTIONS = {
    "failures": ("IN", "it has both ended and failed"),
    "claims": ("IN", "a sweep leases it, but it has ended"),
    "rankings": ("NOT IN", "it has a ranking, but is not recorded"),
}


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

    def add(self, faults: Iterable[str], run: object = "") -> None:
        """Add faults of a run, or of the whole file."""
        self.faults += [Fault(str(run), words.removesuffix(".")) for words in faults]

    def lines(self) -> list[str]:
        """One line for a whole file, else one for each of its first faults."""
        if not self.faults:
            facts = [f"{name.replace('_', ' ')} {value}" for name, value in self.facts.items()]
            return [printed(", ".join([f"{self.path}: whole", *facts]))]
        lines = []
        for run, words in self.faults[:MOST_LINES]:
            place = "" if str(self.path) in words else f"{self.path}: "
            lines.append(printed(f"{place}run {run}: {words}" if run else f"{place}{words}"))
        if more := len(self.faults) - len(lines):
            lines.append(printed(f"{self.path}: {count(more, 'more fault')}"))
        return lines

    def as_json(self) -> dict[str, Any]:
        """Facts and all faults as plain values."""
        faults = [fault._asdict() for fault in self.faults]
        return {"path": str(self.path), "whole": not faults, **self.facts, "faults": faults}


@dataclass(frozen=True)
class Recorded:
    """Rankings and hashed results in the checked stores, by run id."""

    rankings: dict[str, schema.Ranking] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)


def own_files(folder: Path) -> list[Path]:
    """The user's own store and tables in `hpstudy.workspace.runs_folder`.

    Raises
    ------
    HpstudyError
        If there are none.
    """
    paths = [*folder.glob(f"store{STORE}"), *sorted(folder.glob(f"book/results/*{TABLE}"))]
    if not paths:
        raise HpstudyError(f"there is no store and no table in {folder}; name one to check")
    return paths


def check_files(paths: Iterable[Path]) -> list[Findings]:
    """Check stores (.sqlite) and published tables (.csv); no file is changed.

    Rows and channels of the tables are compared with the stores among the files.

    Raises
    ------
    HpstudyError
        If a file is not there, or is neither a store nor a table.
    """
    paths = list(paths)
    for path in paths:
        if path.suffix not in (STORE, TABLE):
            raise HpstudyError(f"{path} is neither a store ({STORE}) nor a table ({TABLE})")
        if not path.is_file():
            raise HpstudyError(f"there is no file {path}")
    recorded = Recorded() if any(path.suffix == STORE for path in paths) else None
    findings = {}
    for path in sorted(paths, key=lambda path: path.suffix == TABLE):
        try:
            if path.suffix == TABLE:
                findings[path] = check_table(path, recorded).findings
            else:
                findings[path] = _check_store(path, recorded or Recorded())
        except HpstudyError as error:
            findings[path] = Findings(path)
            findings[path].add([str(error)])
    return [findings[path] for path in paths]


def _validated(shape: type[Row], values: Mapping[str, Any]) -> tuple[list[str], Row | None]:
    """Faults of a row, and the row if it has none."""
    try:
        return [], shape.model_validate(values)
    except ValidationError as error:
        return schema.reasons(error), None


def _hash(row: Mapping[str, Any]) -> int:
    return hash(tuple(row[name] for name in RESULT_COLUMNS))


def _check_store(path: Path, recorded: Recorded) -> Findings:
    """Check one moment of a store, also while sweeps write to it; `recorded` takes up its runs."""
    findings = Findings(path)
    numbers, networks, specs = Counter[str](), set[Built](), dict[str, RunSpec]()
    with reading(path) as database:
        # Bytes that are no text any more show as an id that does not fit.
        database.text_factory = lambda value: value.decode("utf-8", "replace")
        database.row_factory = sqlite3.Row
        version = schema_of(database, path)
        if not version:
            raise HpstudyError(f"{path} is no store, for it has no tables")

        def select(query: str, failure: str) -> Iterator[dict[str, Any]]:
            try:
                yield from map(dict, database.execute(query))
            except sqlite3.Error as error:
                findings.add([f"{failure}: {error}"])

        damaged = "SQLite finds it damaged"
        for (words,) in map(dict.values, select("PRAGMA integrity_check", damaged)):
            if words != "ok":
                findings.add([f"{damaged}: {' '.join(words.split())}"])
        tables = {row["name"] for row in select("SELECT name FROM sqlite_master", damaged)}
        for table in [name for name in _SHAPES if name in tables]:
            for row in select(f"SELECT * FROM {table}", f"the table {table} cannot be read"):
                numbers[table] += 1
                run_id = row.get("run_id", "")
                faults, valid = _validated(_SHAPES[table], row)
                if table == "runs":
                    recorded.results[run_id] = _hash(row)
                if isinstance(valid, schema.RunRow):
                    specs[run_id] = valid.spec
                    faults += size_faults(valid, known_classes(valid.spec.data.name), networks)
                if isinstance(valid, schema.RankingRow) and run_id in specs:
                    faults += ranking_faults(specs[run_id], valid)
                    recorded.rankings[run_id] = valid
                findings.add(faults, run_id)
        for table in [name for name in _CONTRADICTIONS if name in tables]:
            where, words = _CONTRADICTIONS[table]
            query = f"SELECT run_id FROM {table} WHERE run_id {where} (SELECT run_id FROM runs)"
            for row in select(query, f"{table} and runs cannot be compared"):
                findings.add([words], row["run_id"])
    findings.facts = {"schema": version}
    if version < VERSION:
        findings.facts["note"] = "will be migrated when it is next used"
    findings.facts |= {
        "runs": numbers["runs"],
        "stopped": numbers["stopped"],
        "failed": numbers["failures"],
        "rankings": numbers["rankings"],
        "networks_rebuilt": len(networks),
    }
    return findings


@dataclass(frozen=True)
class CheckedTable:
    """A published table with what is wrong; `rows` hold None where there is no number."""

    findings: Findings
    record: schema.StudyRecord
    rows: list[dict[str, Any]]

    @property
    def identified(self) -> bool:
        """Whether the record identifies the images: older ones lack the hash of a folder."""
        images, data = self.record.images, self.record.study.data
        return images.fingerprint is not None or known_classes(data.name) is not None

    def spec(self, row: Mapping[str, Any]) -> RunSpec:
        """Run of a row."""
        setting = {name: row[name] for name in ("lr", "weight_decay", "seed")}
        return self.record.run_spec(row["variant"], **setting)


def check_table(path: Path, recorded: Recorded | None = None) -> CheckedTable:
    """Check a published table and its record.

    Parameters
    ----------
    path : Path
        CSV file, with the record beside it.
    recorded : Recorded, optional
        What stores have of its runs.

    Raises
    ------
    HpstudyError
        If the table or its record is not there, or cannot be read.
    """
    table = read_published(path)
    if tuple(table.columns) != TABLE_COLUMNS:
        raise HpstudyError(
            f"{path} has the columns {listed(table.columns)} instead of {listed(TABLE_COLUMNS)}"
        )
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    findings, record = Findings(path), schema.read_study_record(path)
    checked, networks = CheckedTable(findings, record, rows), set[Built]()
    if record.study.name != path.stem:
        findings.add([f"its record is that of the study {record.study.name}"])
    for line, row in enumerate(rows, start=2):
        faults = _row_faults(checked, row, networks)
        findings.add([f"line {line}: {words}" for words in faults], row["run_id"])
    for variant in record.certificates.keys() - {DENSE}:
        for words in certificate_faults(record, variant, recorded.rankings if recorded else {}):
            findings.add([f"the certificate of {variant} {words}"])
    for words in record.count_faults(rows):
        findings.add([words])
    for run_id, times in Counter(row["run_id"] for row in rows).items():
        if times > 1:
            findings.add([f"it has {times} rows"], run_id)
        if run_id in record.record.failed:
            findings.add(["its record says that it failed, but it has a row"], run_id)
    findings.facts = {
        "rows": len(rows),
        "stopped": int(table["stopped"].sum()),
        "missing": sum(record.record.missing.values()),
        "networks_rebuilt": len(networks),
    }
    if recorded:
        whole = {row["run_id"]: _hash(row) for row in rows if not row["stopped"]}
        for run_id in whole.keys() & recorded.results.keys():
            if recorded.results[run_id] != whole[run_id]:
                findings.add(["its results differ from the store's"], run_id)
        if lost := whole.keys() - recorded.results.keys():
            findings.facts["in_no_store"] = len(lost)
    findings.facts["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not checked.identified:
        data = record.study.data.name
        findings.facts["note"] = f"ids unchecked, as its record has no fingerprint of {data}"
    return checked


def _row_faults(checked: CheckedTable, row: Mapping[str, Any], networks: set[Built]) -> list[str]:
    record, variant = checked.record, row["variant"]
    study, certificate = record.study, record.certificates.get(variant)
    if variant not in study.variants:
        return [f"variant is {shown(variant)}, but must be one of {listed(study.variants)}"]
    if variant != DENSE and certificate is None:
        return [f"the record has no certificate of its variant {variant}"]
    spec = checked.spec(row)
    labels = ("study", "model", "dataset", "method", "flops_ratio")
    values = (study.name, study.model, spec.data.name, *parse_variant(variant))
    for name, value in zip(labels, values, strict=True):
        if row[name] != value:
            return [f"{name} is {shown(row[name])}, but must be {shown(value)}"]
    own = {} if checked.identified else {"run_id": spec.run_id}
    faults, valid = _validated(schema.RunRow, {**row, "spec": spec.model_dump_json(), **own})
    classes = certificate.classes if certificate else known_classes(study.data.name)
    return faults + list(size_faults(valid, classes, networks)) if valid else faults
