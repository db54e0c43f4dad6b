"""Workers that run one's own command: a thread that waits for one process at a time."""

import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError, one_line
from hpstudy.sweep.executors import Failure, Job
from hpstudy.sweep.executors.worker import Worker
from hpstudy.training.command import CommandCall, CommandFailed, run_command
from hpstudy.training.run import ENVIRONMENT
from hpstudy.training.state import RunOutcome

Started = Callable[["subprocess.Popen[bytes]"], None]


def train_command(
    call: CommandCall, device: str, started: Started = lambda process: None
) -> RunOutcome | Failure:
    """Run a command, which sees the GPU of its worker alone, or one thread of a CPU."""
    environment = dict(ENVIRONMENT)
    if device.startswith("cuda"):
        visible, index = os.environ.get("CUDA_VISIBLE_DEVICES"), int(device.partition(":")[2] or 0)
        gpu = visible.split(",")[index] if visible else str(index)
        environment = {"CUDA_VISIBLE_DEVICES": gpu}
    try:
        return run_command(call, device, environment, started)
    except CommandFailed as error:
        return Failure(str(error))


class CommandWorker(Worker):
    """The worker of `hpstudy.sweep.executors.local.Pool` for one device that runs commands."""

    def __init__(self, device: str, path: Path, slots: int = 1):
        super().__init__(device, path, slots)
        # The kernel ends a command when the thread that started it goes, as with a killed sweep.
        self._thread = ThreadPoolExecutor(1)
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, job: Job) -> None:
        """Run the command of a job in the thread."""
        assert job.call is not None
        self.jobs = {job.run_id: job}
        self.future = self._thread.submit(train_command, job.call, self.device, self._started)

    def result(self, future: Future[Any]) -> Any:
        """Outcome of a command, or a Failure; an HpstudyError is raised."""
        try:
            return future.result()
        except HpstudyError:
            raise
        except Exception as error:  # of the operating system, of many kinds
            return Failure(one_line(error))

    def end(self) -> None:
        """End the command at once."""
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._thread.shutdown(cancel_futures=True)

    def _started(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
