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
from hpstudy.sweep.executors import Failure, Job
from hpstudy.sweep.executors.command import train_command
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


def check_node(required: Versions, paths: tuple[Path, ...]) -> None:
    """Refuse this node if it must not train runs of the sweep.

    Raises HpstudyError if it has another version of a package, or cannot read a file of images.
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


def train(
    job: Job, data: list[Any], required: Versions, paths: tuple[Path, ...]
) -> RunOutcome | Failure:
    """Train one run on the data set that `data`, a list of one reference, refers to."""
    device = _prepared_device(required, paths)
    if job.call:
        for folder in (job.call.cwd, job.call.folder.parent):
            if not folder.is_dir():
                raise HpstudyError(
                    f"node {platform.node()} lacks {folder}; a command on Ray needs its folder and "
                    "that of its runs on a disk that all nodes share"
                )
        return train_command(job.call, str(device))
    assert isinstance(job.spec, RunSpec)
    path = job.checkpoint
    checkpoint = path if path and _is_shared(path.parent.parent) else None
    return trainer(data[0], device).train(job.spec, job.rank_filters, checkpoint)


def measure(
    spec: RunSpec,
    classes: int,
    images: tuple[int, int],
    seconds: float,
    required: Versions,
    paths: tuple[Path, ...],
) -> tuple[float, float]:
    """Calibrate the device of this task (see `hpstudy.training.run.calibrate`)."""
    return calibrate(_prepared_device(required, paths), spec, classes, images, seconds)


@cache
def _mark_messages() -> None:
    """Once in each process: mark messages for the process of the sweep."""
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


def _prepared_device(required: Versions, paths: tuple[Path, ...]) -> torch.device:
    """GPU that Ray has assigned to this task, or the CPU, of a node that may train.

    All GPUs of the node stay visible: torch cannot hide or show one after its first task.
    """
    import ray

    _mark_messages()
    check_node(required, paths)
    device = torch.device("cpu")
    if assigned := ray.get_runtime_context().get_accelerator_ids().get("GPU"):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        index = visible.split(",").index(assigned[0]) if visible else int(assigned[0])
        device = torch.device("cuda", index)
    prepare_process(device)
    return device


@cache
def _is_shared(folder: Path) -> bool:
    """Whether this node sees the folder of the sweep's checkpoints."""
    if not folder.is_dir():
        logger.warning("%s lacks %s: interrupted runs start anew there", platform.node(), folder)
    return folder.is_dir()
