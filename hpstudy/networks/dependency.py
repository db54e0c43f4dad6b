"""Which channels of a network go together, what that costs, and the cut itself."""

import copy
import warnings
from collections.abc import Mapping

import torch
import torch_pruning as tp
from torch import nn

from hpstudy.networks.flops import Channels, CostModel, Layer, output_positions
from hpstudy.networks.models import build_model, prunable_layers, zeros


class PrunableNetwork:
    """A dense network and which of its channels go together.

    Parameters
    ----------
    name : str
        One of `hpstudy.networks.models.MODELS`.
    classes, image_size : int
        Of the data to train on; the FLOPs depend on both.
    """

    def __init__(self, name: str, classes: int, image_size: int):
        self.name, self.classes, self.image_size = name, classes, image_size
        # Seeded, so that a price that is taken on untrained weights is the same every time.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = build_model(name, classes)
        self.prunable = prunable_layers(name, self.model)
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
        """Closed form of the costs, its couplings read off torch-pruning's dependency graph."""
        modules = dict(self.model.named_modules())
        names = {module: name for name, module in modules.items()}
        graph = self._graph(self.model)
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
                depthwise = module.groups == module.in_channels > 1
                layers.append(
                    Layer(
                        Channels(module.in_channels, into),
                        Channels(module.out_channels, out),
                        module.kernel_size[0] * module.kernel_size[1],
                        positions[name],
                        module.bias is not None,
                        depthwise,
                    )
                )
            elif isinstance(module, nn.Linear):
                layers.append(
                    Layer(
                        Channels(module.in_features, into),
                        Channels(module.out_features, out),
                        1,
                        1,
                        module.bias is not None,
                    )
                )
            elif isinstance(module, nn.BatchNorm2d):
                channels = Channels(module.num_features, out)
                layers.append(Layer(channels, channels, 0, 0, True))
        widths = {name: modules[name].out_channels for name in self.prunable}
        return CostModel(tuple(layers), widths)

    def cut(self, model: nn.Module, kept: Mapping[str, list[int]]) -> nn.Module:
        """A copy of `model` that keeps only the channels `kept` of each prunable layer.

        `model` is left as it is. The copy's weights are those of the kept channels.
        """
        model = copy.deepcopy(model)
        graph = self._graph(model)
        for layer, channels in kept.items():
            conv = model.get_submodule(layer)
            keep = set(channels)
            lost = [index for index in range(conv.out_channels) if index not in keep]
            if lost:
                group = graph.get_pruning_group(conv, tp.prune_conv_out_channels, lost)
                group.prune()
        return model

    def at_widths(self, widths: Mapping[str, int] | None) -> nn.Module:
        """A new, untrained network of the given widths (None: dense); initialise it before use."""
        if not widths:
            return copy.deepcopy(self.model)
        return self.cut(self.model, {layer: list(range(width)) for layer, width in widths.items()})
