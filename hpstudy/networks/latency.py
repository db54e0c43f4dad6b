"""Time that networks take for a batch, against the first of them."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from hpstudy.errors import HpstudyError, count, one_line, shown
from hpstudy.hardware import processor
from hpstudy.networks.graph import Inputs
from hpstudy.networks.onnx_export import check_packages, feed, session, to_onnx

CONFIDENCE = 0.95
REPEATS = 51
# With fewer, the interval of a median has no ends.
_FEWEST = 6
_WARM_UP = 3
CLOCKS = {"cpu": "CPU time", "wall": "time on the wall"}


class Latency(BaseModel, frozen=True, extra="forbid"):
    """Time of one network for one batch.

    `seconds` is the median over the rounds. `ratio` is the median of the ratios to the first
    network's time in the same round, and `low` and `high` are its 95 % interval.
    """

    seconds: float
    ratio: float
    low: float
    high: float


class LatencyReport(BaseModel, frozen=True, extra="forbid"):
    """Times of networks in onnxruntime and in torch, by their names, and how they were measured."""

    batch: int
    threads: int
    repeats: int
    clock: Literal["cpu", "wall"]
    processor: str
    versions: dict[str, str]
    onnxruntime: dict[str, Latency]
    torch: dict[str, Latency]

    def facts(self) -> dict[str, str]:
        """Facts on "dense" and "pruned" that the terminal prints, by name."""
        facts = {}
        for runtime, times in (("onnxruntime", self.onnxruntime), ("torch", self.torch)):
            dense, pruned = times["dense"], times["pruned"]
            facts[f"latency, {runtime}"] = (
                f"{pruned.ratio:.3f} ({pruned.low:.3f} to {pruned.high:.3f}) of dense, "
                f"{1e3 * pruned.seconds:.3g} of {1e3 * dense.seconds:.3g} ms"
            )
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        facts["measured"] = (
            f"{CLOCKS[self.clock]}, {count(self.threads, 'thread')}, batch {self.batch}, medians "
            f"of {self.repeats} rounds in turns, {versions}, {self.processor}"
        )
        return facts


def measure_latency(
    # The text is for the documentation, which is built without torch.
    models: "Mapping[str, nn.Module | str | Path | bytes]",
    inputs: Any,
    threads: int = 1,
    repeats: int = REPEATS,
) -> LatencyReport:
    """Measure the time that networks take on the CPU, against the first of them.

    One thread's time is its CPU time, to which other processes add nothing. Several threads are
    timed by the clock on the wall, on a machine that should have nothing else to do.

    The networks take turns in every round, in an order that rotates, so that whatever else the
    machine does meets all of them alike. Each turn calls a network twice and times the second
    call, because the other networks have emptied the caches. The interval is that of a median by
    ranks, which supposes no distribution, but independent rounds.

    Parameters
    ----------
    models : dict of str to torch.nn.Module, path or bytes
        Networks by name; the first is the one that others are compared with. Modules are measured
        in onnxruntime, and in torch in evaluation and inference mode. An ONNX file, by its path or
        as its content, is measured in onnxruntime alone.
    inputs : tensor, tuple or dict
        Arguments of their forward; the size of the batch is theirs.
    threads : int, default 1
        Threads of either runtime. That of torch is set back afterwards.
    repeats : int, default 51
        Rounds, at least 6.

    Returns
    -------
    LatencyReport

    Raises
    ------
    HpstudyError
        If a package is missing, there is no network, a number is too small, or a network cannot be
        exported or run.
    """
    check_packages()
    for name, value, least in (("threads", threads, 1), ("repeats", repeats, _FEWEST)):
        if not isinstance(value, int) or value < least:
            raise HpstudyError(f"{name} must be a whole number from {least}, not {shown(value)}")
    given = Inputs.of(inputs).map(lambda tensor: tensor.detach().cpu())
    if not models:
        raise HpstudyError("models must hold at least one network to measure")
    arrays = {name: _in_onnxruntime(name, one, given, threads) for name, one in models.items()}
    modules = {name: one for name, one in models.items() if isinstance(one, nn.Module)}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        clock = time.thread_time if threads == 1 else time.perf_counter
        seconds = _take_turns(arrays, repeats, clock)
        calls = {name: _in_torch(one, given) for name, one in modules.items()}
        eager = _take_turns(calls, repeats, clock)
    finally:
        torch.set_num_threads(before)
    return LatencyReport(
        batch=next((len(tensor) for tensor in given.tensors() if tensor.ndim), 1),
        threads=threads,
        repeats=repeats,
        clock="cpu" if threads == 1 else "wall",
        processor=processor(),
        versions={package: version(package) for package in ("onnxruntime", "torch")},
        onnxruntime=against_first(seconds),
        torch=against_first(eager),
    )


def against_first(seconds: Mapping[str, Sequence[float]]) -> dict[str, Latency]:
    """Times of each round, by network, as medians and ratios to the first network."""
    if not seconds:
        return {}
    first = np.array(next(iter(seconds.values())))
    from scipy import stats  # takes a second, which training need not wait for

    # The ranks between which the median lies: Conover, Practical Nonparametric Statistics, 3.2.
    skipped = int(stats.binom.ppf((1 - CONFIDENCE) / 2, len(first), 0.5)) - 1
    found = {}
    for name, times in seconds.items():
        ratios = np.sort(np.array(times) / first)
        found[name] = Latency(
            seconds=median(times),
            ratio=float(np.median(ratios)),
            low=float(ratios[skipped]),
            high=float(ratios[-1 - skipped]),
        )
    return found


def _in_onnxruntime(
    name: str, model: "nn.Module | str | Path | bytes", inputs: Inputs, threads: int
) -> Callable[[], object]:
    if isinstance(model, nn.Module):
        content: bytes | str = to_onnx(model, inputs, any_batch=False).content
    elif isinstance(model, bytes):
        content = model
    elif not Path(model).is_file():
        raise HpstudyError(f"there is no file {str(model)!r}")
    else:
        content = str(model)
    try:
        running = session(content, threads)
        arrays = feed(running, inputs)
        running.run(None, arrays)
    except HpstudyError:
        raise
    except Exception as error:  # whatever onnxruntime raises
        raise HpstudyError(f"onnxruntime cannot run {name}: {one_line(error)}") from None
    return lambda: running.run(None, arrays)


def _in_torch(model: nn.Module, inputs: Inputs) -> Callable[[], object]:
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)

    def run() -> object:
        with torch.inference_mode():
            return inputs.run(model)

    return run


def _take_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of every call in every round."""
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-_WARM_UP, rounds if names else -_WARM_UP):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            calls[name]()
            start = clock()
            calls[name]()
            if number >= 0:
                seconds[name].append(clock() - start)
    return seconds
