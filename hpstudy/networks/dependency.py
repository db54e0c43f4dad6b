"""Dense networks with their channel dependencies: the cost of pruning, and the cut itself."""

import copy
import warnings
from collections.abc import Mapping
from typing import cast

import torch
import torch_pruning as tp
from torch import nn

from hpstudy.networks.flops import Channels, CostModel, Layer, output_positions
from hpstudy.networks.models import architecture, build_model, zeros


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
        modes = {module: module.training for module in model.modules()}
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            graph.build_dependency(model, zeros(self.image_size))
        # torch-pruning leaves the model in evaluation mode.
        for module, training in modes.items():
            module.training = training
        return graph

    def _cost_model(self) -> CostModel:
        """Closed form of the costs, with the couplings of torch-pruning's dependency graph."""
        modules = dict(self.model.named_modules())
        names = {module: name for name, module in modules.items()}
        graph = self._graph(self.model)
        # Layer -> prunable layer -> channels that the first loses for each that the second loses.
        inputs: dict[str, dict[str, int]] = {}
        outputs: dict[str, dict[str, int]] = {}
        for root in self.prunable:
            # All but one channel: a group that would lose every channel is refused there.
            lost = list(range(modules[root].out_channels - 1))
            group = graph.get_pruning_group(modules[root], tp.prune_conv_out_channels, lost)
            for item in group:
                layer = names.get(item.dep.target.module)
                if layer is None or not lost:
                    continue
                shrinks_input = item.dep.handler in (
                    tp.prune_conv_in_channels,
                    tp.prune_linear_in_channels,
                )
                table = inputs if shrinks_input else outputs
                table.setdefault(layer, {})[root] = len(item.idxs) // len(lost)
        positions = output_positions(self.model, zeros(self.image_size))
        layers = []
        for name, module in modules.items():
            into, out = inputs.get(name, {}), outputs.get(name, {})
            if isinstance(module, nn.Conv2d):
                kernel = module.kernel_size[0] * module.kernel_size[1]
                depthwise = module.groups == module.in_channels > 1
                sizes = module.in_channels, module.out_channels
            elif isinstance(module, nn.Linear):
                kernel, depthwise, sizes = 1, False, (module.in_features, module.out_features)
            elif isinstance(module, nn.BatchNorm2d):
                channels = Channels(module.num_features, out)
                layers.append(Layer(channels, channels, 0, 0, True))
                continue
            else:
                continue
            channels_in, channels_out = Channels(sizes[0], into), Channels(sizes[1], out)
            bias = module.bias is not None
            layers.append(
                Layer(channels_in, channels_out, kernel, positions[name], bias, depthwise)
            )
        widths = {name: modules[name].out_channels for name in self.prunable}
        return CostModel(tuple(layers), widths)

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
