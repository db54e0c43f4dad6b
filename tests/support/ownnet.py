"""A study of a network in a file of one's own."""

import shutil
import sys
from pathlib import Path

import tiny

CODE = """
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, rate):
        super().__init__()
        self.conv1 = nn.Conv2d(width, 2 * width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * width)
        self.conv2 = nn.Conv2d(2 * width, width, 3, 1, 1, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.gain = nn.Parameter(torch.randn(width, 1, 1))
        self.drop = nn.Dropout2d(rate)

    def forward(self, x):
        y = self.drop(F.relu(self.bn1(self.conv1(x))))
        return F.relu(x + self.gain * self.bn2(self.conv2(y)))


class Net(nn.Module):
    def __init__(self, num_classes, width=8, rate=0.1):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(width, rate) for _ in range(2)))
        self.head = nn.Linear(width * 4, num_classes)

    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 2).flatten(1))
"""
SAME = """
from hpstudy.networks.models import ResNetCifar


def resnet20(num_classes):
    return ResNetCifar(3, num_classes)
"""
CHANGES = {
    "model": "ownnet_code:Net",
    "arguments": {"width": 8},
    "grid.weight_decay": [0.01, 0.02],
    "variants": ["nonuniform-0.5"],
    # Of two groups with eight units each.
    "tolerance": 0.05,
}


def write(folder: Path, code: str = CODE) -> None:
    """Write the module, which is imported anew."""
    (folder / "ownnet_code.py").write_text(code, encoding="utf-8")
    sys.modules.pop("ownnet_code", None)
    # Python takes a file of the same size and second for the one that it has compiled.
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)


def study(changes: dict | None = None):
    """The study of the network, with changes."""
    return tiny.study(CHANGES | (changes or {}))
