"""Which runs of a store are being trained: sweeps that share one train no run twice."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hpstudy.storage.database import Database
from hpstudy.storage.locks import held, is_held

OURS, BUSY, ENDED = "ours", "busy", "ended"


class Claims:
    """Claims of one sweep on runs of a store, until they are recorded (see `claiming`)."""

    def __init__(self, path: Path):
        self._sweep = uuid4().hex
        self.mark = _mark(path, self._sweep)
        # After a power cut no sweep lives, whose claims would have to be known.
        self._database = Database(path, durable=False)

    def take(self, runs: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """Claim runs for this sweep, in one transaction.

        Parameters
        ----------
        runs : mapping of str to iterable of str
            By the id of a run, the tables of the store that have a row of it once it has ended.

        Returns
        -------
        dict of str to str
            By the id: `OURS`, `BUSY` where another living sweep trains it, or `ENDED` where it has
            been recorded in the meantime.
        """
        with self._database.transaction(write=True) as database:
            self._forget_the_dead(database)
            return {run_id: self._take(database, run_id, ends) for run_id, ends in runs.items()}

    def _take(self, database: sqlite3.Connection, run_id: str, ends: Iterable[str]) -> str:
        for table in ends:
            if database.execute(f"SELECT 1 FROM {table} WHERE run_id = ?", (run_id,)).fetchone():
                return ENDED
        database.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (run_id, self._sweep))
        claim = database.execute("SELECT sweep FROM claims WHERE run_id = ?", (run_id,))
        return OURS if claim.fetchone() == (self._sweep,) else BUSY

    def _forget_the_dead(self, database: sqlite3.Connection) -> None:
        """Void the claims of sweeps that have ended, however they did."""
        for (sweep,) in database.execute("SELECT DISTINCT sweep FROM claims").fetchall():
            if sweep != self._sweep and not is_held(_mark(self._database.path, sweep)):
                database.execute("DELETE FROM claims WHERE sweep = ?", (sweep,))


@contextmanager
def claiming(path: Path) -> Iterator[Claims]:
    """Claims on runs of the store at `path`, which are void once the block or its process ends."""
    claims = Claims(path)
    with held(claims.mark):
        yield claims


def _mark(path: Path, sweep: str) -> Path:
    return path.with_name(f"{path.name}.{sweep}.lock")
