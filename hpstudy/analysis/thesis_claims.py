"""Claims of the thesis, each of the networks that it makes them of, and what studies say of them.

`hpstudy/published/claims.csv` lists them. A claim limits a number, such as a shift in decades. A
study agrees where the 95 % interval of the number lies within the limits, differs where it lies
outside, and is inconclusive otherwise.
"""

import math
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import combinations, pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import (
    UNKNOWN,
    Interval,
    interval,
    rank_correlations,
)
from hpstudy.analysis.landscape import common_points
from hpstudy.analysis.risk import risk_draws
from hpstudy.analysis.rules import Rule, loss_at
from hpstudy.analysis.shift import FITTED
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.analysis.thesis_data import RELATIVES, claims
from hpstudy.analysis.verdict import GRID

Agreement = Literal["agrees", "differs", "inconclusive"]
VERDICTS: tuple[Agreement, ...] = ("agrees", "differs", "inconclusive")
FAMILIES = {"mobilenetv2": "MobileNetV2", "resnet56": "ResNet", "resnet50": "ResNet"}


class Measured(NamedTuple):
    """Number that decides a claim, of one network or against another.

    `value` is in the unit that the claim names; `roi` (percentage points) may be NaN. `lone` counts
    settings in the region of one network that the other was not trained at: the centres of the
    whole regions may then be apart although the common ones are not.
    """

    variant: str
    against: str
    roi: float
    value: Interval
    lone: int


def decide(value: Interval, low: float, high: float) -> Agreement:
    """Whether an interval lies within limits, wholly outside them, or neither.

    A NaN is no limit. The interval may touch two limits, but must lie clear of a single one.
    """
    above = low <= value.low if math.isfinite(high) else low < value.low
    below = value.high <= high if math.isfinite(low) else value.high < high
    if (above or math.isnan(low)) and (below or math.isnan(high)) and math.isfinite(value.estimate):
        return "agrees"
    return "differs" if value.high < low or value.low > high else "inconclusive"


def asked_of(models: str, asked: str, model: str) -> str | None:
    """Networks that a claim is made of, marked where `model` is another; None if it is not asked.

    Such as "ResNet-56", "ResNet-56 (relative)" and "MobileNetV2, ResNet-56 (another network)".
    `models` are those of the thesis that it is made of, separated by blanks. It is asked of these
    only ("of it"), of shallower networks of their families too ("of relatives"), or also of
    networks that the thesis lacks ("of all").
    """
    names = models.split()
    if model in names:
        return MODEL_TITLES[model]
    if asked != "of it" and RELATIVES.get(model) in names:
        return f"{MODEL_TITLES[RELATIVES[model]]} (relative)"
    if asked != "of all" or model in FAMILIES or model in RELATIVES:
        return None
    return f"{', '.join(MODEL_TITLES[name] for name in names)} (another network)"


def agreement(studies: Iterable[StudyResults], made: pd.DataFrame | None = None) -> pd.DataFrame:
    """Verdicts of studies on claims, by default those of the thesis (sections 4.1.1 to 4.2).

    The columns are section, claim, of (as `asked_of`), study, those of `Measured`, and verdict.
    """
    studies, rows = list(studies), []
    for claim in (claims() if made is None else made).itertuples():
        if claim.measure == "families":
            answers = [
                (compared[0], f"{first.name} and {second.name}", compared[1])
                for first, second in combinations(studies, 2)
                if (compared := families(first, second)) is not None
            ]
        else:
            answers = [
                (of, results.name, measured)
                for results in studies
                if (of := asked_of(claim.models, claim.asked, results.model)) is not None
                for measured in measure(results, claim)
            ]
        for of, study, measured in answers:
            verdict = decide(measured.value, claim.low, claim.high)
            verdict = "inconclusive" if measured.lone else verdict
            rows.append((claim.section, claim.claim, of, study, *measured, verdict))
    columns = ["section", "claim", "of", "study", *Measured._fields, "verdict"]
    return pd.DataFrame(rows, columns=columns)


def by_claim(table: pd.DataFrame) -> pd.DataFrame:
    """Number of rows of an `agreement` table with each verdict, by section, claim and of."""
    keys = ["section", "claim", "of"]
    counts = table.groupby([*keys, "verdict"], sort=False).size().unstack(fill_value=0)
    order = pd.MultiIndex.from_frame(table[keys].drop_duplicates())
    counts = counts.reindex(index=order, columns=list(VERDICTS), fill_value=0)
    return counts.rename_axis(columns=None).reset_index()


def measure(results: StudyResults, claim: Any) -> Iterator[Measured]:
    """Numbers of a study that decide a claim, which is a row of `claims`."""
    analysis = results.analysis()
    named = {"widest": max(results.thresholds), "risk": results.risk_threshold}
    roi = named[claim.roi] if claim.roi in named else float(claim.roi)
    if claim.measure == "metrics" and not {"top1", "top5"} <= set(results.metrics):
        return
    for variant, against in _networks(analysis, claim.networks):
        value = _value(results, claim.measure, variant, against, roi)
        lone = 0
        if claim.measure.startswith("shift"):
            pair = analysis.landscapes[analysis.dense], analysis.landscapes[variant]
            for landscape, shared in zip(pair, common_points(*pair), strict=True):
                lone += int(np.delete(landscape.in_roi(roi), shared).sum())
        yield Measured(variant, against, roi, value, lone)


def _networks(analysis: StudyAnalysis, networks: str) -> list[tuple[str, str]]:
    """Networks that a claim is about, each with the one that it is compared with."""
    if networks == "every":
        return [(name, "") for name in analysis.landscapes]
    if networks not in ("methods", "ratios"):
        pruned = analysis.pruned
        if networks != "pruned":
            pruned = [name for name in pruned if networks in (name, name.partition("-")[0])]
        return [(name, analysis.dense) for name in pruned]
    # FLOPs ratio, increasing -> variant, of variants such as "uniform-0.6".
    ratios: dict[str, dict[str, str]] = {"nonuniform": {}, "uniform": {}}
    for name in sorted(analysis.pruned):
        method, _, ratio = name.partition("-")
        if method in ratios and ratio.replace(".", "", 1).isdigit():
            ratios[method][ratio] = name
    if networks == "ratios":
        return [pair for names in ratios.values() for pair in pairwise(names.values())]
    nonuniform, uniform = ratios.values()
    return [(name, uniform[ratio]) for ratio, name in nonuniform.items() if ratio in uniform]


def _value(
    results: StudyResults, measured: str, variant: str, against: str, roi: float
) -> Interval:
    """Number that decides a claim, of one network or of two."""
    analysis = results.analysis()
    match measured:
        case "slope":
            return analysis.shape(variant, roi).band.b
        case "shift of lr" | "shift of weight_decay" | "shift of product" | "length" | "width":
            pair, movement = analysis.pair(variant), analysis.shift(variant, roi)
            if pair is None or movement is None or not pair.both.any():
                return UNKNOWN
            # The centre of a region that is most of the grid is the grid's.
            if max(region.mean() for region in pair.rois(roi)) > GRID:
                return UNKNOWN
            if measured in ("shift of lr", "shift of weight_decay"):
                return movement.shift_components[measured != "shift of lr"]
            dense, pruned = pair.ellipses(roi)
            if measured == "shift of product":
                change = pruned.first + pruned.second - dense.first - dense.second
            else:
                change = getattr(pruned, measured) - getattr(dense, measured)
            # Draws that have ellipses are no sample of all where many have none.
            return interval(change) if np.isfinite(change).mean() >= FITTED else UNKNOWN
        case str() if measured.startswith("loss at lr x "):
            return loss_at(analysis, variant, Rule(float(measured.split()[-1]))).interval
        case "spearman":
            movement = analysis.shift(variant, max(results.thresholds))
            return movement.spearman_interval if movement else UNKNOWN
        case "metrics":
            rows = _common_rows([(results.analysis(x), variant) for x in ("top1", "top5")])
            return UNKNOWN if rows is None else interval(rank_correlations(*rows))
        case "best":
            return analysis.accuracy_drop(against, variant)
        case "extra risk":
            return interval(analysis.extra_risk(variant, roi))
        case "bounded share":
            return analysis.share_within_bound(variant, roi).scaled(100)
        case "relative risk":
            return analysis.risk(variant, roi).relative_mean.scaled(100)
        case "difference of risk":
            means = [
                risk_draws(*drawn, roi).mean
                for name in (variant, against)
                if (drawn := analysis.common(name)) is not None
            ]
            n = min(map(len, means), default=0)
            return interval(means[0][:n] - means[1][:n]) if len(means) == 2 else UNKNOWN
    raise ValueError(measured)


def families(first: StudyResults, second: StudyResults) -> tuple[str, Measured] | None:
    """How much less alike the landscapes of two families are than those of one family.

    Over the settings that all networks of both studies have: mean rank correlation between the
    dense network and the pruned ones of its study, less that of the two dense networks. What else
    differs between the studies, such as the number of images, counts as the family's.

    Returns the networks that the claim is made of and the number, or None where the claim is not
    asked: of one family, of a family that the thesis lacks, or of different images.
    """
    studies = (first, second)
    models = [RELATIVES.get(results.model, results.model) for results in studies]
    names = {FAMILIES.get(model) for model in models}
    data = [results.record["study"]["data"] for results in studies]
    images = {(images["name"], images["image_size"]) for images in data}
    if None in names or len(names) == 1 or len(images) > 1:
        return None
    titles = [
        MODEL_TITLES[model] + (" (relative)" if model != results.model else "")
        for model, results in zip(models, studies, strict=True)
    ]
    networks = [(results.analysis(), name) for results in studies for name in results.landscapes()]
    rows, value = _common_rows(networks), UNKNOWN
    if rows is not None:
        # Draws of two studies come from the same random numbers; moved on by one they share none.
        split = len(first.landscapes())
        drawn = rows[:split], [np.roll(draws, 1, axis=0) for draws in rows[split:]]
        within = [
            np.mean([rank_correlations(study[0], pruned) for pruned in study[1:]], axis=0)
            for study in drawn
        ]
        value = interval(np.mean(within, axis=0) - rank_correlations(drawn[0][0], drawn[1][0]))
    return " and ".join(titles), Measured("unpruned", "unpruned", math.nan, value, 0)


def _common_rows(networks: list[tuple[StudyAnalysis, str]]) -> list[np.ndarray] | None:
    """Draws of networks at the settings that all have, each of shape (n_draws, n_common).

    None where one has no draws, or where all have fewer than half of the settings of one.
    """
    drawn = [draws for analysis, name in networks if (draws := analysis.draws(name)) is not None]
    landscapes = [analysis.landscapes[name] for analysis, name in networks]
    pairs = [common_points(landscapes[0], landscape) for landscape in landscapes]
    shared = reduce(np.intersect1d, [first for first, _ in pairs])
    most = max(len(landscape.points) for landscape in landscapes)
    if len(drawn) < len(networks) or 2 * len(shared) < most:
        return None
    rows = [own[np.isin(first, shared)] for first, own in pairs]
    return [draws[:, at] for draws, at in zip(drawn, rows, strict=True)]
