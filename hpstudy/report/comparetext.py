"""A `compare` result as text for a terminal."""

import re
import textwrap

from hpstudy.analysis.regions import MINIMUM_POINTS
from hpstudy.analysis.verdict import NEGLIGIBLE
from hpstudy.errors import count
from hpstudy.plots.labels import Metric, axis_title

WIDTH = 100
"""Columns of a line."""

_NOTES = {
    "end": "* the good region of the dense or the pruned network reaches the end of the grid here: "
    "it may go on beyond, and the shift may be larger.",
    "edge": "^ the best of the pruned network lies on the edge of its grid: a better one may lie "
    "beyond, and the loss may be larger.",
    "interpolated": "~ read off surfaces between the settings, as these are too few or not the "
    "same.",
    "ties": "= settings measured exactly as well as the best; the one with the smallest values is "
    "named.",
}


def format_text(result: dict) -> str:
    """Report of a `hpstudy.analysis.comparison.compare` result: lines that fit, without a final line break."""
    metric = _metric(result)
    lines = [*result["reading"], ""]
    if result["advice"]:
        lines += [*_verdict_lines(result, metric), ""]
    else:
        lines += [
            "There is one network only, and so no verdict: add the table of a pruned one.",
            "",
        ]
    lines.append(
        f"Landscapes ({metric.headed}, mean over seeds; in brackets: estimate without the noise of "
        "single runs, and its 95 % interval)"
    )
    for name, one in result["landscapes"].items():
        lines += [f"  {name}", *(f"    {line}" for line in _landscape_lines(one, metric))]
    unit = "percentage points" if metric.percent else metric.name
    risk = f"Risk of keeping the dense network's {result['tolerable']:g}-ROI ({unit})"
    lines += ["", f"{risk}; bounds are one-sided 95 %"]
    whole = next(iter(result["risk"].values()))["n"]
    for name, one in result["risk"].items():
        lines.append(f"  {name}: {_risk_text(one, whole)}")
    if result["movement"]:
        lines += ["", "Did it move? (against the dense network)"]
    for name, thresholds in result["movement"].items():
        lines.append(f"  {name}")
        lines += [f"    {line}" for line in _movement_lines(thresholds)]
    return "\n".join(_fitted(line) for line in lines)


def _metric(result: dict) -> Metric:
    sign = -1 if result["goal"] == "minimize" else 1
    return Metric(result["metric"], sign, result["percent"])


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


# --- verdicts -------------------------------------------------------------------------------------


def _verdict_lines(result: dict, metric: Metric) -> list[str]:
    """Verdict on each network and hyperparameter, one after the other, and what decides."""
    threshold = next(iter(result["advice"].values()))["threshold"]
    lines = [
        "May the dense network's settings be kept?",
        f"  A hyperparameter is kept where the centre of the good settings (within {threshold:g} "
        f"of a network's own best) moves by at most a factor of {10**NEGLIGIBLE:.0f}. Both are "
        f"kept where that loses at most {result['tolerable']:g}.",
    ]
    used = set()
    for name, one in result["advice"].items():
        kept, good = one["good_settings_kept"]
        lines.append(
            f"  {name}" + (f" ({kept} of {count(good, 'good setting')} stay good)" if good else "")
        )
        for axis, shift in one["shift"].items():
            end, between = bool(one["at_grid_end"][axis]), bool(shift and one["shift_interpolated"])
            marks = "*" * end + "~" * between
            used |= {"end"} if end else set()
            used |= {"interpolated"} if between else set()
            verdict = one["verdict"][axis].upper() + marks
            lines.append(f"    {axis_title(axis):16}{verdict:14} {_factor(shift)}")
        marks = "^" * one["best_at_grid_end"] + "~" * one["interpolated"]
        used |= {"interpolated"} if one["interpolated"] else set()
        used |= {"edge"} if one["best_at_grid_end"] else set()
        verdict = one["verdict"]["both"].upper() + marks
        lines.append(f"    {'both kept':16}{verdict:14} {_lost(one, metric)}")
    if pooled := result["pooled"]:
        lines.append(f"  all {pooled['networks']} pruned networks together")
        for axis, shift in pooled["shift"].items():
            verdict = pooled["verdict"][axis].upper()
            lines.append(f"    {axis_title(axis):16}{verdict:14} {_factor(shift)}")
    if any(one["ties"] for one in result["landscapes"].values()):
        used.add("ties")
    return lines + [f"  {text}" for mark, text in _NOTES.items() if mark in used]


def _factor(shift: list[float] | None) -> str:
    """Shift as a factor: "x0.5 (0.3 to 0.9)"."""
    if shift is None:
        return "no interval: a good region has too few settings, or most of the grid"
    estimate, low, high = (f"{10**x:.2g}" for x in shift)
    return f"moved by a factor of {estimate} ({low} to {high})"


def _lost(one: dict, metric: Metric) -> str:
    if one["loss"] is None:
        return "the network has no value at the dense network's optimum: train it there"
    estimate, least, most = one["loss"]
    text = f"loses {metric.text(estimate)}, at most {metric.text(most)}"
    if least > 0:
        text += f", at least {metric.text(least)}"
    if one["measured"] is not None:
        text += f" (measured {metric.text(one['measured'])})"
    if one["second_best_loss"]:
        text += f"; its second best setting at most {metric.text(one['second_best_loss'][2])}"
    return text


# --- landscapes -----------------------------------------------------------------------------------


def _landscape_lines(one: dict, metric: Metric) -> list[str]:
    runs = f"{count(one['runs'], 'run')} at {count(one['points'], 'setting')}"
    lines = [f"{_best_text(one, metric)}, {runs}"]
    noise = one["noise"]
    if noise["std"] is None:
        lines.append("no intervals: too few settings have a value")
    else:
        lines.append(
            f"a single run scatters by {metric.text(noise['std'])} ({_source(noise, metric)})"
        )
    for threshold, region in one["roi"].items():
        lines.append(f"{threshold}-ROI: {_region_text(region)}")
        if between := _region_intervals(region):
            lines.append(f"  {between}")
    for warning in one["warnings"]:
        added = f" [{count(len(warning['cells']), 'cell')} to add]" if warning["cells"] else ""
        lines.append(f"warning: {warning['sentence']}{added}")
    return lines


def _source(noise: dict, metric: Metric) -> str:
    """Where the noise of a run is known from."""
    if not noise["replicates_degrees"]:
        return "from the smoothness of the landscape, there are no replicates; alike everywhere"
    text = (
        f"replicates: {metric.text(noise['replicates_std'])} with "
        f"{count(noise['replicates_degrees'], 'degree')} of freedom"
    )
    if noise["growth"][0]:
        text += f"; x{10 ** noise['growth'][0]:.2g} per decade of the first axis"
    if noise["shared_by_seeds"]:
        text += (
            f"; a seed moves all settings alike by {noise['shared_by_seeds']:.0%} of the variance"
        )
    return text


def _best_text(one: dict, metric: Metric) -> str:
    if one["best"] is None:
        return "no value at any setting"
    edge = " (on the grid's edge)" if one["on_edge"] else ""
    ties = f" (= {count(one['ties'], 'more setting')})" if one["ties"] else ""
    where = ", ".join(f"{axis} {at:.3g}" for axis, at in one["best_at"].items())
    corrected = ""
    if one["best_corrected"]:
        texts = (metric.text(x) for x in one["best_corrected"])
        corrected = f", without noise [{', '.join(texts)}]"
    return f"best {metric.text(one['best'])} at {where}{edge}{ties}{corrected}"


def _region_text(region: dict) -> str:
    if (ellipse := region["ellipse"]) is None:
        shape = f"no ellipse: fewer than {MINIMUM_POINTS} settings"
    else:
        centre = ", ".join(f"{axis} 10^{at:.2f}" for axis, at in ellipse["centre"].items())
        size = f"{ellipse['length']:.2f} x {ellipse['width']:.2f}"
        if len(ellipse["centre"]) == 1:
            size = f"{ellipse['length']:.2f}"
        shape = f"ellipse {size} decades at {centre}"
    return f"{count(region['count'], 'setting')}, {shape}"


def _region_intervals(region: dict) -> str:
    found = region["intervals"]
    if found["count"] is None:
        return ""
    parts = [f"settings {_between(found['count'], 0)}"]
    if found["length"] is None:
        parts.append(f"no intervals of the ellipse: {found['fitted']:.0%} of the draws have one")
    else:
        sizes = ("length", "width") if len(found["centre"]) == 2 else ("length",)
        parts += [f"{name} {_between(found[name])}" for name in sizes]
        parts += [f"log10 {axis} {_between(at)}" for axis, at in found["centre"].items()]
    if region["band"]["b"] is not None:
        parts.append(f"band slope -b with b {_between(region['band']['b'])}")
    return ", ".join(parts)


def _risk_text(one: dict, whole: int) -> str:
    if one["mean"] is None:
        return f"no value at any of {count(whole, 'setting')}"
    absent = f", {whole - one['n']} more without a value" if one["n"] < whole else ""
    relative = ""
    if one["relative_mean"] is not None:
        relative = f", relative {one['relative_mean']:.4f} +- {one['relative_std']:.4f}"
    scores = f"mean {one['mean']:.3f} +- {one['std']:.3f}{relative}"
    corrected = one["intervals"]["mean"]
    without = f"; without noise {_between(corrected)}" if corrected else ""
    return f"{scores} over {count(one['n'], 'setting')}{absent}{without}"


def _movement_lines(thresholds: dict) -> list[str]:
    first = next(iter(thresholds.values()))
    if first is None:
        return ["too few settings have a value"]
    lines = []
    if first["interpolated"]:
        lines.append(
            f"{count(first['n'], 'setting')} in common; what is in brackets is read off both "
            "surfaces between the settings"
        )
    if first["spearman"] is not None:
        lines.append(
            f"rank correlation over {count(first['n'], 'setting')}: Spearman "
            f"{first['spearman']:.2f} {_between(first['spearman_interval'])}, Kendall "
            f"{first['kendall']:.2f}"
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
