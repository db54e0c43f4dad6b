"""Marks that a process holds as long as it lives: no clock tells whether it still does."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout


@contextmanager
def held(path: Path) -> Iterator[None]:
    """A file that is locked while the block runs; the system unlocks it however the process ends.

    It must lie on a disk of this machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a living process holds the file; one that none holds is removed."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except (Timeout, PermissionError):
        # What may not even be opened is another user's.
        return True
    return False


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for the block; those that killed processes have left are removed first."""
    root, name = Path(tempfile.gettempdir()), f"hpstudy-{uuid4().hex}"
    for mark in root.glob("hpstudy-*.lock"):
        if not is_held(mark):
            shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
    with held(root / f"{name}.lock"):
        folder = root / name
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
