"""Classification sets of torchvision by name, and images that a function of one's own returns."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hpstudy.config.study import FOLDER, TORCHVISION, Data
from hpstudy.errors import HpstudyError, listed
from hpstudy.networks.sources import call, imported
from hpstudy.training.device import resident_limit
from hpstudy.training.image_folders import Part
from hpstudy.training.image_items import WORDS, Items
from hpstudy.training.torchvision_sets import no_test_images, read_torchvision

logger = logging.getLogger(__name__)


class ImageSet(NamedTuple):
    """Images (n, 3, size, size) and labels from 0 of the training and perhaps the test part.

    `fingerprint` is the hash of the images as they are trained on, and of their labels.
    """

    parts: list[Part]
    classes: int
    fingerprint: str


def is_image_set(name: str) -> bool:
    """Whether a name is that of a set of torchvision or of a function, whose images are read."""
    kind, colon, member = name.partition(":")
    return bool(colon and kind and member) and kind != FOLDER


def read_set(spec: Data, root: Path) -> ImageSet:
    """Images and labels of a set of torchvision, or of those that a function returns.

    Images stay as they are where the first has `image_size`; others are resized to 8/7 of it, as
    those of folders. torchvision's are decoded once, into a folder of `root`. Where a share is
    held out, a test part need not be there, and torchvision's is not read.

    Raises HpstudyError if the set is not known or cannot be had, if images or labels are not what
    can be trained on, if there is no test part and no share is held out, or if the images exceed
    the memory.
    """
    package, _, member = spec.name.partition(":")
    if package == TORCHVISION:
        parts, mark = read_torchvision(spec, member, root)
    else:
        parts, mark = _returned(spec, package, member)
    parts, classes = _numbered(parts, spec.name)
    return ImageSet(parts, classes, mark)


def _numbered(parts: list[Part], name: str) -> tuple[list[Part], int]:
    """The parts with labels from 0 without gaps, and the number of classes."""
    known = np.unique(parts[0][1])
    if len(known) < 2:
        raise HpstudyError(f"{name} holds one class; a classifier needs two or more")
    for _, labels in parts[1:]:
        if strange := sorted(set(labels.tolist()) - set(known.tolist())):
            raise HpstudyError(
                f"the label {strange[0]} is among the test images of {name} and not among its "
                "training images"
            )
    if known[-1] >= len(known):
        logger.info(
            f"{name}: the labels {listed(known.tolist())} are taken as classes "
            f"0 to {len(known) - 1}"
        )
    return [(images, np.searchsorted(known, labels)) for images, labels in parts], len(known)


# --- a function's images --------------------------------------------------------------------------


def _returned(spec: Data, package: str, member: str) -> tuple[list[Part], str]:
    """Images and labels of both parts that a function returns, and their hash."""
    function, name, digest = imported(package, member), spec.name, hashlib.sha256()
    # torch's generator is fixed, so that its random splits are the same every time.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sets = _parts(call(function, spec.arguments or {}, name), name)
        if not isinstance(spec.holdout, str):
            sets = sets[:1]
        elif len(sets) == 1:
            raise no_test_images(name)
        words = zip(WORDS.values(), sets, strict=False)
        parts = [Items(each, f"{part} images of {name}") for part, each in words]
        size = parts[0].stored_size(spec.image_size)
        needed, limit = sum(map(len, parts)) * 3 * size * size, resident_limit()
        if needed > limit:
            raise HpstudyError(
                f"the images of {name} take {needed / 2**30:.3g} GiB at this size, and the memory "
                f"has room for {limit / 2**30:.3g} GiB; write them to files and name their folder, "
                "as folder:PATH"
            )
        pixel = np.dtype((np.uint8, (3, size, size)))
        read = [np.fromiter(part.images(size, digest), pixel, len(part)) for part in parts]
    labels = [np.array(part.labels, np.int64) for part in parts]
    return list(zip(read, labels, strict=True)), digest.hexdigest()[:16]


def _parts(value: Any, name: str) -> list[Any]:
    """One or two sets of (image, label), of what a function returns."""
    pair = value if isinstance(value, (tuple, list)) and len(value) == 2 else None
    parts = [value] if pair is None or isinstance(pair[0], (torch.Tensor, np.ndarray)) else pair
    return [_items(part, name) for part in parts]


@dataclass(frozen=True)
class _Pairs:
    """Images and labels in arrays, as items."""

    images: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.images[number], self.labels[number]


def _items(part: Any, name: str) -> Any:
    """Part as something with a length and items."""
    if isinstance(part, (tuple, list)) and len(part) == 2:
        lengths = [len(each) if hasattr(each, "__len__") else None for each in part]
        if None in lengths or lengths[0] != lengths[1]:
            raise HpstudyError(
                f"{name} must return as many labels as images, not {lengths[0]} images and "
                f"{lengths[1]} labels"
            )
        return _Pairs(*part)
    if isinstance(part, (tuple, list, Mapping)) or not all(
        hasattr(part, method) for method in ("__len__", "__getitem__")
    ):
        raise HpstudyError(
            f"{name} must return (images, labels), a torch Dataset with a length, or two of them "
            f"for training and test, not {type(part).__name__}"
        )
    return part
