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
# Runs a point beyond which nobody would go to tell a difference.
_MOST_RUNS = 30

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
        `TOLERABLE`; "tune" if it begins above; "unsure" if it holds it; "unknown" without one.
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
    if not math.isfinite(loss.estimate):
        verdict = "unknown"
    elif loss.high <= TOLERABLE:
        verdict = "keep"
    elif loss.low > TOLERABLE:
        verdict = "tune"
    words = {
        "keep": _keep,
        "tune": lambda *_: _tune(random, local),
        "unsure": _unsure,
        "unknown": _unknown,
    }[verdict](analysis, variant, loss)
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


def _keep(analysis: Analysis, variant: str, loss: Interval) -> str:
    return f", which is no more than the {TOLERABLE:g} that count as near-best here."


def _tune(random: dict[float, int | None], local: dict[float, int | None]) -> str:
    ways = [
        (local[TOLERABLE], "by climbing from it"),
        (random[TOLERABLE], "at random settings of the grid"),
    ]
    known = [f"{count(k, 'training')} {way}" for k, way in ways if k is not None]
    if not known:
        return f", and no number of trainings brings that under {TOLERABLE:g} on this grid."
    return f"; {' or '.join(known)} bring the expected loss under {TOLERABLE:g}."


def _unsure(analysis: Analysis, variant: str, loss: Interval) -> str:
    noise = analysis.surrogates[variant].noise
    runs = int(analysis.landscapes[variant].points["seeds"].max())
    apart = abs(loss.estimate - TOLERABLE)
    reach = max(loss.high - loss.estimate, loss.estimate - loss.low)
    wanted = math.inf if apart == 0 else math.ceil(runs * (reach / apart) ** 2)
    more = (
        f"about {wanted} runs a point near the optimum instead of {runs} would tell"
        if wanted <= _MOST_RUNS
        else f"it is too near {TOLERABLE:g} for any affordable number of runs to tell"
    )
    return (
        f": the interval holds the {TOLERABLE:g} that count as near-best, and single runs scatter "
        f"by {noise:.2f}; {more}."
    )


def _unknown(analysis: Analysis, variant: str, loss: Interval) -> str:
    if variant not in analysis.surrogates or analysis.dense not in analysis.surrogates:
        return "Too few points have a value for an interval."
    return "It has no value at the unpruned network's optimum: train it there."
