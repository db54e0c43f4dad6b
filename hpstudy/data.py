"""Images as uint8 tensors, their splits and sources; a missing or broken set is said at once."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from hpstudy.errors import HpstudyError, unknown
from hpstudy.study import Data

NAMES = ("fashion-mnist-8k", "fashion-mnist", "cifar10", "cifar100", "imagenet", "folder:PATH")
SPLIT_SEED = 0


@dataclass(frozen=True)
class Split:
    """Images and their classes.

    Attributes
    ----------
    images : Tensor of shape (images, 3, height, width)
        uint8, RGB.
    labels : Tensor of shape (images,)
        int64, 0 to classes - 1.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> "Split":
        """The images at `index`, in that order."""
        return Split(self.images[index].contiguous(), self.labels[index])


@dataclass(frozen=True)
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
        """The same data on `device`."""
        move = lambda s: Split(s.images.to(device), s.labels.to(device))  # noqa: E731
        return replace(
            self,
            train=move(self.train),
            test=move(self.test),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


def data_root(path: str | Path | None = None) -> Path:
    """Folder of the data sets: `path`, else the variable HPSTUDY_DATA, else `data`."""
    return Path(path or os.environ.get("HPSTUDY_DATA") or "data")


def load_dataset(spec: Data, root: str | Path | None = None) -> Dataset:
    """Data set `spec`, whole in memory, ready to train on.

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
        If the set is unknown, absent, corrupt, has one class or fewer images than asked for.

    References
    ----------
    Thesis, section 3.1.1.
    """
    train, test, native = _source(spec.name)(spec, data_root(root))
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    if classes < 2:
        raise HpstudyError(f"data set {spec.name!r} has one class; a classifier needs two or more")
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
    pixels = train.images.numpy()
    mean = pixels.mean((0, 2, 3), dtype=np.float64) / 255
    # A colour that never varies carries nothing; dividing by one leaves it at zero.
    std = pixels.std((0, 2, 3), dtype=np.float64) / 255
    std[std == 0] = 1.0
    return Dataset(
        train, test, classes, spec.image_size, torch.from_numpy(mean), torch.from_numpy(std)
    )


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
    known = {
        "fashion-mnist-8k": (10, 6000, 2000),
        "fashion-mnist": (10, 60000, 10000),
        "cifar10": (10, 50000, 10000),
        "cifar100": (100, 50000, 10000),
    }
    _source(spec.name)
    if spec.name in known:
        classes, train, test = known[spec.name]
    else:
        names, listed = _listing(spec, data_root(root))
        classes, (train, test) = len(names), map(len, listed.values())
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


def fingerprint(spec: Data) -> str | None:
    """Stands for the content of a set that its name does not fix: hash of its files' listing.

    None for the named sets, whose content torchvision or this package fixes by checksum.
    """
    if not spec.name.startswith("folder:"):
        return None
    root = Path(spec.name.removeprefix("folder:"))
    listing = sorted(
        f"{path.relative_to(root).as_posix()} {path.stat().st_size}"
        for path in root.rglob("*")
        if path.is_file()
    )
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()[:16]


def _source(name: str) -> Callable[[Data, Path], tuple[Split, Split, int]]:
    sources = {
        "fashion-mnist-8k": _embedded,
        "fashion-mnist": _torchvision,
        "cifar10": _torchvision,
        "cifar100": _torchvision,
        "imagenet": _image_folder,
    }
    if name.startswith("folder:"):
        return _image_folder
    if name not in sources:
        raise unknown("data set", name, NAMES)
    return sources[name]


def _embedded(spec: Data, root: Path) -> tuple[Split, Split, int]:
    """The 6,000 + 2,000 balanced Fashion-MNIST images of this package, padded to 32 pixels."""
    archive = files("hpstudy") / "embedded" / "fashion-mnist-8k.tar"
    with archive.open("rb") as file, tarfile.open(fileobj=file) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}

    def split(part: str) -> Split:
        sheets = []
        for name in sorted(n for n in content if n.startswith(part) and n.endswith(".webp")):
            sheet = np.asarray(Image.open(io.BytesIO(content[name])).convert("RGB"))
            rows, columns = sheet.shape[0] // 28, sheet.shape[1] // 28
            tiles = sheet.reshape(rows, 28, columns, 28, 3).transpose(0, 2, 4, 1, 3)
            sheets.append(tiles.reshape(-1, 3, 28, 28))
        images = torch.from_numpy(np.concatenate(sheets))
        labels = np.frombuffer(content[f"{part}_labels.u8"], np.uint8).astype(np.int64)
        return Split(F.pad(images, (2, 2, 2, 2)), torch.from_numpy(labels))

    return split("train"), split("test"), 32


def _torchvision(spec: Data, root: Path) -> tuple[Split, Split, int]:
    """A data set that torchvision downloads and checks by MD5."""
    from torchvision import datasets

    kinds = {
        "fashion-mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }
    kind = kinds[spec.name]

    def split(train: bool) -> Split:
        try:
            try:
                data = kind(str(root), train=train, download=False)
            except RuntimeError:
                data = kind(str(root), train=train, download=True)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise HpstudyError(
                f"data set {spec.name!r} is not (or not whole) in {root} and could not be "
                f"downloaded ({reason}); put torchvision's files there, or name their folder "
                "with --data-root or HPSTUDY_DATA"
            ) from None
        images = torch.as_tensor(np.asarray(data.data))
        if images.ndim == 3:
            images = F.pad(images[:, None], (2, 2, 2, 2)).expand(-1, 3, -1, -1)
        else:
            images = images.permute(0, 3, 1, 2)
        labels = torch.as_tensor(np.asarray(data.targets), dtype=torch.int64)
        return Split(images.contiguous(), labels)

    return split(True), split(False), 32


def _image_folder(spec: Data, root: Path) -> tuple[Split, Split, int]:
    """Class folders of JPEG or PNG files under `train` and `val` (or `test`).

    Images are kept at 8/7 of the size that the network sees, as 256 to 224 in the thesis.
    """
    _, listed = _listing(spec, root)
    size = spec.image_size * 8 // 7
    needed = sum(map(len, listed.values())) * 3 * size * size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory // 2:
        raise HpstudyError(
            f"data set {spec.name!r} needs {needed / 2**30:.0f} GiB decoded at {size} pixels, more "
            f"than half of this machine's {memory / 2**30:.0f} GiB; set a smaller image_size"
        )
    train_split, test_split = (_decode(items, size) for items in listed.values())
    return train_split, test_split, spec.image_size


def _listing(spec: Data, root: Path) -> tuple[list[str], dict[Path, list[tuple[Path, int]]]]:
    """Class names, and the image files of the training and the test folder with their labels."""
    path = root / "imagenet" if spec.name == "imagenet" else Path(spec.name[len("folder:") :])
    test = next((path / n for n in ("val", "test") if (path / n).is_dir()), path / "val")
    for folder in (path / "train", test):
        if not folder.is_dir():
            raise HpstudyError(
                f"data set {spec.name!r} needs {folder}, a folder with one folder of images per "
                "class (torchvision's ImageFolder layout)"
            )
    names = sorted(entry.name for entry in (path / "train").iterdir() if entry.is_dir())
    if len(names) < 2:
        raise HpstudyError(
            f"{path / 'train'} holds {len(names)} class folder(s); a classifier needs two or more"
        )
    others = sorted(entry.name for entry in test.iterdir() if entry.is_dir())
    if names != others:
        odd = sorted(set(names) ^ set(others))[0]
        raise HpstudyError(f"the class {odd!r} is in only one of {path / 'train'} and {test}")
    return names, {folder: _files(folder, names) for folder in (path / "train", test)}


def _files(folder: Path, names: list[str]) -> list[tuple[Path, int]]:
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    items = []
    for label, name in enumerate(names):
        found = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in suffixes)
        if not found:
            raise HpstudyError(f"{folder / name} holds no JPEG, PNG or WebP image")
        items += [(path, label) for path in found]
    return items


def _decode(items: list[tuple[Path, int]], size: int) -> Split:
    images = np.empty((len(items), 3, size, size), np.uint8)
    for k, (path, _) in enumerate(items):
        try:
            with Image.open(path) as image:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except (UnidentifiedImageError, OSError) as error:
            raise HpstudyError(f"{path} cannot be read as an image ({error})") from None
        images[k] = np.asarray(resized).transpose(2, 0, 1)
    labels = torch.tensor([label for _, label in items])
    return Split(torch.from_numpy(images), labels)


def _pool(split: Split, native: int, spec: Data) -> Split:
    """Images reduced by the exact mean of square blocks of pixels, rounded to uint8."""
    if native % spec.image_size:
        sizes = [size for size in range(8, native + 1) if native % size == 0]
        raise HpstudyError(
            f"image_size {spec.image_size} does not divide the {native} pixels of {spec.name!r}; "
            f"valid: {', '.join(map(str, sizes))}"
        )
    block = native // spec.image_size
    pooled = [
        F.avg_pool2d(part.float(), block).round().to(torch.uint8)
        for part in split.images.split(5000)
    ]
    return Split(torch.cat(pooled), split.labels)


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
