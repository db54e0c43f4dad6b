"""The machine at hand: what it is, and what it can train on."""

import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hpstudy.config.study import ARITHMETICS
from hpstudy.errors import HpstudyError


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices() -> list[str]:
    """Devices to train on, one worker each: every GPU, else "cpu" once per core."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu"] * cores()


def default_arithmetic() -> str:
    """Precision for studies that leave it open: bfloat16 on a GPU, float32 on a CPU."""
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def check_arithmetic(arithmetic: str) -> None:
    """Refuse an arithmetic that this machine does not have.

    Raises
    ------
    HpstudyError
        For TF32 without a GPU.
    """
    import torch

    if arithmetic.startswith("tf32") and not torch.cuda.is_available():
        raise HpstudyError(
            f"the arithmetic {arithmetic} needs a GPU and this machine has none; valid here: "
            f"{', '.join(name for name in ARITHMETICS if not name.startswith('tf32'))}"
        )


def environment() -> dict[str, Any]:
    """Versions and hardware that a result was made with."""
    packages = {"torch": "torch", "torchvision": "torchvision", "torch_pruning": "torch-pruning"}
    return {
        "hpstudy": version("hpstudy"),
        "python": platform.python_version(),
        **{key: version(package) for key, package in packages.items()},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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
