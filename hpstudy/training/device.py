"""The machine that a process runs on, and processes that end with their parent.

torch is imported where it is needed only: processes that decode images would wait seconds for it.
"""

import multiprocessing
import os
import platform
import signal
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hpstudy.config.study import ARITHMETICS
from hpstudy.errors import HpstudyError


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices() -> list[str]:
    """Devices to train on, one worker each: every GPU, or else "cpu" once per core."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu"] * cores()


def default_precision() -> str:
    """Precision of studies that leave it open: bfloat16 on a GPU, float32 on a CPU."""
    return "bfloat16" if devices()[0].startswith("cuda") else "float32"


def check_precision(precision: str) -> None:
    """Raise HpstudyError for a precision that this machine does not have: TF32 without a GPU."""
    if precision.startswith("tf32") and devices()[0] == "cpu":
        raise HpstudyError(
            f"the arithmetic {precision} needs a GPU and this machine has none; valid here: "
            f"{', '.join(name for name in ARITHMETICS if not name.startswith('tf32'))}"
        )


def environment() -> dict[str, Any]:
    """Versions and hardware that a result is made with."""
    return {
        "hpstudy": version("hpstudy"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "torchvision": version("torchvision"),
        "torch_pruning": version("torch-pruning"),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and exit when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def exit_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=exit_with_parent, daemon=True).start()
