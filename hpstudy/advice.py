"""Whether to keep the unpruned network's settings, in a sentence that follows from the numbers."""

import math
from dataclasses import dataclass
from typing import Literal

from hpstudy.analysis import Analysis
from hpstudy.intervals import Interval
from hpstudy.regret import smallest_k
from hpstudy.results import variant_title
from hpstudy.words import axis_title, count, interval_text, real

TOLERABLE = 0.5
"""Loss in percentage points up to which keeping is advised: the thesis's narrower region."""
TARGETS = (0.5, 0.25, 0.1)
"""Expected regrets, in percentage points, for which the number of trainings is told."""

Verdict = Literal["keep", "tune", "unsure", "unknown"]
VERDICTS: dict[Verdict, str] = {
    "keep": "keep them",
    "tune": "tune again",
    "unsure": "cannot be told from these runs",
    "unknown": "unknown",
}


@dataclass(frozen=True)
class Advice:
    """What to do with one pruned network.

    Attributes
    ----------
    variant : str
        The network.
    verdict : str
        "keep" if the 95 % interval of the loss at the unpruned network's optimum ends at or below
        `TOLERABLE`; "tune" if it begins above; "unsure" if it holds it, and in place of "keep"
        where the network's own best lies on the edge of its grid, so that the loss is only what
        this grid shows; "unknown" without an interval.
    measured : float
        Loss at that setting as measured, in percentage points; NaN if it was not trained there.
    loss : Interval
        The same of the noise-free landscape.
    random, local : dict of float to int or None
        Target of `TARGETS` -> fewest trainings that bring the expected regret there, by random
        choice and by climbing from the kept setting; None where no number does.
    sentence : str
        All of it in words.
    """

    variant: str
    verdict: Verdict
    measured: float
    loss: Interval
    random: dict[float, int | None]
    local: dict[float, int | None]
    sentence: str


def advise(analysis: Analysis, variant: str) -> Advice:
    """Advice for one pruned network of an analysis.

    Parameters
    ----------
    analysis : Analysis
        Of the unpruned network and this one.
    variant : str
        The pruned network.

    Returns
    -------
    Advice
        The same numbers give the same sentence.
    """
    measured, loss = analysis.keeping(variant)
    regret = analysis.regret(variant)
    random, local = ({}, {})
    if regret is not None:
        random = {target: smallest_k(regret.random.estimate, target) for target in TARGETS}
        local = {target: smallest_k(regret.local.estimate, target) for target in TARGETS}
    verdict: Verdict = "unsure"
    words = _unsure(analysis, variant)
    if not math.isfinite(loss.estimate):
        verdict, words = "unknown", _unknown(analysis, variant)
    elif loss.low > TOLERABLE:
        verdict, words = "tune", _tune(random, local)
    elif analysis.edge(variant) >= 0.5:
        words = (
            ": its best lies on the edge of that grid, beyond which there may be a better one; "
            "extend the grid."
        )
    elif loss.high <= TOLERABLE:
        verdict, words = "keep", _keep(analysis, variant)
    head = f"{variant_title(variant)}: {VERDICTS[verdict]}"
    sentence = f"{head}. {_loss(analysis, variant, measured, loss)}{words}"
    return Advice(variant, verdict, measured, loss, random, local, sentence)


def _loss(analysis: Analysis, variant: str, measured: float, loss: Interval) -> str:
    if not math.isfinite(loss.estimate):
        return ""
    landscape = analysis.landscapes[analysis.dense]
    at = " and ".join(f"{axis_title(axis)} {real(x)}" for axis, x in landscape.best_at.items())
    edge = ", which lies on the edge of its grid," if landscape.on_edge else ""
    return (
        f"At the unpruned network's optimum ({at}){edge} it loses {interval_text(loss)} points "
        f"against the best of its own grid (as measured: {measured:.2f})"
    )


def _keep(analysis: Analysis, variant: str) -> str:
    region = analysis.risk(variant, TOLERABLE).mean
    return (
        f", which is no more than the {TOLERABLE:g} that count as near-best here; over all "
        f"settings within {TOLERABLE:g} of the unpruned network's best it loses "
        f"{interval_text(region)}."
    )


def _tune(random: dict[float, int | None], local: dict[float, int | None]) -> str:
    ways = [
        (local[TOLERABLE], "by climbing from it"),
        (random[TOLERABLE], "at random settings of the grid"),
    ]
    known = [f"{count(k, 'training')} {way}" for k, way in ways if k is not None]
    if not known:
        return f", and no number of trainings brings that under {TOLERABLE:g} on this grid."
    return f"; {' or '.join(known)} bring the expected loss under {TOLERABLE:g}."


def _unsure(analysis: Analysis, variant: str) -> str:
    if variant not in analysis.surrogates:
        return "."
    return (
        f": the interval holds the {TOLERABLE:g} that count as near-best, and a single run "
        f"scatters by {analysis.surrogates[variant].noise:.2f}; more runs at this setting and near "
        "the network's own best would narrow it."
    )


def _unknown(analysis: Analysis, variant: str) -> str:
    if variant not in analysis.surrogates or analysis.dense not in analysis.surrogates:
        return "Too few points have a value for an interval."
    return "It has no value at the unpruned network's optimum: train it there."
