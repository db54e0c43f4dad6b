"""The smallest network that a population can have, and its images."""

from functools import cache

import tiny
import torch
from torch import nn

from hpstudy.config.study import Recipe
from hpstudy.networks.models import ResNetCifar, initialise

# Two steps of an epoch: of three images, which are two programs' work, and of two.
PLAN = Recipe(epochs=2, batch_size=3, lr_decay=0.2, lr_decay_epochs=(1,))
# Channels inside the blocks, which no tile holds exactly.
PRUNED = (5, 20, 33)


@cache
def images():
    return tiny.random_images(train=5, test=4)


def network(seed=0, widths=None, dtype=torch.float64):
    """ResNet-8, its blocks cut to other widths."""
    torch.manual_seed(seed)
    model = ResNetCifar(1, 10)
    for block, width in zip(model.blocks, widths or (), strict=bool(widths)):
        first, second = block.conv1, block.conv2
        block.conv1 = nn.Conv2d(first.in_channels, width, 3, first.stride, 1, bias=False)
        block.bn1 = nn.BatchNorm2d(width)
        block.conv2 = nn.Conv2d(width, second.out_channels, 3, 1, 1, bias=False)
    initialise(model)
    return model.to(dtype)


class Small:
    """ResNet-8, as the study's networks are asked for one."""

    def at_widths(self, widths):
        return ResNetCifar(1, 10)

    def fresh(self, seed, widths):
        return network(seed, dtype=torch.float32)

    def size(self, widths):
        return 1, 2

    def scores(self, model):
        return {"conv1": model.conv1.weight.detach().abs().sum((1, 2, 3)).tolist()}
