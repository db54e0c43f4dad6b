"""Whether stores and published tables are whole: every hash, value and network of them again."""

from collections.abc import Iterable
from pathlib import Path

from hpstudy.errors import HpstudyError
from hpstudy.storage.findings import Findings
from hpstudy.storage.storecheck import Recorded, check_store
from hpstudy.storage.tablecheck import check_table

STORE, TABLE = ".sqlite", ".csv"


def own_files(folder: Path) -> list[Path]:
    """One's own store and tables.

    Parameters
    ----------
    folder : Path
        `hpstudy.workspace.runs_folder`.

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
    """Check stores and published tables; no file is changed.

    Tables are compared with the stores among the files too: their rows with those of the same
    runs, and the channels of their certificates with those that the ranked scores choose.

    Parameters
    ----------
    paths : iterable of Path
        Stores (.sqlite) and tables (.csv, each with its record beside it).

    Returns
    -------
    list of Findings
        In the order of the files.

    Raises
    ------
    HpstudyError
        If a file is not there, or is neither.
    """
    paths = list(paths)
    for path in paths:
        if path.suffix not in (STORE, TABLE):
            raise HpstudyError(f"{path} is neither a store ({STORE}) nor a table ({TABLE})")
        if not path.is_file():
            raise HpstudyError(f"there is no file {path}")
    stores = any(path.suffix == STORE for path in paths)
    recorded, found = Recorded({}, {}) if stores else None, {}
    for suffix, check in ((STORE, check_store), (TABLE, check_table)):
        for path in paths:
            if path.suffix == suffix:
                before = _changed(path)
                found[path] = check(path, recorded)
                if found[path].faults and _changed(path) != before:
                    # A sweep has written to it meanwhile.
                    found[path] = check(path, recorded)
    return [found[path] for path in paths]


def _changed(path: Path) -> list[int]:
    files = (path, path.with_suffix(".json"))
    return [file.stat().st_mtime_ns for file in files if file.is_file()]
