"""Small networks of eight kinds, whose grids tell `hpstudy retune` how landscapes move."""

import torch
from torch import nn
from torch.nn.functional import relu


def _conv(inputs, outputs, kernel=3, stride=1, groups=1, norm=nn.BatchNorm2d):
    pad = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=norm is None)
    return layer if norm is None else nn.Sequential(layer, norm(outputs))


def _head(width, num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


def plain(num_classes=10, norm=nn.BatchNorm2d, width=12):
    """Five convolutions, one after the other, as in VGG."""
    widths = (3, width, width, 2 * width, 2 * width, 4 * width)
    layers = []
    for place, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
        layers += [_conv(inputs, outputs, stride=1 + (place in (2, 4)), norm=norm), nn.ReLU()]
    return nn.Sequential(*layers, _head(widths[-1], num_classes))


def bare(num_classes=10):
    """The plain network without normalisation."""
    return plain(num_classes, norm=None, width=16)


def grouped_norm(num_classes=10):
    """The plain network with layer normalisation over channels and pixels."""
    return plain(num_classes, norm=lambda channels: nn.GroupNorm(1, channels))


class Residual(nn.Module):
    """Shortcut around an inner part."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        """Sum of both."""
        return x + self.inner(x)


def _stages(block, num_classes, width, depth=2):
    layers = [_conv(3, width), nn.ReLU()]
    for stage in range(2):
        channels = width * 2**stage
        if stage:
            layers += [_conv(channels // 2, channels, stride=2), nn.ReLU()]
        layers += [Residual(block(channels)) for _ in range(depth)]
    return nn.Sequential(*layers, nn.ReLU(), _head(2 * width, num_classes))


def residual(num_classes=10):
    """Four residual blocks of two convolutions."""
    return _stages(lambda n: nn.Sequential(_conv(n, n), nn.ReLU(), _conv(n, n)), num_classes, 12)


def bottleneck(num_classes=10):
    """Four bottlenecks with grouped convolutions, as in ResNeXt."""

    def block(n):
        inner = (_conv(n, n, 1), nn.ReLU(), _conv(n, n, groups=4), nn.ReLU(), _conv(n, n, 1))
        return nn.Sequential(*inner)

    return _stages(block, num_classes, 16)


class Excited(nn.Module):
    """Channels weighed by what they hold on average, as in squeeze-and-excitation."""

    def __init__(self, channels):
        super().__init__()
        self.down = nn.Conv2d(channels, channels // 4, 1)
        self.up = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        """Weighed channels."""
        return x * torch.sigmoid(self.up(relu(self.down(x.mean((2, 3), keepdim=True)))))


def depthwise(num_classes=10):
    """Four inverted residual blocks with depthwise convolutions and excitation."""

    def block(n):
        inner = (_conv(n, 3 * n, 1), nn.ReLU6(), _conv(3 * n, 3 * n, groups=3 * n), nn.ReLU6())
        return nn.Sequential(*inner, Excited(3 * n), _conv(3 * n, n, 1))

    return _stages(block, num_classes, 12)


class Dense(nn.Module):
    """Layers that each see all channels before them, as in DenseNet."""

    def __init__(self, inputs, growth, depth):
        super().__init__()
        sizes = range(inputs, inputs + growth * depth, growth)
        self.layers = nn.ModuleList(
            nn.Sequential(_conv(size, 2 * growth, 1), nn.ReLU(), _conv(2 * growth, growth))
            for size in sizes
        )

    def forward(self, x):
        """All channels side by side."""
        for layer in self.layers:
            x = torch.cat([x, relu(layer(x))], 1)
        return x


def concatenated(num_classes=10):
    """Two densely connected stages."""
    return nn.Sequential(
        *(_conv(3, 12), nn.ReLU(), Dense(12, 8, 3), _conv(36, 18, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(Dense(18, 8, 3), nn.ReLU(), _head(42, num_classes)),
    )


class Mixer(nn.Module):
    """Patches mixed over places, then over channels, as in MLP-Mixer."""

    def __init__(self, places, channels):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.over_places = nn.Sequential(
            nn.Linear(places, 2 * places), nn.GELU(), nn.Linear(2 * places, places)
        )
        self.over_channels = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels)
        )

    def forward(self, x):
        """Mixed tokens: (image, place, channel)."""
        x = x + self.over_places(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(self.norms[1](x))


class Patches(nn.Module):
    """Images of 8 pixels as 16 tokens."""

    def __init__(self, channels):
        super().__init__()
        self.cut = nn.Conv2d(3, channels, 2, 2)

    def forward(self, x):
        """Tokens: (image, place, channel)."""
        return self.cut(x).flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """Mean over the tokens."""

    def forward(self, x):
        """Features: (image, channel)."""
        return x.mean(1)


def mixer(num_classes=10):
    """Two mixing blocks over patches of 2x2 pixels."""
    blocks = (Mixer(16, 32), Mixer(16, 32))
    head = (nn.LayerNorm(32), Mean(), nn.Linear(32, num_classes))
    return nn.Sequential(Patches(32), *blocks, *head)
