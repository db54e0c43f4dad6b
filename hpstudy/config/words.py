"""Numbers as words of a report: counts that agree, intervals, ranges, lists."""

import math
from collections.abc import Iterable

_AXIS_TITLES = {"lr": "learning rate"}


def interval_text(value: tuple[float, float, float], digits: int = 2) -> str:
    """Estimate and 95 % interval: "0.17 (0.00 to 0.86)"; a dash where there is none."""
    if not math.isfinite(value[0]):
        return "–"
    estimate, low, high = (number_text(x, digits) for x in value)
    return f"{estimate} ({low} to {high})"


def loss_text(value: tuple[float, float, float], digits: int = 2) -> str:
    """Loss and its one-sided bounds: "0.21 (≤ 0.98)", "0.76 (≥ 0.31, ≤ 1.27)"."""
    if not math.isfinite(value[0]):
        return "–"
    estimate, least, most = (number_text(x, digits) for x in value)
    return f"{estimate} (≥ {least}, ≤ {most})" if value[1] > 0 else f"{estimate} (≤ {most})"


def number_text(value: float, digits: int = 2) -> str:
    """Number with a true minus sign, a dash for NaN; never a negative zero."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def range_text(values: Iterable[float], digits: int = 2) -> str:
    """Least and greatest value, or the only one: "0.17 to 0.95"."""
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return "an unknown number of"
    ends = (number_text(known[0], digits), number_text(known[-1], digits))
    return " to ".join(dict.fromkeys(ends))


def list_text(words: Iterable[str]) -> str:
    """Words with commas and a final "and"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def axis_title(axis: str) -> str:
    """Name of a hyperparameter in words: "learning rate" for lr, "weight decay", "batch size"."""
    return _AXIS_TITLES.get(axis, axis.replace("_", " "))


def real(value: float) -> str:
    """Learning rate or weight decay in the fewest characters: 0.0032, 0.1, 1e-05."""
    return f"{value:.3g}"
