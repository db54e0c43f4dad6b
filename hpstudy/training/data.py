"""A study's images as uint8 tensors: reduced, split, and with their own statistics."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.config.study import Data
from hpstudy.errors import HpstudyError
from hpstudy.training.datasets import KNOWN, STORED_SIZE, Split, data_root, full_size, read_images
from hpstudy.training.image_cache import Stored

SPLIT_SEED = 0


# Tensors do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and evaluation images, with the statistics of the training images.

    Attributes
    ----------
    train, test : Split
        `test` is what accuracies are measured on: the test images, or a held-out share of the
        training images (`holdout` of the params file).
    classes : int
    image_size : int
        Height and width that the network sees; stored images may be larger, to be cropped.
    mean, std : Tensor of shape (3,)
        Of the training images' pixels per colour, in [0, 1].
    """

    train: Split
    test: Split
    classes: int
    image_size: int
    mean: Tensor
    std: Tensor

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on `device`; stored images stay in their file."""
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


def load_dataset(spec: Data, root: str | Path | None = None) -> Dataset:
    """Data set `spec`, ready to train on: whole in memory or, if too large, in a file.

    Parameters
    ----------
    spec : Data
        Name, size of the images, number of images and split.
    root : path, optional
        Where downloaded sets are, or go (see `data_root`).

    Returns
    -------
    Dataset
        Subsets and the held-out share are stratified by class and drawn with a fixed seed.
        Statistics are of the training images as used.

    Raises
    ------
    HpstudyError
        If the set is unknown, absent, corrupt, has one class or fewer images than asked for, or
        is too large for the memory and for the disk.

    References
    ----------
    Thesis, section 3.1.1.
    """
    train, test, native = read_images(spec, data_root(root))
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    if classes < 2:
        raise HpstudyError(f"data set {spec.name!r} has one class; a classifier needs two or more")
    _check_reduction(native, spec)
    if native != spec.image_size:
        train, test = (_pool(split, native, spec) for split in (train, test))
    if spec.holdout != "test":
        held_out = round(spec.holdout * len(train))
        index = _stratified(train.labels, held_out, "held-out")
        rest = torch.ones(len(train), dtype=torch.bool)
        rest[index] = False
        train, test = train.take(rest.nonzero().flatten()), train.take(index)
    if spec.train_images is not None:
        train = train.take(_stratified(train.labels, spec.train_images, "training"))
    if spec.test_images is not None:
        test = test.take(_stratified(test.labels, spec.test_images, "test"))
    counts = train.images.counts() if isinstance(train.images, Stored) else _counts(train.images)
    mean, std = _statistics(counts)
    return Dataset(train, test, classes, spec.image_size, mean, std)


@dataclass(frozen=True)
class Size:
    """Classes, and images to train and to evaluate on, known before any image is read."""

    classes: int
    train: int
    test: int


def dataset_size(spec: Data, root: str | Path | None = None) -> Size:
    """Size of data set `spec` after its split and subsets; images are not read.

    Raises
    ------
    HpstudyError
        If the set is unknown, or the folder of an image-folder set is absent or has one class.
    """
    classes, train, test = full_size(spec, data_root(root))
    if spec.name in KNOWN:
        _check_reduction(STORED_SIZE, spec)
    if spec.holdout != "test":
        test = round(spec.holdout * train)
        train -= test
    for what, asked, there in (
        ("training", spec.train_images, train),
        ("test", spec.test_images, test),
    ):
        if asked is not None and asked > there:
            raise HpstudyError(f"{asked} {what} images are asked for; {spec.name} has {there}")
    return Size(classes, spec.train_images or train, spec.test_images or test)


def _check_reduction(native: int, spec: Data) -> None:
    if native % spec.image_size:
        sizes = [size for size in range(8, native + 1) if native % size == 0]
        raise HpstudyError(
            f"image_size {spec.image_size} does not divide the {native} pixels of {spec.name!r}; "
            f"valid: {', '.join(map(str, sizes))}"
        )


def _pool(split: Split, native: int, spec: Data) -> Split:
    """Images reduced by the exact mean of square blocks of pixels, rounded to uint8."""
    block = native // spec.image_size
    pooled = [
        F.avg_pool2d(part.float(), block).round().to(torch.uint8)
        for part in split.images.split(5000)
    ]
    return Split(torch.cat(pooled), split.labels)


def _counts(images: Tensor) -> np.ndarray:
    """How often each colour has each of its 256 values, (3, 256).

    A copy of the images as numbers would need eight times their memory.
    """
    counts = np.zeros((3, 256), np.int64)
    for part in images.split(500):
        for colour in range(3):
            counts[colour] += np.bincount(part[:, colour].flatten().numpy(), minlength=256)
    return counts


def _statistics(counts: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3,) of each colour in [0, 1], from its values' counts."""
    shares, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(1))
    # A colour that never varies carries nothing; dividing by one leaves it at zero.
    std[np.count_nonzero(counts, axis=1) == 1] = 1.0
    return torch.from_numpy(mean), torch.from_numpy(std)


def _stratified(labels: Tensor, count: int, what: str) -> Tensor:
    """Sorted indices of `count` images, drawn class by class in the classes' proportions."""
    if not 0 < count <= len(labels):
        raise HpstudyError(f"{count} {what} images are asked for; the set has {len(labels)}")
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    shuffled = torch.randperm(len(labels), generator=generator)
    # An image's rank within its class over the size of the class: the lowest shares of every
    # class together are a stratified draw of any size, and a larger draw contains a smaller one.
    share = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = shuffled[labels[shuffled] == label]
        share[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return share.argsort(stable=True)[:count].sort().values
