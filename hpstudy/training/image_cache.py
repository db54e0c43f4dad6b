"""Images decoded once, by all cores, into files that all processes and later sweeps read.

torch is not imported: a process that decodes would wait seconds for it.
"""

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
from hpstudy.training.device import ended_with_block, follow_parent

# Images that are decoded in one go: what is lost of each core's work when decoding is interrupted.
CHUNK = 1024
# How often each of the 256 values of three colours occurs in an image, as uint32.
_COUNTS = 3 * 256 * 4


@dataclass(frozen=True, eq=False)
class Stored:
    """Images that stay in their file; every process reads them through the same cached pages.

    Attributes
    ----------
    path : Path
        Of all decoded images one after another, (images, 3, size, size) of uint8; the file beside
        it counts the values of each.
    size : int
        Height and width.
    rows : ndarray of shape (images,)
        int64, the places in the file of the images that these are.
    """

    path: Path
    size: int
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of a tensor of all images."""
        return len(self.rows), 3, self.size, self.size

    def take(self, index: np.ndarray) -> "Stored":
        """The images at `index`, in that order; no pixel is read."""
        return replace(self, rows=self.rows[index])

    def read(self, index: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the image (3, size, size) at each of `index`, all in one array in turn.

        Raises
        ------
        HpstudyError
            If the file has been cut short since.
        """
        image = np.empty(self.shape[1:], np.uint8)
        with self.path.open("rb", buffering=0) as file:
            for row in self.rows[index].tolist():
                # Not through a memory map: its page faults read far less at once from a disk.
                if os.preadv(file.fileno(), [image], row * image.nbytes) != image.nbytes:
                    raise HpstudyError(
                        f"{self.path} ends before image {row}: it has been cut short; the same "
                        "command decodes it anew"
                    )
                yield image

    def counts(self) -> np.ndarray:
        """How often each colour has each value in these images, (3, 256)."""
        counts = np.memmap(_beside(self.path, "counts"), np.uint32, "r").reshape(-1, 3, 256)
        starts = range(0, len(self.rows), CHUNK)
        return sum(counts[self.rows[k : k + CHUNK]].sum(0, dtype=np.int64) for k in starts)


def read_image(path: Path, size: int) -> Image.Image:
    """The image file `path` in RGB, resized to `size` x `size` pixels.

    Raises
    ------
    HpstudyError
        If it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # whatever a decoder may say
        # Only the system's word is a reason; a decoder's is its own.
        reason = getattr(error, "strerror", None)
        said = f": {reason}" if reason else ""
        raise HpstudyError(f"{path} cannot be read as an image{said}.") from None


def pixels(image: Image.Image) -> np.ndarray:
    """An image as uint8 (3, height, width)."""
    return np.asarray(image).transpose(2, 0, 1)


def decode_once(
    parts: dict[str, list[Path]], size: int, folder: Path, workers: int
) -> dict[str, Stored]:
    """Decode what `folder` does not hold yet of some lists of image files.

    An interrupted call loses the chunks in progress only; the next one goes on from there. Two at
    the same time write the same bytes.

    Parameters
    ----------
    parts : dict of str to list of Path
        Image files by the name of their part of the data set.
    size : int
        Height and width to which images are resized.
    folder : Path
        Of these very images at this size, and of nothing else.
    workers : int
        Processes that decode.

    Returns
    -------
    dict of str to Stored
        All images of each part, in the order of its files.

    Raises
    ------
    HpstudyError
        If there is too little room, the folder cannot be written, or an image cannot be read.
    """
    folder = folder.resolve()
    stored = {
        name: Stored(folder / f"{name}.u8", size, np.arange(len(paths)))
        for name, paths in parts.items()
    }
    todo = [(name, start) for name in parts for start in _unfinished(stored[name])]
    if not todo:
        return stored
    chunks = {task: parts[task[0]][task[1] : task[1] + CHUNK] for task in todo}
    left, total = sum(map(len, chunks.values())), sum(map(len, parts.values()))
    _check_room(folder, left * (3 * size * size + _COUNTS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for images in stored.values():
            _make_files(images)
        every = 0.1 if sys.stderr.isatty() else 30
        options = dict(total=total, initial=total - left, unit=" images", mininterval=every)
        with tqdm(desc="decoding", **options) as bar:
            _decode_all(chunks, stored, workers, bar)
    except BrokenProcessPool:
        raise HpstudyError(
            f"a process that decoded images into {folder} ended before its time; the same command "
            "goes on from there"
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
    """Bytes of the files of pixels and counts, when whole."""
    count, *shape = images.shape
    return {
        images.path: count * int(np.prod(shape)),
        _beside(images.path, "counts"): count * _COUNTS,
    }


def _unfinished(images: Stored) -> list[int]:
    """First images of the chunks that are not marked as written."""
    starts, marks = range(0, len(images.rows), CHUNK), _beside(images.path, "done")
    whole = all(
        path.exists() and path.stat().st_size == length for path, length in _lengths(images).items()
    )
    done = marks.read_bytes() if whole and marks.exists() else b""
    if len(done) != len(starts):
        return list(starts)
    return [start for start, mark in zip(starts, done, strict=True) if not mark]


def _make_files(images: Stored) -> None:
    """Make the files that are missing, or are not what this data set's would be."""
    starts = range(0, len(images.rows), CHUNK)
    if len(_unfinished(images)) == len(starts):
        _beside(images.path, "done").write_bytes(bytes(len(starts)))
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
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
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
    with ended_with_block(pool):
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


def _decode_chunk(paths: list[Path], path: Path, size: int, start: int) -> None:
    """Decode images into their places in the files, and see them written."""
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
