"""What one GPU does with ResNet-50 at ImageNet's size: a step of `benchmarks/gpu.py`."""

import copy
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import loops
import numpy as np
import torch
from common import median_spread
from scale import IMAGENET, SMALL_IMAGENET, Scale, built, noise

from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Split
from hpstudy.training.device import cores
from hpstudy.training.image_folders import Stored
from hpstudy.training.trainer import Trainer

EPOCHS, TRAIN, TEST = 90, 1_281_167, 50_000


def resnet50(given) -> list[dict]:
    """Rates of ResNet-50's step, and of its images from files, each as if it alone took time."""
    scale = SMALL_IMAGENET if given.smoke else IMAGENET
    data, start = noise(scale).to(given.device), built(scale)
    cases: dict[str, Iterator[int] | Callable[[], float]] = {}
    with ExitStack() as stack:
        for way in ("bfloat16", "bfloat16-compiled"):
            trainer = Trainer(copy.deepcopy(start), data, scale.recipe(), way)
            cases[f"{way}, trained"] = loops.trainer_loop(trainer, scale.steps)
            cases[f"{way}, evaluated"] = loops.trainer_evaluation(trainer)
        if given.images:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            cases |= _from_files(given.images, scale, Path(folder), trainer)
        rates = loops.turns(given, cases)
    rows = []
    for name, values in rates.items():
        images = TEST if name.endswith("evaluated") else TRAIN
        # A sweep decodes its images once.
        epochs = 1 if name.startswith("decoded") else EPOCHS
        hours = [epochs * images / value / 3600 for value in values]
        rows.append(
            {
                "ResNet-50": f"{name}, {scale.size} pixels",
                "n": len(values),
                "images/s": median_spread(values),
                "epochs": epochs,
                "h on ImageNet": median_spread(hours),
            }
        )
    return rows


# A script of its own, since its processes import what their script imports, and torch takes longer
# than the images.
_DECODE = """
import math, sys, time
from pathlib import Path
from hpstudy.training import image_folders as decoded
folder, size, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
paths = [Path(line) for line in sys.stdin.read().splitlines()]
# Several chunks for each core, as of a whole ImageNet.
decoded.CHUNK = math.ceil(len(paths) / (8 * workers))
started = time.perf_counter()
decoded.decode_once({"train": paths}, size, folder, workers)
print(time.perf_counter() - started)
"""


def _from_files(source: Path, scale: Scale, folder: Path, trainer: Trainer) -> dict:
    """Cases of decoding image files with all cores, and of training on what was decoded."""
    suffixes = (".jpeg", ".jpg", ".png", ".webp")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes)
    if not files:
        raise SystemExit(f"{source} holds no image")
    count = 4 * scale.train
    paths = (files * math.ceil(count / len(files)))[:count]

    def decode(name: str) -> float:
        command = [sys.executable, "-c", _DECODE, str(folder / name)]
        answer = subprocess.run(
            [*command, str(scale.stored), str(cores())],
            input="\n".join(map(str, paths)),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return count / float(answer.stdout)

    def turn() -> float:
        shutil.rmtree(folder / "again", ignore_errors=True)
        return decode("again")

    decode("once")
    images = Stored(folder / "once" / "train.u8", scale.stored, np.arange(count))
    fed = copy.copy(trainer)
    labels = torch.arange(count, device=trainer.device) % scale.classes
    fed.train_batches = Batches(Split(images, labels), scale.size)
    return {
        f"decoded once, {cores()} cores": turn,
        # An epoch between two waits: its first batches are read while nothing is trained.
        f"{trainer.arithmetic}, trained from the decoded file": loops.trainer_loop(
            fed, count // scale.batch
        ),
    }
