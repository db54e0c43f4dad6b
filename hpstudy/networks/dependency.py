"""Dense networks with their channel dependencies: the cost of pruning, and the cut itself."""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch_pruning as tp
from torch import nn

from hpstudy.networks.models import architecture, build_model, zeros


@dataclass(frozen=True)
class Channels:
    """Number of channels: `dense` less `per_channel[layer]` for each channel that `layer` loses."""

    dense: int
    per_channel: Mapping[str, int]

    def at(self, removed: Mapping[str, int]) -> int:
        """Channels left when each layer has lost `removed[layer]` output channels."""
        lost = sum(per * removed.get(layer, 0) for layer, per in self.per_channel.items())
        return self.dense - lost


@dataclass(frozen=True)
class Layer:
    """Convolution, linear layer or normalisation.

    `seen` are the channels that one filter sees, `kernel` its weights on each of them, and
    `positions` the output pixels. A filter has no other parameters than `biases`. The work of a
    normalisation is not counted: `kernel` is 0.
    """

    seen: Channels
    filters: Channels
    kernel: int
    positions: int
    biases: int

    def cost(self, removed: Mapping[str, int]) -> tuple[int, int]:
        """Multiply-accumulates and parameters when layers have lost `removed` output channels."""
        filters = self.filters.at(removed)
        weights = self.kernel * self.seen.at(removed) * filters
        return self.positions * weights, weights + self.biases * filters


@dataclass(frozen=True)
class CostModel:
    """Closed form of a network's cost: a product of widths per layer, summed.

    `widths` are the output channels of every prunable layer of the dense network, in forward order.
    The widths given to a method may leave out layers, which keep all channels.
    """

    layers: tuple[Layer, ...]
    widths: dict[str, int]

    def macs(self, widths: Mapping[str, int] | None = None) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image; half the FLOPs."""
        return self._cost(widths)[0]

    def params(self, widths: Mapping[str, int] | None = None) -> int:
        """Parameters (running statistics of normalisations not counted)."""
        return self._cost(widths)[1]

    def _cost(self, widths: Mapping[str, int] | None) -> tuple[int, int]:
        widths = widths or {}
        removed = {layer: dense - widths.get(layer, dense) for layer, dense in self.widths.items()}
        macs, params = zip(*(layer.cost(removed) for layer in self.layers), strict=True)
        return sum(macs), sum(params)


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
    """

    def __init__(self, name: str, classes: int, image_size: int):
        self.name, self.classes, self.image_size = name, classes, image_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = build_model(name, classes)
        prunable = architecture(name).prunable
        # A dot in the name: the stem is spared.
        self.prunable = tuple(
            path
            for path, _ in self.model.named_modules()
            if "." in path and path.rpartition(".")[2] in prunable
        )
        self.cost = self._cost_model()

    def _graph(self, model: nn.Module) -> tp.DependencyGraph:
        graph = tp.DependencyGraph()
        with _mode_kept(model), warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            graph.build_dependency(model, zeros(self.image_size))
        return graph

    def _cost_model(self) -> CostModel:
        """Closed form of the costs, with the couplings of torch-pruning's dependency graph."""
        modules = dict(self.model.named_modules())
        names = {module: name for name, module in modules.items()}
        graph = self._graph(self.model)
        # Layer -> prunable layer -> channels that the first loses for each that the second loses.
        inputs: dict[str, dict[str, int]] = {name: {} for name in modules}
        outputs: dict[str, dict[str, int]] = {name: {} for name in modules}
        of_inputs = tp.prune_conv_in_channels, tp.prune_linear_in_channels
        for root in self.prunable:
            # All but one channel: a group that would lose every channel is refused there.
            lost = list(range(modules[root].out_channels - 1))
            for item in graph.get_pruning_group(modules[root], tp.prune_conv_out_channels, lost):
                if layer := names.get(item.dep.target.module):
                    table = inputs if item.dep.handler in of_inputs else outputs
                    table[layer][root] = len(item.idxs) // len(lost)
        positions = output_positions(self.model, zeros(self.image_size))
        layers = []
        for name, module in modules.items():
            if isinstance(module, nn.BatchNorm2d):
                seen, filters, kernel, biases = 1, module.num_features, 0, 2
            elif isinstance(module, nn.Conv2d):
                seen, filters = module.in_channels // module.groups, module.out_channels
                kernel, biases = math.prod(module.kernel_size), int(module.bias is not None)
            elif isinstance(module, nn.Linear):
                seen, filters, kernel, biases = module.in_features, module.out_features, 1, 1
            else:
                continue
            channels = Channels(seen, inputs[name]), Channels(filters, outputs[name])
            layers.append(Layer(*channels, kernel, positions.get(name, 0), biases))
        return CostModel(
            tuple(layers), {name: modules[name].out_channels for name in self.prunable}
        )

    def cut(self, model: nn.Module, kept: Mapping[str, list[int]]) -> nn.Module:
        """Copy of `model` with the channels `kept` of each prunable layer, and their weights."""
        model = copy.deepcopy(model)
        graph = self._graph(model)
        for layer, channels in kept.items():
            conv = cast(nn.Conv2d, model.get_submodule(layer))
            lost = sorted(set(range(conv.out_channels)) - set(channels))
            if lost:
                graph.get_pruning_group(conv, tp.prune_conv_out_channels, lost).prune()
        return model

    def at_widths(self, widths: Mapping[str, int] | None) -> nn.Module:
        """New, untrained network of the given widths (None: dense); initialise it before use."""
        if not widths:
            return copy.deepcopy(self.model)
        return self.cut(self.model, {layer: list(range(width)) for layer, width in widths.items()})


def output_positions(model: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Output pixels of every convolution of `model` for `image`, and 1 for every linear layer."""
    positions: dict[str, int] = {}

    def record(name: str, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        positions[name] = output[0, 0].numel()

    handles = [
        module.register_forward_hook(partial(record, name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    with _mode_kept(model), torch.no_grad():
        model.eval()
        model(image)
    for handle in handles:
        handle.remove()
    return positions


@contextmanager
def _mode_kept(model: nn.Module) -> Iterator[None]:
    """Context after which each module is in training or evaluation mode as before."""
    modes = {module: module.training for module in model.modules()}
    yield
    for module, training in modes.items():
        module.training = training
