"""A worker that fails as it is told by the seed of its run; it needs no torch."""

import os
import signal

EXITS, KILLED, RAISES, REFUSES = 1, 2, 3, 4


def serve(connection, path, device, barrier):
    """Stands in for `hpstudy.sweep.executors.local.serve`; what it answers is the device that it is on."""
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        kind = job.spec.seed % 10
        if kind == EXITS or device == "gone":
            os._exit(7)
        if kind == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == RAISES:
            connection.send(("failed", "OutOfMemoryError: 80 GiB asked for"))
        elif kind == REFUSES:
            connection.send(("refused", "the images are cut short"))
        else:
            connection.send(("done", device))
