"""Lock files that the OS releases when their owner exits, and leases on runs that rest on them."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from hpstudy.storage.database import Database

OURS, BUSY, ENDED = "ours", "busy", "ended"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock a file on a local disk while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock file; a file without an owner is removed."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except (Timeout, PermissionError):
        # A lock file that this user may not open belongs to another user.
        return True
    return False


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Temporary folder for the block; removes first what killed processes have left."""
    root = Path(tempfile.gettempdir())
    for lock in root.glob("hpstudy-*.lock"):
        if not is_held(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    folder = root / f"hpstudy-{uuid4().hex}"
    with held(folder.with_suffix(".lock")):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


class Leases(Database):
    """Leases of one sweep on runs of a store: sweeps that share it train no run twice.

    A lease ends when its run is recorded, or when the sweep that holds it exits (see `leasing`).
    """

    def __init__(self, path: Path, connection: sqlite3.Connection):
        super().__init__(path, connection)
        self.sweep = uuid4().hex

    def lock_file(self, sweep: str) -> Path:
        """File that a sweep locks while it is alive."""
        return self.path.with_name(f"{self.path.name}.{sweep}.lock")

    def take(self, runs: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """Lease runs to this sweep, in one transaction.

        Parameters
        ----------
        runs : mapping of str to iterable of str
            Run id to the tables of the store that hold the run once it has ended.

        Returns
        -------
        dict of str to str
            Run id to `OURS`, `BUSY` (another living sweep trains it) or `ENDED` (recorded in the
            meantime).
        """
        with self.transaction(write=True) as database:
            for (sweep,) in database.execute("SELECT DISTINCT sweep FROM claims").fetchall():
                if sweep != self.sweep and not is_held(self.lock_file(sweep)):
                    database.execute("DELETE FROM claims WHERE sweep = ?", (sweep,))
            return {run_id: self._take(database, run_id, ends) for run_id, ends in runs.items()}

    def _take(self, database: sqlite3.Connection, run_id: str, ends: Iterable[str]) -> str:
        for table in ends:
            if database.execute(f"SELECT 1 FROM {table} WHERE run_id = ?", (run_id,)).fetchone():
                return ENDED
        database.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (run_id, self.sweep))
        lease = database.execute("SELECT sweep FROM claims WHERE run_id = ?", (run_id,))
        return OURS if lease.fetchone() == (self.sweep,) else BUSY


@contextmanager
def leasing(path: Path) -> Iterator[Leases]:
    """Leases on runs of the store at `path` that end with the block or its process."""
    # After a power cut no sweep is alive, so that no lease has to survive one.
    leases = Leases.open(path, durable=False)
    with held(leases.lock_file(leases.sweep)):
        yield leases
