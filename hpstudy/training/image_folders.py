"""Image folders, ImageNet among them, and their images decoded once into files to read from.

torch is not imported: processes that decode would wait seconds for it.
"""

import hashlib
import math
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hpstudy.config.study import Data
from hpstudy.errors import HpstudyError, count, did_you_mean
from hpstudy.training.device import check_room, cores, follow_parent, resident_limit
from hpstudy.training.pixels import pixels, read_image, read_otherwise

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PARTS = ("train", "val", "test")
# Images decoded in one go: what each core loses when decoding is interrupted.
CHUNK = 1024
# Bytes of the counts of an image: of each of the 256 values of three colours, as uint32.
_COUNTS = 3 * 256 * 4


@dataclass(frozen=True, eq=False)
class Stored:
    """Images in a file, which every process reads through the same cached pages.

    `path` is a file of uint8 pixels, (images, 3, size, size), and `rows` are the places of these
    images in it, int64. Beside it, `.counts` holds how often each image has each value of each
    colour, and `.done` a byte per chunk: whether it is decoded.
    """

    path: Path
    size: int
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of all images as one array."""
        return len(self.rows), 3, self.size, self.size

    def take(self, index: np.ndarray) -> "Stored":
        """The images at `index`, in that order; no pixel is read."""
        return replace(self, rows=self.rows[index])

    def read(self, index: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the image (3, size, size) at each of `index`, in one array that is reused.

        Raises HpstudyError if the file has been cut short.
        """
        image = np.empty(self.shape[1:], np.uint8)
        with self.path.open("rb", buffering=0) as file:
            for row in self.rows[index].tolist():
                # Not through a memory map: its page faults read far less at once from a disk.
                if os.preadv(file.fileno(), [image.data], row * image.nbytes) != image.nbytes:
                    raise HpstudyError(
                        f"{self.path} ends before image {row}: it has been cut short; the same "
                        "command decodes it anew"
                    )
                yield image

    def counts(self) -> np.ndarray:
        """How often each colour has each value in these images, (3, 256)."""
        counts = np.memmap(self.path.with_suffix(".counts"), np.uint32, "r").reshape(-1, 3, 256)
        total = np.zeros((3, 256), np.int64)
        for start in range(0, len(self.rows), CHUNK):
            total += counts[self.rows[start : start + CHUNK]].sum(0, dtype=np.int64)
        return total


# Images, and their labels or classes.
Part = tuple[np.ndarray | Stored, np.ndarray]


def _image_folder(spec: Data, root: Path) -> Path:
    return root / "imagenet" if spec.name == "imagenet" else Path(spec.name[len("folder:") :])


def class_folders(path: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones; none if it is not there."""
    inside = [entry.name for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
    return sorted(name for name in inside if not name.startswith("."))


def list_images(spec: Data, root: Path) -> tuple[int, dict[str, list[tuple[Path, int]]]]:
    """Number of classes, and the files of the parts "train" and "test" with their labels.

    Where a share is held out there need be no test folder, and then no folder `train` either.
    Hidden files and folders are left out. Raises HpstudyError if a folder is absent or empty,
    there is one class, or the classes of the parts differ.
    """
    path = _image_folder(spec, root)
    if not path.is_dir():
        hint = did_you_mean(path.name, class_folders(path.parent))
        raise HpstudyError(f"data set {spec.name!r}: there is no folder {path}{hint}")
    test = next((path / n for n in ("val", "test") if (path / n).is_dir()), path / "val")
    folders, classes = {"train": path / "train", "test": test}, {}
    if not isinstance(spec.holdout, str) and not test.is_dir():
        folders = {"train": path / "train" if (path / "train").is_dir() else path}
    for part, folder in folders.items():
        if not folder.is_dir():
            raise HpstudyError(
                f"data set {spec.name!r} needs {folder}, a folder with one folder of images per "
                "class (torchvision's ImageFolder layout); without test images, set holdout to a "
                "share of the training images, as 0.2"
            )
        classes[part] = class_folders(folder)
    names = classes["train"]
    if len(names) < 2:
        raise HpstudyError(
            f"{folders['train']} holds {count(len(names), 'class folder')}; a classifier needs two "
            "or more"
        )
    if different := set(names) ^ set(classes.get("test", names)):
        raise HpstudyError(
            f"the class {min(different)!r} is in only one of {folders['train']} and {test}"
        )
    parts = {
        part: [(path, k) for k, name in enumerate(names) for path in _image_files(folder / name)]
        for part, folder in folders.items()
    }
    return len(names), parts


def _image_files(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    files = sorted(path for path in paths if not _is_hidden(path.relative_to(folder)))
    if not files:
        raise HpstudyError(f"{folder} holds no JPEG, PNG or WebP image")
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def fingerprint(spec: Data, root: Path) -> str | None:
    """Hash of the names, sizes and beginnings of the files of an image-folder set.

    None for other sets, whose content a checksum fixes, and for a folder that is absent.
    """
    folder = _image_folder(spec, root)
    if not (spec.name == "imagenet" or spec.name.startswith("folder:")) or not folder.is_dir():
        return None
    # Decoded images are not part of the set, even where the data root is in its folder.
    folder, decoded = folder.resolve(), (root / "decoded").resolve()
    paths = (path for path in folder.rglob("*") if not path.is_relative_to(decoded))
    digest, otherwise = hashlib.sha256(), False
    for path in sorted(path for path in paths if path.is_file()):
        name = path.relative_to(folder)
        digest.update(os.fsencode(f"{name.as_posix()} {path.stat().st_size}\n"))
        with path.open("rb") as file:
            # Past its header two images differ at once; whole files would take hours on ImageNet.
            digest.update(head := file.read(4096))
        if name.parts[0] in PARTS and name.suffix.lower() in SUFFIXES and not _is_hidden(name):
            otherwise = otherwise or len(name.parts) > 3 or read_otherwise(head)
    if otherwise:
        # The first versions left folders within those of the classes out.
        digest.update(b"upright, 16 bits, nested")
    return digest.hexdigest()[:16]


def read_folder(spec: Data, root: Path) -> list[Part]:
    """Images and labels to train on, and those of the test, if there are any.

    Images have 8/7 of the size that the network sees, as 256 to 224 in the thesis. They are in a
    file, decoded once and for all, where they exceed `resident_limit`.
    """
    _, parts = list_images(spec, root)
    size = spec.image_size * 8 // 7
    paths = {part: [path for path, _ in items] for part, items in parts.items()}
    images: Mapping[str, np.ndarray | Stored]
    if sum(map(len, paths.values())) * 3 * size * size <= resident_limit():
        shape = np.dtype((np.uint8, (3, size, size)))
        images = {
            part: np.fromiter((pixels(read_image(path, size)) for path in files), shape, len(files))
            for part, files in paths.items()
        }
    else:
        folder = root / "decoded" / f"{fingerprint(spec, root)}-{size}"
        images = decode_once(paths, size, folder, cores())
    return [(images[part], np.array([k for _, k in items])) for part, items in parts.items()]


def decode_once(
    parts: dict[str, list[Path]], size: int, folder: Path, workers: int
) -> dict[str, Stored]:
    """Image files by part of the data set, resized, of which `folder` may hold some already.

    An interrupted call loses the chunks in progress only. Two calls at once write the same bytes.
    Raises HpstudyError for too little room, a folder that cannot be written, or an image that
    cannot be read. The folder is for these images at this size alone.
    """
    folder = folder.resolve()
    stored = {
        name: Stored(folder / f"{name}.u8", size, np.arange(len(paths)))
        for name, paths in parts.items()
    }
    chunks = [
        (parts[name][number * CHUNK :][:CHUNK], images.path, size, number * CHUNK, number)
        for name, images in stored.items()
        for number, decoded in enumerate(_marks(images))
        if not decoded
    ]
    if not chunks:
        return stored
    missing, total = sum(len(chunk[0]) for chunk in chunks), sum(map(len, parts.values()))
    check_room(folder, missing * (3 * size * size + _COUNTS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for images in stored.values():
            if not any(marks := _marks(images)):
                images.path.with_suffix(".done").write_bytes(marks)
                for path, length in _lengths(images).items():
                    with path.open("ab") as file:
                        file.truncate(length)
        with tqdm(
            desc="decoding",
            total=total,
            initial=total - missing,
            unit=" images",
            mininterval=0.1 if sys.stderr.isatty() else 30,
        ) as bar:
            _decode_all(chunks, workers, bar)
    except BrokenProcessPool:
        raise HpstudyError(
            f"a process that decoded images into {folder} was killed; the same command continues "
            "from there"
        ) from None
    except OSError as error:
        raise HpstudyError(
            f"decoded images cannot be written to {folder} ({error}); image folders may lie "
            "elsewhere (folder:PATH) than the data root, which --data-root or HPSTUDY_DATA names"
        ) from None
    return stored


def _lengths(images: Stored) -> dict[Path, int]:
    """Bytes of the files of pixels and counts when whole."""
    files = {".u8": 3 * images.size**2, ".counts": _COUNTS}
    return {images.path.with_suffix(end): len(images.rows) * size for end, size in files.items()}


def _marks(images: Stored) -> bytes:
    """Whether each chunk is decoded; none is where the files are not whole."""
    number, done = math.ceil(len(images.rows) / CHUNK), images.path.with_suffix(".done")
    lengths = _lengths(images).items()
    whole = all(path.exists() and path.stat().st_size == length for path, length in lengths)
    marks = done.read_bytes() if whole and done.exists() else b""
    return marks if len(marks) == number else bytes(number)


def _decode_all(
    chunks: list[tuple[list[Path], Path, int, int, int]], workers: int, bar: tqdm
) -> None:
    """Call `_decode_chunk` in several processes, with the given arguments."""
    pool = ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn"), follow_parent)
    try:
        tasks = {pool.submit(_decode_chunk, *chunk): len(chunk[0]) for chunk in chunks}
        for task in as_completed(tasks):
            task.result()
            bar.update(tasks[task])
    except BaseException:
        # Their work is lost either way; waiting for it would only delay the end.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(paths: list[Path], path: Path, size: int, start: int, number: int) -> None:
    """Decode image files into the places from `start` on, sync them, and mark the chunk."""
    with path.open("r+b") as images, path.with_suffix(".counts").open("r+b") as counts:
        images.seek(start * 3 * size * size)
        counts.seek(start * _COUNTS)
        for source in paths:
            image = read_image(source, size)
            images.write(pixels(image).tobytes())
            counts.write(np.array(image.histogram(), np.uint32).tobytes())
        for file in (images, counts):
            file.flush()
            os.fsync(file.fileno())
    with path.with_suffix(".done").open("r+b") as done:
        done.seek(number)
        done.write(b"\1")
