"""Multiply-accumulates and parameters of a network as a closed function of its widths."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn


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

    `kernel` is the number of weights of one filter on one channel, `positions` the number of output
    pixels: 1 for a linear layer, 0 for a normalisation, whose work is not counted. A filter of a
    `depthwise` layer sees one channel.
    """

    channels_in: Channels
    channels_out: Channels
    kernel: int
    positions: int
    bias: bool
    depthwise: bool = False

    def cost(self, removed: Mapping[str, int]) -> tuple[int, int]:
        """Multiply-accumulates and parameters when layers have lost `removed` output channels."""
        out = self.channels_out.at(removed)
        if not self.positions:
            return 0, 2 * out
        seen = 1 if self.depthwise else self.channels_in.at(removed)
        weights = self.kernel * seen * out
        return self.positions * weights, weights + (out if self.bias else 0)


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
        """Multiply-accumulates of convolutions and linear layers for one image; half the FLOPs.

        Parameters
        ----------
        widths : mapping of str to int, optional
            Output channels of prunable layers; a layer that is left out keeps all of them.
        """
        return self._cost(widths)[0]

    def params(self, widths: Mapping[str, int] | None = None) -> int:
        """Parameters at the given widths (running statistics of normalisations not counted)."""
        return self._cost(widths)[1]

    def _cost(self, widths: Mapping[str, int] | None) -> tuple[int, int]:
        widths = widths or {}
        removed = {layer: dense - widths.get(layer, dense) for layer, dense in self.widths.items()}
        macs, params = zip(*(layer.cost(removed) for layer in self.layers), strict=True)
        return sum(macs), sum(params)


def output_positions(model: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Output pixels of every convolution of `model` for `image`, and 1 for every linear layer.

    The model is run once in evaluation mode, without gradients; its mode is restored.
    """
    positions: dict[str, int] = {}

    def record(name: str, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        positions[name] = output[0, 0].numel()

    handles = [
        module.register_forward_hook(partial(record, name))
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
