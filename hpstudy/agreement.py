"""What the thesis found, and whether a study agrees: decided by intervals, in words."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis import Analysis
from hpstudy.intervals import Interval, interval
from hpstudy.outcomes import enough_points
from hpstudy.results import Results, roi_title, variant_title
from hpstudy.risk import common_points
from hpstudy.words import count, interval_text

NEGLIGIBLE = 0.3
"""Decades: the largest shift of ResNet-56's centres that section 4.1.2 calls negligible."""

OUTLIER = "nonuniform-0.2"
"""The variant whose region grew where those of the other non-uniform ones shrank."""

AGREES, DIFFERS, UNTOLD = "agrees", "differs", "cannot be told"


class Finding(NamedTuple):
    """One claim of the thesis beside one network of a study.

    Attributes
    ----------
    claim : str
        What the thesis says, and where.
    variant : str
        The network that it is held against.
    verdict : str
        `AGREES`, `DIFFERS` or `UNTOLD`.
    because : str
        The numbers that decide.
    """

    claim: str
    variant: str
    verdict: str
    because: str


def agreement(studies: Iterable[Results]) -> pd.DataFrame:
    """Claims of the thesis beside what studies found.

    Returns
    -------
    DataFrame of shape (n_findings, 5)
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


def _findings(results: Results) -> list[Finding]:
    analysis, threshold = results.analysis(), max(results.thresholds)
    found = [_band(analysis, name, threshold) for name in analysis.landscapes]
    for name in analysis.pruned:
        found.append(_shift(analysis, name, threshold))
        found.append(_size(analysis, name, threshold))
        found.append(_risk(analysis, name, results.risk_threshold))
        found.append(_bounded(analysis, name, results.risk_threshold))
    return found


def _band(analysis: Analysis, name: str, threshold: float) -> Finding:
    claim = "A larger learning rate wants a smaller weight decay (section 4.1.1)"
    shape = analysis.shape(name, threshold)
    b = shape.band.b
    if not math.isfinite(b.estimate) or not enough_points(shape):
        return Finding(claim, name, UNTOLD, f"the {roi_title(threshold)} has no clear direction")
    return Finding(claim, name, _side(b, 0.0), f"slope −b with b = {interval_text(b)}")


def _shift(analysis: Analysis, name: str, threshold: float) -> Finding:
    claim = "The centre of the near-best region does not shift after pruning (section 4.1.2)"
    moved = analysis.movement(name, threshold)
    if moved is None or not math.isfinite(moved.shift.distance.estimate):
        return Finding(claim, name, UNTOLD, f"the {roi_title(threshold)} has too few points")
    distance, p = moved.shift.distance, moved.shift.p
    because = f"shift {interval_text(distance)} decades"
    because += f", p = {p:.3f}" if math.isfinite(p) else ""
    if moved.shift.told:
        # What the thesis calls negligible is a shift too: one of that size is not against it.
        beyond = distance.low > NEGLIGIBLE
        return Finding(claim, name, DIFFERS if beyond else UNTOLD, f"{because}: more than noise")
    if lone := _lone(analysis, name, threshold):
        # Where they lie the centres of the whole regions may be apart after all.
        of = f"{count(lone, 'setting')} of the two {roi_title(threshold)}s"
        return Finding(claim, name, UNTOLD, f"{because}, without {of} that only one network has")
    # An interval that reaches further has not shown that the shift is negligible.
    return Finding(claim, name, AGREES if distance.high <= NEGLIGIBLE else UNTOLD, because)


def _lone(analysis: Analysis, name: str, threshold: float) -> int:
    """Settings of either network's region that the other network lacks."""
    pair = analysis.landscapes[analysis.dense], analysis.landscapes[name]
    shared = common_points(*pair)
    return sum(
        int(np.delete(one.inside(threshold), rows).sum())
        for one, rows in zip(pair, shared, strict=True)
    )


def _size(analysis: Analysis, name: str, threshold: float) -> Finding:
    method = variant_title(name).split(",")[0].lower()
    changes = method == "non-uniform"
    claim = "Uniform pruning keeps the length of the region (section 4.1.2)"
    if changes:
        claim = "Non-uniform pruning changes the length of the region (section 4.1.1)"
    if outlier := name == OUTLIER:
        claim = "Non-uniform pruning to 20 %, the outlier, lengthens the region (section 4.1.1)"
    moved = analysis.movement(name, threshold)
    shapes = [analysis.shape(variant, threshold) for variant in (analysis.dense, name)]
    if moved is None or not all(enough_points(shape) for shape in shapes):
        return Finding(claim, name, UNTOLD, f"the {roi_title(threshold)} has too few points")
    dense, other = moved.lengths
    if not math.isfinite(dense.estimate):
        return Finding(claim, name, UNTOLD, "too few settings are common to both networks")
    because = f"length {interval_text(other)} decades against {interval_text(dense)} unpruned"
    longer = other.low > dense.high
    if not longer and other.high >= dense.low:
        return Finding(claim, name, UNTOLD, because)
    return Finding(claim, name, AGREES if changes and (longer or not outlier) else DIFFERS, because)


def _risk(analysis: Analysis, name: str, threshold: float) -> Finding:
    claim = "Keeping the settings costs more after pruning than before (section 4.2)"
    other = analysis.risk(name, threshold)
    if not math.isfinite(other.mean.estimate):
        return Finding(claim, name, UNTOLD, "too few points have a value")
    more = interval(analysis.extra_risk(name, threshold))
    own = interval(analysis.uncertain_risk(name, threshold))
    because = (
        f"{interval_text(more)} points more: {interval_text(other.mean)} against "
        f"{interval_text(own)} that the unpruned network would lose if its {roi_title(threshold)} "
        "were as uncertain to it"
    )
    return Finding(claim, name, _side(more, 0.0), because)


def _bounded(analysis: Analysis, name: str, threshold: float) -> Finding:
    claim = "Three quarters of the settings lose at most twice what they may unpruned (section 4.2)"
    share = analysis.bounded(name, threshold)
    if not math.isfinite(share.estimate):
        return Finding(claim, name, UNTOLD, "too few points have a value")
    because = f"{interval_text(share.scaled(100), 0)} % of the {roi_title(threshold)} do"
    return Finding(claim, name, _side(share, 0.75), because)


def _side(value: Interval, border: float) -> str:
    """Whether an interval lies above the border, below it, or on both sides."""
    if value.low > border:
        return AGREES
    return DIFFERS if value.high < border else UNTOLD
