"""Scores of filters, and the choice of channels that reaches a FLOPs ratio."""

import hashlib
from bisect import bisect_right
from collections import Counter

import torch
from torch import nn

from hpstudy.config.study import CRITERIA, METHODS
from hpstudy.errors import HpstudyError, unknown
from hpstudy.networks.dependency import CostModel

# A target counts as reached within this share of the dense network's FLOPs.
TOLERANCE = 1e-3
# Whether a criterion divides the norms of a layer by their mean.
_NORMALISED = {"l1": False, "l1-normalised": True}

Scores = dict[str, list[float]]


def filter_scores(model: nn.Module, layers: tuple[str, ...]) -> Scores:
    """L1 norm of every filter of the given convolutions (thesis, section 3.2; Li et al., 2017)."""
    with torch.no_grad():
        return {
            layer: model.get_parameter(f"{layer}.weight").double().abs().sum((1, 2, 3)).tolist()
            for layer in layers
        }


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of the state of `model`."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def choose_channels(
    cost: CostModel, scores: Scores, method: str, flops_ratio: float, criterion: str
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
        Score of every filter of every prunable layer.
    method : {"uniform", "nonuniform"}
    flops_ratio : float
        Share of the FLOPs that remains, in (0, 1].
    criterion : {"l1", "l1-normalised"}
        "l1" compares raw norms across layers; the other one divides them by their layer's mean
        first. It makes no difference to `uniform`.

    Returns
    -------
    dict of str to list of int
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
    smallest = cost.macs(dict.fromkeys(cost.widths, 1)) / cost.macs()
    if not smallest - TOLERANCE <= flops_ratio <= 1:
        raise HpstudyError(
            f"flops_ratio {flops_ratio} is out of reach; "
            f"this network can keep {smallest:.4f} to 1.0"
        )
    target = flops_ratio * cost.macs()
    order = _removal_order(scores, method, criterion)
    # The longest prefix of the order that does not fall below the target.
    counts = range(len(order) + 1)
    count = bisect_right(counts, -target, key=lambda n: -cost.macs(_widths(cost, order[:n]))) - 1
    removed = [*order[:count], *_fill_gap(cost, order, count, target)]
    reached = cost.macs(_widths(cost, removed))
    if abs(reached - target) > TOLERANCE * cost.macs():
        raise HpstudyError(
            f"flops_ratio {flops_ratio} cannot be met within {TOLERANCE:.1%}; the nearest that "
            f"{method} pruning reaches is {reached / cost.macs():.5f}"
        )
    gone = set(removed)
    return {
        layer: [channel for channel in range(dense) if (layer, channel) not in gone]
        for layer, dense in cost.widths.items()
    }


def _removal_order(scores: Scores, method: str, criterion: str) -> list[tuple[str, int]]:
    """Every (layer, channel) but the best of each layer, in the order of their removal."""
    entries = []
    for position, (layer, values) in enumerate(scores.items()):
        mean = sum(values) / len(values) if _NORMALISED[criterion] else 1.0
        # Ties leave by index, so that the choice is the same everywhere.
        ascending = sorted(range(len(values)), key=lambda channel: (values[channel], channel))
        for rank, channel in enumerate(ascending[:-1]):
            if method == "uniform":
                # Half a channel in: a layer's width is then its keep share rounded to the nearest.
                key = (rank + 0.5) / len(values)
            else:
                key = values[channel] / mean if mean else 0.0
            entries.append((key, position, rank, layer, channel))
    return [(layer, channel) for _, _, _, layer, channel in sorted(entries)]


def _fill_gap(
    cost: CostModel, order: list[tuple[str, int]], count: int, target: float
) -> list[tuple[str, int]]:
    """Channels after the first `count` of the order that bring the FLOPs nearer to the target.

    At most one channel a layer, the next of it: this keeps `uniform` uniform within one channel.
    """
    waiting: dict[str, int] = {}
    for layer, channel in order[count:]:
        waiting.setdefault(layer, channel)
    widths = _widths(cost, order[:count])
    macs = cost.macs(widths)
    filling = []
    # First those that fit into the gap, then one that overshoots by less than the rest of it.
    for overshoot in (False, True):
        for layer in list(waiting):
            fewer = {**widths, layer: widths[layer] - 1}
            gap = cost.macs(fewer) - target
            if abs(gap) < macs - target if overshoot else gap >= 0:
                filling.append((layer, waiting.pop(layer)))
                widths, macs = fewer, cost.macs(fewer)
    return filling


def _widths(cost: CostModel, removed: list[tuple[str, int]]) -> dict[str, int]:
    lost = Counter(layer for layer, _ in removed)
    return {layer: dense - lost[layer] for layer, dense in cost.widths.items()}
