"""What runs inside the tasks of a Ray cluster."""

import logging
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors.base import Job
from hpstudy.training.run import RunTrainer, calibrate, prepare_process
from hpstudy.training.state import RunOutcome

# Start of the lines of a task that the process of the sweep shows.
MARK = "hpstudy: "
logger = logging.getLogger(__name__)

# Packages with their versions.
Versions = tuple[tuple[str, str], ...]


def versions() -> Versions:
    """What must be the same wherever runs of one landscape are trained."""
    # Builds of one torch for a CPU and for a GPU differ after the "+".
    return tuple((name, version(name).partition("+")[0]) for name in ("hpstudy", "torch"))


def check_node(required: Versions, paths: tuple[Path, ...]) -> str:
    """Device of this node in words.

    Raises
    ------
    HpstudyError
        If the version of a package differs, or a file of images cannot be read.
    """
    for (name, here), (_, there) in zip(versions(), required, strict=True):
        if here != there:
            raise HpstudyError(
                f"node {platform.node()} has {name} {here} and the sweep {there}; a landscape must "
                "not mix them"
            )
    for path in paths:
        if not os.access(path, os.R_OK):
            raise HpstudyError(
                f"node {platform.node()} cannot read {path}; put the data on a disk that all nodes "
                "share, and name it by --data-root or HPSTUDY_DATA"
            )
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def train(job: Job, data: list[Any], required: Versions, paths: tuple[Path, ...]) -> RunOutcome:
    """Train one run on the data set that `data`, a list of one reference, refers to."""
    _prepare(required, paths)
    device = _device()
    prepare_process(device)
    path = job.checkpoint
    checkpoint = path if path and _is_shared(path.parent.parent) else None
    return trainer(data[0], device).train(job.spec, job.rank_filters, job.race, checkpoint)


def measure(
    spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Calibrate the device of this task (see `hpstudy.training.run.calibrate`)."""
    device = _device()
    prepare_process(device)
    return calibrate(device, spec, classes, images, seconds)


@cache
def _prepare(required: Versions, paths: tuple[Path, ...]) -> None:
    """Once in each process: check the node, and mark messages for the process of the sweep."""
    check_node(required, paths)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{MARK}%(message)s"))
    package = logging.getLogger("hpstudy")
    package.addHandler(handler)
    package.setLevel(logging.INFO)


@cache
def trainer(reference: Any, device: torch.device) -> RunTrainer:
    """Trainer on a data set, which a process keeps from run to run."""
    import ray

    return RunTrainer(ray.get(reference), device)


def _device() -> torch.device:
    """GPU that Ray has assigned to this task; without one, the CPU.

    All GPUs of the node stay visible: torch cannot hide or show one after its first task.
    """
    import ray

    assigned = ray.get_runtime_context().get_accelerator_ids().get("GPU")
    if not assigned:
        return torch.device("cpu")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    index = visible.split(",").index(assigned[0]) if visible else int(assigned[0])
    return torch.device("cuda", index)


@cache
def _is_shared(folder: Path) -> bool:
    """Whether this node sees the folder of the sweep's checkpoints."""
    if not folder.is_dir():
        logger.warning("%s lacks %s: interrupted runs start anew there", platform.node(), folder)
    return folder.is_dir()
