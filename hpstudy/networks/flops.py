"""Multiply-accumulates and parameters of a network as a closed function of its widths."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Channels:
    """A number of channels that falls as layers are pruned.

    `dense` channels, less `per_channel[layer]` for every output channel that `layer` loses.
    """

    dense: int
    per_channel: Mapping[str, int]

    def at(self, removed: Mapping[str, int]) -> int:
        """Channels left when each layer has lost `removed[layer]` output channels."""
        return self.dense - sum(
            lost * self.per_channel[layer]
            for layer, lost in removed.items()
            if layer in self.per_channel
        )


@dataclass(frozen=True)
class Layer:
    """One convolution, linear layer or normalisation.

    `positions` is the number of output pixels (1 for a linear layer, 0 for a normalisation, which
    has no multiply-accumulates here), `kernel` the weights of one filter on one channel.
    `depthwise` layers see one channel per filter.
    """

    channels_in: Channels
    channels_out: Channels
    kernel: int
    positions: int
    bias: bool
    depthwise: bool = False


@dataclass(frozen=True)
class CostModel:
    """Closed form of a network's cost: a product of widths per layer, summed.

    Attributes
    ----------
    layers : tuple of Layer
    widths : dict of str to int
        Output channels of every prunable layer of the dense network, in forward order.
    """

    layers: tuple[Layer, ...]
    widths: dict[str, int]

    def macs(self, widths: Mapping[str, int] | None = None) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image.

        FLOPs are twice this number. `widths` gives the output channels of the prunable layers;
        those left out keep all theirs.
        """
        removed = self._removed(widths)
        total = 0
        for layer in self.layers:
            if layer.positions:
                out = layer.channels_out.at(removed)
                seen = 1 if layer.depthwise else layer.channels_in.at(removed)
                total += layer.positions * layer.kernel * seen * out
        return total

    def params(self, widths: Mapping[str, int] | None = None) -> int:
        """Parameters at the given widths (running statistics of normalisations not counted)."""
        removed = self._removed(widths)
        total = 0
        for layer in self.layers:
            out = layer.channels_out.at(removed)
            if not layer.positions:
                total += 2 * out
                continue
            seen = 1 if layer.depthwise else layer.channels_in.at(removed)
            total += layer.kernel * seen * out + (out if layer.bias else 0)
        return total

    def _removed(self, widths: Mapping[str, int] | None) -> dict[str, int]:
        widths = widths or {}
        return {layer: dense - widths.get(layer, dense) for layer, dense in self.widths.items()}


def output_positions(model: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Output pixels of every convolution of `model` for `image`, and 1 for every linear layer.

    The model is run once, in evaluation mode and without gradients; its mode is put back.
    """
    positions: dict[str, int] = {}

    def hook(name: str):
        def record(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            positions[name] = output[0, 0].numel()

        return record

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    for module, training in modes.items():
        module.training = training
    return positions
