"""Whether stores and published tables are whole: ids, values and networks are computed again."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.config.validation import reasons
from hpstudy.errors import HpstudyError, listed, shown
from hpstudy.storage import command_tables, rebuild, schema
from hpstudy.storage.database import RESULT_COLUMNS, VERSION, reading, schema_of
from hpstudy.storage.findings import CheckedCommandTable, CheckedTable, Findings
from hpstudy.storage.tables import TABLE_COLUMNS, read_published

Row = TypeVar("Row", bound=BaseModel)
STORE, TABLE = ".sqlite", ".csv"

# Shapes of the rows of a store, by table.
_SHAPES: dict[str, type[BaseModel]] = {
    "runs": schema.RunRow,
    "stopped": schema.StoppedRow,
    "failures": schema.FailureRow,
    "rankings": schema.RankingRow,
    "arithmetics": schema.DecisionRow,
    "claims": schema.LeaseRow,
}


@dataclass(frozen=True)
class Recorded:
    """Rankings and hashed results in the checked stores, by run id."""

    rankings: dict[str, schema.Ranking] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)


def own_files(folder: Path) -> list[Path]:
    """The user's own store and tables in `hpstudy.workspace.runs_folder`.

    Raises HpstudyError if there are none.
    """
    paths = [*folder.glob(f"store{STORE}"), *sorted(folder.glob(f"*{TABLE}"))]
    paths += sorted(folder.glob(f"book/results/*{TABLE}"))
    if not paths:
        raise HpstudyError(f"there is no store and no table in {folder}; name one to check")
    return paths


def check_files(paths: Iterable[Path]) -> list[Findings]:
    """Check stores (.sqlite) and published tables (.csv); no file is changed.

    Rows and channels of the tables are compared with the stores among the files.

    Raises HpstudyError if a file is not there, or is neither a store nor a table.
    """
    paths = list(paths)
    for path in paths:
        if path.suffix not in (STORE, TABLE):
            raise HpstudyError(f"{path} is neither a store ({STORE}) nor a table ({TABLE})")
        if not path.is_file():
            raise HpstudyError(f"there is no file {path}")
    stores = [path for path in paths if path.suffix == STORE]
    recorded, findings = Recorded(), {}
    for path in [*stores, *(path for path in paths if path.suffix == TABLE)]:
        try:
            if path.suffix == STORE:
                findings[path] = _check_store(path, recorded)
            else:
                findings[path] = check_table(path, recorded if stores else None)
        except HpstudyError as error:
            findings[path] = Findings(path)
            findings[path].add([str(error)])
    return [findings[path] for path in paths]


def _validated(shape: type[Row], values: Mapping[str, Any]) -> tuple[list[str], Row | None]:
    """Faults of a row, and the row if it has none."""
    try:
        return [], shape.model_validate(values)
    except ValidationError as error:
        return reasons(error), None


def _hash(row: Mapping[str, Any]) -> int:
    return hash(tuple(row[name] for name in RESULT_COLUMNS))


def _check_store(path: Path, recorded: Recorded) -> Findings:
    """Check one moment of a store, also while sweeps write to it; `recorded` takes up its runs."""
    findings, specs = Findings(path), dict[str, RunSpec]()
    ids: dict[str, set[str]] = {table: set() for table in _SHAPES}
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
                run_id = row.get("run_id", "")
                ids[table].add(run_id)
                shape = _SHAPES[table]
                if table == "runs" and '"command":' in row["spec"]:
                    shape = schema.CommandRow
                faults, valid = _validated(shape, row)
                if table == "runs":
                    recorded.results[run_id] = _hash(row)
                if isinstance(valid, schema.RunRow):
                    specs[run_id] = valid.spec
                    faults += findings.size_faults(valid)
                if isinstance(valid, schema.RankingRow) and run_id in specs:
                    faults += rebuild.ranking_faults(specs[run_id], valid)
                    recorded.rankings[run_id] = valid
                findings.add(faults, run_id)
    contradictions = {
        "it has both ended and failed": ids["failures"] & ids["runs"],
        "a sweep leases it, but it has ended": ids["claims"] & ids["runs"],
        "it has a ranking, but is not recorded": ids["rankings"] - ids["runs"],
    }
    for words, run_ids in contradictions.items():
        for run_id in sorted(run_ids):
            findings.add([words], run_id)
    findings.facts = {"schema": version}
    if version < VERSION:
        findings.facts["note"] = "will be migrated when it is next used"
    names = {"runs": "runs", "stopped": "stopped", "failed": "failures", "rankings": "rankings"}
    findings.facts |= {name: len(ids[table]) for name, table in names.items()}
    findings.note_networks()
    return findings


def check_table(path: Path, recorded: Recorded | None = None) -> CheckedTable | CheckedCommandTable:
    """Check a published table and the record beside it; `recorded` is what stores have of its runs.

    Raises HpstudyError if the table or its record is not there, or cannot be read.
    """
    if command_tables.is_command_table(path):
        return _check_command_table(path, recorded)
    frame = read_published(path)
    if tuple(frame.columns) != TABLE_COLUMNS:
        raise HpstudyError(
            f"{path} has the columns {listed(frame.columns)} instead of {listed(TABLE_COLUMNS)}"
        )
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    table = CheckedTable(path, record=schema.read_study_record(path), rows=rows)
    study, record = table.record.study, table.record.record
    rankings = recorded.rankings if recorded else {}
    if study.name != path.stem:
        table.add([f"its record is that of the study {study.name}"])
    for line, row in enumerate(rows, start=2):
        table.add([f"line {line}: {words}" for words in _row_faults(table, row)], row["run_id"])
    for variant in table.record.certificates.keys() - {DENSE}:
        faults = rebuild.certificate_faults(table.record, variant, rankings)
        table.add(f"the certificate of {variant} {words}" for words in faults)
    table.add(table.record.count_faults(rows))
    table.facts = {
        "rows": len(rows),
        "stopped": int(frame["stopped"].sum()),
        "missing": sum(record.missing.values()),
    }
    table.note_networks()
    _compare(table, recorded)
    if not table.identified:
        words = "ids unchecked, as its record has no fingerprint of"
        table.facts["note"] = f"{words} {study.data.name}"
    return table


def _check_command_table(path: Path, recorded: Recorded | None) -> CheckedCommandTable:
    record = command_tables.read_command_record(path)
    rows = command_tables.read_command_rows(path, record.study)
    table = CheckedCommandTable(path, record=record, rows=rows)
    if record.study.name != path.stem:
        table.add([f"its record is that of the study {record.study.name}"])
    for line, row in enumerate(rows, start=2):
        faults = command_tables.row_faults(record, row)
        table.add([f"line {line}: {words}" for words in faults], row["run_id"])
    if record.record.runs != len(rows):
        table.add([f"its record says runs {record.record.runs}, the table {len(rows)}"])
    table.facts = {"rows": len(rows), "missing": sum(record.record.missing.values())}
    _compare(table, recorded)
    return table


def _compare(table: CheckedTable | CheckedCommandTable, recorded: Recorded | None) -> None:
    """Compare the rows of a table with each other, its record, and what stores have of them."""
    rows, failed = table.rows, table.record.record.failed
    for run_id, times in Counter(row["run_id"] for row in rows).items():
        if times > 1:
            table.add([f"it has {times} rows"], run_id)
        if run_id in failed:
            table.add(["its record says that it failed, but it has a row"], run_id)
    if recorded:
        whole = {row["run_id"]: _hash(row) for row in rows if not row["stopped"]}
        for run_id in whole.keys() & recorded.results.keys():
            if recorded.results[run_id] != whole[run_id]:
                table.add(["its results differ from the store's"], run_id)
        if lost := whole.keys() - recorded.results.keys():
            table.facts["in_no_store"] = len(lost)
    table.facts["sha256"] = hashlib.sha256(table.path.read_bytes()).hexdigest()


def _row_faults(table: CheckedTable, row: Mapping[str, Any]) -> list[str]:
    study, variant = table.record.study, row["variant"]
    certificate = table.record.certificates.get(variant)
    if variant not in study.variants:
        return [f"variant is {shown(variant)}, but must be one of {listed(study.variants)}"]
    if variant != DENSE and certificate is None:
        return [f"the record has no certificate of its variant {variant}"]
    spec = table.spec(row)
    labels = ("study", "model", "dataset", "method", "flops_ratio")
    values = (study.name, study.model, spec.data.name, *parse_variant(variant))
    for name, value in zip(labels, values, strict=True):
        if row[name] != value:
            return [f"{name} is {shown(row[name])}, but must be {shown(value)}"]
    own = {} if table.identified else {"run_id": spec.run_id}
    faults, valid = _validated(schema.RunRow, {**row, "spec": spec.model_dump_json(), **own})
    classes = certificate.classes if certificate else None
    return faults + list(table.size_faults(valid, classes)) if valid else faults
