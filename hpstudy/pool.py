"""Worker processes: one single-threaded one per core, or one or more per GPU."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from hpstudy.child import ended_with_block
from hpstudy.machine import devices
from hpstudy.worker import ENVIRONMENT, start


def worker_count(asked: int | None) -> int:
    """Workers to use: one per device, or as many as asked for, but never two for one core."""
    available = devices()
    if asked is None:
        return len(available)
    return min(asked, len(available)) if available[0] == "cpu" else asked


@contextmanager
def open_pool(workers: int, path: Path | None = None) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, started with their own environment and ended with the block.

    Parameters
    ----------
    workers : int
        How many; they take the devices in turn.
    path : Path, optional
        Of the images to train on (`hpstudy.worker.save_dataset`); without, they only calibrate.
    """
    context = get_context("spawn")
    queue, barrier = context.SimpleQueue(), context.Barrier(workers)
    available = devices()
    for index in range(workers):
        queue.put(available[index % len(available)])
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    pool = ProcessPoolExecutor(workers, context, start, (path, queue, barrier))
    try:
        with ended_with_block(pool):
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
