"""One run, from its specification to its row; and the process that trains run after run."""

import copy
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hpstudy.data import Dataset
from hpstudy.models import initialise
from hpstudy.pruning import filter_scores, weights_hash
from hpstudy.sources import Split
from hpstudy.study import RunSpec
from hpstudy.surgery import Network
from hpstudy.training import train

# Read when a process starts: one thread per worker (more threads than free cores cost tenfold),
# and freed memory kept by the allocator instead of being returned and faulted in again each step.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**26),
}

_data: Dataset
_device: torch.device


def save_dataset(data: Dataset, path: Path) -> None:
    """Write prepared images so that every worker maps the same pages of memory."""
    torch.save(asdict(data), path)


def _open_dataset(path: Path) -> Dataset:
    content = torch.load(path, mmap=True, weights_only=True)
    train_split, test_split = Split(**content.pop("train")), Split(**content.pop("test"))
    return Dataset(train_split, test_split, **content)


def start(path: Path, devices: Any) -> None:
    """Make this process a worker: one thread, one device, the data mapped; end with the parent."""
    global _data, _device
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _device = torch.device(devices.get())
    prepare_device()
    _data = _open_dataset(path).to(_device)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def prepare_device() -> None:
    """Arithmetic that is the same for every run: float32 throughout, one thread, no denormals."""
    torch.set_num_threads(1)
    # Strong weight decay drives weights to denormal numbers, which a CPU handles in microcode.
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


@cache
def _network(model: str, classes: int, image_size: int) -> Network:
    return Network(model, classes, image_size)


@cache
def _architecture(
    model: str, classes: int, image_size: int, widths: tuple[tuple[str, int], ...] | None
) -> torch.nn.Module:
    return _network(model, classes, image_size).at_widths(widths and dict(widths))


def run(spec: RunSpec, keep_scores: bool) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Train one run on this worker's data and device (see `run_on`)."""
    return run_on(spec, _data, _device, keep_scores)


def run_on(
    spec: RunSpec, data: Dataset, device: torch.device, keep_scores: bool = False
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Train one run.

    Parameters
    ----------
    spec : RunSpec
    data : Dataset
        On `device`.
    device : torch.device
    keep_scores : bool
        Whether to rank the filters of the trained network.

    Returns
    -------
    tuple of (dict, dict or None)
        The columns `hpstudy.store.RESULT_COLUMNS`, and the ranking for `hpstudy.store.Store.add`.
    """
    widths = tuple(spec.widths.items()) if spec.widths else None
    key = (spec.model, data.classes, data.image_size)
    network = _network(*key)
    # The cached network is never trained: every run starts its copy afresh from the seed alone.
    model = copy.deepcopy(_architecture(*key, widths))
    torch.manual_seed(spec.seed)
    initialise(model)
    model.to(device)
    result = train(
        model, data, spec.recipe, lr=spec.lr, weight_decay=spec.weight_decay, seed=spec.seed
    )
    cuda = device.type == "cuda"
    row = {
        **asdict(result),
        "macs": network.cost.macs(spec.widths),
        "params": network.cost.params(spec.widths),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "torch": torch.__version__,
    }
    if not keep_scores:
        return row, None
    ranking = {
        "scores": filter_scores(model, network.prunable),
        "weights_sha256": weights_hash(model),
    }
    return row, ranking
