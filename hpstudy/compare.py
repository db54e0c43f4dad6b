"""Landscapes and risks of all networks of a table, as one dictionary and as text."""

import math

import pandas as pd

from hpstudy.ellipse import MINIMUM_POINTS
from hpstudy.errors import HpstudyError
from hpstudy.landscape import Landscape, landscapes
from hpstudy.risk import risks
from hpstudy.table import read_table

__all__ = ["compare", "format_text", "parse_roi", "read_table"]

RISK_THRESHOLD = 0.5
"""Percentage points; the risk is over the dense network's 0.5-ROI (thesis, section 3.3.2)."""


def parse_roi(text: str) -> tuple[float, ...]:
    """Thresholds of regions of interest, in percentage points, from text such as "0.5,1.0".

    Raises
    ------
    HpstudyError
        If one of them is not a positive, finite number; names it.
    """
    thresholds = []
    for word in text.split(","):
        try:
            threshold = float(word)
        except ValueError:
            threshold = math.nan
        if not (math.isfinite(threshold) and threshold > 0):
            raise HpstudyError(
                f"--roi takes positive numbers separated by commas, such as 0.5,1.0; "
                f"not {word.strip()!r}."
            )
        thresholds.append(threshold)
    return tuple(dict.fromkeys(thresholds))


def compare(
    table: pd.DataFrame, dense: str = "unpruned", roi: tuple[float, ...] = (0.5, 1.0)
) -> dict:
    """Landscapes and risks of all networks of a table, as plain values for JSON.

    Parameters
    ----------
    table : DataFrame
        Runs as `read_table` returns them; accuracies are averaged over seeds at each grid point.
    dense : str, default "unpruned"
        Variant of the dense network.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of the regions of interest, in percentage points. The risk is over the dense
        network's 0.5-ROI whatever they are.

    Returns
    -------
    dict
        "landscapes" and "risk", each by variant, the dense network first. Accuracies and risks
        are in percentage points, relative risks fractions, ellipses in decades with their centre
        as log10. None stands for what does not exist: an ellipse of fewer than five points, a
        mean over nothing.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing.

    References
    ----------
    Thesis, sections 3.3.1 and 3.3.2; Tables 4.1 and 4.2.
    """
    found = landscapes(table, dense=dense)
    return {
        "landscapes": {name: _landscape(one, roi) for name, one in found.items()},
        "risk": {
            name: {
                "n": one.n,
                "mean": _finite(one.mean),
                "std": _finite(one.std),
                "relative_mean": _finite(one.relative_mean),
                "relative_std": _finite(one.relative_std),
            }
            for name, one in risks(found, RISK_THRESHOLD).items()
        },
    }


def format_text(result: dict) -> str:
    """Report of a `compare` result for a terminal: aligned lines, without a final line break."""
    width = max(len(name) for name in result["landscapes"])
    lines = ["Landscapes (top-1 in percent, mean over seeds; the best of many flatters itself)"]
    for name, one in result["landscapes"].items():
        runs = f"{_count(one['points'], 'point')} x {_count(one['seeds'], 'seed')}"
        lines.append(f"  {name:{width}}  {_best_text(one)}, {runs}")
        for threshold, region in one["roi"].items():
            lines.append(f"    {threshold}-ROI: {_region_text(region)}")
    lines += ["", f"Risk of keeping the dense network's {RISK_THRESHOLD}-ROI (percentage points)"]
    whole = next(iter(result["risk"].values()))["n"]
    for name, one in result["risk"].items():
        lines.append(f"  {name:{width}}  {_risk_text(one, whole)}")
    return "\n".join(lines)


def _landscape(landscape: Landscape, roi: tuple[float, ...]) -> dict:
    """Entry of one network under "landscapes"."""
    return {
        "points": len(landscape.points),
        "seeds": landscape.seeds,
        "best": _finite(landscape.best),
        "best_at": {axis: _finite(at) for axis, at in landscape.best_at.items()},
        "on_edge": landscape.on_edge,
        "roi": {str(float(threshold)): _region(landscape, threshold) for threshold in roi},
    }


def _region(landscape: Landscape, threshold: float) -> dict:
    """Entry of one threshold under "roi"."""
    ellipse = landscape.ellipse(threshold)
    return {
        "count": len(landscape.roi(threshold)),
        "ellipse": ellipse
        and {
            "length": ellipse.length,
            "width": ellipse.width,
            "centre": dict(zip(landscape.axes, ellipse.centre, strict=True)),
        },
    }


def _finite(value: float) -> float | None:
    """Value itself, or None for NaN, which JSON has no word for."""
    return value if math.isfinite(value) else None


def _best_text(one: dict) -> str:
    if one["best"] is None:
        return "no accuracy at any point"
    edge = " (on the grid's edge)" if one["on_edge"] else ""
    where = ", ".join(f"{axis} {at:.3g}" for axis, at in one["best_at"].items())
    return f"best {one['best']:.2f} at {where}{edge}"


def _region_text(region: dict) -> str:
    if (ellipse := region["ellipse"]) is None:
        shape = f"no ellipse: fewer than {MINIMUM_POINTS} points"
    else:
        centre = ", ".join(f"{axis} 10^{at:.2f}" for axis, at in ellipse["centre"].items())
        shape = f"ellipse {ellipse['length']:.2f} x {ellipse['width']:.2f} decades at {centre}"
    return f"{_count(region['count'], 'point')}, {shape}"


def _risk_text(one: dict, whole: int) -> str:
    if one["mean"] is None:
        return f"no value at any of {_count(whole, 'point')}"
    absent = f", {whole - one['n']} more without a value" if one["n"] < whole else ""
    relative = ""
    if one["relative_mean"] is not None:
        relative = f", relative {one['relative_mean']:.4f} +- {one['relative_std']:.4f}"
    scores = f"mean {one['mean']:.3f} +- {one['std']:.3f}{relative}"
    return f"{scores} over {_count(one['n'], 'point')}{absent}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
