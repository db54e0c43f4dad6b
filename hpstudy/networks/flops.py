"""Cost of a network in closed form, at any widths, and as torch counts it."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hpstudy.networks.graph import Inputs
from hpstudy.networks.groups import Group
from hpstudy.networks.models import CONV


@dataclass(frozen=True)
class Channels:
    """Number of channels: `dense` less `per_unit[group]` for each unit that `group` loses."""

    dense: int
    per_unit: Mapping[str, int]


@dataclass(frozen=True)
class Layer:
    """Convolution, linear layer or normalisation.

    `seen` are the channels that one filter sees, `kernel` its weights on each of them, and
    `positions` the places where it is applied. `biases` are the other parameters of a filter. The
    work of a normalisation is not counted: its `kernel` is 0.
    """

    seen: Channels
    filters: Channels
    kernel: int
    positions: int
    biases: int


@dataclass(frozen=True)
class CostModel:
    """Closed form of a network's cost: a product of widths per layer, summed.

    `widths` are the units (in the study's networks: output channels) of every group of the dense
    network, in forward order. The widths given to a method may leave out groups, which keep all.
    `other_macs` and `other_params` depend on no width.
    """

    layers: tuple[Layer, ...]
    widths: dict[str, int]
    other_macs: int = 0
    other_params: int = 0

    def macs(self, widths: Mapping[str, int] | None = None) -> int:
        """Multiply-accumulates of convolutions and linear layers; half the FLOPs."""
        seen, filters = self._channels(widths)
        return int((self._factors[0] * seen * filters).sum()) + self.other_macs

    def params(self, widths: Mapping[str, int] | None = None) -> int:
        """Parameters (running statistics of normalisations not counted)."""
        seen, filters = self._channels(widths)
        weights, biases = self._factors[1] * seen * filters, self._factors[2] * filters
        return int((weights + biases).sum()) + self.other_params

    def _channels(self, widths: Mapping[str, int] | None) -> tuple[np.ndarray, np.ndarray]:
        """Channels that each layer's filters see, and its filters."""
        widths = widths or {}
        lost = [dense - widths.get(group, dense) for group, dense in self.widths.items()]
        seen, filters = self._slopes @ np.array(lost, dtype=np.int64)
        return self._dense[0] - seen, self._dense[1] - filters

    @cached_property
    def _dense(self) -> np.ndarray:
        return np.array([(layer.seen.dense, layer.filters.dense) for layer in self.layers]).T

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Channels seen, and filters, of every layer that go with one unit of each group."""
        rows = [
            [[side.per_unit.get(group, 0) for group in self.widths] for side in sides]
            for sides in ((layer.seen, layer.filters) for layer in self.layers)
        ]
        return np.array(rows, dtype=np.int64).swapaxes(0, 1)

    @cached_property
    def _factors(self) -> np.ndarray:
        rows = [(x.kernel * x.positions, x.kernel, x.biases) for x in self.layers]
        return np.array(rows, dtype=np.int64).T


def cost_model(model: nn.Module, inputs: Inputs, groups: Sequence[Group]) -> CostModel:
    """Closed form of the cost of a network when its groups lose units.

    Multiply-accumulates are those for `inputs`, whose batch should be one image.
    """
    seen: dict[str, dict[str, int]] = {}
    filters: dict[str, dict[str, int]] = {}
    modules = dict(model.named_modules())
    for group in groups:
        for (name, side, _), lost in group.per_unit().items():
            if name in group.whole and side == "in":
                continue  # The remaining groups see as many channels as before.
            if side == "in":
                per_filter = getattr(modules[name], "groups", 1)
                seen.setdefault(name, {})[group.root] = lost // per_filter
            elif side != "parameter":
                filters.setdefault(name, {})[group.root] = lost
    positions, macs = measured(model, inputs)
    layers = []
    for name, module in modules.items():
        widths = seen.get(name, {}), filters.get(name, {})
        if layer := _layer(module, *widths, positions.get(name, 0)):
            layers.append(layer)
    own = CostModel(tuple(layers), {group.root: len(group.units) for group in groups})
    params = sum(parameter.numel() for parameter in model.parameters())
    return CostModel(own.layers, own.widths, macs - own.macs(), params - own.params())


def _layer(
    module: nn.Module, seen: dict[str, int], filters: dict[str, int], positions: int
) -> Layer | None:
    bias = int(getattr(module, "bias", None) is not None)
    if isinstance(module, CONV):
        sees, width = module.in_channels // module.groups, module.out_channels
        kernel = math.prod(module.kernel_size)
    elif isinstance(module, nn.Linear):
        sees, width, kernel = module.in_features, module.out_features, 1
    elif filters:  # a normalisation, or another layer with some parameters a channel
        width = next((len(parameter) for parameter in module.parameters()), 0)
        sees, kernel, bias = 1, 0, len(list(module.parameters()))
    else:
        return None
    return Layer(Channels(sees, seen), Channels(width, filters), kernel, positions, bias)


def output_positions(model: nn.Module, image: Tensor) -> dict[str, int]:
    """Output pixels of every convolution of `model` for `image`, and 1 for every linear layer."""
    return measured(model, Inputs.of(image))[0]


def measured_macs(model: nn.Module, inputs: Inputs) -> int:
    """Multiply-accumulates of a network, as torch counts its operators; half the FLOPs."""
    return measured(model, inputs)[1]


def measured(model: nn.Module, inputs: Inputs) -> tuple[dict[str, int], int]:
    """Places where each layer is applied, over all calls, and torch's multiply-accumulates."""
    positions: Counter[str] = Counter()

    def record(name: str, module: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            positions[name] += output.numel() // module.out_features
        elif module.transposed:  # multiplies once for each pixel that it is given
            positions[name] += args[0].numel() // module.in_channels
        else:
            positions[name] += output.numel() // module.out_channels

    counter = FlopCounterMode(display=False)
    # The counter does not know the fused operators of attention.
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, (CONV, nn.Linear)):
                handle = module.register_forward_hook(partial(record, name))
                stack.callback(handle.remove)
        stack.enter_context(mode_kept(model))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        inputs.run(model.eval())
    return dict(positions), counter.get_total_flops() // 2


@contextmanager
def mode_kept(model: nn.Module) -> Iterator[None]:
    """Context after which each module is in training or evaluation mode as before."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
