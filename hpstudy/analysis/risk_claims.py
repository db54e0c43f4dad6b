"""Claims of the thesis about what is lost by keeping the unpruned settings (section 4.2)."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from hpstudy.analysis.intervals import UNKNOWN, Interval, interval, risk_draws
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_claims import (
    Answer,
    Claim,
    above,
    both_methods,
    by_method,
    decided,
    within,
)
from hpstudy.config.words import interval_text

TITLES = {"uniform": "Uniform", "nonuniform": "Non-uniform"}
RELATIVE_ROI = 0.5
"""Points: the region that the relative risks of Table 4.2 are over. It is asked of every study,
since a wider region loses more by definition."""
RELATIVE = (0.004, 0.012)
"""Mean relative risks of the pruned networks: the range that section 4.2 calls narrow."""
BY_RATIO, BY_METHOD = 0.454, 0.267
"""Points: the largest differences between mean risks in which section 4.2 sees no relation to the
ratio (ResNet-56, non-uniform: 0.890 and 0.436) and, of ResNet-56, to the method (20 %: 0.890 and
0.623)."""


def _more(results: StudyResults) -> Iterator[Answer]:
    analysis, threshold = results.analysis(), results.risk_threshold
    for name in analysis.pruned:
        value = interval(analysis.extra_risk(name, threshold))
        yield decided(name, threshold, value, above, 0.0)


def _bounded(results: StudyResults) -> Iterator[Answer]:
    analysis, threshold = results.analysis(), results.risk_threshold
    # Of ResNet-50 it says "more than 50 %".
    share = 0.5 if results.model == "resnet50" else 0.75
    for name in analysis.pruned:
        found = analysis.bounded(name, threshold)
        verdict = above(found, share)
        yield Answer(name, threshold, verdict, interval_text(found.scaled(100), 0))


def _relative(results: StudyResults) -> Iterator[Answer]:
    analysis = results.analysis()
    for name in analysis.pruned:
        found = analysis.risk(name, RELATIVE_ROI).relative_mean
        verdict = within(found, *RELATIVE)
        yield Answer(name, RELATIVE_ROI, verdict, interval_text(found, 4))


def _uniform_less(results: StudyResults) -> Iterator[Answer]:
    for title, uniform, nonuniform in both_methods(results.analysis().pruned):
        value = _difference(results, nonuniform, uniform)
        yield decided(title, results.risk_threshold, value, above, 0.0)


def _no_method(results: StudyResults) -> Iterator[Answer]:
    for title, uniform, nonuniform in both_methods(results.analysis().pruned):
        value = _difference(results, nonuniform, uniform)
        yield decided(title, results.risk_threshold, value, within, -BY_METHOD, BY_METHOD)


def _no_ratio(results: StudyResults) -> Iterator[Answer]:
    for method, ratios in by_method(results.analysis().pruned).items():
        for (less, one), (more, other) in pairwise(ratios.items()):
            value = _difference(results, one, other)
            title = f"{TITLES[method]}, {100 * less:.3g} % less {100 * more:.3g} %"
            yield decided(title, results.risk_threshold, value, within, -BY_RATIO, BY_RATIO)


def _difference(results: StudyResults, one: str, other: str) -> Interval:
    """Mean risk of a network less that of another, both over the unpruned network's region."""
    found = []
    for name in (one, other):
        pair = results.analysis().pair(name)
        if pair is None or not pair.both.any():
            return UNKNOWN
        found.append(risk_draws(pair.dense, pair.other, results.risk_threshold).mean)
    n = min(map(len, found))
    return interval(np.subtract(found[0][:n], found[1][:n]))


RISK_CLAIMS = (
    Claim(
        "Keeping the settings costs more after pruning than before, in points",
        "4.2",
        _more,
    ),
    Claim(
        "Three quarters of the settings (half of ResNet-50's) lose at most twice what they may "
        "unpruned: share in %",
        "4.2",
        _bounded,
    ),
    Claim(
        f"The mean relative risk lies between {RELATIVE[0]:g} and {RELATIVE[1]:g}",
        "4.2",
        _relative,
    ),
    Claim(
        "Keeping the settings costs less after uniform than after non-uniform pruning of "
        "MobileNetV2, in points",
        "4.2",
        _uniform_less,
        ("mobilenetv2",),
        alone=True,
    ),
    Claim(
        f"The mean risk does not depend on the ratio: it differs by at most {BY_RATIO:g} points",
        "4.2",
        _no_ratio,
        ("mobilenetv2", "resnet56"),
    ),
    Claim(
        "The mean risk of ResNet-56 does not depend on the method: it differs by at most "
        f"{BY_METHOD:g} points",
        "4.2",
        _no_method,
        ("resnet56",),
        alone=True,
    ),
)
