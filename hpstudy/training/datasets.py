"""Data sets: where images come from, their splits and statistics."""

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hpstudy.config.study import Data
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.training.device import cores
from hpstudy.training.image_cache import Stored, decode_once, pixels, read_image

# Classes, training images and test images of the sets whose content a checksum fixes.
KNOWN = {
    "fashion-mnist-8k": (10, 6_000, 2_000),
    "fashion-mnist": (10, 60_000, 10_000),
    "cifar10": (10, 50_000, 10_000),
    "cifar100": (100, 50_000, 10_000),
}
# Pixels to which all of them are padded or come.
STORED_SIZE = 32
NAMES = (*KNOWN, "imagenet", "folder:PATH")
SPLIT_SEED = 0


@dataclass(frozen=True)
class Split:
    """Images and their classes.

    Attributes
    ----------
    images : Tensor or Stored, of shape (images, 3, height, width)
        uint8, RGB; stored where they are too many for the memory (`resident_limit`).
    labels : Tensor of shape (images,)
        int64, 0 to classes - 1.
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
        """The same on `device`; stored images stay where they are."""
        stored = isinstance(self.images, Stored)
        images = self.images if stored else self.images.to(device)
        return Split(images, self.labels.to(device))


def data_root(path: str | Path | None = None) -> Path:
    """Folder of the data sets: `path`, else the variable HPSTUDY_DATA, else `data`."""
    return Path(path or os.environ.get("HPSTUDY_DATA") or "data")


def resident_limit() -> int:
    """Bytes of images that are kept in memory: half of this machine's, and half of any GPU's."""
    memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if torch.cuda.is_available():
        every = range(torch.cuda.device_count())
        memory += [torch.cuda.get_device_properties(index).total_memory for index in every]
    return min(memory) // 2


def read_images(spec: Data, root: Path) -> tuple[Split, Split, int]:
    """Training and test images of the data set `spec`, and the size at which they are stored.

    The size is the height and width in pixels that a network would see without reduction.

    Raises
    ------
    HpstudyError
        If the set is unknown, absent, corrupt or has one class.
    """
    _check_name(spec.name)
    if spec.name == "fashion-mnist-8k":
        return _embedded()
    return _torchvision(spec, root) if spec.name in KNOWN else _image_folder(spec, root)


def full_size(spec: Data, root: Path) -> tuple[int, int, int]:
    """Classes, training images and test images of a data set; images are not read.

    ImageNet's are known before it is there, so that a study on it can be priced.
    """
    _check_name(spec.name)
    if spec.name in KNOWN:
        return KNOWN[spec.name]
    if spec.name == "imagenet" and not (root / "imagenet").exists():
        return 1000, 1_281_167, 50_000
    names, listed = _listing(spec, root)
    train, test = map(len, listed.values())
    return len(names), train, test


def fingerprint(spec: Data, root: Path) -> str | None:
    """Stands for the content of image folders: hash of their files' names, sizes and beginnings.

    None for sets whose content torchvision or this package fixes by checksum, and for folders
    that are not there.
    """
    if spec.name in KNOWN or not (folder := _folder(spec, root)).is_dir():
        return None
    # What this package has decoded is no part of the images, even where the data root is.
    folder, own = folder.resolve(), _decoded(root).resolve()
    inside = own.is_relative_to(folder)
    paths = (path for path in folder.rglob("*") if not (inside and path.is_relative_to(own)))
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            # Past its header two images differ at once; whole files would take hours on ImageNet.
            digest.update(file.read(4096))
    return digest.hexdigest()[:16]


def _check_name(name: str) -> None:
    if name not in NAMES and not name.startswith("folder:"):
        raise unknown("data set", name, NAMES)


def _folder(spec: Data, root: Path) -> Path:
    return root / "imagenet" if spec.name == "imagenet" else Path(spec.name[len("folder:") :])


def _decoded(root: Path) -> Path:
    return root / "decoded"


def _embedded() -> tuple[Split, Split, int]:
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

    return split("train"), split("test"), STORED_SIZE


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

    return split(True), split(False), STORED_SIZE


def _image_folder(spec: Data, root: Path) -> tuple[Split, Split, int]:
    """Class folders of JPEG or PNG files under `train` and `val` (or `test`).

    Images are kept at 8/7 of the size that the network sees, as 256 to 224 in the thesis; in a
    file, decoded once and for all, where they are too many for the memory.
    """
    _, listed = _listing(spec, root)
    size = spec.image_size * 8 // 7
    parts = dict(zip(("train", "test"), listed.values(), strict=True))
    if sum(map(len, parts.values())) * 3 * size * size <= resident_limit():
        images = {name: _decode(items, size) for name, items in parts.items()}
    else:
        paths = {name: [path for path, _ in items] for name, items in parts.items()}
        folder = _decoded(root) / f"{fingerprint(spec, root)}-{size}"
        images = decode_once(paths, size, folder, cores())
    labels = {name: torch.tensor([label for _, label in items]) for name, items in parts.items()}
    train, test = (Split(images[name], labels[name]) for name in parts)
    return train, test, spec.image_size


def _listing(spec: Data, root: Path) -> tuple[list[str], dict[Path, list[tuple[Path, int]]]]:
    """Class names, and the image files of the training and the test folder with their labels."""
    path = _folder(spec, root)
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
            f"{path / 'train'} holds {count(len(names), 'class folder')}; a classifier needs two "
            "or more"
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


def _decode(items: list[tuple[Path, int]], size: int) -> Tensor:
    images = np.empty((len(items), 3, size, size), np.uint8)
    for k, (path, _) in enumerate(items):
        images[k] = pixels(read_image(path, size))
    return torch.from_numpy(images)


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
