"""What runs inside the tasks of a Ray cluster."""

import logging
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors.base import Job
from hpstudy.training.datasets import Dataset
from hpstudy.training.image_cache import Stored
from hpstudy.training.run import RunTrainer, calibrate, prepare_process
from hpstudy.training.state import RunOutcome

# Start of the lines of a task that the process of the sweep shows.
MARK = "hpstudy: "
logger = logging.getLogger(__name__)


class Requirements(NamedTuple):
    """What every node must share with the process of the sweep.

    Attributes
    ----------
    versions : tuple of (str, str)
        Package and version.
    paths : tuple of Path
        Files of decoded images.
    """

    versions: tuple[tuple[str, str], ...]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, data: Dataset | None) -> "Requirements":
        """Requirements for training on a data set with the versions of this process."""
        # Builds of one torch for a CPU and for a GPU differ after the "+".
        versions = {name: version(name).partition("+")[0] for name in ("hpstudy", "torch")}
        images = [split.images for split in (data.train, data.test)] if data else []
        paths = {part.path for part in images if isinstance(part, Stored)}
        return cls(tuple(versions.items()), tuple(paths))


def check_node(requirements: Requirements) -> str:
    """Device of this node in words.

    Raises
    ------
    HpstudyError
        If the version of a package differs, or a file cannot be read.
    """
    for (name, here), (_, required) in zip(
        Requirements.of(None).versions, requirements.versions, strict=True
    ):
        if here != required:
            raise HpstudyError(
                f"node {_address()} has {name} {here} and the sweep {required}; a landscape must "
                "not mix them"
            )
    for path in requirements.paths:
        if not os.access(path, os.R_OK):
            raise HpstudyError(
                f"node {_address()} cannot read {path}; put the data on a disk that all nodes "
                "share, and name it by --data-root or HPSTUDY_DATA"
            )
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def train(job: Job, data: list[Any], requirements: Requirements) -> RunOutcome:
    """Train one run.

    Parameters
    ----------
    job : Job
    data : list of one ray.ObjectRef
        Reference to the data set.
    requirements : Requirements
    """
    _prepare(requirements)
    device = _device()
    prepare_process(device)
    checkpoint = job.checkpoint
    if checkpoint and not _is_shared(checkpoint.parent.parent):
        checkpoint = None
    return _trainer(data[0], device).train(job.spec, job.rank_filters, job.race, checkpoint)


def measure(
    spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Calibrate the device of this task (see `hpstudy.training.run.calibrate`)."""
    device = _device()
    prepare_process(device)
    return calibrate(device, spec, classes, images, seconds)


@cache
def _prepare(requirements: Requirements) -> None:
    """Once in each process: check the node, and mark what is logged for the sweep's process."""
    check_node(requirements)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{MARK}%(message)s"))
    logger = logging.getLogger("hpstudy")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


@cache
def _trainer(reference: Any, device: torch.device) -> RunTrainer:
    import ray

    return RunTrainer(ray.get(reference), device)


def _device() -> torch.device:
    """The GPU that Ray has assigned to this task; without one, the CPU.

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
    if folder.is_dir():
        return True
    logger.warning(
        "node %s does not see %s: interrupted runs start again there", _address(), folder
    )
    return False


def _address() -> str:
    import ray

    return ray.util.get_node_ip_address()
