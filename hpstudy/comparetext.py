"""A `compare` result as text for a terminal."""

import re
import textwrap

from hpstudy.compare import RISK_THRESHOLD
from hpstudy.ellipse import MINIMUM_POINTS
from hpstudy.words import count

WIDTH = 100
"""Columns of a line."""


def format_text(result: dict) -> str:
    """Report of a `hpstudy.compare.compare` result: lines that fit, without a final line break."""
    lines = [
        f"Landscapes ({result['metric']} in percent, mean over seeds; in brackets: estimate "
        "without the noise of single runs, and its 95 % interval)"
    ]
    for name, one in result["landscapes"].items():
        lines += [f"  {name}", *(f"    {line}" for line in _landscape_lines(one))]
    lines += ["", f"Risk of keeping the dense network's {RISK_THRESHOLD}-ROI (percentage points)"]
    whole = next(iter(result["risk"].values()))["n"]
    for name, one in result["risk"].items():
        lines.append(f"  {name}: {_risk_text(one, whole)}")
    if result["movement"]:
        lines += ["", "Did it move? (against the dense network)"]
    for name, thresholds in result["movement"].items():
        lines.append(f"  {name}")
        lines += [f"    {line}" for line in _movement_lines(thresholds)]
    if result["advice"]:
        lines += ["", "Keep learning rate and weight decay?"]
        if result["axes"] != ["lr", "weight_decay"]:
            lines[-1] = f"Keep {' and '.join(result['axes'])}?"
    lines += [f"  {one['sentence']}" for one in result["advice"].values()]
    return "\n".join(_fitted(line) for line in lines)


def _fitted(line: str) -> str:
    """Line broken where it is too long, indented further from the second on."""
    indent = re.match(r" *", line)[0]
    return textwrap.fill(
        line.strip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_on_hyphens=False,
    )


def _landscape_lines(one: dict) -> list[str]:
    runs = f"{count(one['runs'], 'run')} at {count(one['points'], 'point')}"
    lines = [f"{_best_text(one)}, {runs}"]
    noise = one["noise"]
    if noise["std"] is None:
        lines.append("no intervals: too few points have a value")
    else:
        source = "from the smoothness of the landscape, there are no replicates"
        if noise["replicates_degrees"]:
            source = (
                f"replicates: {noise['replicates_std']:.2f} with "
                f"{count(noise['replicates_degrees'], 'degree')} of freedom"
            )
        lines.append(f"a single run scatters by {noise['std']:.2f} ({source})")
    for threshold, region in one["roi"].items():
        lines.append(f"{threshold}-ROI: {_region_text(region)}")
        if between := _region_intervals(region):
            lines.append(f"  {between}")
    for warning in one["warnings"]:
        added = f" [{count(len(warning['cells']), 'cell')} to add]" if warning["cells"] else ""
        lines.append(f"warning: {warning['sentence']}{added}")
    return lines


def _best_text(one: dict) -> str:
    if one["best"] is None:
        return "no accuracy at any point"
    edge = " (on the grid's edge)" if one["on_edge"] else ""
    where = ", ".join(f"{axis} {at:.3g}" for axis, at in one["best_at"].items())
    corrected = ""
    if one["best_corrected"]:
        corrected = f", without noise {_between(one['best_corrected'])}"
    return f"best {one['best']:.2f} at {where}{edge}{corrected}"


def _region_text(region: dict) -> str:
    if (ellipse := region["ellipse"]) is None:
        shape = f"no ellipse: fewer than {MINIMUM_POINTS} points"
    else:
        centre = ", ".join(f"{axis} 10^{at:.2f}" for axis, at in ellipse["centre"].items())
        shape = f"ellipse {ellipse['length']:.2f} x {ellipse['width']:.2f} decades at {centre}"
    return f"{count(region['count'], 'point')}, {shape}"


def _region_intervals(region: dict) -> str:
    found = region["intervals"]
    if found["count"] is None:
        return ""
    parts = [f"points {_between(found['count'], 0)}"]
    if found["length"] is None:
        parts.append(f"no intervals of the ellipse: {found['fitted']:.0%} of the draws have one")
    else:
        parts += [f"{name} {_between(found[name])}" for name in ("length", "width")]
        parts += [f"log10 {axis} {_between(at)}" for axis, at in found["centre"].items()]
    if region["band"]["b"] is not None:
        parts.append(f"band slope -b with b {_between(region['band']['b'])}")
    return ", ".join(parts)


def _risk_text(one: dict, whole: int) -> str:
    if one["mean"] is None:
        return f"no value at any of {count(whole, 'point')}"
    absent = f", {whole - one['n']} more without a value" if one["n"] < whole else ""
    relative = ""
    if one["relative_mean"] is not None:
        relative = f", relative {one['relative_mean']:.4f} +- {one['relative_std']:.4f}"
    scores = f"mean {one['mean']:.3f} +- {one['std']:.3f}{relative}"
    corrected = one["intervals"]["mean"]
    without = f"; without noise {_between(corrected)}" if corrected else ""
    return f"{scores} over {count(one['n'], 'point')}{absent}{without}"


def _movement_lines(thresholds: dict) -> list[str]:
    first = next(iter(thresholds.values()))
    if first is None:
        return ["too few points have a value"]
    lines = []
    if first["spearman"] is not None:
        lines.append(
            f"rank correlation over {count(first['n'], 'point')}: Spearman {first['spearman']:.2f} "
            f"{_between(first['spearman_interval'])}, Kendall {first['kendall']:.2f}"
        )
    for threshold, one in thresholds.items():
        parts = []
        if one["jaccard"] is not None:
            parts.append(
                f"overlap {one['jaccard']:.2f}, by noise alone {_between(one['jaccard_by_noise'])}"
                f" ({_p(one['jaccard_p'])})"
            )
        if one["shift_interval"] is not None:
            p = "" if one["shift_p"] is None else f" ({_p(one['shift_p'])})"
            parts.append(f"centre moved {_between(one['shift_interval'])} decades{p}")
        lines.append(f"{threshold}-ROI: {', '.join(parts) or 'nothing in common'}")
    return lines


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _between(values: list[float], digits: int = 2) -> str:
    """Estimate and the two ends, in brackets."""
    return "[" + ", ".join(f"{round(x, digits) + 0.0:.{digits}f}" for x in values) + "]"
