"""Whether what was recorded of a run is possible, and whether its values agree."""

import json
import math
from collections.abc import Mapping
from typing import Any

from hpstudy.errors import count, shown
from hpstudy.training.early_stopping import DEVIATIONS, StopReason

CURVES = ("train_loss", "loss", "top1")
# Of a run that was stopped early nobody knows these.
UNKNOWN = ("top1", "top5", "loss", "best_top1", "best_epoch", "train_loss")

_NUMBERS = {int, float}


def _positive(value: Any) -> bool:
    return type(value) in _NUMBERS and 0 < value < math.inf


def _count(value: Any) -> bool:
    return _positive(value) and value == int(value)


def _percent(value: Any) -> bool:
    return type(value) in _NUMBERS and 0 <= value <= 100


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


# What the values of any run are, and how that is told.
_KINDS = {
    "epochs": (_count, "an integer above 0"),
    "seconds": (_positive, "a number above 0"),
    "images_per_second": (_positive, "a number above 0"),
    "macs": (_count, "an integer above 0"),
    "params": (_count, "an integer above 0"),
    "diverged": (lambda value: value in (0, 1), "true or false"),
    "device": (_text, "text"),
    "torch": (_text, "text"),
}


def row_faults(row: Mapping[str, Any], epochs: int, stopped: bool) -> list[str]:
    """What is wrong with the values of a run.

    Parameters
    ----------
    row : mapping
        The columns `hpstudy.storage.store.RESULT_COLUMNS`, its curve as JSON; None where there is no
        number.
    epochs : int
        Of its recipe.
    stopped : bool
        Whether it is said to have been stopped early.

    Returns
    -------
    list of str
        Words without a full stop.
    """
    faults = [
        f"{name} is {shown(row[name])}, but must be {what}"
        for name, (fits, what) in _KINDS.items()
        if not fits(row[name])
    ]
    if faults:
        return faults
    curve = _curve(row["curve"])
    if curve is None:
        return [f"its curve holds no lists of numbers for {', '.join(CURVES)} alone"]
    faults = [
        f"its curve has {count(len(curve[key]), 'value')} of {key}, but epochs is {row['epochs']}"
        for key in CURVES
        if len(curve[key]) != row["epochs"]
    ]
    if faults:
        return faults
    faults = _course_faults(row["epochs"], epochs, curve, stopped)
    return faults + (_stopped_faults(row) if stopped else _ended_faults(row, curve))


def _curve(text: Any) -> dict[str, list[float]] | None:
    try:
        curve = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(curve, dict) or curve.keys() != set(CURVES):
        return None
    lists = all(isinstance(values, list) for values in curve.values())
    return curve if lists and all(set(map(type, x)) <= _NUMBERS for x in curve.values()) else None


def _course_faults(
    trained: int, epochs: int, curve: Mapping[str, list[float]], stopped: bool
) -> list[str]:
    """What is wrong with how far it came, and with the values on the way there."""
    faults = []
    for key in CURVES:
        most = 100 if key == "top1" else math.inf
        # Losses may come to be no numbers, accuracies never do.
        if odd := [x for x in curve[key] if not 0 <= x <= most and (key == "top1" or x == x)]:
            faults.append(f"its curve has the {key} {odd[0]}")
    losses = curve["train_loss"]
    if not math.isfinite(sum(losses[:-1])):
        faults.append("it was trained on after its loss was no number")
    finite = math.isfinite(losses[-1])
    part = f"{trained} of {count(epochs, 'epoch')}"
    if trained > epochs:
        faults.append(f"epochs is {trained}, but its recipe has {epochs}")
    elif stopped and (trained == epochs or not finite):
        faults.append(f"it was stopped after {part}, when it had ended")
    elif not stopped and trained < epochs and finite:
        faults.append(f"it ended after {part}, though its loss was a number")
    return faults


def _ended_faults(row: Mapping[str, Any], curve: Mapping[str, list[float]]) -> list[str]:
    """What is wrong with the results of a run that was trained to the end."""
    best = max(curve["top1"])
    expected = {key: values[-1] for key, values in curve.items()}
    expected |= {"best_top1": best, "best_epoch": curve["top1"].index(best) + 1}
    faults = []
    for name, value in expected.items():
        # The store has no value for what is no number.
        value = None if value != value else value
        if row[name] != value:
            faults.append(f"{name} is {shown(row[name])}, but by its curve {shown(value)}")
    top5 = row["top5"]
    if top5 is not None and not (_percent(top5) and top5 >= curve["top1"][-1]):
        faults.append(f"top5 is {shown(top5)}, but must be from its top1 to 100")
    if not math.isfinite(curve["train_loss"][-1]) and not row["diverged"]:
        faults.append("diverged is false, though its loss was no number")
    return faults


def _stopped_faults(row: Mapping[str, Any]) -> list[str]:
    """What is wrong with the results of a run that was stopped early."""
    faults = [
        f"{name} is {shown(row[name])}, though it was stopped early"
        for name in UNKNOWN
        if row[name] is not None
    ]
    return faults + ["diverged is true, though it was stopped early"] * bool(row["diverged"])


def verdict_faults(threshold: Any, text: Any) -> list[str]:
    """What is wrong with why a run was stopped.

    Parameters
    ----------
    threshold : float
        Of the region of interest that it was raced to, in percentage points.
    text : str
        The verdict, as JSON.
    """
    faults = []
    if not (_percent(threshold) and threshold > 0):
        faults.append(f"its threshold is {shown(threshold)}, but must be above 0 and at most 100")
    try:
        verdict = StopReason(**json.loads(text))
        stops = verdict.expected + DEVIATIONS * verdict.deviation < verdict.needed <= 100
    except (TypeError, ValueError):
        return [*faults, f"its verdict {shown(text)} is none"]
    if not (stops and _positive(verdict.deviation)):
        faults.append(
            f"its verdict stops nothing: it was expected at {verdict.expected} with the deviation "
            f"{verdict.deviation}, and {verdict.needed} was needed"
        )
    return faults
