"""Networks of one's own that a study cannot train (`badinput.Case`)."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import ownnet
import tiny
from badinput import Case, command

CHAIN = """
import random

import torch
from torch import nn

calls = []


class Chain(nn.Sequential):
    def __init__(self, num_classes=10, width=8):
        super().__init__(
            *(nn.Conv2d(3, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 8, 3, 1, 1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes)),
        )


class Changing(Chain):
    def forward(self, x):
        calls.append(1)
        return super().forward(x) + 0.1 * len(calls)


class Heads(Chain):
    def forward(self, x):
        return super().forward(x), x


class Nothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(192, 10)

    def forward(self, x):
        if x.shape[-1] != 8:
            raise ValueError(f"8 pixels, not {x.shape[-1]}")
        return self.fc(x.flatten(1))


def half():
    return Chain().half()


def drawn():
    model = Chain()
    model.gain = nn.Parameter(torch.tensor(random.random()))
    return model


def named(name):
    return Chain()


def number():
    return 7


def thousand():
    return Chain(1000)
"""


def make(changes: dict[str, Any]) -> None:
    """Write a module and a params file of a network in it."""
    ownnet.write(Path(), CHAIN)
    base = {"grid.lr": [0.01], "variants": ["uniform-0.5"]}
    tiny.write_study(Path("study.yaml"), base | changes)


def act() -> str:
    """Price the study; its module is forgotten afterwards."""
    try:
        return command("cost", "study.yaml")
    finally:
        sys.modules.pop("ownnet_code", None)


def network(what: str, model: str, sentence: str, changes: dict[str, Any] | None = None) -> Case:
    """Case of the smallest study with this model."""
    return Case("network", what, partial(make, {"model": model} | (changes or {})), act, sentence)


NETWORKS = [
    network(
        "a module that is not there",
        "ownnet_kode:Chain",
        "ownnet_kode:Chain cannot be imported: there is no module 'ownnet_kode' in FOLDER or among "
        "the installed packages.",
    ),
    network(
        "a factory, misspelt",
        "ownnet_code:Chian",
        "ownnet_code has no function 'Chian' (did you mean 'Chain'?); it has Chain, Changing, "
        "Heads, Nothing, half, drawn, named, number, thousand.",
    ),
    network(
        "a factory that needs an argument",
        "ownnet_code:named",
        "ownnet_code:named cannot be called with the arguments {}: missing a required argument: "
        "'name'.",
    ),
    network(
        "an argument that a factory does not have",
        "ownnet_code:Chain",
        "ownnet_code:Chain cannot be called with the arguments {'depth': 3, 'num_classes': 10}: "
        "got an unexpected keyword argument 'depth'.",
        {"arguments": {"depth": 3}},
    ),
    network(
        "another number of classes than the data have",
        "ownnet_code:Chain",
        "arguments has num_classes 5, but the data have 10 classes; leave it out.",
        {"arguments": {"num_classes": 5}},
    ),
    network(
        "weights to be loaded",
        "torchvision:resnet18",
        "arguments has the key 'weights', but a study draws all weights anew; leave it out.",
        {"arguments": {"weights": "DEFAULT"}},
    ),
    network(
        "a factory that returns a number",
        "ownnet_code:number",
        "ownnet_code:number must return a torch.nn.Module, not int.",
    ),
    network(
        "parameters of half precision",
        "ownnet_code:half",
        "ownnet_code:half must have parameters of float32 on the CPU, but '0.weight' has float16 "
        "on cpu.",
    ),
    network(
        "a thousand outputs for ten classes",
        "ownnet_code:thousand",
        "ownnet_code:thousand returns a tensor of shape [2, 1000] for 2 images, but logits of 10 "
        "classes have the shape [2, 10]; give the number of classes in arguments.",
    ),
    network(
        "two outputs",
        "ownnet_code:Heads",
        "ownnet_code:Heads returns a tuple in training, but a study trains on one tensor of "
        "logits; switch other outputs off, as arguments: {aux_logits: false} does.",
    ),
    network(
        "images of another size than a network takes",
        "ownnet_code:Nothing",
        "ownnet_code:Nothing fails in training on images of 16 pixels: ValueError: 8 pixels, not "
        "16.",
        {"data.image_size": 16},
    ),
    network(
        "a forward that differs between calls",
        "ownnet_code:Changing",
        "ownnet_code:Changing returns different outputs for the same images, weights and seed, so "
        "that no run could be repeated; draw by torch alone, and keep no state outside of "
        "parameters and buffers.",
    ),
    network(
        "parameters from another generator than torch's",
        "ownnet_code:drawn",
        "ownnet_code:drawn has other weights each time it is made; draw them by torch.nn.init or "
        "torch's generator alone.",
    ),
    network(
        "no channels to prune",
        "ownnet_code:Nothing",
        "no channels of ownnet_code:Nothing can be pruned: fc: output layers are spared.",
    ),
    network(
        "a ratio below the floor",
        "ownnet_code:Chain",
        "flops_ratio 0.02 is out of reach: ownnet_code:Chain keeps at least 0.3633 of its FLOPs "
        "with scope 'inside' (1 group pruned, 0 refused).",
        {"variants": ["uniform-0.02"]},
    ),
    network(
        "a layer to be spared, misspelt",
        "ownnet_code:Chain",
        "no layer matches '3', which is to be spared; `hpstudy groups` lists the layers.",
        {"spare": ["3"]},
    ),
    network(
        "a small stem of a network without a large one",
        "ownnet_code:Chain",
        "stem: small fails: ownnet_code:Chain has no stem for large images; its first convolution, "
        "0, has kernel 3 and stride 1.",
        {"stem": "small"},
    ),
]
