"""Whether stores and published tables are whole: ids, values and networks are computed again."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.errors import HpstudyError, count, listed, printed, shown
from hpstudy.storage import schema
from hpstudy.storage.database import RESULT_COLUMNS, VERSION, reading, schema_of, tables_of
from hpstudy.storage.tables import TABLE_COLUMNS, read_published

if TYPE_CHECKING:
    from hpstudy.networks.dependency import PrunableNetwork

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
# Runs of a table that contradict the runs that have ended.
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

    def fault(self, words: str, run: object = "") -> None:
        """Add a fault of a run, or of the whole file."""
        self.faults.append(Fault(str(run), words.removesuffix(".")))

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
    stores = [path for path in paths if path.suffix == STORE]
    recorded = Recorded() if stores else None
    findings = {path: check_store(path, recorded or Recorded()) for path in stores}
    for path in paths:
        if path.suffix == TABLE:
            before = _changed(path)
            findings[path] = _table_findings(path, recorded)
            if findings[path].faults and _changed(path) != before:
                # A sweep has published between the reading of the table and of the record.
                findings[path] = _table_findings(path, recorded)
    return [findings[path] for path in paths]


def _changed(path: Path) -> list[int]:
    files = (path, path.with_suffix(".json"))
    return [file.stat().st_mtime_ns for file in files if file.is_file()]


def _table_findings(path: Path, recorded: Recorded | None) -> Findings:
    try:
        return check_table(path, recorded).findings
    except HpstudyError as error:
        findings = Findings(path)
        findings.fault(str(error))
        return findings


def check_store(path: Path, recorded: Recorded) -> Findings:
    """Check a store and change nothing in it, also while sweeps write to it.

    Parameters
    ----------
    path : Path
    recorded : Recorded
        Takes up what the store has.
    """
    findings = Findings(path)
    try:
        with reading(path) as database:
            # Bytes that are no text any more show as an id that does not fit.
            database.text_factory = lambda value: value.decode("utf-8", "replace")
            database.row_factory = sqlite3.Row
            version = schema_of(database, path)
            if not version:
                raise HpstudyError(f"{path} is no store, for it has no tables")
            findings.facts["schema"] = version
            if version < VERSION:
                findings.facts["note"] = "will be migrated when it is next used"
            _check_rows(database, version, findings, recorded)
    except HpstudyError as error:
        findings.fault(str(error))
    return findings


def _check_rows(
    database: sqlite3.Connection, version: int, findings: Findings, recorded: Recorded
) -> None:
    def select(query: str, failure: str) -> Iterator[dict[str, Any]]:
        try:
            yield from map(dict, database.execute(query))
        except sqlite3.Error as error:
            findings.fault(f"{failure}: {error}")

    damaged = "SQLite finds it damaged"
    for (words,) in map(dict.values, select("PRAGMA integrity_check", damaged)):
        if words != "ok":
            findings.fault(f"{damaged}: {' '.join(words.split())}")
    numbers, networks, specs = Counter[str](), set[_Built](), dict[str, RunSpec]()
    for table, shape in _SHAPES.items():
        if table not in tables_of(version):
            continue
        for row in select(f"SELECT * FROM {table}", f"the table {table} cannot be read"):
            numbers[table] += 1
            run_id = row.get("run_id", "")
            faults, valid = _validated(shape, row)
            if table == "runs":
                recorded.results[run_id] = _hash(row)
            if isinstance(valid, schema.RunRow):
                specs[run_id] = valid.spec
                faults += _size_faults(valid, _known_classes(valid.spec.data.name), networks)
            if isinstance(valid, schema.RankingRow):
                recorded.rankings[run_id] = valid
                if run_id in specs:
                    faults += _ranking_faults(specs[run_id], valid.scores)
            for words in faults:
                findings.fault(words, run_id)
    for table, (where, words) in _CONTRADICTIONS.items():
        if table in tables_of(version):
            query = f"SELECT run_id FROM {table} WHERE run_id {where} (SELECT run_id FROM runs)"
            for row in select(query, f"{table} and runs cannot be compared"):
                findings.fault(words, row["run_id"])
    findings.facts |= {
        "runs": numbers["runs"],
        "stopped": numbers["stopped"],
        "failed": numbers["failures"],
        "rankings": numbers["rankings"],
        "networks_rebuilt": len(networks),
    }


def _validated(shape: type[Row], values: Mapping[str, Any]) -> tuple[list[str], Row | None]:
    """Faults of a row, and the row where it has none."""
    try:
        return [], shape.model_validate(values)
    except ValidationError as error:
        return schema.reasons(error), None


def _hash(row: Mapping[str, Any]) -> int:
    return hash(tuple(row[name] for name in RESULT_COLUMNS))


# --- networks -------------------------------------------------------------------------------------

# Model, number of classes, image size, and width of each pruned layer.
_Built = tuple[str, int, int, tuple[tuple[str, int], ...]]


def _known_classes(data: str) -> int | None:
    """Number of classes of a data set whose name fixes its content; None for others."""
    from hpstudy.training.datasets import KNOWN

    return KNOWN[data][0] if data in KNOWN else None


@cache
def _network(model: str, classes: int, image_size: int) -> "PrunableNetwork":
    from hpstudy.networks.dependency import PrunableNetwork

    return PrunableNetwork(model, classes, image_size)


@cache
def _size(built: _Built) -> tuple[int, int]:
    """Multiply-accumulates and parameters of a network, counted on the layers of a new one."""
    from hpstudy.networks.flops import output_positions
    from hpstudy.networks.models import zeros

    *dense, widths = built
    module = _network(*dense).at_widths(dict(widths))
    positions = output_positions(module, zeros(built[2]))
    macs = sum(
        number * module.get_parameter(f"{name}.weight").numel()
        for name, number in positions.items()
    )
    return macs, sum(parameter.numel() for parameter in module.parameters())


def _size_faults(row: schema.RunRow, classes: int | None, networks: set[_Built]) -> list[str]:
    """Sizes of a run that its network has not, where the number of classes is known."""
    if classes is None:
        return []
    spec = row.spec
    built = spec.model, classes, spec.data.image_size, tuple((spec.widths or {}).items())
    networks.add(built)
    return [
        f"{name} is {own}, but its network has {size}"
        for name, own, size in zip(
            ("macs", "params"), (row.macs, row.params), _size(built), strict=True
        )
        if own != size
    ]


def _ranking_faults(spec: RunSpec, scores: Mapping[str, list[float]]) -> list[str]:
    """Layers of a ranking that have not one score a filter."""
    classes = _known_classes(spec.data.name) or 10
    widths = _network(spec.model, classes, spec.data.image_size).cost.widths
    return [
        f"its ranking has {count(len(scores.get(layer, ())), 'score')} for the "
        f"{count(widths.get(layer, 0), 'filter')} of {layer}"
        for layer in {**widths, **scores}
        if len(scores.get(layer, ())) != widths.get(layer)
    ]


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckedTable:
    """A published table with what was found wrong; `rows` hold None where there is no number."""

    findings: Findings
    record: schema.StudyRecord
    rows: list[dict[str, Any]]

    @property
    def identified(self) -> bool:
        """Whether the record identifies the images: older ones lack the hash of a folder."""
        images, data = self.record.images, self.record.study.data
        return images.fingerprint is not None or _known_classes(data.name) is not None

    def spec(self, row: Mapping[str, Any]) -> RunSpec:
        """Run of a row."""
        setting = {name: row[name] for name in ("lr", "weight_decay", "seed")}
        return self.record.run_spec(row["variant"], **setting)


def check_table(path: Path, recorded: Recorded | None = None) -> CheckedTable:
    """Check a published table and its record.

    Parameters
    ----------
    path : Path
        CSV file, beside which the record lies.
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
    checked = CheckedTable(findings, record, rows)
    if record.study.name != path.stem:
        findings.fault(f"its record is that of the study {record.study.name}")
    networks: set[_Built] = set()
    for line, row in enumerate(rows, start=2):
        for words in _row_faults(checked, row, networks):
            findings.fault(f"line {line}: {words}", row["run_id"])
    rankings = recorded.rankings if recorded else {}
    for variant in record.certificates.keys() - {DENSE}:
        for words in _certificate_faults(checked, variant, rankings):
            findings.fault(f"the certificate of {variant} {words}")
    for words, run_id in _count_faults(checked):
        findings.fault(words, run_id)
    findings.facts |= {
        "rows": len(rows),
        "stopped": int(table["stopped"].sum()),
        "missing": sum(record.record.missing.values()),
        "networks_rebuilt": len(networks),
    }
    if recorded:
        whole = {row["run_id"]: row for row in rows if not row["stopped"]}
        for run_id in whole.keys() & recorded.results.keys():
            if recorded.results[run_id] != _hash(whole[run_id]):
                findings.fault("its results differ from the store's", run_id)
        if lost := whole.keys() - recorded.results.keys():
            findings.facts["in_no_store"] = len(lost)
    findings.facts["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not checked.identified:
        data = record.study.data.name
        findings.facts["note"] = f"ids unchecked, as its record has no fingerprint of {data}"
    return checked


def _row_faults(checked: CheckedTable, row: Mapping[str, Any], networks: set[_Built]) -> list[str]:
    record, variant = checked.record, row["variant"]
    study, certificate = record.study, record.certificates.get(variant)
    if variant not in study.variants:
        return [f"variant is {shown(variant)}, but must be one of {listed(study.variants)}"]
    if variant != DENSE and certificate is None:
        return [f"the record has no certificate of its variant {variant}"]
    method, ratio = parse_variant(variant)
    spec = checked.spec(row)
    labels = {"study": study.name, "model": study.model, "dataset": spec.data.name}
    for name, value in (labels | {"method": method, "flops_ratio": ratio}).items():
        if row[name] != value:
            return [f"{name} is {shown(row[name])}, but must be {shown(value)}"]
    own = {} if checked.identified else {"run_id": spec.run_id}
    faults, valid = _validated(schema.RunRow, {**row, "spec": spec.model_dump_json(), **own})
    classes = certificate.classes if certificate else _known_classes(study.data.name)
    return faults + _size_faults(valid, classes, networks) if valid else faults


def _certificate_faults(
    checked: CheckedTable, variant: str, rankings: Mapping[str, schema.Ranking]
) -> Iterator[str]:
    """What is wrong with a certificate, whose channels are chosen again if a ranking is known."""
    from hpstudy.networks.pruning_report import prune_network

    record, study = checked.record, checked.record.study
    certificate = record.certificates[variant]
    prior = record.run_spec(DENSE).run_id
    dense = study.model, certificate.classes, study.data.image_size
    widths = {layer: len(kept) for layer, kept in certificate.kept.items()}
    macs, params = _size((*dense, tuple(widths.items())))
    expected: dict[str, Any] = {"widths": widths, "macs": macs, "params": params}
    if ranking := rankings.get(prior) or record.ranking:
        method, ratio = parse_variant(variant)
        try:
            report = prune_network(
                _network(*dense),
                ranking.scores,
                method,
                ratio,
                study.criterion,
                ranked=f"dense network trained at the prior, run {prior}",
                weights_sha256=ranking.weights_sha256,
            )
        except HpstudyError as error:
            yield str(error)
            return
        expected = report.model_dump()
    for name, value in expected.items():
        own = getattr(certificate, name, None)
        if own != value:
            yield f"says {name} {shown(own)}, but must say {shown(value)}"


def _count_faults(checked: CheckedTable) -> Iterator[tuple[str, str]]:
    """What the record counts otherwise than the table has it, with a run of it."""
    counts, study, rows = checked.record.record, checked.record.study, checked.rows
    for run_id, times in Counter(row["run_id"] for row in rows).items():
        if times > 1:
            yield f"it has {times} rows", run_id
        if run_id in counts.failed:
            yield "its record says that it failed, but it has a row", run_id
    numbers = {
        "runs": len(rows),
        "stopped": sum(row["stopped"] for row in rows),
        "images": sum(row["epochs"] for row in rows) * checked.record.images.train,
    }
    for name, value in numbers.items():
        if getattr(counts, name) != value:
            yield f"its record says {name} {getattr(counts, name)}, the table {value}", ""
    for variant in study.variants:
        settings = {
            (row["lr"], row["weight_decay"], row["seed"])
            for row in rows
            if row["variant"] == variant and row["seed"] in study.seeds
        }
        sides = [{setting[axis] for setting in settings} for axis in (0, 1)]
        gaps = len(sides[0]) * len(sides[1]) * len(study.seeds) - len(settings)
        if gaps > (missing := counts.missing.get(variant, 0)):
            yield f"{variant} lacks {count(gaps, 'run')}, but its record says {missing}", ""
