"""Scores of filters, and the choice of channels that reaches a FLOPs ratio."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hpstudy.config.study import CRITERIA, METHODS
from hpstudy.errors import HpstudyError, unknown
from hpstudy.networks.flops import CostModel

# A target counts as reached within this share of the dense network's FLOPs.
TOLERANCE = 1e-3

Scores = dict[str, list[float]]


def filter_scores(model: nn.Module, layers: tuple[str, ...]) -> Scores:
    """L1 norm of every filter of the given convolutions (thesis, section 3.2; Li et al., 2017)."""
    with torch.no_grad():
        return {
            layer: model.get_submodule(layer).weight.double().abs().sum((1, 2, 3)).tolist()
            for layer in layers
        }


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of the state of `model`."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        tensor: Tensor = value.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def reachable(cost: CostModel) -> tuple[float, float]:
    """Smallest and largest FLOPs ratio that keeping one channel or more per layer can reach."""
    return cost.macs(dict.fromkeys(cost.widths, 1)) / cost.macs(), 1.0


def choose_channels(
    cost: CostModel, scores: Scores, method: str, flops_ratio: float, criterion: str
) -> dict[str, list[int]]:
    """Channels to keep in every prunable layer so that `flops_ratio` of the FLOPs remain.

    Channels leave in one fixed order until the target is met: `uniform` takes them from all
    layers in step (one keep factor), within a layer the lowest score first; `nonuniform` takes
    the lowest score of all layers first. The highest-scoring channel of every layer stays. Where
    the next channel of the order would overshoot, later and cheaper ones fill the gap.

    Parameters
    ----------
    cost : CostModel
    scores : dict of str to list of float
        Of every filter of every prunable layer.
    method : str
        "uniform" or "nonuniform".
    flops_ratio : float
        Share of the FLOPs that remains, in (0, 1].
    criterion : str
        "l1" compares raw norms across layers; "l1-normalised" divides them by their layer's mean
        first. It makes no difference to `uniform`.

    Returns
    -------
    dict of str to list of int
        Increasing indices of the kept output channels, per layer.

    Raises
    ------
    HpstudyError
        For an unknown method or criterion, or a ratio out of reach; the sentence names the
        reachable range.

    References
    ----------
    Thesis, sections 3.2.2, 3.2.3 and 3.2.5.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    low, high = reachable(cost)
    if not low - TOLERANCE <= flops_ratio <= high:
        raise HpstudyError(
            f"flops_ratio {flops_ratio} is out of reach; this network can keep {low:.4f} to {high}"
        )
    widths = dict(cost.widths)
    target = flops_ratio * cost.macs()
    order = _removal_order(scores, method, criterion)
    removed: dict[str, set[int]] = {layer: set() for layer in widths}
    # Bisection: the longest prefix of the order that does not fall below the target.
    low_count, high_count = 0, len(order)
    while low_count < high_count:
        middle = (low_count + high_count + 1) // 2
        if cost.macs(_widths_after(order[:middle], widths)) >= target:
            low_count = middle
        else:
            high_count = middle - 1
    for layer, channel in order[:low_count]:
        removed[layer].add(channel)
    widths = _widths_after(order[:low_count], widths)
    macs = cost.macs(widths)
    # The next channel of every layer, in order: first those that fit into the gap that is left,
    # then one that overshoots by less than the rest of it. One channel a layer keeps `uniform`
    # uniform within one channel.
    waiting: dict[str, int] = {}
    for layer, channel in order[low_count:]:
        waiting.setdefault(layer, channel)
    for closing in (False, True):
        for layer in list(waiting):
            fewer = {**widths, layer: widths[layer] - 1}
            gap = cost.macs(fewer) - target
            if abs(gap) < macs - target if closing else gap >= 0:
                removed[layer].add(waiting.pop(layer))
                widths, macs = fewer, cost.macs(fewer)
    if abs(macs - target) > TOLERANCE * cost.macs():
        raise HpstudyError(
            f"flops_ratio {flops_ratio} cannot be met within {TOLERANCE:.1%}; the nearest that "
            f"{method} pruning reaches is {macs / cost.macs():.5f}"
        )
    return {
        layer: [channel for channel in range(dense) if channel not in removed[layer]]
        for layer, dense in cost.widths.items()
    }


def _removal_order(scores: Scores, method: str, criterion: str) -> list[tuple[str, int]]:
    """Every (layer, channel) but the best of each layer, in the order in which they leave."""
    entries = []
    for position, (layer, values) in enumerate(scores.items()):
        mean = sum(values) / len(values) if criterion == "l1-normalised" else 1.0
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


def _widths_after(gone: list[tuple[str, int]], widths: Mapping[str, int]) -> dict[str, int]:
    left = dict(widths)
    for layer, _ in gone:
        left[layer] -= 1
    return left
