"""The SQLite file of a store: made, migrated or refused, and what may go wrong with it said."""

import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hpstudy.errors import HpstudyError

# Of the tables, not of the runs in them: raised when a table is added or changed.
VERSION = 3
# Seconds that another process's transaction is waited for.
TIMEOUT = 60.0

RESULT_COLUMNS = (
    "top1",
    "top5",
    "loss",
    "best_top1",
    "best_epoch",
    "train_loss",
    "diverged",
    "epochs",
    "seconds",
    "images_per_second",
    "macs",
    "params",
    "device",
    "torch",
    "curve",
)

# Which tables a store has, by the version that added them.
_ADDED = {
    2: {
        "runs": f"run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, {', '.join(RESULT_COLUMNS)}",
        "stopped": (
            f"run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, {', '.join(RESULT_COLUMNS)}, "
            "threshold REAL NOT NULL, verdict TEXT NOT NULL"
        ),
        "rankings": "run_id TEXT PRIMARY KEY, weights_sha256 TEXT NOT NULL, scores TEXT NOT NULL",
        "arithmetics": "family TEXT PRIMARY KEY, arithmetic TEXT NOT NULL",
    },
    3: {
        "claims": "run_id TEXT PRIMARY KEY, sweep TEXT NOT NULL",
        "failures": "run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, reason TEXT NOT NULL",
    },
}


class Unwritable(HpstudyError):
    """A store that cannot be written now, but may be later: its disk is full, or it is locked."""


class Database:
    """A store's file, opened once for many transactions, as closing it waits for the disk.

    Parameters
    ----------
    path : Path
        Made if absent, and migrated to this version.
    durable : bool, default True
        Whether a transaction that has ended outlives a power cut, for which the disk is waited for.
        Without, the last ones may be gone then; the file is whole in either case.

    Raises
    ------
    HpstudyError
        If it is no SQLite database, is damaged, cannot be opened, is another program's, or was
        written under a schema whose runs this version does not know.
    """

    def __init__(self, path: Path, durable: bool = True):
        self.path = path
        with self._told():
            self._connection = sqlite3.connect(path, timeout=TIMEOUT)
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        weakref.finalize(self, self._connection.close)
        with self._told():
            self._prepare()

    @contextmanager
    def transaction(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, whose changes are kept whole, or not at all on an error.

        Parameters
        ----------
        write : bool, default False
            Whether to keep others from writing from the beginning on.

        Raises
        ------
        Unwritable
            If the disk is full, or another process kept the file locked.
        HpstudyError
            For anything else that SQLite says.
        """
        with self._told(), self._connection as database:
            database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield database

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _sentence(self.path, str(error)) from None

    def _prepare(self) -> None:
        """Make, migrate or refuse the file."""
        database = self._connection
        version = schema_of(database, self.path)
        if version < VERSION:
            _use_write_ahead_log(database)
            database.executescript(_script(version))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing and sees one moment, whatever others write meanwhile.

    Raises
    ------
    HpstudyError
        For anything that SQLite says.
    """
    # SQLite would make two files beside a store that nobody has open, and leave them there.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.resolve().as_uri()}?{'immutable=1' if at_rest else 'mode=ro'}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT)) as database:
            database.execute("BEGIN")
            yield database
    except sqlite3.Error as error:
        raise _sentence(path, str(error)) from None


def schema_of(database: sqlite3.Connection, path: Path) -> int:
    """Version of the tables of a store, 0 before it has any.

    Raises
    ------
    HpstudyError
        If it is another program's, or was written under a schema that this version does not know.
    """
    version = database.execute("PRAGMA user_version").fetchone()[0]
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in names if not name.startswith("sqlite_")}
    if version not in (0, *_ADDED) and "runs" in tables:
        raise HpstudyError(
            f"{path} was written under schema {version}; this version of hpstudy reads "
            f"{' and '.join(f'schema {known}' for known in _ADDED)}"
        )
    if tables - tables_of(VERSION) or (version and tables != tables_of(version)):
        raise HpstudyError(
            f"{path} is another program's database, not a store of hpstudy "
            f"(tables: {', '.join(sorted(tables)) or 'none'})"
        )
    return version


def tables_of(version: int) -> set[str]:
    """Names of the tables of a store of some version."""
    return {name for number, added in _ADDED.items() if number <= version for name in added}


def _script(version: int) -> str:
    """What takes a store from an earlier version (0: none) to this one, whole or not at all."""
    tables = [
        f"CREATE TABLE IF NOT EXISTS {name} ({columns});"
        for number, added in _ADDED.items()
        if number > version
        for name, columns in added.items()
    ]
    return "\n".join(["BEGIN IMMEDIATE;", *tables, f"PRAGMA user_version = {VERSION};", "COMMIT;"])


def _sentence(path: Path, said: str) -> HpstudyError:
    go_on = "what is recorded stays, and the same command goes on from there"
    if "disk is full" in said:
        return Unwritable(f"{path} cannot be written, because the disk is full; make room: {go_on}")
    if "locked" in said:
        return Unwritable(
            f"{path} has been locked by another process for {TIMEOUT:.0f} s; end that one: {go_on}"
        )
    if "readonly" in said:
        return HpstudyError(
            f"{path} cannot be written, because it or its folder is read-only; make both writable, "
            "or work in another folder"
        )
    return HpstudyError(f"{path} cannot be used as a store: {said}")


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
