"""A node of a Ray cluster: what its processes do for a sweep that runs elsewhere."""

import io
import os
import sys
import warnings
from contextlib import redirect_stderr
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors.base import Job
from hpstudy.sweep.executors.worker import calibrate, prepare_process, run_on
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.image_cache import Stored
from hpstudy.training.state import RunOutcome

# How a line begins that is meant for the one who started the sweep.
MARK = "hpstudy: "


def versions() -> dict[str, str]:
    """What must be the same wherever runs of one landscape are trained."""
    # Builds of one torch, for a CPU or for a GPU, differ after the "+".
    return {name: version(name).partition("+")[0] for name in ("hpstudy", "torch")}


def packed(data: Dataset) -> dict[str, Any]:
    """A data set as arrays, of which all processes of a node share one copy."""
    content = {key: getattr(data, key) for key in ("classes", "image_size")}
    content |= {key: getattr(data, key).numpy() for key in ("mean", "std")}
    for name in ("train", "test"):
        split = getattr(data, name)
        images = split.images if isinstance(split.images, Stored) else split.images.numpy()
        content[name] = images, split.labels.numpy()
    return content


def check(there: tuple[tuple[str, str], ...], paths: tuple[Path, ...]) -> str:
    """What this node trains on, in words; refuse one that would train something else.

    Parameters
    ----------
    there : tuple of (str, str)
        The `versions` of the process that runs the sweep.
    paths : tuple of Path
        Files of images that are too many for the memory.

    Raises
    ------
    HpstudyError
        If a version differs, or a file cannot be read.
    """
    here = versions()
    for name, theirs in there:
        if here[name] != theirs:
            raise HpstudyError(
                f"node {_address()} has {name} {here[name]}, and the sweep is run by {theirs}: "
                "one landscape must not mix them"
            )
    for path in paths:
        if not os.access(path, os.R_OK):
            raise HpstudyError(
                f"node {_address()} cannot read {path}: decoded images must lie under one path on "
                "all nodes, as on a shared disk that --data-root or HPSTUDY_DATA names"
            )
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


# Once in each process; Ray takes no function that is cached itself.
_checked = cache(check)


def train(job: Job, held: list[Any], there: tuple, paths: tuple[Path, ...]) -> RunOutcome:
    """Train one run on the data set that this process keeps from run to run.

    Parameters
    ----------
    job : Job
    held : list of one ray.ObjectRef
        Of a `packed` data set. In a list Ray leaves it to be fetched once.
    there, paths : tuple
        See `check`.

    Returns
    -------
    Outcome
    """
    with redirect_stderr(_Marked(sys.stderr)):
        _checked(there, paths)
        device = _device()
        prepare_process(device)
        kept = job.checkpoint if job.checkpoint and _sees(job.checkpoint.parent.parent) else None
        data = dataset(held[0], device)
        return run_on(job.spec, data, device, job.keep_scores, job.race, kept)


def measure(
    spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """As `hpstudy.sweep.executors.worker.calibrate`, on what Ray has assigned to this task."""
    device = _device()
    prepare_process(device)
    return calibrate(device, spec, classes, images, seconds)


@cache
def dataset(held: Any, device: torch.device) -> Dataset:
    """The data set that was `packed`, on a device; on a CPU in the memory that the node shares."""
    import ray

    content = ray.get(held)
    for name in ("train", "test"):
        images, labels = content[name]
        images = images if isinstance(images, Stored) else _tensor(images)
        content[name] = Split(images, _tensor(labels))
    for name in ("mean", "std"):
        content[name] = _tensor(content[name])
    return Dataset(**content).to(device)


def _tensor(array: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        # Shared memory is read-only, and nothing here writes to images.
        warnings.filterwarnings("ignore", "The given NumPy array is not writ")
        return torch.from_numpy(array)


def _device() -> torch.device:
    """The GPU that Ray has assigned to this task; without one, the CPU.

    All GPUs of the node stay visible (`hpstudy.sweep.executors.ray`): a process is handed one task after the
    other, and a GPU could not be hidden or shown any more once torch has seen them.
    """
    import ray

    assigned = ray.get_runtime_context().get_accelerator_ids().get("GPU")
    if not assigned:
        return torch.device("cpu")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    index = visible.split(",").index(assigned[0]) if visible else int(assigned[0])
    return torch.device("cuda", index)


@cache
def _sees(folder: Path) -> bool:
    """Whether checkpoints can be kept where the sweep looks for them; if not, say so."""
    if not (there := folder.is_dir()):
        print(
            f"node {_address()} does not see {folder}: a run there begins anew if it is "
            "interrupted",
            file=sys.stderr,
        )
    return there


def _address() -> str:
    import ray

    return ray.util.get_node_ip_address()


class _Marked(io.TextIOBase):
    """Text that goes on to a stream with `MARK` before each line."""

    def __init__(self, stream: TextIO):
        self._stream, self._rest = stream, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(None, lines):
            print(f"{MARK}{line}", file=self._stream, flush=True)
        return len(text)
