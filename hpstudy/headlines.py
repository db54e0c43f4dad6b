"""What a study found about its pruned networks, in sentences for the pages."""

import math
from collections.abc import Iterable

from hpstudy.advice import TOLERABLE, VERDICTS, Advice, advise
from hpstudy.agreement import NEGLIGIBLE, beyond
from hpstudy.analysis import Analysis, ranked_row
from hpstudy.gridcheck import warnings
from hpstudy.intervals import Interval
from hpstudy.movement import Shift
from hpstudy.results import Results, variant_title
from hpstudy.risk import common_points
from hpstudy.words import count, list_text, number_text

OTHER_WIDTHS = (0.5, 0.75, 1.25, 1.5)
"""Widths of region, of the one that a page goes by, at which a shift is asked for again."""


def moved(results: Results, variants: Iterable[str]) -> str:
    """Whether the near-best region moved in these networks, in one sentence."""
    threshold = max(results.thresholds)
    shifts = _shifts(results.analysis(), variants, threshold)
    region = f"near-best region (within {threshold:g} of the best accuracy, in settings of both)"
    if not shifts:
        return (
            f"Whether {results.title}'s {region} moves by pruning cannot be told: too few points "
            "lie in it."
        )
    apart = [name for name, shift in shifts.items() if shift.told]
    verdict = "no shift can be told from noise"
    if len(apart) == len(shifts):
        verdict = "more than noise explains"
    elif apart:
        verdict = f"more than noise explains only for {list_text(_short(apart, shifts))}"
    if small := [name for name in apart if not beyond(shifts[name])]:
        verdict += (
            f", but not shown to be more than the {NEGLIGIBLE:g} decades along either axis that "
            "the thesis calls negligible"
        )
        if len(small) < len(apart):
            verdict += f" for {list_text(_short(small, shifts))}"
    distances = {name: shift.distance for name, shift in shifts.items()}
    return (
        f"{_pruned(results, shifts)}, the centre of the {region} lay "
        f"{_by_network(distances, 'decades')} from where it was: {verdict}."
    )


def beside(results: Results, variants: Iterable[str]) -> str:
    """How far the sentences of `moved` and `lost` hold.

    Over regions of other widths, for the settings of the old region, where grids end, and had the
    unpruned network's second best setting been kept. Blank where too little is known.
    """
    analysis, threshold = results.analysis(), max(results.thresholds)
    said = []
    if shifts := _shifts(analysis, variants, threshold):
        said = [_over_other_regions(analysis, shifts, threshold)]
        said += [_stayed(analysis, shifts, threshold), _cut_off(analysis, shifts, threshold)]
    return " ".join(filter(None, [*said, _second_best(analysis, variants)]))


def _over_other_regions(analysis: Analysis, shifts: dict[str, Shift], threshold: float) -> str:
    widths = [factor * threshold for factor in OTHER_WIDTHS]
    told = [sum(one.told for one in _shifts(analysis, shifts, width).values()) for width in widths]
    over = f"over regions of {list_text(f'{width:g}' for width in widths)} points"
    if any(told):
        among = f"{list_text(map(str, told))} of {count(len(shifts), 'network')}"
        return f"A shift is told from noise {over} in {among}."
    if any(one.told for one in shifts.values()):
        return f"Taken {over}, no shift can be told from noise."
    return f"Nor can a shift be told {over}."


def _stayed(analysis: Analysis, shifts: dict[str, Shift], threshold: float) -> str:
    """How many of the unpruned network's near-best settings are near-best of the others."""
    dense, kept = analysis.landscapes[analysis.dense], []
    for name, words in zip(shifts, _short(shifts, shifts), strict=True):
        other = analysis.landscapes[name]
        here, there = common_points(dense, other)
        old, new = dense.inside(threshold)[here], other.inside(threshold)[there]
        kept.append(f"{int((old & new).sum())} of {int(old.sum())} ({words})")
    return (
        f"As measured, of the settings within {threshold:g} of the best before pruning "
        f"{list_text(kept)} still are after it."
    )


def _cut_off(analysis: Analysis, shifts: dict[str, Shift], threshold: float) -> str:
    """Whose regions reach the end of the grid; blank if none does."""
    reaching = [
        name
        for name in (analysis.dense, *shifts)
        if any(
            one.kind in ("optimum on edge", "region on edge")
            for one in warnings(analysis.landscapes[name], [threshold])
        )
    ]
    if not reaching:
        return ""
    return (
        f"Regions reach the end of the grid ({list_text(_short(reaching, shifts))}): where that "
        "lies moves their centres, and may decide whether a shift is told."
    )


def _second_best(analysis: Analysis, variants: Iterable[str]) -> str:
    """What keeping the second best setting would have cost; blank where that is not known."""
    losses = {name: analysis.keeping(name, rank=1)[1] for name in variants}
    losses = {name: one for name, one in losses.items() if math.isfinite(one.estimate)}
    if not losses:
        return ""
    dense = analysis.landscapes[analysis.dense]
    behind = dense.best - dense.points["value"].iloc[ranked_row(dense, 1)]
    return (
        f"The unpruned network's second best setting measured {number_text(behind)} points lower; "
        f"keeping that one would have cost {_by_network(losses, 'points')}."
    )


def _shifts(analysis: Analysis, variants: Iterable[str], threshold: float) -> dict[str, Shift]:
    """Shift of each network of which one is known, with regions of this width."""
    found = {name: analysis.movement(name, threshold) for name in variants}
    return {
        name: one.shift
        for name, one in found.items()
        if one is not None and math.isfinite(one.shift.distance.estimate)
    }


def lost(results: Results, variants: Iterable[str]) -> str:
    """What keeping the unpruned optimum costs these networks, and what to do, in one sentence."""
    advices = [advise(results.analysis(), name) for name in variants]
    known = [one for one in advices if math.isfinite(one.loss.estimate)]
    if not known:
        return "What keeping the unpruned network's optimum costs cannot be told from these runs."
    losses = {one.variant: one.loss for one in known}
    return (
        f"Keeping the unpruned network's optimum cost {_by_network(losses, 'points')} of top-1 "
        f"accuracy: {_verdicts(known)}."
    )


def _verdicts(advices: list[Advice]) -> str:
    """Verdicts in words, by network where they differ."""
    words = dict(VERDICTS, unsure=f"whether that is more than {TOLERABLE:g} cannot be told")
    names: dict[str, list[str]] = {}
    for one in advices:
        names.setdefault(words[one.verdict], []).append(one.variant)
    if len(names) == 1:
        return next(iter(names))
    every = [one.variant for one in advices]
    return "; ".join(f"{said} ({list_text(_short(own, every))})" for said, own in names.items())


def _by_network(values: dict[str, Interval], unit: str) -> str:
    """Interval of each network, the unit with the first: "0.1 decades (0.0 to 0.3; uniform)"."""
    parts = []
    for name, words in zip(values, _short(values, values), strict=True):
        estimate, low, high = (number_text(x) for x in values[name])
        after = "" if parts else f" {unit}"
        parts.append(f"{estimate}{after} ({low} to {high}; {words})")
    return list_text(parts)


def _pruned(results: Results, variants: Iterable[str]) -> str:
    """How the networks were pruned, where it is the same for all: "Pruned to 30 % of its FLOPs"."""
    ratios = {flops_ratio(name) for name in variants}
    share = next(iter(ratios)) if len(ratios) == 1 else math.nan
    much = f" to {100 * share:.3g} % of its FLOPs" if math.isfinite(share) else ""
    return f"After {results.title} was pruned{much}"


def _short(names: Iterable[str], among: Iterable[str]) -> list[str]:
    """Names of networks in words, the share of FLOPs left out where all networks have the same."""
    same = len({flops_ratio(name) for name in among}) == 1
    titles = [variant_title(name) for name in names]
    return [
        (one.partition(",")[0] if same else one.removesuffix(" FLOPs").replace(",", "")).lower()
        for one in titles
    ]


def flops_ratio(name: str) -> float:
    """Share of the FLOPs that a variant keeps, by its name; NaN where the name ends in none."""
    try:
        return float(name.rpartition("-")[2])
    except ValueError:
        return math.nan
