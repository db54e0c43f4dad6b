"""Whether a pruned network may keep the dense one's settings: by hyperparameter, and both."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from hpstudy.analysis.grid_checks import is_scattered
from hpstudy.analysis.intervals import NO_LOSS, UNKNOWN, Interval, Loss, interval, loss, regions
from hpstudy.analysis.landscape import TOLERANCE
from hpstudy.analysis.pooling import pooled
from hpstudy.analysis.regret import smallest_k
from hpstudy.analysis.risk import common_points
from hpstudy.analysis.shift import FITTED, shifts
from hpstudy.analysis.study_analysis import StudyAnalysis

NEGLIGIBLE = 0.3
"""Decades, a factor of two: the largest shift along either axis that section 4.1.2 neglects."""
TOLERABLE = 0.5
"""Loss in percentage points up to which settings are kept: the thesis's narrower region."""
ERRORS = 3.0
"""Monte Carlo errors from a limit within which an end is inconclusive."""
BATCHES = 10
"""Times as many draws where an end lies that near a limit: fewer verdicts are then inconclusive."""
GRID = 0.5
"""Largest share of the settings in a region whose centre is its own: 0.71 of those of one axis."""
MARGIN = 0.2
"""Share of the tolerable loss by which a grid's edge must be better to cast doubt on the grid."""
TARGETS = (0.5, 0.25, 0.1)
"""Expected regrets, in percentage points, for which the number of trainings is told."""

Answer = Literal["keep", "retune", "inconclusive"]


class Shift(NamedTuple):
    """What one hyperparameter of one network asks for.

    Attributes
    ----------
    answer : str
        "keep" where the interval of the shift of the good region's centre lies within
        `NEGLIGIBLE` of 0, "retune" where it lies wholly outside, "inconclusive" otherwise and
        without an interval: where too few draws have an ellipse, or where the good region of
        either network is so large (`GRID`) that its centre is the grid's.
    shift : Interval
        In decades along the axis.
    at_end : tuple of str
        Networks of the two whose good region reaches the end of the grid on this axis: it may go
        on there, and its centre with it.
    interpolated : bool
        Whether the shift is that of surfaces between the settings (`shift_draws`).
    """

    answer: Answer
    shift: Interval
    at_end: tuple[str, ...]
    interpolated: bool


@dataclass(frozen=True)
class Verdict:
    """Whether one pruned network may keep the dense network's settings.

    Attributes
    ----------
    variant : str
        The network.
    threshold : float
        Of the good regions: a setting is good within so much of its network's best.
    axes : dict of str to Shift
        By hyperparameter.
    both : str
        "keep" where the loss at the dense network's measured optimum is at most `tolerable`,
        "retune" where it is more, each by a one-sided 95 % bound; "inconclusive" otherwise,
        without an interval, and in place of "keep" where the edge of the network's own grid is
        better than its inside, by `MARGIN`, in half of the draws or more: the loss is then only
        what this grid shows.
    edge : bool
        Whether that is so.
    tolerable : float
        In the metric's unit.
    measured : float
        Loss at that setting as measured; NaN where the network was not trained there.
    loss, second : Loss
        At the dense network's measured optimum, and at the setting that measured second best.
    interpolated : bool
        Whether the loss is read off the network's surface, as it was not trained there.
    kept : tuple of int
        How many of the dense network's good settings are good for this one, and of how many that
        both were trained at; as measured.
    """

    variant: str
    threshold: float
    axes: dict[str, Shift]
    both: Answer
    edge: bool
    tolerable: float
    measured: float
    loss: Loss
    second: Loss
    interpolated: bool
    kept: tuple[int, int]


def verdict(
    analysis: StudyAnalysis, variant: str, threshold: float, tolerable: float = TOLERABLE
) -> Verdict:
    """Verdict on one pruned network of an analysis.

    Parameters
    ----------
    analysis : StudyAnalysis
        Of the dense network and this one.
    variant : str
        The pruned network.
    threshold : float
        Of the good regions whose centres are compared, in the metric's unit.
    tolerable : float, default 0.5
        Loss that is no reason to tune again, in the metric's unit.

    References
    ----------
    Thesis, section 4.1.2 (shift) and 3.3.2 (risk); the rule goes beyond it.
    """
    measured, _ = analysis.keeping(variant)
    edge = analysis.edge(variant, MARGIN * tolerable) >= 0.5

    def of_loss(drawn: np.ndarray, errors: float) -> tuple[Answer, ...]:
        sure = loss(*drawn.T, errors=errors)
        if sure.at_least > tolerable:
            return ("retune",)
        return ("keep" if sure.at_most <= tolerable and not edge else "inconclusive",)

    def of_shift(drawn: np.ndarray, errors: float) -> tuple[Answer, ...]:
        return tuple(answer(interval(moved, errors)) for moved in drawn.T)

    gaps = _settled(analysis, lambda one: _gaps(one, variant), of_loss)
    drawn, interpolated = shift_draws(analysis, variant, threshold)
    pair = [analysis.landscapes[name] for name in (analysis.dense, variant)]
    ends = [one.at_end(one.roi(threshold)) for one in pair]
    number = len(pair[0].axes)
    moved, answers = [UNKNOWN] * number, ("inconclusive",) * number
    if drawn is not None:
        drawn = _settled(
            analysis, lambda one: shift_draws(one, variant, threshold)[0][:, :number], of_shift
        )
        moved, answers = [interval(one) for one in drawn.T], of_shift(drawn, ERRORS)
    axes = {}
    for axis, one, said in zip(pair[0].axes, moved, answers, strict=True):
        at_end = [one.variant for one, found in zip(pair, ends, strict=True) if axis in found]
        axes[axis] = Shift(said, one, tuple(at_end), interpolated)
    here, there = common_points(*pair)
    good = pair[0].inside(threshold)[here]
    still = int(pair[1].inside(threshold)[there][good].sum())
    return Verdict(
        variant=variant,
        threshold=threshold,
        axes=axes,
        both="inconclusive" if gaps is None else of_loss(gaps, ERRORS)[0],
        edge=edge,
        tolerable=tolerable,
        measured=measured,
        loss=NO_LOSS if gaps is None else loss(*gaps.T),
        second=analysis.lost(variant, 1),
        interpolated=analysis.interpolated(variant),
        kept=(still, int(good.sum())),
    )


def answer(shift: Interval) -> Answer:
    """What the interval of a shift says of one hyperparameter (`Shift.answer`)."""
    # A step of the grid may be the limit itself.
    if -NEGLIGIBLE - TOLERANCE <= shift.low and shift.high <= NEGLIGIBLE + TOLERANCE:
        return "keep"
    if shift.low > NEGLIGIBLE + TOLERANCE or shift.high < -NEGLIGIBLE - TOLERANCE:
        return "retune"
    return "inconclusive"


def _gaps(analysis: StudyAnalysis, variant: str) -> np.ndarray | None:
    found = analysis.loss_draws(variant)
    return None if found is None else np.column_stack(found)


def _settled(
    analysis: StudyAnalysis,
    draw: Callable[[StudyAnalysis], np.ndarray | None],
    answers: Callable[[np.ndarray, float], tuple[Answer, ...]],
) -> np.ndarray | None:
    """Draws that settle what they answer: `BATCHES` times as many near a limit."""
    drawn = draw(analysis)
    if drawn is None or answers(drawn, ERRORS) == answers(drawn, -ERRORS):
        return drawn
    more = (draw(replace(analysis, batch=analysis.batch + k)) for k in range(1, BATCHES))
    return np.concatenate([drawn, *(one for one in more if one is not None)])


class Pooled(NamedTuple):
    """What several networks say together.

    Attributes
    ----------
    networks : int
        Pruned networks with an interval of their shift.
    axes : dict of str to Interval
        Mean shift of networks like these, in decades (`hpstudy.analysis.pooling.pooled`).
    answers : dict of str to Answer
        By axis, by the rule of `Shift.answer`.
    loss : Loss
        Mean of the losses at the dense networks' measured optima; NaN where none is known.
    """

    networks: int
    axes: dict[str, Interval]
    answers: dict[str, Answer]
    loss: Loss


def pooled_verdict(studies: Iterable[tuple[StudyAnalysis, float]]) -> Pooled | None:
    """Pool the pruned networks of studies over the same axes.

    Parameters
    ----------
    studies : iterable of (StudyAnalysis, float)
        Each with the threshold of its good regions.

    Returns
    -------
    Pooled or None
        None where fewer than two networks have intervals.
    """
    studies, shifts, gaps = list(studies), [], []
    axes = next(iter(studies[0][0].landscapes.values())).axes
    for analysis, threshold in studies:
        drawn = [shift_draws(analysis, name, threshold)[0] for name in analysis.pruned]
        drawn = [one for one in drawn if one is not None]
        if drawn:
            n = min(map(len, drawn))
            shifts.append(np.stack([one[:n] for one in drawn], axis=-1))
        found = (analysis.loss_draws(name) for name in analysis.pruned)
        # Draws of two studies come of the same random numbers, and are not to be paired.
        gaps += [np.roll(gap, len(shifts), axis=1) for gap in found if gap is not None]
    count = sum(one.shape[-1] for one in shifts)
    if count < 2:
        return None
    lost = NO_LOSS
    if gaps:
        n = min(len(one[0]) for one in gaps)
        lost = loss(*(np.mean([gap[k][:n] for gap in gaps], axis=0) for k in (0, 1)))
    found = {axis: pooled(one[:, k] for one in shifts) for k, axis in enumerate(axes)}
    answers = {axis: answer(one) for axis, one in found.items()}
    return Pooled(count, found, answers, lost)


def trainings(analysis: StudyAnalysis, variant: str) -> dict[str, dict[float, int | None]]:
    """Fewest trainings that bring the expected regret to each of `TARGETS`.

    Returns
    -------
    dict
        "random" and "local" (`hpstudy.analysis.outcomes.Regret`) -> target -> trainings, None where no
        number does; empty without a regret.
    """
    regret = analysis.regret(variant)
    if regret is None:
        return {"random": {}, "local": {}}
    return {
        way: {target: smallest_k(curve.estimate, target) for target in TARGETS}
        for way, curve in regret._asdict().items()
    }


def shift_draws(
    analysis: StudyAnalysis, variant: str, threshold: float
) -> tuple[np.ndarray | None, bool]:
    """Shift of the good region's centre in each draw, where draws tell one.

    The settings of a coarse grid may be too few for a region, and the centre of a region among
    random settings is partly theirs. Both surfaces are then interpolated to a lattice over the
    range that both networks were tried in.

    Returns
    -------
    drawn : ndarray of shape (n_draws, 2), or None
        In decades along the axes (`hpstudy.analysis.shift.shifts`); None where nothing tells it
        (`Shift.answer`).
    interpolated : bool
        Whether surfaces were interpolated.
    """
    most = GRID ** (len(analysis.landscapes[variant].axes) / 2)
    scattered = any(map(is_scattered, analysis.landscapes.values()))
    for lattice in (True,) if scattered else (False, True):
        if (pair := analysis.pair(variant, lattice)) is None or not pair.both.any():
            return None, False
        drawn = shifts(pair, threshold)
        inside = [regions(one[:, pair.both], threshold) for one in (pair.dense, pair.other)]
        if max(one.mean() for one in inside) > most:
            break
        if np.isfinite(drawn[:, 0]).mean() >= FITTED:
            return drawn, pair.interpolated
    return None, False
