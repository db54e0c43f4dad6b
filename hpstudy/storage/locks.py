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
    root, name = Path(tempfile.gettempdir()), f"hpstudy-{uuid4().hex}"
    for lock in root.glob("hpstudy-*.lock"):
        if not is_held(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    with held(root / f"{name}.lock"):
        folder = root / name
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


class Leases:
    """Leases of one sweep on runs of a store: sweeps that share it train no run twice.

    A lease ends when its run is recorded, or when the sweep that holds it exits (see `leasing`).
    """

    def __init__(self, database: Database):
        self._database, self.sweep = database, uuid4().hex

    @classmethod
    def open(cls, path: Path) -> "Leases":
        """Leases on runs of the store at `path`."""
        # After a power cut no sweep is alive, so that no lease has to survive one.
        return cls(Database.open(path, durable=False))

    def lock_file(self, sweep: str) -> Path:
        """File that a sweep locks while it is alive."""
        path = self._database.path
        return path.with_name(f"{path.name}.{sweep}.lock")

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
        with self._database.transaction(write=True) as database:
            self._release_dead(database)
            return {run_id: self._take(database, run_id, ends) for run_id, ends in runs.items()}

    def _take(self, database: sqlite3.Connection, run_id: str, ends: Iterable[str]) -> str:
        for table in ends:
            if database.execute(f"SELECT 1 FROM {table} WHERE run_id = ?", (run_id,)).fetchone():
                return ENDED
        database.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (run_id, self.sweep))
        lease = database.execute("SELECT sweep FROM claims WHERE run_id = ?", (run_id,))
        return OURS if lease.fetchone() == (self.sweep,) else BUSY

    def _release_dead(self, database: sqlite3.Connection) -> None:
        """Release the leases of sweeps whose process has exited."""
        for (sweep,) in database.execute("SELECT DISTINCT sweep FROM claims").fetchall():
            if sweep != self.sweep and not is_held(self.lock_file(sweep)):
                database.execute("DELETE FROM claims WHERE sweep = ?", (sweep,))


@contextmanager
def leasing(path: Path) -> Iterator[Leases]:
    """Leases on runs of the store at `path` that end with the block or its process."""
    leases = Leases.open(path)
    with held(leases.lock_file(leases.sweep)):
        yield leases
