"""A worker without torch that fails in the way that the seed of its run encodes."""

import os
import signal

from hpstudy.errors import HpstudyError

EXITS, KILLED, RAISES, REFUSES = 1, 2, 3, 4


def call(function, device, job, path):
    """Stands in for `hpstudy.sweep.executors.worker.call`; the outcome is the device."""
    kind = job.spec.seed % 10
    if kind == EXITS or device == "gone":
        os._exit(7)
    if kind == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == RAISES:
        raise RuntimeError("OutOfMemoryError: 80 GiB asked for")
    if kind == REFUSES:
        raise HpstudyError("the images are cut short")
    return device


def train():
    """Stands in for `hpstudy.sweep.executors.worker.train`, whose module imports torch."""


# --- populations ----------------------------------------------------------------------------------

# Epochs that each run of a process has left.
_left = {}


def group_call(function, device, *arguments):
    """Stands in for `hpstudy.sweep.executors.worker.call`, whose module imports torch."""
    return function(device, *arguments)


def epoch(device, entering, path, slots):
    """Stands in for `hpstudy.sweep.executors.population.epoch`: a seed's tens are its epochs.

    The outcome of a run is the number of runs that its last epoch trained.
    """
    _left.update((job.run_id, job.spec.seed // 10) for job in entering)
    if any(job.spec.seed % 10 == KILLED for job in entering):
        os.kill(os.getpid(), signal.SIGKILL)
    together = len(_left)
    assert together <= slots
    for run_id in _left:
        _left[run_id] -= 1
    ended = [run_id for run_id, epochs in _left.items() if not epochs]
    return {run_id: (_left.pop(run_id), together)[1] for run_id in ended}
