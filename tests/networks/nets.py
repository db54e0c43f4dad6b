"""Small networks, each wired in one way that pruning must understand or refuse."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(channels_in, channels_out, stride=1, groups=1, norm=nn.BatchNorm2d):
    """Convolution, normalisation, ReLU."""
    layer = nn.Conv2d(channels_in, channels_out, 3, stride, 1, groups=groups, bias=False)
    return nn.Sequential(layer, norm(channels_out), nn.ReLU())


class Chain(nn.Module):
    """Stem, two layers and a classifier; `join` makes a vector of the second one's output."""

    def __init__(self, join=None, features=12, norm=nn.BatchNorm2d):
        super().__init__()
        self.stem, self.a, self.b = conv(3, 8), conv(8, 16, norm=norm), conv(16, 12)
        self.fc, self.join = nn.Linear(features, 5), join

    def forward(self, x):
        y = self.b(self.a(self.stem(x)))
        return self.fc(self.join(y) if self.join else y.mean((2, 3)))


class Residual(nn.Module):
    """Two blocks around one stream of 8 channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, 8, 3, 1, 1), nn.Linear(8, 5)
        self.a, self.b = (nn.Sequential(conv(8, 16), nn.Conv2d(16, 8, 1)) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(x + self.a(x))
        return self.fc(F.relu(x + self.b(x)).mean((2, 3)))


class Grouped(nn.Module):
    """A convolution in four groups between two plain ones, as in ResNeXt."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.g = conv(3, 8), conv(8, 16), conv(16, 24, groups=4)
        self.b, self.fc = conv(24, 10), nn.Linear(10, 5)

    def forward(self, x):
        return self.fc(self.b(self.g(self.a(self.stem(x)))).mean((2, 3)))


class Squeezed(nn.Module):
    """Squeeze and excitation of a depthwise convolution, as in EfficientNet."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.d = conv(3, 8), conv(8, 16), conv(16, 16, groups=16)
        self.squeeze, self.excite = nn.Conv2d(16, 6, 1), nn.Conv2d(6, 16, 1)
        self.b, self.fc = conv(16, 10), nn.Linear(10, 5)

    def forward(self, x):
        x = self.d(self.a(self.stem(x)))
        weights = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return self.fc(self.b(x * weights.sigmoid()).mean((2, 3)))


class UNet(nn.Module):
    """Transposed convolution and a concatenation."""

    def __init__(self):
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 16)
        self.up, self.c, self.out = (
            nn.ConvTranspose2d(16, 12, 2, 2),
            conv(20, 10),
            nn.Conv2d(10, 4, 1),
        )

    def forward(self, x):
        x = self.a(x)
        up = self.up(self.b(F.max_pool2d(x, 2)))
        return {"mask": self.out(self.c(torch.cat([up, x], 1)))}


class Ghost(nn.Module):
    """Channels made again by a cheap depthwise convolution: each is tied to its copy."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.cheap = conv(3, 8), conv(8, 6), conv(6, 6, groups=6)
        self.b, self.fc = nn.Conv2d(8, 12, 1), nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x)
        a = self.a(x)
        y = F.relu(torch.cat([a, self.cheap(a)], 1) + self.b(x))
        return self.fc(y.mean((2, 3)))


class Headed(nn.Module):
    """An auxiliary head that runs in training mode alone, as in GoogLeNet."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = conv(3, 8), conv(8, 16), conv(16, 12)
        self.head, self.fc = nn.Linear(16, 5), nn.Linear(12, 5)

    def forward(self, x):
        y = self.a(self.stem(x))
        main = self.fc(self.b(y).mean((2, 3)))
        return (main, self.head(y.mean((2, 3)))) if self.training else main


class OneParameter(nn.Module):
    """Two layers that hold the same parameter."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = conv(3, 8), *(nn.Conv2d(8, 8, 3, 1, 1) for _ in range(2))
        self.b.weight, self.c, self.fc = self.a.weight, conv(8, 12), nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.c(self.b(F.relu(self.a(self.stem(x))))).mean((2, 3)))


class TwoInputs(nn.Module):
    """Image and mask, each with its stem; `scale` is no tensor."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.fc = conv(3, 8), conv(1, 8), conv(16, 12), nn.Linear(12, 5)

    def forward(self, image, mask, scale=1.0):
        return self.fc(self.c(torch.cat([self.a(image), self.b(mask)], 1)).mean((2, 3))) * scale


def chain(width=16):
    """Factory of a network, as one writes it in a file of one's own."""
    network = Chain()
    network.a, network.b = conv(8, width), conv(width, 12)
    return network


def no_module():
    """Factory of something else."""
    return 3


def fails():
    """Factory that raises."""
    raise RuntimeError("no luck")


not_callable = 3
