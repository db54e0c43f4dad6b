"""Processes that train a run together, each on a device of its own; the first is the worker."""

import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import distributed

from hpstudy.errors import HpstudyError
from hpstudy.training.device import follow_parent

logger = logging.getLogger(__name__)

Call = Callable[..., Any]
# Seconds in which the first process may fail by itself, once another one has failed.
_GRACE = 5


def teams(devices: list[str], size: int) -> list[str]:
    """Names of groups of `size` devices, as "cuda:0+cuda:1"; devices that are left over rest.

    Raises
    ------
    HpstudyError
        If there are too few devices.
    """
    if len(devices) < size:
        kind = "GPUs" if devices[0].startswith("cuda") else "cores"
        raise HpstudyError(
            f"the arithmetic shares each run among {size} devices, and this machine has "
            f"{len(devices)} {kind}"
        )
    starts = range(0, len(devices) - size + 1, size)
    return ["+".join(devices[start : start + size]) for start in starts]


def lead(folder: Path, call: Call, function: Call, team: str, *arguments: Any) -> Any:
    """`call` a function in all processes of a team; returns what it does in this one, the first.

    The processes begin with the first call, meet at a file in `folder`, and end with this one.
    """
    first, *others = team.split("+")
    for device, process in zip(others, _others(folder, team), strict=True):
        process.submit(call, function, device, *arguments).add_done_callback(_end_with)
    return call(function, first, *arguments)


@cache
def _others(folder: Path, team: str) -> list[ProcessPoolExecutor]:
    devices, store = team.split("+"), folder / uuid4().hex
    context = get_context("spawn")
    pools = [ProcessPoolExecutor(1, context, follow_parent) for _ in devices[1:]]
    for number, pool in enumerate(pools, 1):
        pool.submit(_join, store, number, devices).add_done_callback(_end_with)
    _join(store, 0, devices)
    return pools


def _join(store: Path, number: int, devices: list[str]) -> None:
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    # Processes of a team talk on this machine alone.
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    backend = "gloo"
    if devices[number].startswith("cuda"):
        backend = "nccl"
        torch.cuda.set_device(devices[number])
    distributed.init_process_group(
        backend, init_method=f"file://{store}", rank=number, world_size=len(devices)
    )


def _end_with(future: Future[None]) -> None:
    """End this process when another one has failed, for which it would wait."""
    if error := future.exception():
        time.sleep(_GRACE)
        logger.error("a device that shares a run has failed: %s", error)
        os._exit(1)
