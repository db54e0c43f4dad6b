"""Claims of the thesis about accuracies, landscapes and their regions (section 4.1)."""

import math
from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np

from hpstudy.analysis.intervals import UNKNOWN, Interval, ellipses, interval, regions
from hpstudy.analysis.outcomes import enough_points
from hpstudy.analysis.risk import common_points
from hpstudy.analysis.shift import FITTED, rank_correlations
from hpstudy.analysis.study_analysis import StudyAnalysis, best_row
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.analysis.thesis_claims import (
    INCONCLUSIVE,
    Answer,
    Claim,
    above,
    both_methods,
    decided,
    within,
)
from hpstudy.analysis.thesis_tables import RELATIVES
from hpstudy.analysis.verdict import GRID, NEGLIGIBLE
from hpstudy.config.grid import AXES
from hpstudy.config.words import axis_title
from hpstudy.errors import count

LONGER, WIDER = 0.76, 0.07
"""Decades: the largest changes of ResNet-56's ellipses that section 4.1.2 calls consistent."""
COMPARABLE = 0.46
"""Points: the largest difference between the best accuracies of two methods that section 4.1.1
calls comparable (MobileNetV2, 40 %: 94.94 against 94.48)."""
ALIKE = 0.9
"""Spearman's correlation from which two landscapes count as alike. It is ours: the thesis compares
landscapes by eye."""
OUTLIER = "nonuniform-0.2"
"""The variant of ResNet-56 whose region grew where those of non-uniform MobileNetV2 shrank."""

_FAMILIES = {"mobilenetv2": "MobileNetV2", "resnet56": "ResNet", "resnet50": "ResNet"}


def _slope(results: StudyResults) -> Iterator[Answer]:
    analysis, threshold = results.analysis(), max(results.thresholds)
    for name in analysis.landscapes:
        shape = analysis.shape(name, threshold)
        slope = shape.band.b if enough_points(shape) else UNKNOWN
        yield decided(name, threshold, slope, above, 0.0)


def _shift(results: StudyResults, axis: int) -> Iterator[Answer]:
    analysis, threshold = results.analysis(), max(results.thresholds)
    for name in analysis.pruned:
        moved = analysis.movement(name, threshold)
        value = UNKNOWN
        if moved is not None and _regions(analysis, name, threshold) is not None:
            value = (moved.shift.first, moved.shift.second)[axis]
        found = decided(name, threshold, value, within, -NEGLIGIBLE, NEGLIGIBLE)
        if lone := _lone(analysis, name, threshold):
            # Where they lie the centres of the whole regions may be apart after all.
            found = found._replace(because=f"{found.because}; {count(lone, 'lone setting')}")
            if math.isfinite(value.estimate):
                found = found._replace(verdict=INCONCLUSIVE)
        yield found


def _lone(analysis: StudyAnalysis, name: str, threshold: float) -> int:
    """Settings of either network's region that the other network lacks."""
    pair = analysis.landscapes[analysis.dense], analysis.landscapes[name]
    shared = common_points(*pair)
    return sum(
        int(np.delete(one.inside(threshold), rows).sum())
        for one, rows in zip(pair, shared, strict=True)
    )


def _regions(
    analysis: StudyAnalysis, name: str, threshold: float
) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Settings of both networks (log10), and in each draw which lie in either's region.

    None without draws, and where a region is larger than `GRID`.
    """
    pair = analysis.pair(name)
    if pair is None or not pair.both.any():
        return None
    inside = [regions(drawn[:, pair.both], threshold) for drawn in (pair.dense, pair.other)]
    return (pair.places[pair.both], inside) if max(x.mean() for x in inside) <= GRID else None


def _longer(results: StudyResults) -> Iterator[Answer]:
    mobilenet = RELATIVES.get(results.model, results.model) == "mobilenetv2"
    for name in results.analysis().pruned:
        # Of these it says the opposite.
        if not (mobilenet and name.startswith("nonuniform")):
            yield decided(*_change(results, name, "length"), within, -LONGER, LONGER)


def _wider(results: StudyResults) -> Iterator[Answer]:
    for name in results.analysis().pruned:
        yield decided(*_change(results, name, "width"), within, -WIDER, WIDER)


def _shrinks(results: StudyResults) -> Iterator[Answer]:
    for name in results.analysis().pruned:
        if name.startswith("nonuniform"):
            of, roi, longer = _change(results, name, "length")
            yield decided(of, roi, Interval(-longer.estimate, -longer.high, -longer.low), above, 0)


def _outlier(results: StudyResults) -> Iterator[Answer]:
    if OUTLIER in results.analysis().pruned:
        yield decided(*_change(results, OUTLIER, "length"), above, 0)


def _change(results: StudyResults, name: str, diameter: str) -> tuple[str, float, Interval]:
    """Network, region, and its ellipse's "length" or "width" less the unpruned network's."""
    threshold = max(results.thresholds)
    found, change = _regions(results.analysis(), name, threshold), UNKNOWN
    if found is not None:
        places, inside = found
        one, other = (getattr(ellipses(places, region), diameter) for region in inside)
        # Draws that have ellipses are no sample of all where many have none.
        if np.isfinite(one - other).mean() >= FITTED:
            change = interval(other - one)
    return name, threshold, change


def _shape(results: StudyResults) -> Iterator[Answer]:
    analysis, threshold = results.analysis(), max(results.thresholds)
    for name in analysis.pruned:
        moved = analysis.movement(name, threshold)
        value = UNKNOWN if moved is None else moved.spearman_interval
        yield decided(name, math.nan, value, above, ALIKE)


def _metrics(results: StudyResults) -> Iterator[Answer]:
    if not {"top1", "top5"} <= set(results.metrics):
        return
    for name in results.landscapes():
        networks = [(results.analysis(metric), name) for metric in ("top1", "top5")]
        yield decided(name, math.nan, interval(_correlations(networks)), above, ALIKE)


def _drop(results: StudyResults) -> Iterator[Answer]:
    analysis = results.analysis()
    for title, uniform, nonuniform in both_methods(analysis.pruned):
        value, drawn = UNKNOWN, [analysis.draws(name) for name in (uniform, nonuniform)]
        if all(one is not None for one in drawn):
            one, other = (
                draws[:, best_row(analysis.landscapes[name])]
                for draws, name in zip(drawn, (uniform, nonuniform), strict=True)
            )
            value = interval(other - one)
        yield decided(title, math.nan, value, within, -COMPARABLE, COMPARABLE)


def families(one: StudyResults, other: StudyResults) -> tuple[str, Answer] | None:
    """Whether the landscapes of two families are less alike than those of one family.

    Over the settings that all networks of both studies have: mean rank correlation between the
    unpruned network and the pruned ones of its study, less that of the two unpruned networks. What
    else differs between the studies, such as the number of images, counts as the family's.

    Returns
    -------
    tuple or None
        Networks that the claim is held against, and the answer. None where the claim is not asked:
        the studies are of one family, of a family that the thesis lacks, or of different images.
    """
    models = [RELATIVES.get(results.model, results.model) for results in (one, other)]
    found = {_FAMILIES.get(model) for model in models}
    data = {
        (results.record["study"]["data"]["name"], results.record["study"]["data"]["image_size"])
        for results in (one, other)
    }
    if None in found or len(found) == 1 or len(data) > 1:
        return None
    titles = [
        MODEL_TITLES[model] + (" (relative)" if model != results.model else "")
        for model, results in zip(models, (one, other), strict=True)
    ]
    networks = [
        [(results.analysis(), name) for name in results.landscapes()] for results in (one, other)
    ]
    rows = _common_rows([network for study in networks for network in study])
    value = UNKNOWN
    if rows is not None:
        # Draws of two studies come from the same random numbers; moved on by one they share none.
        ours = rows[: len(networks[0])]
        theirs = [np.roll(drawn, 1, axis=0) for drawn in rows[len(networks[0]) :]]
        alike = [
            np.mean([rank_correlations(study[0], pruned) for pruned in study[1:]], axis=0)
            for study in (ours, theirs)
        ]
        value = interval(np.mean(alike, axis=0) - rank_correlations(ours[0], theirs[0]))
    return " and ".join(titles), decided("unpruned", math.nan, value, above, 0.0)


def _correlations(networks: Iterable[tuple[StudyAnalysis, str]]) -> np.ndarray:
    """Rank correlation of two networks' landscapes in each draw; empty where it is not known."""
    rows = _common_rows(list(networks))
    return np.array([]) if rows is None else rank_correlations(*rows)


def _common_rows(networks: list[tuple[StudyAnalysis, str]]) -> list[np.ndarray] | None:
    """Draws of networks at the settings that all have, each of shape (n_draws, n_common).

    None where one has no draws, or where all have fewer than half of the settings of one.
    """
    drawn = [analysis.draws(name) for analysis, name in networks]
    if any(one is None for one in drawn):
        return None
    landscapes = [analysis.landscapes[name] for analysis, name in networks]
    pairs = [common_points(landscapes[0], one) for one in landscapes]
    shared = reduce(np.intersect1d, [here for here, _ in pairs])
    if 2 * len(shared) < max(len(one.points) for one in landscapes):
        return None
    rows = [there[np.isin(here, shared)] for here, there in pairs]
    return [one[:, at] for one, at in zip(drawn, rows, strict=True)]


REGION_CLAIMS = (
    Claim(
        "A larger learning rate wants a smaller weight decay: the band's slope b is above 0",
        "4.1.1",
        _slope,
    ),
    *(
        Claim(
            f"The {axis_title(axis)} of the region's centre shifts by at most "
            f"{NEGLIGIBLE:g} decades",
            "4.1.2",
            lambda results, number=number: _shift(results, number),
        )
        for number, axis in enumerate(AXES)
    ),
    Claim(f"The region's length changes by at most {LONGER:g} decades", "4.1.2", _longer),
    Claim(f"The region's width changes by at most {WIDER:g} decades", "4.1.2", _wider),
    Claim(
        "Non-uniform pruning shortens the region of MobileNetV2, in decades",
        "4.1.1",
        _shrinks,
        ("mobilenetv2",),
        alone=True,
    ),
    Claim(
        "Non-uniform pruning of ResNet-56 to 20 %, the outlier, lengthens the region, in decades",
        "4.1.1",
        _outlier,
        ("resnet56",),
        alone=True,
    ),
    Claim(
        "Landscapes keep their shape over methods and ratios: rank correlation with the unpruned "
        f"network's above {ALIKE:g}",
        "4.1.1",
        _shape,
    ),
    Claim(
        f"Landscapes of top-1 and top-5 are alike: rank correlation above {ALIKE:g}",
        "4.1.1",
        _metrics,
        ("resnet50",),
    ),
    Claim(
        f"Uniform and non-uniform pruning reach the same accuracy, within {COMPARABLE:g} points",
        "4.1.1",
        _drop,
    ),
)
FAMILIES = (
    "Landscapes of two families are less alike than those of one: rank correlation within less "
    "that between"
)
"""What `families` asks, in section 4.1.1."""
