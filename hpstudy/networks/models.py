"""The networks of the study by name, He-initialised, for any number of classes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, unknown

CONV = nn.modules.conv._ConvNd
_NormBase = nn.modules.batchnorm._NormBase
_NORMS = _NormBase, nn.GroupNorm, nn.LayerNorm
# Five times as many as any published set of images has: beyond, a classifier fills the memory.
MOST_CLASSES = 100_000
SMALLEST_INPUT, LARGEST_INPUT = 8, 224


class _PaddedShortcut(nn.Module):
    """Parameter-free shortcut (option A of He et al.): every second pixel, zero channels added."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        extra = channels_out - channels_in
        self.padding = (0, 0, 0, 0, extra // 2, extra - extra // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], self.padding)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the channels between them may be pruned."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else _PaddedShortcut(channels_in, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNetCifar(nn.Module):
    """ResNet of depth 6n + 2 for small images: three stages of 16, 32 and 64 channels.

    Thesis, section 2.1.1, Table 2.1; He et al. (2015b), section 4.2, with option A shortcuts.
    """

    def __init__(self, blocks: int, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels_in, layers = 16, []
        for stage, channels in enumerate((16, 32, 64)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(_BasicBlock(channels_in, channels, stride))
                channels_in = channels
        self.blocks = nn.Sequential(*layers)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, 3, height, width)."""
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class _InvertedResidual(nn.Module):
    """Expand, depthwise, project; the expanded channels may be pruned."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int):
        super().__init__()
        hidden = expansion * channels_in
        self.expand = nn.Conv2d(channels_in, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.project = nn.Conv2d(hidden, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn1(self.expand(x)))
        y = F.relu6(self.bn2(self._filter(y)))
        projected: Tensor = self.bn3(self.project(y))
        return x + projected if self.residual else projected

    def _filter(self, y: Tensor) -> Tensor:
        # On a CPU, oneDNN takes 15 to 40 times as long for the bfloat16 gradient of a strided
        # depthwise convolution as for the float32 one: `benchmarks/layers.py`.
        if y.is_cpu and torch.is_autocast_enabled("cpu") and self.depthwise.stride != (1, 1):
            with torch.autocast("cpu", enabled=False):
                y = self.depthwise(y.float())
        else:
            y = self.depthwise(y)
        return y


class MobileNetV2Cifar(nn.Module):
    """MobileNetV2 for 32x32 images: three of the five downsamplings are switched off.

    Strides of the stem and of the 24-, 32-, 64- and 160-channel stages are 1, 1, 1, 2, 2 and the
    block of expansion 1 keeps its 1x1 expansion; no other choice gives the parameters and FLOPs
    of the thesis's Table 3.2. Stages have at most `blocks` blocks; the paper's have up to four.
    Thesis, section 2.1.1, Table 2.2; Sandler et al. (2019).
    """

    # Channels of a stage: expansion, blocks, stride of the first.
    STAGES = {16: (1, 1, 1), 24: (6, 2, 1), 32: (6, 3, 1), 64: (6, 4, 2)}
    STAGES |= {96: (6, 3, 1), 160: (6, 3, 2), 320: (6, 1, 1)}

    def __init__(self, blocks: int, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        channels_in, layers = 32, []
        for channels, (expansion, repeats, first_stride) in self.STAGES.items():
            for block in range(min(repeats, blocks)):
                stride = first_stride if block == 0 else 1
                layers.append(_InvertedResidual(channels_in, channels, expansion, stride))
                channels_in = channels
        self.blocks = nn.Sequential(*layers)
        self.conv2 = nn.Conv2d(320, 1280, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280)
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, 3, height, width)."""
        x = self.blocks(F.relu6(self.bn1(self.conv1(x))))
        x = F.relu6(self.bn2(self.conv2(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def _resnet50(classes: int) -> nn.Module:
    # torch 2.6 fails to import torchvision while another device is the default.
    with torch.device("cpu"):
        from torchvision.models import resnet50

    model: nn.Module = resnet50(num_classes=classes)
    return model


class Architecture(NamedTuple):
    """How to build a network for a number of classes, and the thesis's data (Table 3.2)."""

    build: Callable[[int], nn.Module]
    image_size: int
    classes: int
    # Last part of the names of the convolutions that may be pruned.
    prunable: tuple[str, ...]

    def may_prune(self, layer: str) -> bool:
        """Whether the channels of a layer lie inside a block; those of the stem do not."""
        return "." in layer and layer.rpartition(".")[2] in self.prunable


MODELS = {
    "resnet20": Architecture(partial(ResNetCifar, 3), 32, 10, ("conv1",)),
    "resnet56": Architecture(partial(ResNetCifar, 9), 32, 10, ("conv1",)),
    "mobilenetv2-shallow": Architecture(partial(MobileNetV2Cifar, 1), 32, 10, ("expand",)),
    "mobilenetv2": Architecture(partial(MobileNetV2Cifar, 4), 32, 10, ("expand",)),
    "resnet50": Architecture(_resnet50, 224, 1000, ("conv1", "conv2")),
}


def architecture(name: str) -> Architecture:
    """Architecture of that name; raises HpstudyError for one that is not in `MODELS`."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def build_model(name: str, classes: int = 10) -> nn.Module:
    """Network of the study, He-initialised from torch's global random generator.

    It maps RGB images (batch, 3, size, size) of 8 to 224 pixels to logits (batch, classes), and is
    in training mode and float32. Raises HpstudyError for a name that is not in `MODELS`, and for
    fewer than 2 or more than 100,000 classes.
    """
    build = architecture(name).build
    if classes < 2:
        raise HpstudyError(f"a classifier needs at least 2 classes, not {classes}")
    if classes > MOST_CLASSES:
        raise HpstudyError(f"a classifier has at most {MOST_CLASSES:,} classes, not {classes:,}")
    model = build(classes)
    initialise(model)
    return model


def initialise(model: nn.Module) -> None:
    """Initialise a network in place: He normal weights, zero biases, unit norms.

    These are the weights and biases of convolutions and linear layers, and of normalisations,
    whose running statistics begin anew; all else stays as the factory has made it. Draws from
    torch's global generator, in the order of the modules. Thesis, section 3.1.3 and Table 3.3; He
    et al. (2015a), equation 10 (fan in, ReLU gain).
    """
    for module in model.modules():
        # Weights that are computed from others, as by weight normalisation, are no parameters.
        own = module._parameters
        weight, bias = own.get("weight"), own.get("bias")
        if isinstance(module, (CONV, nn.Linear)):
            if weight is not None:
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
        elif isinstance(module, _NORMS):
            if isinstance(module, _NormBase):
                module.reset_running_stats()
            if weight is not None:
                nn.init.ones_(weight)
        else:
            continue
        if bias is not None:
            nn.init.zeros_(bias)


def zeros(size: int) -> Tensor:
    """Black image (1, 3, size, size) to trace a network with; raises HpstudyError for the size."""
    if not SMALLEST_INPUT <= size <= LARGEST_INPUT:
        raise HpstudyError(
            f"images of {size} pixels are outside {SMALLEST_INPUT} to {LARGEST_INPUT}"
        )
    return torch.zeros(1, 3, size, size)
