"""Scores of filters, and the choice of channels that reaches a FLOPs ratio."""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from hpstudy.config.study import CRITERIA, METHODS
from hpstudy.errors import HpstudyError, unknown
from hpstudy.networks.flops import CostModel
from hpstudy.networks.groups import filter_norms

# A target counts as reached within this share of the dense network's FLOPs.
TOLERANCE = 1e-3
# Whether a criterion divides the norms of a layer by their mean.
_NORMALISED = {"l1": False, "l1-normalised": True}

Scores = Mapping[str, Sequence[float]]


def filter_scores(model: nn.Module, layers: tuple[str, ...]) -> dict[str, list[float]]:
    """L1 norm of every filter of the given convolutions (thesis, section 3.2; Li et al., 2017)."""
    return {layer: filter_norms(model.get_submodule(layer)) for layer in layers}


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of the state of `model`."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class _Step(NamedTuple):
    """Units of one group that leave together; the lowest key leaves first."""

    key: float
    position: int
    rank: int
    group: str
    units: tuple[int, ...]


def choose_channels(
    cost: CostModel,
    scores: Scores,
    method: str,
    flops_ratio: float,
    criterion: str,
    *,
    at_once: Mapping[str, int] | None = None,
    tolerance: float = TOLERANCE,
    trade: bool = False,
) -> dict[str, list[int]]:
    """Choose the channels to keep so that `flops_ratio` of the FLOPs remain.

    Channels are removed in one fixed order until the target is met: `uniform` removes them from
    all layers in step (one keep factor), within a layer the lowest score first; `nonuniform`
    removes the lowest score of all layers first. The highest-scoring channel of every layer stays.
    Where the next channel of the order would overshoot, later and cheaper ones fill the gap.
    Thesis, sections 3.2.2, 3.2.3 and 3.2.5.

    Parameters
    ----------
    cost : CostModel
    scores : dict of str to list of float
        Score of every filter of every prunable layer, or of every unit of every group.
    method : {"uniform", "nonuniform"}
    flops_ratio : float
        Share of the FLOPs that remains, in (0, 1].
    criterion : {"l1", "l1-normalised"}
        "l1" compares raw norms across layers; the other one divides them by their layer's mean
        first. It makes no difference to `uniform`.
    at_once : dict of str to int, optional
        Units that leave together; each group keeps a multiple of them. By default one.
    tolerance : float, default 1e-3
        Share of the dense FLOPs by which the target may be missed.
    trade : bool, default False
        Whether one or two groups may lose a step more or less where the target would be missed.

    Returns
    -------
    dict
        Increasing indices of the kept output channels, per layer.

    Raises
    ------
    HpstudyError
        For an unknown method or criterion, or a ratio out of reach.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    order = _removal_order(scores, method, criterion, at_once or {})
    smallest = cost.macs(_widths(cost, order)) / cost.macs()
    if not smallest - tolerance <= flops_ratio <= 1:
        raise HpstudyError(
            f"flops_ratio {flops_ratio} is out of reach; "
            f"this network can keep {smallest:.4f} to 1.0"
        )
    target = flops_ratio * cost.macs()
    # The longest prefix of the order that does not fall below the target.
    counts = range(len(order) + 1)
    count = bisect_right(counts, -target, key=lambda n: -cost.macs(_widths(cost, order[:n]))) - 1
    removed = [*order[:count], *_fill_gap(cost, order, count, target)]
    if trade and abs(cost.macs(_widths(cost, removed)) - target) > tolerance * cost.macs():
        removed = _traded(cost, order, removed, target)
    reached = cost.macs(_widths(cost, removed))
    if abs(reached - target) > tolerance * cost.macs():
        raise HpstudyError(
            f"flops_ratio {flops_ratio} cannot be met within {tolerance:.1%}; the nearest that "
            f"{method} pruning reaches is {reached / cost.macs():.5f}"
        )
    gone = {(step.group, unit) for step in removed for unit in step.units}
    return {
        group: [unit for unit in range(dense) if (group, unit) not in gone]
        for group, dense in cost.widths.items()
    }


def lowest_ratio(cost: CostModel, at_once: Mapping[str, int] | None = None) -> float:
    """Share of the FLOPs that remains when every group has lost all that it can."""
    any_scores = {group: [1.0] * units for group, units in cost.widths.items()}
    order = _removal_order(any_scores, METHODS[0], CRITERIA[0], at_once or {})
    return cost.macs(_widths(cost, order)) / cost.macs()


def _removal_order(
    scores: Scores, method: str, criterion: str, at_once: Mapping[str, int]
) -> list[_Step]:
    """Every step but the last of each group, in the order of their removal."""
    steps = []
    for position, (group, values) in enumerate(scores.items()):
        total = len(values)
        mean = sum(values) / total if _NORMALISED[criterion] else 1.0
        # Ties leave by index, so that the choice is the same everywhere.
        ascending = sorted(range(total), key=lambda unit: (values[unit], unit))
        size = at_once.get(group, 1)
        # The first step takes the remainder, so that all widths below are multiples.
        starts = [0] * (total % size > 0) + [*range(total % size, total, size)]
        for start, end in zip(starts, starts[1:], strict=False):
            units = tuple(ascending[start:end])
            if method == "uniform":
                # Half a step in: a layer's width is then its keep share rounded to the nearest.
                key = (start + (end - start) / 2) / total
            else:
                score = sum(values[unit] for unit in units) / len(units)
                key = score / mean if mean else 0.0
            steps.append(_Step(key, position, start, group, units))
    return sorted(steps)


def _fill_gap(cost: CostModel, order: list[_Step], count: int, target: float) -> list[_Step]:
    """Steps after the first `count` of the order that bring the FLOPs nearer to the target.

    At most one step a group, the next of it: this keeps `uniform` uniform within one channel.
    """
    waiting: dict[str, _Step] = {}
    for step in order[count:]:
        waiting.setdefault(step.group, step)
    widths = _widths(cost, order[:count])
    macs = cost.macs(widths)
    filling = []
    # First those that fit into the gap, then one that overshoots by less than the rest of it.
    for overshoot in (False, True):
        for group, step in list(waiting.items()):
            fewer = {**widths, group: widths[group] - len(step.units)}
            gap = cost.macs(fewer) - target
            if abs(gap) < macs - target if overshoot else gap >= 0:
                filling.append(waiting.pop(group))
                widths, macs = fewer, cost.macs(fewer)
    return filling


def _traded(
    cost: CostModel, order: list[_Step], removed: list[_Step], target: float
) -> list[_Step]:
    """The removed steps with those of one or two groups changed by one, nearest to the target."""
    queues: dict[str, list[_Step]] = {}
    for step in order:
        queues.setdefault(step.group, []).append(step)
    taken = Counter(step.group for step in removed)

    def missed(counts: Mapping[str, int]) -> float:
        steps = [step for group, queue in queues.items() for step in queue[: counts[group]]]
        return abs(cost.macs(_widths(cost, steps)) - target)

    best = min(_neighbours(taken, queues), key=missed, default=taken)
    best = min(taken, best, key=missed)
    return [step for group, queue in queues.items() for step in queue[: best[group]]]


def _neighbours(taken: Counter[str], queues: Mapping[str, list[_Step]]) -> Iterator[Counter[str]]:
    """Numbers of steps in which one or two groups take one more or less."""
    groups = list(queues)
    for number, one in enumerate(groups):
        for other in groups[number:]:
            for change, back in ((1, -1), (-1, 1), (1, 1), (-1, -1)):
                counts = Counter(taken)
                counts[one] += change
                if other != one:
                    counts[other] += back
                if all(0 <= counts[group] <= len(queues[group]) for group in (one, other)):
                    yield counts


def _widths(cost: CostModel, removed: list[_Step]) -> dict[str, int]:
    lost: Counter[str] = Counter()
    for step in removed:
        lost[step.group] += len(step.units)
    return {group: dense - lost[group] for group, dense in cost.widths.items()}
