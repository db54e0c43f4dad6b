"""Items of a data set, pairs of an image and a label in any common form, as uint8 RGB and int."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from hpstudy.errors import HpstudyError, one_line, shown
from hpstudy.training.pixels import pixels, rgb

# What the images of a part are called in sentences.
WORDS = {"train": "training", "test": "test"}


class Hash(Protocol):
    """Hash of hashlib."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


class Items:
    """One part of a data set: `source` has a length and gives pairs (image, label) by number.

    `name` is "training images of NAME", for sentences. After `images`, `labels` holds the labels.
    """

    def __init__(self, source: Any, name: str):
        self.source, self.name = source, name
        self.labels: list[int] = []

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def stored_size(self, size: int) -> int:
        """Pixels a side at which images are kept for a network that sees `size` of them.

        The same where the first image has it; else 8/7 of it, as 256 for 224 in the thesis.
        """
        if not len(self):
            raise HpstudyError(f"there are no {self.name}")
        image, _ = self._item(0)
        shape = image.size if isinstance(image, Image.Image) else tuple(np.shape(image)[-2:])
        return size if shape == (size, size) else size * 8 // 7

    def images(self, size: int, digest: Hash) -> Iterator[np.ndarray]:
        """Yield every image as uint8 (3, size, size); images and labels are added to `digest`.

        Raises HpstudyError if an item is no pair of an image and a whole number from 0.
        """
        self.labels.clear()
        digest.update(f"{len(self)} images of {size} pixels\n".encode())
        for number in tqdm(range(len(self)), f"reading {self.name}", delay=3, unit=" images"):
            image, given = self._item(number)
            label = _label(given, f"label {number} of the {self.name}")
            try:
                values = _pixels(image, size)
            except ValueError as error:
                raise HpstudyError(f"image {number} of the {self.name} {error}") from None
            self.labels.append(label)
            digest.update(values.tobytes() + label.to_bytes(8))
            yield values

    def _item(self, number: int) -> tuple[Any, Any]:
        try:
            item = self.source[number]
        except Exception as error:  # whatever a user's data set may raise
            raise HpstudyError(
                f"item {number} of the {self.name} cannot be read: {one_line(error)}"
            ) from None
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise HpstudyError(
                f"item {number} of the {self.name} must be a pair (image, label), not {shown(item)}"
            )
        return item[0], item[1]


def value_counts(image: np.ndarray) -> np.ndarray:
    """How often an image (3, height, width) has each value of each colour, uint32 (3, 256)."""
    counts = [np.bincount(colour.ravel(), minlength=256) for colour in image]
    return np.array(counts, np.uint32)


def _label(label: Any, name: str) -> int:
    if isinstance(label, (torch.Tensor, np.ndarray)) and label.ndim == 0:
        label = label.item()
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool) and 0 <= label < 2**63:
        return int(label)
    raise HpstudyError(f"{name} must be a whole number from 0, not {shown(label)}")


def _pixels(image: Any, size: int) -> np.ndarray:
    """Image as uint8 (3, size, size), contiguous; ValueError says what it must be."""
    if not isinstance(image, Image.Image):
        values = _bytes(image)
        if values.shape == (3, size, size):
            return np.ascontiguousarray(values)
        image = Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))
    try:
        image = rgb(image)
    except Exception as error:  # whatever a decoder may raise
        raise ValueError(f"cannot be made RGB: {one_line(error)}") from None
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(pixels(image))


def _bytes(image: Any) -> np.ndarray:
    """Tensor or array as uint8 (3, height, width)."""
    if not isinstance(image, (torch.Tensor, np.ndarray)):
        raise ValueError(f"must be a PIL image, a tensor or an array, not {type(image).__name__}")
    if isinstance(image, torch.Tensor):
        # numpy has no bfloat16.
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image
    values = np.asarray(image)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[0] not in (1, 3) or 0 in values.shape:
        raise ValueError(
            f"must have the shape (3, height, width), (1, height, width) or (height, width), not "
            f"{tuple(values.shape)}"
        )
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 1:  # nor NaN
            raise ValueError(
                f"must hold values from 0 to 1, or uint8, not values from {low:.3g} to {high:.3g}; "
                "hpstudy normalises images itself"
            )
        values = (values * 255).round().astype(np.uint8)
    if values.dtype != np.uint8:
        raise ValueError(f"must hold uint8, or values from 0 to 1, not {values.dtype}")
    return values if values.shape[0] == 3 else values.repeat(3, 0)
