"""Images decoded once, by all cores, into files that all processes and later sweeps read.

torch is not imported: processes that decode would wait seconds for it.
"""

import math
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from hpstudy.errors import HpstudyError
from hpstudy.training.device import follow_parent

# Images decoded in one go: what each core loses when decoding is interrupted.
CHUNK = 1024
# Bytes of the counts of an image: of each of the 256 values of three colours, as uint32.
_COUNTS = 3 * 256 * 4


@dataclass(frozen=True, eq=False)
class Stored:
    """Images in a file, which every process reads through the same cached pages.

    Attributes
    ----------
    path : Path
        File of uint8 pixels, (images, 3, size, size). Beside it, `.counts` holds how often each
        image has each value of each colour, and `.done` a byte per chunk: whether it is decoded.
    size : int
    rows : ndarray of shape (images,)
        int64, places of these images in the file.
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
        counts = np.memmap(_beside(self.path, "counts"), np.uint32, "r").reshape(-1, 3, 256)
        total = np.zeros((3, 256), np.int64)
        for start in range(0, len(self.rows), CHUNK):
            total += counts[self.rows[start : start + CHUNK]].sum(0, dtype=np.int64)
        return total


def read_image(path: Path, size: int) -> Image.Image:
    """Image file in RGB, resized to `size` x `size`; raises HpstudyError if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # whatever a decoder may raise
        # The system's reason is of use, a decoder's is not.
        reason = getattr(error, "strerror", None)
        because = f": {reason}" if reason else ""
        raise HpstudyError(f"{path} cannot be read as an image{because}.") from None


def pixels(image: Image.Image) -> np.ndarray:
    """Image as uint8 (3, height, width)."""
    return np.asarray(image).transpose(2, 0, 1)


def decode_once(
    parts: dict[str, list[Path]], size: int, folder: Path, workers: int
) -> dict[str, Stored]:
    """Decode the image files that `folder` does not hold yet.

    An interrupted call loses the chunks in progress only. Two calls at once write the same bytes.
    HpstudyError is raised for too little room, a folder that cannot be written, or an image that
    cannot be read.

    Parameters
    ----------
    parts : dict of str to list of Path
        Image files by part of the data set, whose order the result keeps.
    size : int
        Height and width that images are resized to.
    folder : Path
        Folder of these images at this size, and of nothing else.
    workers : int
        Number of processes that decode.
    """
    folder = folder.resolve()
    stored = {
        name: Stored(folder / f"{name}.u8", size, np.arange(len(paths)))
        for name, paths in parts.items()
    }
    chunks = {
        (name, start): parts[name][start : start + CHUNK]
        for name in parts
        for start in _unfinished(stored[name])
    }
    if not chunks:
        return stored
    missing, total = sum(map(len, chunks.values())), sum(map(len, parts.values()))
    _check_room(folder, missing * (3 * size * size + _COUNTS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for images in stored.values():
            _make_files(images)
        with tqdm(
            desc="decoding",
            total=total,
            initial=total - missing,
            unit=" images",
            mininterval=0.1 if sys.stderr.isatty() else 30,
        ) as bar:
            _decode_all(chunks, stored, workers, bar)
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


def _beside(path: Path, suffix: str) -> Path:
    return path.with_suffix(f".{suffix}")


def _lengths(images: Stored) -> dict[Path, int]:
    """Bytes of the files of pixels and counts when whole."""
    count, *shape = images.shape
    counts = _beside(images.path, "counts")
    return {images.path: count * math.prod(shape), counts: count * _COUNTS}


def _unfinished(images: Stored) -> list[int]:
    """First images of the chunks that are not decoded."""
    starts, done = range(0, len(images.rows), CHUNK), _beside(images.path, "done")
    lengths = _lengths(images).items()
    whole = all(path.exists() and path.stat().st_size == length for path, length in lengths)
    marks = done.read_bytes() if whole and done.exists() else b""
    if len(marks) != len(starts):
        return list(starts)
    return [start for start, mark in zip(starts, marks, strict=True) if not mark]


def _make_files(images: Stored) -> None:
    """Make the files, unless they hold a decoded chunk of these images."""
    chunks = len(range(0, len(images.rows), CHUNK))
    if len(_unfinished(images)) == chunks:
        _beside(images.path, "done").write_bytes(bytes(chunks))
        for path, length in _lengths(images).items():
            with path.open("ab") as file:
                file.truncate(length)


def _mark(images: Stored, start: int) -> None:
    with _beside(images.path, "done").open("r+b") as file:
        file.seek(start // CHUNK)
        file.write(b"\1")
        file.flush()
        os.fsync(file.fileno())


def _check_room(folder: Path, needed: int) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise HpstudyError(
            f"{folder} needs {needed / 2**30:.3g} GiB for the decoded images, which are too many "
            f"for the memory, and has {free / 2**30:.3g} GiB free; make room (sets decoded earlier "
            "lie beside it), or name another data root with --data-root or HPSTUDY_DATA"
        )


def _decode_all(
    chunks: dict[tuple[str, int], list[Path]], stored: dict[str, Stored], workers: int, bar: tqdm
) -> None:
    """Decode chunks, given by part and first image, and mark each once it is on the disk."""
    pool = ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn"), follow_parent)
    try:
        tasks = {}
        for (name, start), paths in chunks.items():
            images = stored[name]
            task = pool.submit(_decode_chunk, paths, images.path, images.size, start)
            tasks[task] = name, start
        for task in as_completed(tasks):
            task.result()
            name, start = tasks[task]
            _mark(stored[name], start)
            bar.update(len(chunks[name, start]))
    except BaseException:
        # Their work is lost either way; waiting for it would only delay the end.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(paths: list[Path], path: Path, size: int, start: int) -> None:
    """Decode image files into the places from `start` on, and sync them to the disk."""
    with path.open("r+b") as images, _beside(path, "counts").open("r+b") as counts:
        images.seek(start * 3 * size * size)
        counts.seek(start * _COUNTS)
        for source in paths:
            image = read_image(source, size)
            images.write(pixels(image).tobytes())
            counts.write(np.array(image.histogram(), np.uint32).tobytes())
        for file in (images, counts):
            file.flush()
            os.fsync(file.fileno())
