"""One run of one's own command: its process, its folder and its outcome."""

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hpstudy.config.command_spec import CommandSpec
from hpstudy.errors import HpstudyError, shown
from hpstudy.training.metric import read_metric
from hpstudy.training.state import RunOutcome

LOG, STATUS = "log.txt", "run.json"
_OUT_OF_MEMORY = ("out of memory", "outofmemoryerror", "memoryerror", "cannot allocate memory")
_PR_SET_PDEATHSIG = 1
# Opened here: a child of a process with threads must not wait for a lock.
_LIBC = ctypes.CDLL(None)
# Last lines of the output that a failure says, and letters of them at most.
TAIL, MOST_LETTERS = 3, 240
TIMEOUT = "timeout"
# Results that only the trainer of hpstudy has.
RESULT_NAMES = (
    *("top5", "loss", "best_top1", "best_epoch", "train_loss", "images_per_second", "torch"),
)

Started = Callable[["subprocess.Popen[bytes]"], None]


class CommandCall(NamedTuple):
    """A command with everything filled in.

    Attributes
    ----------
    spec : CommandSpec
        The run that it trains.
    words : tuple of str
        The program and its arguments.
    folder : Path
        Folder of the run, which it is made in.
    cwd : Path
        Working directory.
    timeout : float or None
        Most seconds.
    size : tuple of (int or None, int or None)
        Multiply-accumulates and parameters of the network, where hpstudy pruned it.
    """

    spec: CommandSpec
    words: tuple[str, ...]
    folder: Path
    cwd: Path
    timeout: float | None
    size: tuple[int | None, int | None]


class CommandFailed(RuntimeError):
    """Why a run of a command has no result, in one line."""

    def __init__(self, reason: str):
        super().__init__(reason)


def run_command(
    call: CommandCall, device: str, environment: Mapping[str, str], started: Started
) -> RunOutcome:
    """Run a command to its end and read its metric; a run that ended well before is only read.

    Parameters
    ----------
    call : CommandCall
    device : str
        Name of the device, for the table.
    environment : mapping of str to str
        Variables of the command beside those of this process.
    started : callable
        Gets the process, whose group it may end.

    Returns
    -------
    RunOutcome
        `top1` is the last value of the metric (None if it is not finite: the run diverged), and
        the curve has all of them as `value`, in the published unit.

    Raises
    ------
    CommandFailed
        If the command fails, takes too long, or leaves no metric.
    HpstudyError
        If the program cannot be started, or the folder cannot be written to.
    """
    try:
        call.folder.mkdir(parents=True, exist_ok=True)
        status = _ended_well(call.folder) or _run(call, environment, started) | {"device": device}
        (call.folder / STATUS).write_text(json.dumps(status, indent=1) + "\n", encoding="utf-8")
        output = (call.folder / LOG).read_bytes()[status["log_start"] :].decode(errors="replace")
    except OSError as error:
        raise HpstudyError(f"{call.folder} cannot be used: {error.strerror}") from None
    failure = _failure(status["status"], output, call)
    try:
        values = read_metric(call.spec.metric, call.folder, output)
    except HpstudyError as error:
        words = str(error).removesuffix(".")
        again = f"{words}; once `metric` is right, {call.folder} is read again"
        raise CommandFailed(failure or again) from None
    published = [call.spec.metric.factor * value for value in values]
    diverged = not math.isfinite(published[-1])
    if failure and not diverged:
        raise CommandFailed(failure)
    row: dict[str, Any] = {
        **dict.fromkeys(RESULT_NAMES),
        "top1": None if diverged else published[-1],
        "diverged": diverged,
        "epochs": len(values),
        "seconds": status["seconds"],
        "macs": call.size[0],
        "params": call.size[1],
        "device": status["device"],
        "curve": {"value": published},
    }
    return RunOutcome(row, None)


def _ended_well(folder: Path) -> dict[str, Any] | None:
    """Status of a finished run that was not recorded, as when its sweep was killed."""
    try:
        status = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) and status.get("status") == 0 else None


def _run(call: CommandCall, environment: Mapping[str, str], started: Started) -> dict[str, Any]:
    """Run the command; its output goes to the log, after that of earlier attempts."""
    began, late = time.monotonic(), False
    with (call.folder / LOG).open("ab") as log:
        start = log.tell()
        try:
            process = subprocess.Popen(
                call.words,
                cwd=call.cwd,
                env={**os.environ, "PATH": search_path(), "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A sweep that is killed takes its commands with it.
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            program = shown(call.words[0])
            raise HpstudyError(f"the program {program} cannot run: {error.strerror}") from None
        started(process)
        try:
            process.wait(call.timeout)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            # What the command has started ends with it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = round(time.monotonic() - began, 3)
    status = TIMEOUT if late else process.returncode
    return {"status": status, "seconds": seconds, "log_start": start, "command": call.words}


def search_path() -> str:
    """Where programs are looked for: `python` is the one that runs hpstudy."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _failure(status: int | str, output: str, call: CommandCall) -> str:
    """Why a command failed, with the last lines of its output; empty if it did not."""
    if status == 0:
        return ""
    lines = [line.strip() for line in output.splitlines() if line.strip()][-TAIL:]
    text = " ".join(lines).lower()
    if status == TIMEOUT:
        what = f"it took longer than its timeout of {call.timeout:g} s"
    elif any(words in text for words in _OUT_OF_MEMORY):
        what = "it ran out of memory"
    elif int(status) < 0:
        name = signal.Signals(-int(status)).name
        what = f"it was ended by {name}" + (", as when memory runs out" * (name == "SIGKILL"))
    else:
        what = f"it ended with exit status {status}"
    last = f": {' | '.join(lines)[-MOST_LETTERS:]}" if lines else ""
    return f"the command failed, for {what}{last} (log: {call.folder / LOG})"
