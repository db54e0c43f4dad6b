"""The runs table: a SQLite file to which finished runs are added, and from which tables come."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.storage.database import RESULT_COLUMNS, Database
from hpstudy.storage.integrity import check_table
from hpstudy.storage.tables import TABLE_COLUMNS
from hpstudy.training.state import RunOutcome


class Store:
    """Finished runs, keyed by the hash of everything that can change their numbers."""

    def __init__(self, database: Database):
        self.path, self.database = database.path, database

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """Open the store in a SQLite file; make the file and its folder if absent.

        Raises
        ------
        HpstudyError
            If the file is no SQLite database, cannot be opened, belongs to another program, or was
            written under a schema that this version does not know.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HpstudyError(f"{path} cannot be used as a store: {error}") from None
        return cls(Database.open(path))

    def checkpoint(self, run_id: str) -> Path:
        """Where a long training is kept while it goes on."""
        return self.path.parent / "checkpoints" / f"{run_id}.pt"

    def record(
        self, runs: Iterable[tuple[RunSpec, RunOutcome]], threshold: float | None = None
    ) -> None:
        """Record runs with what they came to, all in one transaction.

        Of one that was stopped early the accuracies are those of an unfinished network, which no
        analysis may take for a result: they stay in its curve and are not kept besides. Nor had
        it diverged, which only its end would have shown.

        Parameters
        ----------
        runs : iterable of (RunSpec, RunOutcome)
            One that is there already stays as it was.
        threshold : float, optional
            Of the region of interest that runs were raced to, in percentage points.
        """
        unknown = ("top1", "top5", "loss", "best_top1", "best_epoch", "train_loss")
        with self.database.transaction(write=True) as database:
            for spec, (row, ranking, verdict) in runs:
                _forget(database, "claims", spec.run_id)
                if verdict is not None:
                    row = {**row, **dict.fromkeys(unknown), "diverged": False}
                    said = json.dumps(verdict._asdict())
                    _insert(database, "stopped", spec, row, threshold, said)
                    continue
                _insert(database, "runs", spec, row)
                _forget(database, "failures", spec.run_id)
                if ranking is not None:
                    database.execute(
                        "INSERT OR IGNORE INTO rankings VALUES (?, ?, ?)",
                        (spec.run_id, ranking["weights_sha256"], json.dumps(ranking["scores"])),
                    )

    def fail(self, spec: RunSpec, reason: str) -> None:
        """Record that a run came to nothing, and why; it is not trained again unless forgiven."""
        with self.database.transaction(write=True) as database:
            _forget(database, "claims", spec.run_id)
            database.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)",
                (spec.run_id, spec.model_dump_json(), reason),
            )

    def failures(self) -> dict[str, str]:
        """Why runs came to nothing that have not been trained since, by their ids."""
        with self.database.transaction() as database:
            return dict(database.execute("SELECT run_id, reason FROM failures"))

    def forgive(self, run_ids: Iterable[str]) -> None:
        """Forget that runs failed, so that they are trained again."""
        with self.database.transaction(write=True) as database:
            for run_id in run_ids:
                _forget(database, "failures", run_id)

    def recorded(self) -> set[str]:
        """Ids of all runs in the store that were trained to the end."""
        return set(self.accuracies())

    def accuracies(self) -> dict[str, float]:
        """Top-1 accuracy in percent of every run that was trained to the end, by its id."""
        with self.database.transaction() as database:
            return dict(database.execute("SELECT run_id, top1 FROM runs"))

    def stopped(self, threshold: float) -> set[str]:
        """Ids of the runs that were found unable to reach a region of interest this wide."""
        with self.database.transaction() as database:
            rows = database.execute("SELECT run_id FROM stopped WHERE threshold >= ?", (threshold,))
            return {run_id for (run_id,) in rows}

    def curves(self, run_ids: Iterable[str]) -> dict[str, dict[str, list[float]]]:
        """Learning curves (`hpstudy.training.state.RunResult`) of recorded runs, by id."""
        wanted = set(run_ids)
        with self.database.transaction() as database:
            rows = database.execute("SELECT run_id, curve FROM runs")
            return {run_id: self._decoded(curve) for run_id, curve in rows if run_id in wanted}

    def ranking(self, spec: RunSpec) -> dict[str, Any] | None:
        """Filter scores kept with a run: `scores` and `weights_sha256`; None if there are none."""
        with self.database.transaction() as database:
            row = database.execute(
                "SELECT weights_sha256, scores FROM rankings WHERE run_id = ?", (spec.run_id,)
            ).fetchone()
        return row and {"weights_sha256": row[0], "scores": self._decoded(row[1])}

    def _decoded(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            raise HpstudyError(
                f"{self.path} is damaged: what it keeps of a run cannot be read"
            ) from None

    def arithmetic(self, family: str) -> str | None:
        """Arithmetic decided for the runs of a study (`RunSpec.family`); None if not yet."""
        with self.database.transaction() as database:
            row = database.execute(
                "SELECT arithmetic FROM arithmetics WHERE family = ?", (family,)
            ).fetchone()
        return row and row[0]

    def decide(self, family: str, arithmetic: str) -> str:
        """Record the arithmetic of a study's runs and return it; one decided before stays."""
        with self.database.transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO arithmetics VALUES (?, ?)", (family, arithmetic)
            )
        return self.arithmetic(family)

    def frame(
        self,
        runs: Iterable[tuple[Mapping[str, Any], RunSpec]],
        stopped_at: float | None = None,
    ) -> pd.DataFrame:
        """Recorded rows of `runs`, sorted as published.

        Parameters
        ----------
        runs : iterable of (labels, RunSpec)
            `labels` are the columns that a run's identity does not hold: study, variant, method
            and flops_ratio.
        stopped_at : float, optional
            Threshold of the region of interest that runs were raced to; without it none that was
            stopped early is among the rows.

        Returns
        -------
        DataFrame with the columns TABLE_COLUMNS
            Runs that are not in the store are left out. Sorted by the order of the variants, then
            lr, weight_decay and seed. A run that was stopped early has `stopped` set, no
            accuracies, and the epochs and the curve as far as it came.
        """
        with self.database.transaction() as database:
            rows = database.cursor()
            rows.row_factory = sqlite3.Row
            early = rows.execute("SELECT * FROM stopped WHERE threshold >= ?", (stopped_at,))
            found = {row["run_id"]: row for row in early}
            whole = {row["run_id"]: row for row in rows.execute("SELECT * FROM runs")}
        stopped = found.keys() - whole.keys()
        found |= whole
        rows, order = [], {}
        for labels, spec in runs:
            run_id = spec.run_id
            row = found.get(run_id)
            if row is None:
                continue
            order.setdefault(labels["variant"], len(order))
            rows.append(
                {
                    **{name: row[name] for name in ("run_id", *RESULT_COLUMNS)},
                    **labels,
                    "model": spec.model,
                    "dataset": spec.data.name,
                    "lr": spec.lr,
                    "weight_decay": spec.weight_decay,
                    "seed": spec.seed,
                    "diverged": bool(row["diverged"]),
                    "stopped": run_id in stopped,
                }
            )
        rows.sort(key=lambda r: (order[r["variant"]], r["lr"], r["weight_decay"], r["seed"]))
        return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


def _insert(
    database: sqlite3.Connection, table: str, spec: RunSpec, result: Mapping[str, Any], *more: Any
) -> None:
    row = {name: result[name] for name in RESULT_COLUMNS}
    row["curve"] = json.dumps(row["curve"])
    row["diverged"] = int(row["diverged"])
    values = (spec.run_id, spec.model_dump_json(), *row.values(), *more)
    database.execute(
        f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(values))})", values
    )


def _forget(database: sqlite3.Connection, table: str, run_id: str) -> None:
    database.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))


def restore(path: Path, store: Store) -> dict[str, Any]:
    """Put the runs of a published table into a store, so that a sweep goes on from them.

    Only a whole table is restored (`hpstudy.storage.integrity`). Runs that were stopped early are
    left out, since the table lacks the reason. Where the record has no ranking of filters, the
    next sweep trains the dense network at the prior once more.

    Returns
    -------
    dict
        `table`; numbers of `runs` put into the store, `known` runs that stay as they were, and
        runs `left_out`.

    Raises
    ------
    HpstudyError
        If the table or its record is not there or not whole, or does not identify its images.
    """
    if not path.is_file():
        raise HpstudyError(f"there is no table {path}")
    checked = check_table(path)
    if faults := checked.findings.faults:
        more = f" (and {count(len(faults) - 1, 'more fault')})" if len(faults) > 1 else ""
        raise HpstudyError(
            f"{checked.findings.lines()[0]}{more}; only a table that is whole is restored"
        )
    if not checked.identified:
        raise HpstudyError(f"{path} cannot be restored: {checked.findings.facts['note']}")
    record, rows = checked.record, [row for row in checked.rows if not row["stopped"]]
    prior = record.run_spec(DENSE)
    known = store.recorded() & {row["run_id"] for row in rows}
    ranking = record.ranking.model_dump() if record.ranking else None
    store.record(
        (
            checked.spec(row),
            RunOutcome(
                row | {"curve": json.loads(row["curve"])},
                ranking if row["run_id"] == prior.run_id else None,
                None,
            ),
        )
        for row in rows
    )
    # A study that leaves its arithmetic open goes on with the one of the table.
    store.decide(prior.family, record.record.arithmetic)
    return {
        "table": str(path),
        "runs": len(rows) - len(known),
        "known": len(known),
        "left_out": len(checked.rows) - len(rows),
    }
