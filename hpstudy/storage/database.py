"""The SQLite file of a store, and the leases of running sweeps on its runs."""

import sqlite3
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from filelock import FileLock, Timeout

from hpstudy.errors import HpstudyError

# Of the tables, not of the runs in them: raised when a table is added or changed.
VERSION = 3
# Seconds to wait for the transaction of another process.
TIMEOUT = 60.0

# Results that only a finished training has.
FINAL_COLUMNS = ("top1", "top5", "loss", "best_top1", "best_epoch", "train_loss")
RESULT_COLUMNS = (
    *(*FINAL_COLUMNS, "diverged", "epochs", "seconds", "images_per_second", "macs", "params"),
    *("device", "torch", "curve"),
)

_RUN = f"run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, {', '.join(RESULT_COLUMNS)}"
TABLES = {
    "runs": _RUN,
    # Nothing is written to it any more: earlier versions stopped runs early.
    "stopped": f"{_RUN}, threshold REAL NOT NULL, verdict TEXT NOT NULL",
    "rankings": "run_id TEXT PRIMARY KEY, weights_sha256 TEXT NOT NULL, scores TEXT NOT NULL",
    "arithmetics": "family TEXT PRIMARY KEY, arithmetic TEXT NOT NULL",
    # Version 2 has neither of these.
    "claims": "run_id TEXT PRIMARY KEY, sweep TEXT NOT NULL",
    "failures": "run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, reason TEXT NOT NULL",
}


class Unwritable(HpstudyError):
    """A store that cannot be written now, but may be later: the disk is full, or it is locked."""


_CONTINUE = "recorded runs stay, and the same command continues from there"
# By a part of SQLite's reason.
_REFUSALS: dict[str, tuple[type[HpstudyError], str]] = {
    "disk is full": (
        Unwritable,
        f"cannot be written, because the disk is full; make room: {_CONTINUE}",
    ),
    "locked": (
        Unwritable,
        f"has been locked by another process for {TIMEOUT:.0f} s; end it: {_CONTINUE}",
    ),
    "readonly": (
        HpstudyError,
        "cannot be written, because it or its folder is read-only; make both writable, or work in "
        "another folder",
    ),
}


class Database:
    """An open store file. It stays open for many transactions: closing waits for the disk."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self.path, self.connection = path, connection
        weakref.finalize(self, connection.close)

    @classmethod
    def open(cls, path: str | Path, durable: bool = True) -> Self:
        """Open a store; make it and its folder if absent, and migrate it to this version.

        Finished transactions of a durable one survive a power cut, which takes a wait for the disk.
        Otherwise the last ones may be lost; the file is whole in either case.

        Raises HpstudyError if the file is no SQLite database, is damaged, cannot be opened, belongs
        to another program, or was written under a schema that this version does not know.
        """
        path = Path(path)
        with _refusing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            database = cls(path, sqlite3.connect(path, timeout=TIMEOUT))
            connection = database.connection
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            if schema_of(connection, path) < VERSION:
                _use_write_ahead_log(connection)
                script = [f"CREATE TABLE IF NOT EXISTS {name} ({TABLES[name]});" for name in TABLES]
                script += [f"PRAGMA user_version = {VERSION};", "COMMIT;"]
                connection.executescript("\n".join(["BEGIN IMMEDIATE;", *script]))
        return database

    @contextmanager
    def transaction(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Connection whose changes are kept whole, or not at all on an error.

        With `write`, other writers are kept out from the beginning. Raises Unwritable if the disk
        is full or another process keeps the file locked, HpstudyError for other errors of SQLite.
        """
        with _refusing(self.path), self.connection as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self.transaction() as connection:
            return connection.execute(query, values).fetchall()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Connection that changes nothing and sees one moment, whatever others write meanwhile.

    Raises HpstudyError for any error of SQLite.
    """
    # SQLite would make two files beside a store that nobody has open, and leave them there.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.resolve().as_uri()}?{'immutable=1' if at_rest else 'mode=ro'}"
    with _refusing(path), closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT)) as database:
        database.execute("BEGIN")
        yield database


def schema_of(database: sqlite3.Connection, path: Path) -> int:
    """Schema version of a store; 0 before it has any table.

    Raises HpstudyError if it belongs to another program, or its schema is unknown to this version.
    """
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in names if not name.startswith("sqlite_")}
    if version not in (0, 2, VERSION) and "runs" in tables:
        raise HpstudyError(
            f"{path} was written under schema {version}; this version of hpstudy reads schema 2 "
            f"and schema {VERSION}"
        )
    if tables - TABLES.keys() or (version == VERSION and TABLES.keys() - tables):
        raise HpstudyError(
            f"{path} is another program's database, not a store of hpstudy "
            f"(tables: {', '.join(sorted(tables)) or 'none'})"
        )
    return version


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into a sentence that says what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
        other = HpstudyError, f"cannot be used as a store: {error}"
        known = [refusal for part, refusal in _REFUSALS.items() if part in str(error)]
        kind, words = (known or [other])[0]
        raise kind(f"{path} {words}") from None


def _use_write_ahead_log(database: sqlite3.Connection) -> None:
    # SQLite does not wait for another process that is making the same file; a few tries do.
    for tries_left in reversed(range(100)):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or not tries_left:
                raise
            time.sleep(0.05)


# --- leases ---------------------------------------------------------------------------------------

OURS, BUSY, ENDED = "ours", "busy", "ended"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock a file while the block runs; the OS releases it when its owner exits."""
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

        `runs` maps run ids to the tables of the store that hold the run once it has ended, the
        result to `OURS`, `BUSY` (another living sweep trains it) or `ENDED` (recorded meanwhile).
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
