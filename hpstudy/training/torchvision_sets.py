"""Classification sets of torchvision by name, decoded once into files."""

import hashlib
import inspect
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hpstudy.config.study import Data
from hpstudy.errors import HpstudyError, listed, unknown
from hpstudy.training.device import check_room, resident_limit
from hpstudy.training.image_folders import Part, Stored
from hpstudy.training.image_items import WORDS, Items, value_counts

# Sets with one class an image. `imagenet` and `folder:PATH` stand for ImageNet and ImageFolder.
CLASSIFICATION = (
    *("CIFAR10", "CIFAR100", "CLEVRClassification", "Caltech101", "Caltech256", "CelebA"),
    *("Country211", "DTD", "EMNIST", "EuroSAT", "FER2013", "FGVCAircraft", "FakeData"),
    *("FashionMNIST", "Flowers102", "Food101", "GTSRB", "INaturalist", "Imagenette", "KMNIST"),
    *("LFWPeople", "MNIST", "Omniglot", "OxfordIIITPet", "PCAM", "Places365", "QMNIST"),
    *("RenderedSST2", "SEMEION", "STL10", "SUN397", "SVHN", "StanfordCars", "USPS"),
)
# Arguments of their constructors that are not the user's.
_OURS = {"self", "root", "download", "transform", "target_transform", "transforms", "loader"}
Options = dict[str, Any]


def read_torchvision(spec: Data, member: str, root: Path) -> tuple[list[Part], str]:
    """Images and labels of the training and, without a held-out share, of the test part.

    They are decoded into a folder of `root` by the first call, and read from there by later ones.
    Also returns the hash of both. Raises HpstudyError if there is no such set, it has no such
    arguments or no test part, or is not in `root` and cannot be downloaded.
    """
    kind, options, tries = _constructor(spec, member)
    parts = dict(zip(("train", "test"), tries, strict=False))
    known = json.dumps([options, tries, version("torchvision")], sort_keys=True)
    short = hashlib.sha256(known.encode()).hexdigest()[:8]
    folder = root / "decoded" / f"{member}-{short}-{spec.image_size}"
    if (read := _read(folder, parts)) is None:
        sets = {
            name: open_part(kind, spec.name, root, options, each) for name, each in parts.items()
        }
        try:
            shutil.rmtree(folder, ignore_errors=True)
            _decode(sets, spec, folder)
            read = _read(folder, parts)
        except OSError as error:
            raise HpstudyError(
                f"decoded images cannot be written to {folder} ({error}); name another data root "
                "with --data-root or HPSTUDY_DATA"
            ) from None
    assert read is not None
    return read


def _constructor(spec: Data, member: str) -> tuple[type, Options, list[list[Options]]]:
    """Class of a set, the user's arguments, and for each part the further ones to try in turn."""
    from torchvision import datasets

    if member not in CLASSIFICATION:
        raise unknown("classification set of torchvision", member, CLASSIFICATION)
    kind, given = getattr(datasets, member), dict(spec.arguments or {})
    takes = _parameters(kind)
    if wrong := sorted(given.keys() - (takes.keys() - _OURS)):
        raise unknown(f"argument of {spec.name}", wrong[0], sorted(takes.keys() - _OURS))
    parts: list[list[Options]] = [[{}]]
    if "train" in takes and "train" not in given:
        parts = [[{"train": True}], [{"train": False}]]
    elif "split" in takes and "split" not in given:
        default = str(takes["split"].default)
        first = default if default.startswith("train") else "train"
        parts = [[{"split": first}], [{"split": name} for name in ("test", "val", "valid")]]
    needed = {name for name, each in takes.items() if each.default is each.empty}
    if missing := sorted(needed - _OURS - given.keys() - parts[0][0].keys()):
        raise HpstudyError(f"{spec.name} needs data.arguments with {listed(missing)}")
    if not isinstance(spec.holdout, str):
        parts = parts[:1]
    elif len(parts) == 1:
        raise no_test_images(spec.name)
    return kind, given, parts


def no_test_images(name: str) -> HpstudyError:
    """Refusal of a set of one part where its test images are asked for."""
    return HpstudyError(
        f"{name} has no test images of its own; hold out a share of the training images, as with "
        "data.holdout: 0.2"
    )


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Parameters of a constructor, with those that it hands on to the class that it extends."""
    found: dict[str, inspect.Parameter] = {}
    for each in kind.__mro__:
        own = inspect.signature(each.__init__).parameters  # type: ignore[misc]
        further = any(value.kind is value.VAR_KEYWORD for value in own.values())
        named = {k: v for k, v in own.items() if v.kind is v.POSITIONAL_OR_KEYWORD}
        found = named | found
        if not further:
            break
    return found


def open_part(kind: type, name: str, root: Path, options: Options, tries: Iterable[Options]) -> Any:
    """One part of a set, by the first of the further options that it knows, downloaded if need be.

    Raises HpstudyError if it knows none, or the set is not in `root` and cannot be downloaded.
    """
    # Only what is absent or damaged is downloaded.
    ours = {"root": str(root), "download": True}
    ours = {key: value for key, value in ours.items() if key in _parameters(kind)}
    reason = ""
    for further in tries:
        try:
            return kind(**ours, **options, **further)
        except Exception as error:
            reason = " ".join(str(error).split())
            if not reason.startswith("Unknown value"):
                raise HpstudyError(
                    f"data set {name!r} is not (or not whole) in {root} and could not be "
                    f"downloaded ({reason}); put torchvision's files there, or name their folder "
                    "with --data-root or HPSTUDY_DATA"
                ) from None
    raise HpstudyError(f"torchvision refuses the arguments of {name}: {reason}")


def _decode(sets: Mapping[str, Any], spec: Data, folder: Path) -> None:
    """Write images, labels and hash of both parts; the folder appears when it is whole."""
    parts = {
        name: Items(source, f"{WORDS[name]} images of {spec.name}") for name, source in sets.items()
    }
    size, digest = parts["train"].stored_size(spec.image_size), hashlib.sha256()
    needed = sum(map(len, parts.values())) * 3 * size * size
    counted = needed > resident_limit()
    check_room(folder, needed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        for name, part in parts.items():
            with (
                (new / f"{name}.u8").open("wb") as file,
                (new / f"{name}.counts").open("wb") as counts,
            ):
                for image in part.images(size, digest):
                    file.write(image.tobytes())
                    if counted:
                        counts.write(value_counts(image).tobytes())
            np.save(new / f"{name}.npy", np.array(part.labels, np.int64))
        (new / "fingerprint").write_text(digest.hexdigest()[:16])
        try:
            new.rename(folder)
        except OSError:
            # Another process may have been faster, with the same bytes.
            if not folder.is_dir():
                raise


def _read(folder: Path, parts: Iterable[str]) -> tuple[list[Part], str] | None:
    """What `_decode` has written, in memory unless it was too much for it; None if not whole."""
    read: list[Part] = []
    try:
        for name in parts:
            path, labels = folder / f"{name}.u8", np.load(folder / f"{name}.npy")
            size = math.isqrt(path.stat().st_size // (3 * len(labels)))
            images = Stored(path.resolve(), size, np.arange(len(labels)))
            if path.stat().st_size != math.prod(images.shape):
                return None
            if path.with_suffix(".counts").stat().st_size:
                read.append((images, labels))
            else:
                read.append((np.fromfile(path, np.uint8).reshape(images.shape), labels))
        return read, (folder / "fingerprint").read_text()
    except (OSError, ValueError):
        return None
