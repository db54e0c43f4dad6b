"""Processes that were started to do a part of another one's work."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


@contextmanager
def ended_with_block(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """The pool, whose processes end with the block: at once where that fails."""
    try:
        yield pool
    except BaseException:
        # What they are at is lost either way; waiting for it would only delay the end.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
