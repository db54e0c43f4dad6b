"""What the studies say, as the phrases that the book's prose is written around."""

import math
from collections.abc import Iterable

from hpstudy import booktables, thesis
from hpstudy.drawing import real
from hpstudy.landscape import Landscape
from hpstudy.results import Results, roi_title
from hpstudy.words import count


def strongest(landscapes: dict[str, Landscape]) -> dict[str, Landscape]:
    """Unpruned network and the variants that keep the fewest FLOPs, in their order.

    Variants whose names end in no ratio all stay.
    """
    ratios = {name: _ratio(name) for name in list(landscapes)[1:]}
    known = [ratio for ratio in ratios.values() if math.isfinite(ratio)]
    least = min(known, default=math.nan)
    return {
        name: one
        for number, (name, one) in enumerate(landscapes.items())
        if number == 0 or not math.isfinite(ratios[name]) or ratios[name] == least
    }


def centre_shifts(results: Results, threshold: float) -> dict[str, float]:
    """Distance of each pruned network's ellipse centre from the unpruned network's.

    Parameters
    ----------
    results : Results
        One study.
    threshold : float
        Of the regions of interest, in percentage points.

    Returns
    -------
    dict of str to float
        Variant -> decades in the (log10 weight decay, log10 lr) plane; NaN where one of the two
        regions has too few points for an ellipse.

    References
    ----------
    Thesis, section 4.1.2, compares the centres of Table 4.1 in this way.
    """
    every = results.landscapes()
    ellipses = {name: one.ellipse(threshold) for name, one in every.items()}
    names = list(ellipses)
    dense = ellipses[names[0]]
    shifts = {}
    for name in names[1:]:
        one = ellipses[name]
        shifts[name] = math.nan
        if one is not None and dense is not None:
            shifts[name] = math.dist(one.centre, dense.centre)
    return shifts


def rank_correlations(results: Results) -> dict[str, float]:
    """Spearman's rank correlation of each pruned network's landscape with the unpruned one's.

    Parameters
    ----------
    results : Results
        One study.

    Returns
    -------
    dict of str to float
        Variant -> correlation in [-1, 1] of the top-1 accuracies over the grid points that both
        networks have a value at; NaN where one of them is the same everywhere.
    """
    every = results.landscapes()
    names = list(every)
    values = {
        name: one.points.set_index(["lr", "weight_decay"])["value"].dropna()
        for name, one in every.items()
    }
    dense = values[names[0]]
    correlations = {}
    for name in names[1:]:
        both = dense.index.intersection(values[name].index)
        correlations[name] = float(dense[both].rank().corr(values[name][both].rank()))
    return correlations


def answer(studies: Iterable[Results]) -> dict[str, str]:
    """Phrases of the first page: what pruning moved, what keeping the settings costs, on what data.

    Parameters
    ----------
    studies : iterable of Results
        At least one.

    Returns
    -------
    dict of str to str
        Key of the page -> phrase.
    """
    studies = list(studies)
    threshold = max(max(results.thresholds) for results in studies)
    shifts = [x for one in studies for x in centre_shifts(one, threshold).values()]
    fitted = [x for x in shifts if math.isfinite(x)]
    region = roi_title(threshold)
    moved = f"too few points lie in the near-best region ({region}) to say whether it moved"
    if fitted:
        moved = f"the centre of the near-best region ({region}) moved by {_range(fitted)} decades"
    if fitted and len(fitted) < len(shifts):
        moved += f" in the {len(fitted)} of {count(len(shifts), 'pruned network')} that have one"
    risks = [risk for one in studies for risk in one.risks().items()]
    regions = dict.fromkeys(roi_title(one.risk_threshold) for one in studies)
    published = thesis.table_4_2()
    theirs = published["variant"] == "unpruned"
    ranks = [x for one in studies for x in rank_correlations(one).values()]
    return {
        "ranks": _range(ranks, "undefined"),
        "moved": moved,
        "risk_region": _list(regions),
        "risk_points": _list(
            dict.fromkeys(str(one.n) for name, one in risks if name == "unpruned")
        ),
        "risk_pruned": _range(one.mean for name, one in risks if name != "unpruned"),
        "risk_dense": _range(one.mean for name, one in risks if name == "unpruned"),
        "risk_pruned_thesis": _range(published.loc[~theirs, "mean"]),
        "risk_dense_thesis": _range(published.loc[theirs, "mean"]),
        "runs": f"{sum(len(one.table) for one in studies):,}",
        "networks": _list(dict.fromkeys(one.title for one in studies)),
        "scale": "; ".join(dict.fromkeys(one.scale for one in studies)),
        "warning": _warning(studies),
        "sampling": _range([one.sampling_error() for one in studies]),
    }


def facts(results: Results) -> dict[str, str]:
    """Phrases of one study's page."""
    landscapes = results.landscapes()
    dense = next(iter(landscapes.values()))
    at = dense.best_at
    threshold = max(results.thresholds)
    shifts = {k: v for k, v in centre_shifts(results, threshold).items() if math.isfinite(v)}
    furthest = max(shifts, key=shifts.get, default="")
    moved = (
        f"the centre of the near-best region ({roi_title(threshold)}) moved by "
        f"{_range(shifts.values())} decades after pruning in the {len(shifts)} of "
        f"{count(len(landscapes) - 1, 'pruned network')} that have one, most for {furthest}"
        if shifts
        else f"too few points lie in the near-best region ({roi_title(threshold)}) to say whether "
        "it moved"
    )
    risks = results.risks()
    pruned = [one.mean for name, one in risks.items() if name != dense.variant]
    checks = booktables.checks(results)
    warned = int((checks["warning"] != "").sum())
    return {
        "network": results.title,
        "scale": results.scale,
        "warning": _warning([results]),
        "best": f"{dense.best:.2f}",
        "best_lr": real(at["lr"]),
        "best_weight_decay": real(at["weight_decay"]),
        "ranks": _range(rank_correlations(results).values(), "undefined"),
        "moved": moved,
        "risk_region": roi_title(results.risk_threshold),
        "risk_pruned": _range(pruned),
        "risk_dense": _range([risks[dense.variant].mean]),
        "sampling": f"{results.sampling_error():.2f}",
        "criterion": str(results.record["study"]["criterion"]),
        "points": f"{len(dense.points)}",
        "seeds": count(len(results.record["study"]["seeds"]), "seed"),
        "warned": f"{warned} of {len(checks)}" if warned else "none",
    }


def _ratio(name: str) -> float:
    try:
        return float(name.rpartition("-")[2])
    except ValueError:
        return math.nan


def _warning(studies: Iterable[Results]) -> str:
    """Whether the studies are smaller than the thesis's, and what they still lack."""
    studies = list(studies)
    small = [results.scaled_down for results in studies]
    words = "partly scaled-down" if any(small) else "at the thesis's scale"
    if all(small):
        words = "scaled-down, far too small to settle the question"
    lacking = [
        f"{number} of {name}" for results in studies for name, number in results.missing.items()
    ]
    return (
        f"{words}, and unfinished, with {_list(lacking)} still to be trained" if lacking else words
    )


def _range(values: Iterable[float], unknown: str = "an unknown number of") -> str:
    """Least and greatest value, or the only one, with two decimals."""
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return unknown
    ends = dict.fromkeys((f"{known[0]:.2f}", f"{known[-1]:.2f}"))
    return " to ".join(ends)


def _list(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
