"""NVIDIA's Multi-Process Service, by which processes use one GPU at the same time."""

import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpstudy.errors import HpstudyError, one_line

logger = logging.getLogger(__name__)

CONTROL = "nvidia-cuda-mps-control"
# Variables that name the daemon's folders to it and to the processes that use it.
_FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
# Seconds for an answer of the daemon.
_ANSWER = 20


def mps_answers() -> bool:
    """Whether the daemon of the Multi-Process Service answers."""
    try:
        answer = _control("get_server_list")
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "annot find" not in answer.stdout + answer.stderr


@contextmanager
def mps_daemon() -> Iterator[None]:
    """The daemon while the block runs; one that answers already is used and left alone.

    Processes that begin within the block use it.

    Raises
    ------
    HpstudyError
        If the system is not Linux, or the daemon is not installed or does not start.
    """
    if platform.system() != "Linux":
        raise HpstudyError(f"--mps needs Linux, and this is {platform.system()}; leave it out")
    if shutil.which(CONTROL) is None:
        raise HpstudyError(
            f"--mps needs NVIDIA's program {CONTROL}, which is not installed here; it comes with "
            "the driver of a GPU; leave --mps out to train without it"
        )
    if mps_answers():
        logger.info("MPS: the daemon that answers is used")
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hpstudy-mps-", ignore_cleanup_errors=True) as folder:
        before = {name: os.environ.get(name) for name in _FOLDERS}
        os.environ.update(dict.fromkeys(_FOLDERS, folder))
        try:
            _start(Path(folder))
            yield
        finally:
            _quit()
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _start(folder: Path) -> None:
    said = folder / "start.log"
    # To a file, because a pipe would stay open as long as the daemon runs.
    with said.open("wb") as file, suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [CONTROL, "-d"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=_ANSWER,
        )
    if not mps_answers():
        reason = " ".join(said.read_text(errors="replace").split())[:300] or "it does not say why"
        raise HpstudyError(f"the MPS daemon does not start ({reason}); leave --mps out")
    logger.info("MPS: a daemon is started, with its files in %s", folder)


def _quit() -> None:
    if not mps_answers():
        return
    try:
        _control("quit")
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("MPS: the daemon does not stop (%s)", one_line(error))
    else:
        logger.info("MPS: the daemon is stopped")


def _control(word: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [CONTROL], input=f"{word}\n", capture_output=True, text=True, timeout=_ANSWER
    )
