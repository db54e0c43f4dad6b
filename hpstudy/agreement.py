"""What the thesis found, and whether a study agrees: decided by intervals, in words."""

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis import Analysis
from hpstudy.intervals import Interval, interval
from hpstudy.movement import Shift
from hpstudy.outcomes import enough_points
from hpstudy.results import Results, roi_title
from hpstudy.risk import common_points
from hpstudy.words import axis_title, count, interval_text, list_text

NEGLIGIBLE = 0.3
"""Decades: the largest shift along either axis that section 4.1.2 calls negligible (ResNet-56)."""

CONSISTENT = 0.76
"""Decades: the largest change of ResNet-56's lengths that section 4.1.2 calls consistent."""

OUTLIER = "nonuniform-0.2"
"""The variant of ResNet-56 whose region grew where those of non-uniform MobileNetV2 shrank."""

AGREES, DIFFERS, UNTOLD = "agrees", "differs", "cannot be told"


class Finding(NamedTuple):
    """One claim of the thesis beside one network of a study.

    Attributes
    ----------
    claim : str
        What the thesis says, and where.
    variant : str
        The network that it is held against.
    roi : float
        Threshold of the region of interest, in percentage points.
    verdict : str
        `AGREES`, `DIFFERS` or `UNTOLD`.
    because : str
        The numbers that decide.
    """

    claim: str
    variant: str
    roi: float
    verdict: str
    because: str


def agreement(studies: Iterable[Results]) -> pd.DataFrame:
    """Claims of the thesis beside what studies found.

    Returns
    -------
    DataFrame of shape (n_findings, 6)
        study, and columns of `Finding`. A claim agrees or differs only where a 95 % interval
        decides it; otherwise it cannot be told from these data.

    References
    ----------
    Thesis, sections 4.1.1 (band, outlier), 4.1.2 (no shift, size of the ellipses) and 4.2 (risk).
    """
    rows = [
        {"study": one.name} | finding._asdict() for one in studies for finding in _findings(one)
    ]
    return pd.DataFrame(rows).sort_values("claim", kind="stable", ignore_index=True)


def by_claim(studies: Iterable[Results]) -> pd.DataFrame:
    """How many networks agree with each claim of the thesis.

    Returns
    -------
    DataFrame of shape (n_claims, 4)
        claim, and by verdict the number of networks, one a study and variant.
    """
    found = agreement(studies)
    counts = pd.crosstab(found["claim"], found["verdict"])
    return counts.reindex(columns=[AGREES, DIFFERS, UNTOLD], fill_value=0).reset_index()


def summary(studies: Iterable[Results]) -> str:
    """How often studies agree with the thesis: "agrees in 5 cases, differs in 0 and ..."."""
    agrees, differs, untold = by_claim(studies)[[AGREES, DIFFERS, UNTOLD]].sum()
    cases = "case" if agrees == 1 else "cases"
    return f"agrees in {agrees} {cases}, differs in {differs} and cannot tell in {untold}"


def beyond(shift: Shift) -> bool:
    """Whether a shift is more than noise, and more than what the thesis calls negligible."""
    sides = shift.first, shift.second
    return shift.told and any(max(one.low, -one.high) > NEGLIGIBLE for one in sides)


def _findings(results: Results) -> list[Finding]:
    analysis, threshold = results.analysis(), max(results.thresholds)
    found = [_band(analysis, name, threshold) for name in analysis.landscapes]
    for name in analysis.pruned:
        found.append(_shift(analysis, name, threshold))
        found.append(_size(analysis, name, threshold, results.record["study"]["model"]))
        found.append(_risk(analysis, name, results.risk_threshold))
        found.append(_bounded(analysis, name, results.risk_threshold))
    return found


def _band(analysis: Analysis, name: str, threshold: float) -> Finding:
    found = partial(
        Finding,
        "A larger learning rate wants a smaller weight decay (section 4.1.1)",
        name,
        threshold,
    )
    shape = analysis.shape(name, threshold)
    b = shape.band.b
    if not math.isfinite(b.estimate) or not enough_points(shape):
        return found(UNTOLD, f"the {roi_title(threshold)} has no clear direction")
    return found(_side(b, 0.0), f"slope −b with b = {interval_text(b)}")


def _shift(analysis: Analysis, name: str, threshold: float) -> Finding:
    found = partial(
        Finding,
        "The centre of the near-best region does not shift after pruning (section 4.1.2)",
        name,
        threshold,
    )
    moved = analysis.movement(name, threshold)
    if moved is None or not math.isfinite(moved.shift.distance.estimate):
        return found(UNTOLD, f"the {roi_title(threshold)} has too few points")
    shift = moved.shift
    axes = [axis_title(axis) for axis in analysis.landscapes[name].axes]
    sides = [
        f"{axis} {interval_text(one)}"
        for axis, one in zip(axes, (shift.first, shift.second), strict=True)
    ]
    because = f"shift {interval_text(shift.distance)} decades: {list_text(sides)}"
    because += f"; p = {shift.p:.3f}" if math.isfinite(shift.p) else ""
    because += "; more than noise" if shift.told else ""
    if beyond(shift):
        return found(DIFFERS, because)
    if lone := _lone(analysis, name, threshold):
        # Where they lie the centres of the whole regions may be apart after all.
        of = f"{count(lone, 'setting')} of the two {roi_title(threshold)}s"
        return found(UNTOLD, f"{because}, without {of} that only one network has")
    # An interval that reaches further has not shown that the shift is negligible.
    within = all(max(-one.low, one.high) <= NEGLIGIBLE for one in (shift.first, shift.second))
    return found(AGREES if within else UNTOLD, because)


def _lone(analysis: Analysis, name: str, threshold: float) -> int:
    """Settings of either network's region that the other network lacks."""
    pair = analysis.landscapes[analysis.dense], analysis.landscapes[name]
    shared = common_points(*pair)
    return sum(
        int(np.delete(one.inside(threshold), rows).sum())
        for one, rows in zip(pair, shared, strict=True)
    )


def _size(analysis: Analysis, name: str, threshold: float, model: str) -> Finding:
    nonuniform = name.startswith("nonuniform")
    shrinks, grows = nonuniform and model.startswith("mobilenetv2"), name == OUTLIER
    claim = f"The length of the region changes by at most {CONSISTENT} decades (section 4.1.2)"
    if shrinks:
        claim = "Non-uniform pruning shortens the region of MobileNetV2 (section 4.1.1)"
    elif grows:
        claim = "Non-uniform pruning to 20 %, the outlier, lengthens the region (section 4.1.1)"
    found = partial(Finding, claim, name, threshold)
    moved = analysis.movement(name, threshold)
    shapes = [analysis.shape(variant, threshold) for variant in (analysis.dense, name)]
    if moved is None or not all(enough_points(shape) for shape in shapes):
        return found(UNTOLD, f"the {roi_title(threshold)} has too few points")
    longer = moved.longer
    if not math.isfinite(longer.estimate):
        return found(UNTOLD, "too few settings are common to both networks")
    dense, other = map(interval_text, moved.lengths)
    because = f"{interval_text(longer)} decades longer: {other} against {dense} unpruned"
    if shrinks or grows:
        towards = Interval(-longer.estimate, -longer.high, -longer.low) if shrinks else longer
        return found(_side(towards, 0.0), because)
    if max(-longer.low, longer.high) <= CONSISTENT:
        return found(AGREES, because)
    return found(DIFFERS if max(longer.low, -longer.high) > CONSISTENT else UNTOLD, because)


def _risk(analysis: Analysis, name: str, threshold: float) -> Finding:
    found = partial(
        Finding,
        "Keeping the settings costs more after pruning than before (section 4.2)",
        name,
        threshold,
    )
    other = analysis.risk(name, threshold)
    if not math.isfinite(other.mean.estimate):
        return found(UNTOLD, "too few points have a value")
    more = interval(analysis.extra_risk(name, threshold))
    own = interval(analysis.uncertain_risk(name, threshold))
    because = (
        f"{interval_text(more)} points more: {interval_text(other.mean)} against "
        f"{interval_text(own)} that the unpruned network would lose if its {roi_title(threshold)} "
        "were as uncertain to it"
    )
    return found(_side(more, 0.0), because)


def _bounded(analysis: Analysis, name: str, threshold: float) -> Finding:
    found = partial(
        Finding,
        "Three quarters of the settings lose at most twice what they may unpruned (section 4.2)",
        name,
        threshold,
    )
    share = analysis.bounded(name, threshold)
    if not math.isfinite(share.estimate):
        return found(UNTOLD, "too few points have a value")
    because = f"{interval_text(share.scaled(100), 0)} % of the {roi_title(threshold)} do"
    return found(_side(share, 0.75), because)


def _side(value: Interval, border: float) -> str:
    """Whether an interval lies above the border, below it, or on both sides."""
    if value.low > border:
        return AGREES
    return DIFFERS if value.high < border else UNTOLD
