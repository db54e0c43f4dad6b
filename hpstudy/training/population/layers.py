"""Where the parameters of a network of 3x3 convolutions lie in arrays that K networks share."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from hpstudy.networks.models import ResNetCifar

# Channels that the kernels have tiles for: others are padded with zeros.
TILES = (16, 32, 64)


@dataclass(frozen=True)
class Layer:
    """A convolution and the normalisation of its output.

    Attributes
    ----------
    convolution, norm : str
        Their names in the network.
    inputs, outputs : int
        Channels, padded to `TILES`.
    real : tuple of int
        Channels in and out of the network itself.
    side, stride : int
        Pixels a side of its input, and pixels between two outputs.
    stage : int
        The reduction of the image at its output: 1, 2 or 4.
    at, norm_at : int
        First values of its weight and of its normalisation, among those of their kind.
    """

    convolution: str
    norm: str
    inputs: int
    outputs: int
    real: tuple[int, int]
    side: int
    stride: int
    stage: int
    at: int
    norm_at: int

    @property
    def size(self) -> int:
        """Values of its padded weight, (3, 4, inputs, outputs)."""
        return 12 * self.inputs * self.outputs

    @property
    def out(self) -> int:
        """Pixels a side of its output."""
        return self.side // self.stride


def padded(channels: int) -> int:
    """Channels of the smallest tile that holds them."""
    return next(tile for tile in TILES if tile >= channels)


def power_of_2(number: int) -> int:
    """Smallest power of two that is at least a number."""
    return 1 << (number - 1).bit_length()


class Layout:
    """Layers of a `ResNetCifar`, and the places of its values in flat arrays.

    Parameters are (networks, `size`): the weights of the convolutions, `norms` values of the
    normalisations, then the linear layer, (channels + 1, `classes` padded to 16 or more). In the
    statistics (networks, `norms`), mean and variance take the places of weight and bias.
    """

    def __init__(self, model: ResNetCifar, side: int):
        self.layers: list[Layer] = []
        modules = dict(model.named_modules())
        names = [("conv1", "bn1")]
        for number in range(len(model.blocks)):
            block = f"blocks.{number}."
            names += [(f"{block}conv1", f"{block}bn1"), (f"{block}conv2", f"{block}bn2")]
        at = norm_at = 0
        stage = 1
        for name, norm in names:
            conv = modules[name]
            assert isinstance(conv, nn.Conv2d)
            stride = conv.stride[0]
            inputs, outputs = padded(conv.in_channels), padded(conv.out_channels)
            real = conv.in_channels, conv.out_channels
            before, stage = stage, stage * stride
            layer = Layer(
                *(name, norm, inputs, outputs, real, side // before, stride, stage, at, norm_at)
            )
            self.layers.append(layer)
            at, norm_at = at + layer.size, norm_at + 2 * outputs
        self.weights, self.norms = at, norm_at
        self.features, self.real_classes = model.fc.in_features, model.fc.out_features
        self.classes = max(16, power_of_2(self.real_classes))
        self.size = at + norm_at + (self.features + 1) * self.classes

    def parameters(self, flat: Tensor) -> dict[str, Tensor]:
        """Views on one network's parameters (`size`), by their names and of their own shapes."""
        views = {}
        for layer in self.layers:
            weight = flat[layer.at : layer.at + layer.size]
            weight = weight.view(3, 4, layer.inputs, layer.outputs)
            inputs, outputs = layer.real
            weight = weight[:, :3, :inputs, :outputs]
            views[f"{layer.convolution}.weight"] = weight.permute(3, 2, 0, 1)
            norm = flat[self.weights + layer.norm_at :][: 2 * layer.outputs].view(2, -1)
            views[f"{layer.norm}.weight"], views[f"{layer.norm}.bias"] = norm[:, :outputs]
        linear = flat[self.weights + self.norms :].view(self.features + 1, self.classes)
        linear = linear[:, : self.real_classes]
        views["fc.weight"], views["fc.bias"] = linear[:-1].T, linear[-1]
        return views

    def buffers(self, statistics: Tensor, batches: Tensor) -> dict[str, Tensor]:
        """Views on one network's running statistics (`norms`) and its number of batches ()."""
        views = {}
        for layer in self.layers:
            norm = statistics[layer.norm_at :][: 2 * layer.outputs].view(2, -1)
            mean, variance = norm[:, : layer.real[1]]
            views[f"{layer.norm}.running_mean"] = mean
            views[f"{layer.norm}.running_var"] = variance
            views[f"{layer.norm}.num_batches_tracked"] = batches
        return views

    def segments(self) -> Mapping[int, tuple[int, int]]:
        """First value and number of values of the weights of each stage, which lie together."""
        found: dict[int, tuple[int, int]] = {}
        for layer in self.layers:
            start, size = found.get(layer.stage, (layer.at, 0))
            found[layer.stage] = start, size + layer.size
        return found
