"""The study's dense networks, and which of their channels may be pruned."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from hpstudy.config.study import Study, parse_variant
from hpstudy.networks.cutting import without
from hpstudy.networks.flops import cost_model
from hpstudy.networks.graph import Graph, Inputs, Removed
from hpstudy.networks.groups import find_groups, union
from hpstudy.networks.models import architecture, build_model, initialise, zeros
from hpstudy.networks.pruning import choose_channels, filter_scores


class PrunableNetwork:
    """Dense network, and which of its channels are removed together.

    Parameters
    ----------
    name : str
        One of `hpstudy.networks.models.MODELS`.
    classes, image_size : int
        Number of classes, and pixels a side, of the data; the FLOPs depend on both.

    Attributes
    ----------
    model : torch.nn.Module
        Untrained, with the same weights every time.
    prunable : tuple of str
        Convolutions whose output channels may be pruned, in forward order. All are inside residual
        blocks, so that every shortcut keeps its width (thesis, section 3.2.5).
    cost : CostModel
    identity : None
        Its name says all (`hpstudy.config.runspec.Network`).
    layout : torch.memory_format
        Order of the values of images and activations in memory, by which it is trained.
    """

    identity = None
    layout = torch.channels_last

    def __init__(self, name: str, classes: int, image_size: int):
        self.name, self.classes, self.image_size = name, classes, image_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = build_model(name, classes)
        inputs = Inputs.of(zeros(image_size))
        graph = Graph(self.model, inputs)
        groups = find_groups(graph, self.model, architecture(name).may_prune)
        self._groups = {group.root: group for group in groups}
        self.prunable = tuple(self._groups)
        self.cost = cost_model(self.model, inputs, groups)

    def cut(self, model: nn.Module, kept: Mapping[str, list[int]]) -> nn.Module:
        """Copy of `model` with the channels `kept` of each prunable layer, and their weights."""
        removed: list[Removed] = []
        for layer, channels in kept.items():
            group = self._groups[layer]
            removed.append(group.removed(set(range(group.channels)) - set(channels)))
        return without(model, union(removed))

    def at_widths(self, widths: Mapping[str, int] | None) -> nn.Module:
        """New, untrained network of the given widths (None: dense); initialise it before use."""
        if not widths:
            return copy.deepcopy(self.model)
        return self.cut(self.model, {layer: list(range(width)) for layer, width in widths.items()})

    def fresh(self, seed: int, widths: Mapping[str, int] | None) -> nn.Module:
        """New network of the given widths, initialised from torch's generator with this seed."""
        model = self.at_widths(widths)
        # Drawn on the CPU: the same weights on every device, whatever ran here before.
        torch.manual_seed(seed)
        initialise(model)
        return model

    def size(self, widths: Mapping[str, int] | None) -> tuple[int, int]:
        """Multiply-accumulates and parameters at the given widths."""
        return self.cost.macs(widths), self.cost.params(widths)

    def scores(self, model: nn.Module) -> dict[str, list[float]]:
        """Scores of the filters of each prunable layer of a trained dense network."""
        return filter_scores(model, self.prunable)

    def widths_for(self, study: Study, variant: str) -> dict[str, int]:
        """Widths of a variant when the filters of the untrained network are ranked.

        Raises HpstudyError if its FLOPs ratio is out of reach, which no ranking changes.
        """
        method, ratio = parse_variant(variant)
        kept = choose_channels(self.cost, self.scores(self.model), method, ratio, study.criterion)
        return {layer: len(channels) for layer, channels in kept.items()}
