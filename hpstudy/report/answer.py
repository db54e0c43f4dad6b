"""What the studies say, as the phrases that the book's prose is written around."""

import math
from collections.abc import Iterable

from hpstudy.analysis import thesis_tables
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_claims import VERDICTS, agreement
from hpstudy.analysis.verdict import NEGLIGIBLE, TOLERABLE
from hpstudy.config.words import interval_text, list_text, number_text, range_text
from hpstudy.errors import count
from hpstudy.plots.labels import real, roi_title
from hpstudy.report import booktables

ENOUGH = 40
"""Settings of a network, half of the thesis's grid, from which the first page shows it."""


def strongest(landscapes: dict[str, Landscape]) -> dict[str, Landscape]:
    """Unpruned network and the variants that keep the fewest FLOPs, in their order.

    Variants whose names end in no ratio all stay.
    """
    ratios = {name: flops_ratio(name) for name in list(landscapes)[1:]}
    known = [ratio for ratio in ratios.values() if math.isfinite(ratio)]
    least = min(known, default=math.nan)
    return {
        name: one
        for number, (name, one) in enumerate(landscapes.items())
        if number == 0 or not math.isfinite(ratios[name]) or ratios[name] == least
    }


def flops_ratio(name: str) -> float:
    """Share of the FLOPs that a variant keeps, by its name; NaN where the name ends in none."""
    try:
        return float(name.rpartition("-")[2])
    except ValueError:
        return math.nan


def lead(studies: Iterable[StudyResults]) -> StudyResults:
    """Study that the first page answers from.

    Those go first that are finished and train settings several times, because no other tells a
    difference from its noise; of these the one whose runs see the most pixels, and of ties the
    first.
    """
    return max(studies, key=lambda one: (_decides(one), one.pixels_per_run))


def tabled(studies: Iterable[StudyResults]) -> list[StudyResults]:
    """Studies whose verdicts the first page shows.

    These are finished, train settings several times, and `ENOUGH` settings of every network or
    more. Where no study does, it shows all.
    """
    studies = list(studies)
    enough = [one for one in studies if _decides(one) and _settings(one) >= ENOUGH]
    return enough or studies


def _settings(results: StudyResults) -> int:
    """Fewest settings of any network of a study."""
    return min(len(landscape.points) for landscape in results.landscapes().values())


def telling(studies: Iterable[StudyResults]) -> list[StudyResults]:
    """Studies that claims are held against: the leading one, and others as good on its data.

    As good are those that are finished and train settings several times.
    """
    studies = list(studies)
    first = lead(studies)
    data = first.record["study"]["data"]["name"]
    others = [one for one in studies if one is not first and _decides(one)]
    return [first, *(one for one in others if one.record["study"]["data"]["name"] == data)]


def _decides(results: StudyResults) -> bool:
    """Whether it is finished and can tell a difference from its noise."""
    return results.replicated and not results.missing


def answer(studies: Iterable[StudyResults]) -> dict[str, str]:
    """Phrases of the pages about all studies.

    Parameters
    ----------
    studies : iterable of StudyResults
        At least one.

    Returns
    -------
    dict of str to str
        Key of the page -> phrase. "left_out" is blank where `tabled` leaves out no study.
    """
    studies = list(studies)
    told = telling(studies)
    first = told[0]
    analysis = first.analysis()
    risks = [risk for one in studies for risk in one.risks().items()]
    published = thesis_tables.table_4_2()
    theirs = published["variant"] == "unpruned"
    return {
        "left_out": _left_out(studies),
        "noise": number_text(_noise(analysis)),
        "agreement": _agreement(told),
        "telling": list_text(dict.fromkeys(one.title for one in told)),
        "risk_region": list_text(dict.fromkeys(roi_title(one.risk_threshold) for one in studies)),
        "risk_pruned": range_text(one.mean for name, one in risks if name != "unpruned"),
        "risk_dense": range_text(one.mean for name, one in risks if name == "unpruned"),
        "risk_pruned_thesis": range_text(published.loc[~theirs, "mean"]),
        "risk_dense_thesis": range_text(published.loc[theirs, "mean"]),
        "runs": f"{sum(len(one.table) for one in studies):,}",
        "networks": list_text(dict.fromkeys(one.title for one in studies)),
        "scale": "; ".join(dict.fromkeys(one.scale for one in studies)),
        "warning": _warning(studies),
        "sampling": range_text([one.sampling_error() for one in studies]),
        "tolerable": f"{TOLERABLE:g}",
        "factor": f"{10**NEGLIGIBLE:.0f}",
    }


def facts(results: StudyResults) -> dict[str, str]:
    """Phrases of one study's page."""
    analysis = results.analysis()
    landscapes = analysis.landscapes
    dense = landscapes[analysis.dense]
    best = analysis.best(analysis.dense)
    at = dense.best_at
    checks = booktables.checks(results)
    warned = int((checks["warnings"] > 0).sum())
    replicates = (results.record["study"].get("replicates") or {}).get("seeds", ())
    return {
        "network": results.title,
        "scale": results.scale,
        "warning": _warning([results]),
        "best": number_text(dense.best),
        "best_lr": real(at["lr"]),
        "best_weight_decay": real(at["weight_decay"]),
        "corrected": interval_text(best.corrected),
        "noise": number_text(_noise(analysis)),
        "source": noise_source(analysis),
        "agreement": _agreement([results]),
        "sampling": number_text(results.sampling_error()),
        "criterion": str(results.record["study"]["criterion"]),
        "points": f"{len(dense.points)}",
        "seeds": count(len(results.record["study"]["seeds"]), "seed"),
        "replicates": f", and {len(replicates)} more near the best ones" if replicates else "",
        "warned": f"{warned} of {len(checks)}" if warned else "none",
    }


def _agreement(studies: Iterable[StudyResults]) -> str:
    counts = agreement(studies)["verdict"].value_counts()
    agrees, differs, inconclusive = (counts.get(verdict, 0) for verdict in VERDICTS)
    return f"agrees in {agrees}, differs in {differs} and is inconclusive in {inconclusive} cases"


def noise_source(analysis: StudyAnalysis) -> str:
    """Where the noise of a run is known from, as a clause."""
    degrees = [one.replicates[1] for one in analysis.surrogates.values()]
    if not degrees:
        return "unknown, as too few points have a value"
    if not all(degrees):
        return "from the smoothness of the landscape alone: not every network has replicates"
    return f"from replicates by seed, {range_text(degrees, digits=0)} degrees of freedom a network"


def _noise(analysis: StudyAnalysis) -> float:
    """Standard deviation of one run of the unpruned network, in percentage points."""
    surrogate = analysis.surrogates.get(analysis.dense)
    return surrogate.noise if surrogate else math.nan


def _left_out(studies: list[StudyResults]) -> str:
    """Which studies the first page's table leaves out, and why; blank if none."""
    shown = tabled(studies)
    names = [one.name for one in studies if one not in shown]
    if not names:
        return ""
    return (
        f"Left out: {list_text(names)}, unfinished, trained once at every setting, or at fewer "
        f"than {ENOUGH} settings."
    )


def _warning(studies: Iterable[StudyResults]) -> str:
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
        f"{words}, and unfinished, with {list_text(lacking)} still to be trained"
        if lacking
        else words
    )
