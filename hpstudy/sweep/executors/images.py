"""Images of a sweep in a file that all workers of this machine map."""

from pathlib import Path

import torch

from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.image_folders import Stored


def save_dataset(data: Dataset, path: Path) -> None:
    """Write images so that all workers map the same pages; of images in a file, only its path."""
    names = ("classes", "image_size", "mean", "std", "folder")
    content = {name: getattr(data, name) for name in names}
    for name in ("train", "test"):
        images, labels = getattr(data, name).images, getattr(data, name).labels
        if isinstance(images, Stored):
            images = {**vars(images), "path": str(images.path), "rows": torch.tensor(images.rows)}
        content[name] = {"images": images, "labels": labels}
    torch.save(content, path)


def open_dataset(path: Path) -> Dataset:
    """Data set that `save_dataset` has written, mapped to memory."""
    content = torch.load(path, mmap=True, weights_only=True)
    for name in ("train", "test"):
        images, labels = content[name]["images"], content[name]["labels"]
        if isinstance(images, dict):
            images = Stored(Path(images["path"]), images["size"], images["rows"].numpy())
        content[name] = Split(images, labels)
    return Dataset(**content)
