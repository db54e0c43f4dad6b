"""Image folders, ImageNet among them: class folders of image files under `train` and `val`."""

import hashlib
import os
from pathlib import Path

import numpy as np

from hpstudy.config.study import Data
from hpstudy.errors import HpstudyError, count
from hpstudy.training.device import cores
from hpstudy.training.image_cache import Stored, decode_once, pixels, read_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

# Image files with their labels.
Items = list[tuple[Path, int]]


def _image_folder(spec: Data, root: Path) -> Path:
    return root / "imagenet" if spec.name == "imagenet" else Path(spec.name[len("folder:") :])


def list_images(spec: Data, root: Path) -> tuple[int, dict[str, Items]]:
    """Number of classes, and the files of the parts "train" and "test".

    Raises
    ------
    HpstudyError
        If a folder is absent or empty, there is one class, or the classes of the parts differ.
    """
    path = _image_folder(spec, root)
    test = next((path / n for n in ("val", "test") if (path / n).is_dir()), path / "val")
    for folder in (path / "train", test):
        if not folder.is_dir():
            raise HpstudyError(
                f"data set {spec.name!r} needs {folder}, a folder with one folder of images per "
                "class (torchvision's ImageFolder layout)"
            )
    names = _class_names(path / "train")
    if len(names) < 2:
        raise HpstudyError(
            f"{path / 'train'} holds {count(len(names), 'class folder')}; a classifier needs two "
            "or more"
        )
    if different := set(names) ^ set(_class_names(test)):
        raise HpstudyError(
            f"the class {min(different)!r} is in only one of {path / 'train'} and {test}"
        )
    parts = {"train": path / "train", "test": test}
    return len(names), {part: _items(folder, names) for part, folder in parts.items()}


def _class_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def _items(folder: Path, names: list[str]) -> Items:
    items = []
    for label, name in enumerate(names):
        files = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in SUFFIXES)
        if not files:
            raise HpstudyError(f"{folder / name} holds no JPEG, PNG or WebP image")
        items += [(path, label) for path in files]
    return items


def fingerprint(spec: Data, root: Path) -> str | None:
    """Hash of the names, sizes and beginnings of the files of an image-folder set.

    None for other sets, whose content a checksum fixes, and for a folder that is absent.
    """
    folder = _image_folder(spec, root)
    if not (spec.name == "imagenet" or spec.name.startswith("folder:")) or not folder.is_dir():
        return None
    # Decoded images are not part of the set, even where the data root is in its folder.
    folder, decoded = folder.resolve(), (root / "decoded").resolve()
    inside = decoded.is_relative_to(folder)
    paths = (path for path in folder.rglob("*") if not (inside and path.is_relative_to(decoded)))
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            # Past its header two images differ at once; whole files would take hours on ImageNet.
            digest.update(file.read(4096))
    return digest.hexdigest()[:16]


def read_folder(
    spec: Data, root: Path
) -> tuple[dict[str, np.ndarray] | dict[str, Stored], dict[str, list[int]]]:
    """Images and labels of the parts "train" and "test".

    Images have 8/7 of the size that the network sees, as 256 to 224 in the thesis. They are in a
    file, decoded once and for all, where they exceed `resident_limit`.
    """
    _, parts = list_images(spec, root)
    size = spec.image_size * 8 // 7
    paths = {part: [path for path, _ in items] for part, items in parts.items()}
    labels = {part: [label for _, label in items] for part, items in parts.items()}
    if sum(map(len, paths.values())) * 3 * size * size <= resident_limit():
        return {part: _decode(files, size) for part, files in paths.items()}, labels
    folder = root / "decoded" / f"{fingerprint(spec, root)}-{size}"
    return decode_once(paths, size, folder, cores()), labels


def _decode(paths: list[Path], size: int) -> np.ndarray:
    images = np.empty((len(paths), 3, size, size), np.uint8)
    for number, path in enumerate(paths):
        images[number] = pixels(read_image(path, size))
    return images


def resident_limit() -> int:
    """Bytes of images to keep in memory: half of this machine's, and of its smallest GPU's."""
    import torch

    memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        memory += [torch.cuda.get_device_properties(index).total_memory for index in devices]
    return min(memory) // 2
