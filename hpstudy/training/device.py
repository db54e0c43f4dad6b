"""The machine at hand: what it is, and what it can train on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.study import ARITHMETICS
from hpstudy.errors import HpstudyError


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices() -> list[str]:
    """Devices to train on, one worker each: every GPU, else "cpu" once per core."""
    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu"] * cores()


def default_arithmetic() -> str:
    """Precision for studies that leave it open: bfloat16 on a GPU, float32 on a CPU."""
    return "bfloat16" if torch.cuda.is_available() else "float32"


def check_arithmetic(arithmetic: str) -> None:
    """Refuse an arithmetic that this machine does not have.

    Raises
    ------
    HpstudyError
        For TF32 without a GPU.
    """
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
