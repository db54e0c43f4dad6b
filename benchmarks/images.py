"""Images per second of an image folder: decoded once, read from that file, decoded every epoch.

    python benchmarks/images.py FOLDER [--rounds 5]

FOLDER has one folder of images per class, as `train` of ImageNet; its files are repeated up to
`--images`. The ways take turns: `hpstudy` decoding with all cores, a process for each, to 256
pixels; `hpstudy` reading random crops of 224 pixels from the decoded file, which is in the page
cache; and the usual DataLoader, which decodes, resizes to 256, crops and mirrors with PIL.
"""

import argparse
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from common import interleave, machine, markdown, median_spread
from PIL import Image

import hpstudy.training.image_folders
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Split
from hpstudy.training.device import cores
from hpstudy.training.image_folders import Stored, decode_once

BATCH, STORED, SEEN, LOADERS = 256, 256, 224, 4


class Files(torch.utils.data.Dataset):
    """Image files as the usual training loop decodes and augments them."""

    def __init__(self, paths: list[Path]):
        from torchvision import transforms

        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize((STORED, STORED)),
                transforms.RandomCrop(SEEN),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), 0


def decoding(paths: list[Path], root: str) -> float:
    """Images per second from files to their decoded file, the start of processes included."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        started = time.perf_counter()
        decode_once({"train": paths}, STORED, Path(folder) / "decoded", cores())
        return len(paths) / (time.perf_counter() - started)


def reading(images: Stored) -> float:
    """Images per second of an epoch of random crops."""
    batches = Batches(Split(images, torch.zeros(len(images.rows), dtype=torch.int64)), SEEN)
    views = batches.random(torch.Generator().manual_seed(0))
    return epoch(batches.take(views, BATCH))


def epoch(batches) -> float:
    started, count = time.perf_counter(), 0
    for images, _ in batches:
        count += len(images)
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4096, help="of an epoch")
    parser.add_argument("--scratch", help="folder for decoded files, 0.2 MB an image")
    given = parser.parse_args()
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    files = sorted(path for path in given.folder.rglob("*") if path.suffix.lower() in suffixes)
    if not files:
        parser.error(f"{given.folder} holds no image")
    paths = (files * math.ceil(given.images / len(files)))[: given.images]
    # As many chunks for each core as make them end together, as on a large set.
    hpstudy.training.image_folders.CHUNK = math.ceil(given.images / (8 * cores()))
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(
        Files(paths), BATCH, shuffle=True, num_workers=LOADERS, persistent_workers=True
    )
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        images = decode_once({"train": paths}, STORED, Path(folder) / "warm", cores())["train"]
        for _ in range(2):
            reading(images)
        next(iter(loader))
        ways = {
            f"decoding once, {cores()} cores": partial(decoding, paths, folder),
            "reading stored batches": partial(reading, images),
            f"DataLoader, {LOADERS} workers": lambda: epoch(loader),
        }
        rates = interleave(ways, given.rounds)
    usual = rates[list(ways)[-1]]
    rows = [
        {
            "way": way,
            "images/s": median_spread(values),
            "x DataLoader": median_spread([a / b for a, b in zip(values, usual, strict=True)]),
        }
        for way, values in rates.items()
    ]
    bytes_each = sum(os.path.getsize(path) for path in files) / len(files)
    print(
        f"{machine()}; {len(files)} files of {bytes_each / 1000:.0f} kB, {len(paths)} images an "
        f"epoch, batch {BATCH}, median (smallest to largest) of {given.rounds} turns\n"
    )
    print(markdown(rows))


if __name__ == "__main__":
    main()
