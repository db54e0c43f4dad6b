"""What a study's missing runs will take on this machine, from a calibration of seconds."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from hpstudy.machine import devices
from hpstudy.models import initialise
from hpstudy.plan import Plan
from hpstudy.pruning import choose_channels, filter_scores
from hpstudy.study import DENSE, parse_variant

# A calibration step is kept below this many multiply-accumulates on a CPU (about half a second).
_STEP_MACS = 4e9
_REPEATS = 3


def price(plan: Plan, workers: int | None = None) -> dict[str, Any]:
    """Missing runs of a study and the time that they will take here.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Runs trained at once; one per device by default.

    Returns
    -------
    dict
        `variants`: per variant `total`, `done`, `missing`, `macs`, `params`, `seconds_per_run`
        and `source` of the latter ("measured" on three or more finished runs, or on all there are
        to be, else "calibrated" on a few steps); `hours` of wall time for all that is missing;
        `workers`; `device`. The networks of variants whose ranking is not there yet are
        approximated by untrained ones.
    """
    available = devices()
    workers = min(workers or len(available), len(available))
    counts, table = plan.counts(), plan.table()
    cost = plan.network.cost
    variants, total = {}, 0.0
    for variant in plan.study.variants:
        widths = _widths(plan, variant)
        finished = table[table["variant"] == variant]["seconds"]
        missing = int(counts.loc[variant, "missing"])
        if len(finished) >= _REPEATS or not missing:
            seconds, source = float(finished.median()), "measured"
        else:
            seconds, source = _calibrate(plan, widths, available[0]), "calibrated"
        total += missing * seconds
        variants[variant] = {
            **{key: int(value) for key, value in counts.loc[variant].items()},
            "macs": cost.macs(widths),
            "params": cost.params(widths),
            "seconds_per_run": seconds,
            "source": source,
        }
    return {
        "study": plan.study.name,
        "variants": variants,
        "hours": total / workers / 3600,
        "workers": workers,
        "device": available[0],
    }


def format_price(price: dict[str, Any]) -> str:
    """The price as lines of text for a terminal."""
    head = ("variant", "total", "done", "missing", "MMACs", "kparams", "s/run", "source")
    rows: list[Iterable[str]] = [head]
    for name, entry in price["variants"].items():
        numbers = [entry["total"], entry["done"], entry["missing"]]
        rows.append(
            (
                name,
                *map(str, numbers),
                f"{entry['macs'] / 1e6:.1f}",
                f"{entry['params'] / 1e3:.0f}",
                f"{entry['seconds_per_run']:,.1f}",
                entry["source"],
            )
        )
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, columns, strict=True)) for row in rows]
    missing = sum(entry["missing"] for entry in price["variants"].values())
    lines.append(
        f"{price['study']}: {missing} missing runs, about {format_hours(price['hours'])} "
        f"with {price['workers']} worker(s) on {price['device']}"
    )
    return "\n".join(line.rstrip() for line in lines)


def format_hours(hours: float) -> str:
    """A duration in the unit that suits it."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.1f} min"
    return f"{hours:,.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def _widths(plan: Plan, variant: str) -> dict[str, int] | None:
    if variant == DENSE:
        return None
    if variant in plan.certificates:
        return plan.certificates[variant]["widths"]
    scores = filter_scores(plan.network.model, plan.network.prunable)
    method, ratio = parse_variant(variant)
    kept = choose_channels(plan.network.cost, scores, method, ratio, plan.study.criterion)
    return {layer: len(channels) for layer, channels in kept.items()}


def _calibrate(plan: Plan, widths: dict[str, int] | None, device: str) -> float:
    """Seconds per run, from a few training and evaluation steps on one thread of `device`."""
    model = plan.network.at_widths(widths)
    with torch.random.fork_rng(devices=[]):
        initialise(model)
    model.to(device, memory_format=torch.channels_last)
    recipe, size = plan.study.recipe, plan.study.data.image_size
    batch = min(recipe.batch_size, plan.size.train)
    if device == "cpu":
        batch = max(2, min(batch, int(_STEP_MACS / 3 / plan.network.cost.macs(widths))))
    images = torch.randn(batch, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(plan.size.classes, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=recipe.momentum)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = _median_seconds(step, device) / batch
        with torch.no_grad():
            evaluation = _median_seconds(lambda: _evaluate(model, images), device) / batch
    finally:
        torch.set_num_threads(threads)
    return recipe.epochs * (plan.size.train * training + plan.size.test * evaluation)


def _evaluate(model: nn.Module, images: torch.Tensor) -> None:
    model.eval()
    model(images)
    model.train()


def _median_seconds(work: Callable[[], None], device: str) -> float:
    def timed() -> float:
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    timed()
    return statistics.median(timed() for _ in range(_REPEATS))
