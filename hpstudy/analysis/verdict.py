"""Whether pruned networks may keep the dense one's settings: one by one, and pooled."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from hpstudy.analysis.grid_checks import is_scattered
from hpstudy.analysis.intervals import NO_LOSS, Array, Interval, Loss, interval, loss, pooled
from hpstudy.analysis.landscape import common_points
from hpstudy.analysis.risk import smallest_k
from hpstudy.analysis.shift import FITTED, centre_shifts
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.config.grid import TOLERANCE

# Decades, a factor of two: the largest shift along either axis that section 4.1.2 neglects.
NEGLIGIBLE = 0.3
# Loss in percentage points up to which settings are kept: the thesis's narrower region.
TOLERABLE = 0.5
# Monte Carlo errors from a limit within which an end is inconclusive, and times as many draws
# where it lies that near.
ERRORS, BATCHES = 3.0, 10
# Largest share of the settings in a region whose centre is its own: 0.71 of those of one axis.
GRID = 0.5
# Share of the tolerable loss by which a grid's edge must be better to cast doubt on the grid.
MARGIN = 0.2
# Expected regrets, in percentage points, for which `trainings` counts the trainings.
TARGETS = (0.5, 0.25, 0.1)

Answer = Literal["keep", "retune", "inconclusive"]


class AxisVerdict(NamedTuple):
    """Whether one pruned network may keep one hyperparameter, by its shift (`shift_draws`).

    `at_end` are the networks of the two whose good region reaches the end of the grid on this axis:
    it may go on there, and its centre with it.
    """

    answer: Answer
    shift: Interval
    at_end: tuple[str, ...]
    interpolated: bool


@dataclass(frozen=True)
class Verdict:
    """Whether one pruned network, `variant`, may keep the dense network's settings.

    Attributes
    ----------
    both : str
        "keep" where the loss at the dense network's measured optimum is at most `tolerable`,
        "retune" where it is more, each by a one-sided 95 % bound; "inconclusive" otherwise, without
        draws, and in place of "keep" where `edge` holds.
    edge : bool
        Whether the edge of the network's own grid is better than its inside, by `MARGIN`, in half
        of the draws or more: the loss is then only what this grid shows.
    measured : float
        Loss at that setting as measured; NaN where the network was not trained there, and the loss
        is `interpolated`: read off its surface.
    second : Loss
        At the setting that measured second best.
    kept : tuple of int
        How many of the dense network's good settings are good for this one, and of how many that
        both were trained at; as measured.
    runs : int
        Number of the network's own runs.
    """

    variant: str
    threshold: float
    axes: dict[str, AxisVerdict]
    both: Answer
    edge: bool
    tolerable: float
    measured: float
    loss: Loss
    second: Loss
    interpolated: bool
    kept: tuple[int, int]
    runs: int


def verdict(
    analysis: StudyAnalysis, variant: str, threshold: float, tolerable: float = TOLERABLE
) -> Verdict:
    """Verdict on one pruned network of an analysis.

    A setting is good within `threshold` of its network's best, and a loss is a reason to tune again
    from `tolerable` on; both are in the metric's unit.

    References
    ----------
    Thesis, section 4.1.2 (shift) and 3.3.2 (risk); the rule goes beyond it.
    """
    edge = analysis.edge_probability(variant, MARGIN * tolerable) >= 0.5

    def of_loss(drawn: Array, errors: float = ERRORS) -> tuple[Answer, ...]:
        bounds = loss(drawn[:, 0], drawn[:, 1], errors)
        if bounds.at_least > tolerable:
            return ("retune",)
        return ("keep" if bounds.at_most <= tolerable and not edge else "inconclusive",)

    def losses(batch: StudyAnalysis) -> Array | None:
        pair = batch.transfer_regret_draws(variant)
        return None if pair is None else np.column_stack(pair)

    dense, pruned = analysis.landscapes[analysis.dense], analysis.landscapes[variant]
    gaps = _settled(analysis, losses(analysis), losses, of_loss)
    in_dense, in_pruned = common_points(dense, pruned)
    good = dense.in_roi(threshold)[in_dense]
    return Verdict(
        variant=variant,
        threshold=threshold,
        axes=_axes(analysis, variant, threshold),
        both="inconclusive" if gaps is None else of_loss(gaps)[0],
        edge=edge,
        tolerable=tolerable,
        measured=analysis.measured_transfer_regret(variant),
        loss=NO_LOSS if gaps is None else loss(*gaps.T),
        second=analysis.transfer_regret(variant, 1),
        interpolated=analysis.interpolated(variant),
        kept=(int(pruned.in_roi(threshold)[in_pruned][good].sum()), int(good.sum())),
        runs=pruned.runs,
    )


def answer(shift: Interval) -> Answer:
    """Verdict on one hyperparameter by the interval of its shift.

    "keep" where it lies within `NEGLIGIBLE` of 0, "retune" where it lies wholly outside,
    "inconclusive" otherwise and where it is NaN.
    """
    # A step of the grid may be the limit itself.
    limit = NEGLIGIBLE + TOLERANCE
    if -limit <= shift.low and shift.high <= limit:
        return "keep"
    return "retune" if shift.low > limit or shift.high < -limit else "inconclusive"


def _axes(analysis: StudyAnalysis, variant: str, threshold: float) -> dict[str, AxisVerdict]:
    pair = [analysis.landscapes[name] for name in (analysis.dense, variant)]
    ends = {net.variant: net.at_end(net.roi(threshold)) for net in pair}
    drawn, interpolated = shift_draws(analysis, variant, threshold)

    def of_shifts(drawn: Array, errors: float = ERRORS) -> tuple[Answer, ...]:
        return tuple(answer(interval(shift, errors)) for shift in drawn.T)

    drawn = _settled(
        analysis, drawn, lambda batch: shift_draws(batch, variant, threshold)[0], of_shifts
    )
    if drawn is None:
        drawn = np.full((1, 2), np.nan)
    return {
        axis: AxisVerdict(
            answer=of_shifts(drawn)[k],
            shift=interval(drawn[:, k]),
            at_end=tuple(name for name, axes in ends.items() if axis in axes),
            interpolated=interpolated,
        )
        for k, axis in enumerate(pair[0].axes)
    }


def _settled(
    analysis: StudyAnalysis,
    drawn: Array | None,
    draw: Callable[[StudyAnalysis], Array | None],
    answers: Callable[[Array, float], tuple[Answer, ...]],
) -> Array | None:
    """Draws that settle their answers: `BATCHES` times as many near a limit."""
    if drawn is None or answers(drawn, ERRORS) == answers(drawn, -ERRORS):
        return drawn
    more = (draw(replace(analysis, batch=analysis.batch + k)) for k in range(1, BATCHES))
    return np.concatenate([drawn, *(batch for batch in more if batch is not None)])


def shift_draws(
    analysis: StudyAnalysis, variant: str, threshold: float
) -> tuple[Array | None, bool]:
    """Shift of the good region's centre in each draw, and whether surfaces were interpolated.

    The settings of a coarse grid may be too few for a region, and the centre of a region among
    random settings is partly theirs. Both surfaces are then interpolated to a lattice over the
    range that both networks were tried in.

    The shifts are of shape (n_draws, 2), in decades along the axes; None where too few draws have
    an ellipse, and where the region of either network is so large (`GRID`) that its centre is the
    grid's.
    """
    largest = GRID ** (len(analysis.landscapes[variant].axes) / 2)
    scattered = any(map(is_scattered, analysis.landscapes.values()))
    for lattice in (True,) if scattered else (False, True):
        if (pair := analysis.pair(variant, lattice)) is None or not pair.both.any():
            return None, False
        if max(region.mean() for region in pair.rois(threshold)) > largest:
            break
        drawn = centre_shifts(pair, threshold)
        if np.isfinite(drawn[:, 0]).mean() >= FITTED:
            return drawn, pair.interpolated
    return None, False


def trainings(analysis: StudyAnalysis, variant: str) -> dict[str, dict[float, int | None]]:
    """Fewest trainings that bring the expected regret to each of `TARGETS`.

    "random" and "local" (fields of `study_analysis.Regret`) -> target -> trainings, None where no
    number does; empty without a regret.
    """
    regret = analysis.regret(variant)
    if regret is None:
        return {"random": {}, "local": {}}
    return {
        search: {target: smallest_k(curve.estimate, target) for target in TARGETS}
        for search, curve in regret._asdict().items()
    }


# --- several networks -----------------------------------------------------------------------------


class VerdictGroup(NamedTuple):
    """Verdicts on the pruned networks of one study or table, under its title.

    `note` says how large it is, and `link` is the address of its page.
    """

    title: str
    verdicts: list[Verdict]
    note: str = ""
    link: str = ""


class Pooled(NamedTuple):
    """Verdict on the pruned networks with an interval of their shift, together.

    `axes` are mean shifts in decades, and `loss` the mean of the losses at the dense networks'
    measured optima; NaN where all are unknown.
    """

    networks: int
    axes: dict[str, Interval]
    answers: dict[str, Answer]
    loss: Loss


def pooled_verdict(studies: Iterable[tuple[StudyAnalysis, float]]) -> Pooled | None:
    """Pool the pruned networks of studies over the same axes, each with its threshold.

    None where fewer than two networks have intervals.
    """
    studies = list(studies)
    groups: list[Array] = []
    gaps: list[Array] = []
    for analysis, threshold in studies:
        drawn = [shift_draws(analysis, name, threshold)[0] for name in analysis.pruned]
        if known := [shift for shift in drawn if shift is not None]:
            n = min(map(len, known))
            groups.append(np.stack([shift[:n] for shift in known], axis=-1))
        losses = (analysis.transfer_regret_draws(name) for name in analysis.pruned)
        # Draws of two studies come of the same random numbers, and are not to be paired.
        gaps += [np.roll(pair, len(groups), axis=1) for pair in losses if pair is not None]
    count = sum(group.shape[-1] for group in groups)
    if count < 2:
        return None
    mean_loss = NO_LOSS
    if gaps:
        n = min(pair.shape[1] for pair in gaps)
        mean_loss = loss(*np.mean([pair[:, :n] for pair in gaps], axis=0))
    axes = next(iter(studies[0][0].landscapes.values())).axes
    means = {axis: pooled(group[:, k] for group in groups) for k, axis in enumerate(axes)}
    return Pooled(count, means, {axis: answer(mean) for axis, mean in means.items()}, mean_loss)
