"""Data sets as uint8 tensors: read, reduced, split, and with their own statistics."""

import io
import os
import tarfile
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hpstudy.config.study import FOLDER, Data
from hpstudy.errors import HpstudyError, unknown
from hpstudy.training.image_folders import Stored, list_images, read_folder
from hpstudy.training.image_folders import fingerprint as folder_fingerprint
from hpstudy.training.image_sets import is_image_set, read_set
from hpstudy.training.torchvision_sets import open_part

# Classes, training images and test images of the sets whose content a checksum fixes.
KNOWN = {
    "fashion-mnist-8k": (10, 6_000, 2_000),
    "fashion-mnist": (10, 60_000, 10_000),
    "cifar10": (10, 50_000, 10_000),
    "cifar100": (100, 50_000, 10_000),
}
# Pixels a side of all of them; Fashion-MNIST is padded to it.
STORED_SIZE = 32
NAMES = (*KNOWN, "imagenet", "folder:PATH", "torchvision:NAME", "package.module:factory")
SPLIT_SEED = 0


@dataclass(frozen=True, eq=False)
class Split:
    """Images (images, 3, height, width), uint8 and RGB, and their classes from 0, int64.

    Images are `Stored` where there are too many for the memory.
    """

    images: Tensor | Stored
    labels: Tensor

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def take(self, index: Tensor) -> "Split":
        """The images at `index`, in that order."""
        if isinstance(self.images, Stored):
            return Split(self.images.take(index.numpy()), self.labels[index])
        return Split(self.images[index].contiguous(), self.labels[index])

    def to(self, device: torch.device | str) -> "Split":
        """The same on `device`; stored images stay in their file."""
        images = self.images if isinstance(self.images, Stored) else self.images.to(device)
        return Split(images, self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training images and evaluation images: test images, or held-out training images.

    Attributes
    ----------
    image_size : int
        Height and width that the network sees; images may be larger, to be cropped.
    mean, std : Tensor of shape (3,)
        Statistics of the training images' pixels per colour, in [0, 1].
    folder : bool
        Whether the images are those of a folder, as ImageNet's are.
    """

    train: Split
    test: Split
    classes: int
    image_size: int
    mean: Tensor
    std: Tensor
    folder: bool = False

    @property
    def has_top5(self) -> bool:
        """Whether top-5 accuracy is measured, as on ImageNet and not on CIFAR-10."""
        return self.classes > (5 if self.folder else 10)

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on `device`; stored images stay in their file."""
        parts = ("train", "test", "mean", "std")
        return replace(self, **{name: getattr(self, name).to(device) for name in parts})


class Size(NamedTuple):
    """Number of classes, training images and evaluation images of a data set.

    `fingerprint` is the hash of its content; None where its name fixes it.
    """

    classes: int
    train: int
    test: int
    fingerprint: str | None = None


def data_root(path: str | Path | None = None) -> Path:
    """Folder of the data sets: `path`, else the variable HPSTUDY_DATA, else `data`."""
    return Path(path or os.environ.get("HPSTUDY_DATA") or "data")


def dataset_size(spec: Data, root: str | Path | None = None) -> Size:
    """Size of a data set after its split and subsets, and the hash of its content.

    The sizes of published sets are known before they are there, and those of folders without
    reading an image; others are read, and downloaded if torchvision can. Raises HpstudyError for an
    unknown set, a bad image folder, images that cannot be had, and more than there are.
    """
    _check(spec)
    place, mark = data_root(root), None
    if spec.name in KNOWN:
        classes, train, test = KNOWN[spec.name]
    elif is_image_set(spec.name):
        parts, classes, mark = read_set(spec, place)
        train, test = len(parts[0][1]), len(parts[-1][1])
    elif spec.name == "imagenet" and not (place / "imagenet").exists():
        classes, train, test = 1000, 1_281_167, 50_000
    else:
        classes, items = list_images(spec, place)
        train, test = len(items["train"]), len(items.get("test", ()))
        mark = folder_fingerprint(spec, place)
    if not isinstance(spec.holdout, str):
        test = round(spec.holdout * train)
        train -= test
    wanted = {"training": (spec.train_images, train), "test": (spec.test_images, test)}
    for part, (number, available) in wanted.items():
        if number is not None and number > available:
            raise HpstudyError(f"{number} {part} images are asked for; {spec.name} has {available}")
    return Size(classes, spec.train_images or train, spec.test_images or test, mark)


def load_dataset(
    spec: Data, root: str | Path | None = None, fingerprint: str | None = None
) -> Dataset:
    """Data set ready to train on (thesis, section 3.1.1).

    Subsets and the held-out share are stratified by class and drawn with a fixed seed. Raises
    HpstudyError if the set is unknown, absent, damaged, has one class or fewer images than asked
    for, is too large for the memory and for the disk, or is returned by a function and has not the
    `fingerprint` of `dataset_size`.
    """
    train, test = _read(spec, data_root(root), fingerprint)
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    if not isinstance(spec.holdout, str):
        held_out = _stratified(train.labels, round(spec.holdout * len(train)), "held-out")
        rest = torch.ones(len(train), dtype=torch.bool)
        rest[held_out] = False
        train, test = train.take(rest.nonzero().flatten()), train.take(held_out)
    if spec.train_images is not None:
        train = train.take(_stratified(train.labels, spec.train_images, "training"))
    if spec.test_images is not None:
        test = test.take(_stratified(test.labels, spec.test_images, "test"))
    mean, std = _statistics(train)
    folder = spec.name.startswith(f"{FOLDER}:")
    return Dataset(train, test, classes, spec.image_size, mean, std, folder)


def _check(spec: Data) -> None:
    """Refuse a set that is not known, a size that it cannot be reduced to, and vain arguments."""
    own = spec.name.startswith(f"{FOLDER}:") or is_image_set(spec.name)
    if spec.name not in NAMES and not own:
        raise unknown("data set", spec.name, NAMES)
    if spec.name in KNOWN and STORED_SIZE % spec.image_size:
        sizes = [size for size in range(8, STORED_SIZE + 1) if STORED_SIZE % size == 0]
        raise HpstudyError(
            f"image_size {spec.image_size} does not divide the {STORED_SIZE} pixels of "
            f"{spec.name!r}; valid: {', '.join(map(str, sizes))}"
        )
    if spec.arguments and not is_image_set(spec.name):
        raise HpstudyError(
            f"data.arguments are for {' and '.join(NAMES[-2:])}; {spec.name} takes none"
        )


def _read(spec: Data, root: Path, fingerprint: str | None) -> tuple[Split, Split]:
    """All training and test images, at the size that is trained on or larger to be cropped.

    Of a set without test images, the training images twice.
    """
    _check(spec)
    if spec.name in KNOWN:
        parts = _embedded() if spec.name == "fashion-mnist-8k" else _torchvision(spec.name, root)
        train, test = (Split(_reduced(images, spec.image_size), labels) for images, labels in parts)
        return train, test
    if is_image_set(spec.name):
        read, _, mark = read_set(spec, root)
        if fingerprint not in (None, mark):
            raise HpstudyError(
                f"{spec.name} returns other images or labels at every call, so that no run could "
                "be repeated; fix the seeds of what it draws"
            )
    else:
        read = read_folder(spec, root)
    splits = [
        Split(x if isinstance(x, Stored) else torch.from_numpy(x), torch.from_numpy(labels))
        for x, labels in read
    ]
    return splits[0], splits[-1]


def _embedded() -> list[tuple[Tensor, Tensor]]:
    """The 6,000 + 2,000 balanced Fashion-MNIST images of this package, padded to 32 pixels."""
    archive = files("hpstudy") / "embedded" / "fashion-mnist-8k.tar"
    with archive.open("rb") as file, tarfile.open(fileobj=file) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
        content = {name: member.read() for name, member in members.items() if member}
    parts = []
    for part in ("train", "test"):
        sheets = []
        for name in sorted(n for n in content if n.startswith(part) and n.endswith(".webp")):
            sheet = np.asarray(Image.open(io.BytesIO(content[name])).convert("RGB"))
            rows, columns = sheet.shape[0] // 28, sheet.shape[1] // 28
            tiles = sheet.reshape(rows, 28, columns, 28, 3).transpose(0, 2, 4, 1, 3)
            sheets.append(tiles.reshape(-1, 3, 28, 28))
        images = F.pad(torch.from_numpy(np.concatenate(sheets)), (2, 2, 2, 2))
        labels = np.frombuffer(content[f"{part}_labels.u8"], np.uint8).astype(np.int64)
        parts.append((images, torch.from_numpy(labels)))
    return parts


def _torchvision(name: str, root: Path) -> list[tuple[Tensor, Tensor]]:
    """Images and labels of a data set that torchvision downloads and checks by MD5."""
    from torchvision import datasets

    kinds = {
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
        "fashion-mnist": datasets.FashionMNIST,
    }
    parts = []
    for train in (True, False):
        data = open_part(kinds[name], name, root, {}, [{"train": train}])
        images = torch.as_tensor(np.asarray(data.data))
        if images.ndim == 3:
            images = F.pad(images[:, None], (2, 2, 2, 2)).expand(-1, 3, -1, -1)
        else:
            images = images.permute(0, 3, 1, 2)
        labels = torch.as_tensor(np.asarray(data.targets), dtype=torch.int64)
        parts.append((images.contiguous(), labels))
    return parts


def _reduced(images: Tensor, size: int) -> Tensor:
    """Images reduced by the exact mean of square blocks of pixels, rounded to uint8."""
    if images.shape[-1] == size:
        return images
    block = images.shape[-1] // size
    # In parts, because the images as numbers would need four times their memory.
    parts = images.split(5000)
    return torch.cat([F.avg_pool2d(x.float(), block).round().to(torch.uint8) for x in parts])


def _statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3,) of each colour in [0, 1], from the counts of its values."""
    if isinstance(split.images, Stored):
        counts = split.images.counts()
    else:
        # In parts, because the images as numbers would need eight times their memory.
        parts = (part.transpose(0, 1).flatten(1).numpy() for part in split.images.split(500))
        counts = np.sum([[np.bincount(c, minlength=256) for c in part] for part in parts], axis=0)
    shares, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(1))
    # A colour that never varies carries nothing; dividing by one leaves it at zero.
    std[np.count_nonzero(counts, axis=1) == 1] = 1.0
    return torch.from_numpy(mean), torch.from_numpy(std)


def _stratified(labels: Tensor, count: int, part: str) -> Tensor:
    """Sorted indices of `count` images, drawn class by class in the classes' proportions."""
    if not 0 < count <= len(labels):
        raise HpstudyError(f"{count} {part} images are asked for; the set has {len(labels)}")
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    shuffled = torch.randperm(len(labels), generator=generator)
    # An image's rank within its class over the size of the class: the lowest shares of every
    # class together are a stratified draw of any size, and a larger draw contains a smaller one.
    share = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = shuffled[labels[shuffled] == label]
        share[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return share.argsort(stable=True)[:count].sort().values
