"""What the benchmarks share: taking turns, medians with their spread, and the tables they print."""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import torch

from hpstudy.hardware import processor
from hpstudy.training.device import cores

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "plotly")


def interleave(cases: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every case once a round, in an order that rotates, and collect what they return.

    Whatever else the machine does then meets all cases alike, so that ratios within a round stand
    where absolute figures do not.
    """
    names, measured = list(cases), {name: [] for name in cases}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            measured[name].append(cases[name]())
    return measured


def median_spread(values: list[float]) -> str:
    """Median, and the smallest and largest value beside it, to three digits."""
    return f"{_digits(median(values))} ({_digits(min(values))} to {_digits(max(values))})"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Processor, cores that may be used, GPU if there is one, and versions, in a line."""
    gpus = ""
    if torch.cuda.is_available():
        gpus = f", {torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return f"{processor()}, {cores()} cores{gpus}; Python {platform.python_version()}, {versions}"


def _version(package: str) -> str | None:
    """None for a package that a lent machine does not have and these benchmarks do not need."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def markdown(rows: list[dict[str, object]]) -> str:
    """A Markdown table; its columns are the keys of the first row."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)] + [
        [str(row[name]) for name in columns] for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
