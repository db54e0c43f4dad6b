"""What the GPU benchmarks train on what: at the study's size, or small enough for a test."""

from dataclasses import dataclass
from pathlib import Path

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, Data, Recipe, parse_variant
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import initialise
from hpstudy.networks.pruning import choose_channels, filter_scores
from hpstudy.training.datasets import Dataset, Split, load_dataset

LR, WEIGHT_DECAY, EPOCHS = 0.1, 1e-4, 180


@dataclass(frozen=True)
class Scale:
    """What is trained on what, and how many batches at a time."""

    network: str = "resnet56"
    size: int = 32
    stored: int = 32
    classes: int = 10
    batch: int = 128
    train: int = 50_000
    test: int = 10_000
    steps: int = 25

    def recipe(self, epochs: int = 1) -> Recipe:
        """The thesis's, its decays at a half and three quarters of the epochs."""
        decays = tuple(sorted({epochs // 2, (3 * epochs + 3) // 4} - {0, epochs}))
        return Recipe(epochs=epochs, batch_size=self.batch, lr_decay_epochs=decays)

    def run(self, arithmetic: str, variant: str = DENSE, epochs: int = 1, seed: int = 0) -> RunSpec:
        """A run at the thesis's prior."""
        return RunSpec(
            model=self.network,
            data=Data(name="cifar10", image_size=self.size),
            recipe=self.recipe(epochs),
            lr=LR,
            weight_decay=WEIGHT_DECAY,
            seed=seed,
            widths=widths(PrunableNetwork(self.network, self.classes, self.size), variant),
            arithmetic=arithmetic,
        )


CIFAR, SMALL = Scale(), Scale("resnet20", 8, 8, 10, 8, 44, 16, 2)
IMAGENET = Scale("resnet50", 224, 256, 1000, 256, 2560, 500, 5)
SMALL_IMAGENET = Scale("resnet20", 8, 9, 10, 4, 4, 4, 1)


def noise(scale: Scale) -> Dataset:
    """Random images of every class, the same on every machine."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        shape = count, 3, scale.stored, scale.stored
        pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.arange(count) % scale.classes)

    half = torch.full((3,), 0.5, dtype=torch.float64)
    return Dataset(split(scale.train), split(scale.test), scale.classes, scale.size, half, half)


def has_cifar(root: str) -> bool:
    """Whether CIFAR-10 is there."""
    return (Path(root) / "cifar-10-batches-py").is_dir()


def images(scale: Scale, root: str) -> Dataset:
    """CIFAR-10 if it is there and its size is asked for, else noise."""
    if scale == CIFAR and has_cifar(root):
        return load_dataset(Data(name="cifar10", image_size=32), root)
    return noise(scale)


def widths(network: PrunableNetwork, variant: str) -> dict[str, int] | None:
    """Widths of a variant whose ranking is of untrained weights, as `hpstudy cost` takes them."""
    if variant == DENSE:
        return None
    scores = filter_scores(network.model, network.prunable)
    kept = choose_channels(network.cost, scores, *parse_variant(variant), "l1-normalised")
    return {layer: len(channels) for layer, channels in kept.items()}


def built(scale: Scale, variant: str = DENSE) -> torch.nn.Module:
    """The network of a variant, with its first weights."""
    network = PrunableNetwork(scale.network, scale.classes, scale.size)
    model = network.at_widths(widths(network, variant))
    torch.manual_seed(0)
    initialise(model)
    return model
