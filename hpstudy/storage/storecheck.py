"""Whether a store is whole: its file, its tables, and every run in them."""

import json
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import ARITHMETICS
from hpstudy.errors import HpstudyError, shown
from hpstudy.networks.models import MODELS
from hpstudy.storage.database import RESULT_COLUMNS, VERSION, reading, schema_of, tables_of
from hpstudy.storage.findings import Findings, reasons
from hpstudy.storage.netcheck import Runs, check_ranking
from hpstudy.storage.rowcheck import row_faults, verdict_faults


class Recorded(NamedTuple):
    """What a store has that published tables can be compared with.

    Attributes
    ----------
    rankings : dict of str to dict
        `weights_sha256` and `scores` by run id; none that are faulty.
    rows : dict of str to int
        Of every run that was trained to the end, the hash of its results (`hash_of`).
    """

    rankings: dict[str, dict[str, Any]]
    rows: dict[str, int]


def hash_of(row: dict[str, Any]) -> int:
    """Hash of the results of a run, within this process."""
    return hash(tuple(row[name] for name in RESULT_COLUMNS))


def check_store(path: Path, recorded: Recorded) -> Findings:
    """Check a store and change nothing in it, also while sweeps write to it.

    Parameters
    ----------
    path : Path
    recorded : Recorded
        To which what the store has is added.
    """
    findings = Findings(path)
    try:
        with reading(path) as database:
            # What is no text any more shows as a hash that does not fit.
            database.text_factory = lambda value: value.decode("utf-8", "replace")
            version = schema_of(database, path)
            if not version:
                raise HpstudyError(f"{path} is no store, for it has no tables")
            _Check(findings, recorded).check(database, version)
    except HpstudyError as error:
        findings.fault(str(error))
    return findings


class _Check:
    """One pass over a store, all of one moment."""

    def __init__(self, findings: Findings, recorded: Recorded):
        self.findings, self.recorded = findings, recorded
        self._kinds: dict[str, Runs | None] = {}

    def check(self, database: sqlite3.Connection, version: int) -> None:
        """Check the file, its tables, and what they say of each other."""
        findings = self.findings
        findings.facts["schema"] = version
        if version < VERSION:
            findings.facts["note"] = "will be migrated when it is next used"
        self._check_file(database)
        whole = self._check_runs(database, "runs")
        stopped = self._check_runs(database, "stopped")
        failed: dict[Any, Runs | None] = {}
        for run_id, spec, reason in self._rows(database, version, "failures", "spec", "reason"):
            failed[run_id] = self._place(run_id, spec)
            if not isinstance(reason, str) or not reason:
                findings.fault(f"it failed for the reason {shown(reason)}", run_id)
            if run_id in whole:
                findings.fault("it has both ended and failed", run_id)
        for run_id, sweep in self._rows(database, version, "claims", "sweep"):
            if run_id in whole or run_id in failed:
                findings.fault(f"the sweep {shown(sweep)} claims it, but it is recorded", run_id)
        rankings = self._check_rankings(database, whole)
        built = set()
        for runs in filter(None, self._kinds.values()):
            runs.check_ids(findings)
            built.add(runs.check_sizes(findings))
        for family, arithmetic in database.execute("SELECT family, arithmetic FROM arithmetics"):
            if arithmetic not in ARITHMETICS:
                findings.fault(f"the studies {family} have the arithmetic {shown(arithmetic)}")
        findings.facts |= {
            "runs": len(whole),
            "stopped": len(stopped),
            "failed": len(failed),
            "rankings": rankings,
            "networks_rebuilt": len(built - {None}),
        }

    def _check_file(self, database: sqlite3.Connection) -> None:
        try:
            said = [words for (words,) in database.execute("PRAGMA integrity_check")]
        except sqlite3.Error as error:
            said = [str(error)]
        for words in said:
            if words != "ok":
                self.findings.fault(f"SQLite finds it damaged: {' '.join(words.split())}")

    def _rows(
        self, database: sqlite3.Connection, version: int, table: str, *columns: str
    ) -> Iterator[tuple]:
        """Run id and other columns of a table, as far as it can be read."""
        if table not in tables_of(version):
            return
        try:
            yield from database.execute(f"SELECT run_id, {', '.join(columns)} FROM {table}")
        except sqlite3.Error as error:
            self.findings.fault(f"the table {table} cannot be read: {error}")

    def _check_runs(self, database: sqlite3.Connection, table: str) -> dict[Any, tuple]:
        """Check every run of a table; its runs of one kind, and whether it diverged, by its id."""
        early = table == "stopped"
        columns = (*RESULT_COLUMNS, *("threshold", "verdict") * early)
        found = {}
        for run_id, spec, *values in self._rows(database, 2, table, "spec", *columns):
            row = dict(zip(columns, values, strict=True))
            runs = self._place(run_id, spec, (row["macs"], row["params"]))
            found[run_id] = runs, row["diverged"]
            if not early:
                self.recorded.rows[run_id] = hash_of(row)
            if runs is None:
                continue
            faults = row_faults(row, runs.spec.recipe.epochs, early)
            if early:
                faults += verdict_faults(row["threshold"], row["verdict"])
            for words in faults:
                self.findings.fault(words, run_id)
        return found

    def _place(self, run_id: Any, text: Any, size: tuple | None = None) -> Runs | None:
        """Put a run to those of its kind, if its specification is one."""
        try:
            fields = json.loads(text)
            lr, weight_decay, seed = (fields.pop(name) for name in ("lr", "weight_decay", "seed"))
            for value, fits in ((lr, lr > 0), (weight_decay, weight_decay >= 0)):
                if not (isinstance(value, float | int) and fits and value < math.inf):
                    raise ValueError(value)
            if type(seed) is not int:
                raise ValueError(seed)
        except (TypeError, ValueError, KeyError, AttributeError):
            self.findings.fault("its specification cannot be read", run_id)
            return None
        kind = json.dumps(fields, sort_keys=True)
        if kind not in self._kinds:
            self._kinds[kind] = self._kind(run_id, fields)
        if runs := self._kinds[kind]:
            runs.add(run_id, (lr, weight_decay, seed), size)
        return runs

    def _kind(self, run_id: Any, fields: dict[str, Any]) -> Runs | None:
        try:
            spec = RunSpec(**fields, lr=1.0, weight_decay=1.0, seed=0)
        except (ValidationError, TypeError) as error:
            said = reasons(error) if isinstance(error, ValidationError) else str(error)
            self.findings.fault(f"its specification is none: {said}", run_id)
            return None
        for what, value, valid in (
            ("model", spec.model, MODELS),
            ("arithmetic", spec.arithmetic, ARITHMETICS),
        ):
            if value not in valid:
                self.findings.fault(f"its {what} is {shown(value)}, which is none", run_id)
                return None
        return Runs(spec)

    def _check_rankings(self, database: sqlite3.Connection, whole: dict[Any, tuple]) -> int:
        count = 0
        for run_id, sha256, scores in self._rows(
            database, 2, "rankings", "weights_sha256", "scores"
        ):
            count += 1
            try:
                ranking = {"weights_sha256": sha256, "scores": json.loads(scores)}
            except (TypeError, ValueError):
                self.findings.fault("the scores of its ranking cannot be read", run_id)
                continue
            runs, diverged = whole.get(run_id, (None, False))
            if run_id in whole and runs is None:
                continue  # its specification has been found faulty
            before = len(self.findings.faults)
            check_ranking(self.findings, run_id, runs, diverged, ranking)
            if len(self.findings.faults) == before:
                self.recorded.rankings[run_id] = ranking
        return count
