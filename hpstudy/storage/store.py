"""The runs table: a SQLite file that takes up finished runs, and from which tables are made."""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.storage.database import RESULT_COLUMNS, Database
from hpstudy.storage.findings import CheckedTable
from hpstudy.storage.integrity import check_table
from hpstudy.storage.tables import SETTING, TABLE_COLUMNS
from hpstudy.training.state import RunOutcome

Spec = RunSpec | CommandSpec
"""A run that hpstudy trains, or that a command does."""


class Store(Database):
    """Finished runs, keyed by the hash of everything that can change their numbers."""

    def checkpoint(self, run_id: str) -> Path:
        """File for the state of a long training."""
        return self.path.parent / "checkpoints" / f"{run_id}.pt"

    def record(self, runs: Iterable[tuple[Spec, RunOutcome]]) -> None:
        """Record runs with their outcomes, all in one transaction; recorded runs do not change."""
        with self.transaction(write=True) as database:
            for spec, (row, ranking) in runs:
                _forget(database, "claims", spec.run_id)
                _insert(database, spec, row)
                _forget(database, "failures", spec.run_id)
                if ranking is not None:
                    database.execute(
                        "INSERT OR IGNORE INTO rankings VALUES (?, ?, ?)",
                        (spec.run_id, ranking["weights_sha256"], json.dumps(ranking["scores"])),
                    )

    def fail(self, spec: Spec, reason: str) -> None:
        """Record why a run failed; it is not trained again unless forgiven."""
        with self.transaction(write=True) as database:
            _forget(database, "claims", spec.run_id)
            database.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)",
                (spec.run_id, spec.model_dump_json(by_alias=True), reason),
            )

    def failures(self) -> dict[str, str]:
        """Reasons of failed runs that have not been trained since, by run id."""
        return dict(self.select("SELECT run_id, reason FROM failures"))

    def forgive(self, run_ids: Iterable[str]) -> None:
        """Forget that runs failed, so that they are trained again."""
        with self.transaction(write=True) as database:
            for run_id in run_ids:
                _forget(database, "failures", run_id)

    def recorded(self) -> set[str]:
        """Ids of all runs that were trained to the end."""
        return set(self.accuracies())

    def accuracies(self) -> dict[str, float]:
        """Top-1 accuracy in percent, or the metric, of each run that ended; NaN without one."""
        rows = self.select("SELECT run_id, top1 FROM runs")
        return {run_id: math.nan if value is None else value for run_id, value in rows}

    def ranking(self, spec: RunSpec) -> dict[str, Any] | None:
        """Filter scores kept with a run: `scores` and `weights_sha256`; None if there are none."""
        query = "SELECT weights_sha256, scores FROM rankings WHERE run_id = ?"
        for sha256, scores in self.select(query, spec.run_id):
            return {"weights_sha256": sha256, "scores": self._decoded(scores)}
        return None

    def precision(self, family: str) -> str | None:
        """Precision decided for the runs of a study (`RunSpec.family`); None if undecided."""
        rows = self.select("SELECT arithmetic FROM arithmetics WHERE family = ?", family)
        return rows[0][0] if rows else None

    def decide_precision(self, family: str, precision: str) -> str:
        """Record the precision of a study's runs and return it; an earlier decision stays."""
        with self.transaction(write=True) as database:
            database.execute("INSERT OR IGNORE INTO arithmetics VALUES (?, ?)", (family, precision))
        return self.precision(family) or precision

    def frame(self, runs: Iterable[tuple[Mapping[str, Any], Spec]]) -> pd.DataFrame:
        """Recorded rows of `runs`, sorted as published.

        Parameters
        ----------
        runs : iterable of (labels, RunSpec)
            `labels` are study, variant, method and flops_ratio, which are no part of the run id.

        Returns
        -------
        DataFrame with the columns TABLE_COLUMNS
            Sorted by the order of the variants, then lr, weight_decay and seed. No run is
            `stopped`: the column is that of earlier tables.
        """
        columns = ("run_id", *RESULT_COLUMNS)
        results = {row[0]: row for row in self.select(f"SELECT {', '.join(columns)} FROM runs")}
        rows: list[dict[str, Any]] = []
        order: dict[str, int] = {}
        for labels, spec in runs:
            if (run_id := spec.run_id) not in results:
                continue
            order.setdefault(labels["variant"], len(order))
            row = dict(zip(columns, results[run_id], strict=True))
            row |= {**labels, **spec.labels}
            row |= {name: getattr(spec, name) for name in SETTING}
            rows.append(row | {"diverged": bool(row["diverged"]), "stopped": False})
        rows.sort(key=lambda row: (order[row["variant"]], *(row[name] for name in SETTING)))
        return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))

    def _decoded(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            raise HpstudyError(f"{self.path} is damaged: a run in it cannot be read") from None


def _insert(database: sqlite3.Connection, spec: Spec, result: Mapping[str, Any]) -> None:
    row = {name: result[name] for name in RESULT_COLUMNS}
    row |= {"curve": json.dumps(row["curve"]), "diverged": int(row["diverged"])}
    values = (spec.run_id, spec.model_dump_json(by_alias=True), *row.values())
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT OR IGNORE INTO runs VALUES ({places})", values)


def _forget(database: sqlite3.Connection, table: str, run_id: str) -> None:
    database.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))


def restore(path: Path, store: Store) -> dict[str, Any]:
    """Put the runs of a published table into a store, so that a sweep goes on from them.

    Only a whole table is restored (`hpstudy.storage.integrity`). Runs that were stopped early are
    left out, since they have no result. Where the record has no ranking of filters, the next sweep
    trains the dense network at the prior once more.

    Returns
    -------
    dict
        `table`; numbers of `runs` put into the store, of `known` runs that stay as they were, and
        of runs `left_out`.

    Raises
    ------
    HpstudyError
        If the table or its record is not there or not whole, or does not identify its images.
    """
    if not path.is_file():
        raise HpstudyError(f"there is no table {path}")
    table = check_table(path)
    if faults := table.faults:
        more = f" (and {count(len(faults) - 1, 'more fault')})" if len(faults) > 1 else ""
        raise HpstudyError(f"{table.lines()[0]}{more}; only a table that is whole is restored")
    rows = [row for row in table.rows if not row["stopped"]]
    known = store.recorded() & {row["run_id"] for row in rows}
    rankings = {}
    if isinstance(table, CheckedTable):
        if not table.identified:
            raise HpstudyError(f"{path} cannot be restored: {table.facts['note']}")
        record = table.record
        prior = record.run_spec(DENSE)
        # A study that leaves its precision open goes on with that of the table.
        store.decide_precision(prior.family, record.record.arithmetic)
        if record.ranking:
            rankings[prior.run_id] = record.ranking.model_dump()
    runs = []
    for row in rows:
        result, ranking = row | {"curve": json.loads(row["curve"])}, rankings.get(row["run_id"])
        runs.append((table.spec(row), RunOutcome(result, ranking)))
    store.record(runs)
    return {
        "table": str(path),
        "runs": len(rows) - len(known),
        "known": len(known),
        "left_out": len(table.rows) - len(rows),
    }
