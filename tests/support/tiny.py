"""The smallest study, run and images."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

STUDY = {
    "name": "tiny",
    "model": "resnet56",
    "data": {
        "name": "fashion-mnist-8k",
        "image_size": 8,
        "train_images": 40,
        "test_images": 20,
        "holdout": "test",
    },
    "recipe": {
        "epochs": 1,
        "batch_size": 20,
        "momentum": 0.9,
        "lr_decay": 0.1,
        "lr_decay_epochs": [],
    },
    "prior": {"lr": 0.01, "weight_decay": 0.01},
    "grid": {"lr": [0.01, 0.02], "weight_decay": [0.01]},
    "variants": ["uniform-0.2"],
    "criterion": "l1-normalised",
    "seeds": [0],
    "roi": [0.5, 1.0],
}

GONE = object()


def changed(values: dict, changes: dict[str, Any]) -> dict:
    """A deep copy with values changed, or removed by GONE, at keys such as `data.image_size`."""
    values = copy.deepcopy(values)
    for name, value in changes.items():
        *path, last = name.split(".")
        part = values
        for key in path:
            part = part[key]
        if value is GONE:
            del part[last]
        else:
            part[last] = value
    return values


def write_study(path: Path, changes: dict[str, Any] | None = None) -> Path:
    path.write_text(yaml.safe_dump(changed(STUDY, changes or {})), encoding="utf-8")
    return path


def study(changes: dict[str, Any] | None = None):
    from hpstudy.config.study import Study

    return Study.model_validate(changed(STUDY, changes or {}))


SPEC = {
    "model": "resnet56",
    "data": {
        "name": "cifar10",
        "image_size": 32,
        "train_images": None,
        "test_images": None,
        "holdout": "test",
    },
    "fingerprint": None,
    "recipe": {
        "epochs": 180,
        "batch_size": 128,
        "momentum": 0.9,
        "lr_decay": 0.1,
        "lr_decay_epochs": [90, 135],
    },
    "lr": 0.1,
    "weight_decay": 0.0001,
    "seed": 0,
    "widths": None,
    "arithmetic": "float32",
}


def spec(changes: dict[str, Any] | None = None):
    """Run at the thesis's prior, dense ResNet-56 on CIFAR-10, with changes."""
    from hpstudy.config.runspec import RunSpec

    return RunSpec(**changed(SPEC, changes or {}))


def environment(**more: str) -> dict[str, str]:
    """Environment of a process that imports the modules of tests/support."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def result(**changes: Any) -> dict[str, Any]:
    """Result of a finished run: columns of its row."""
    values = {
        "top1": 93.5,
        "top5": None,
        "loss": 0.25,
        "best_top1": 94.0,
        "best_epoch": 2,
        "train_loss": 0.125,
        "diverged": False,
        "epochs": 3,
        "seconds": 12.5,
        "images_per_second": 1000.0,
        "macs": 125_485_696,
        "params": 853_018,
        "device": "cpu",
        "torch": "2.6.0",
        "curve": {"train_loss": [2.0, 1.0, 0.125], "loss": [2.0, 1.0, 0.25], "top1": [1.0, 94, 93]},
    }
    return values | changes


def record(store: Any, spec: Any, result: Any, ranking: Any = None) -> None:
    """Record one finished run."""
    from hpstudy.training.state import RunOutcome

    store.record([(spec, RunOutcome(result, ranking))])


def stop(store: Any, spec: Any, result: Any, verdict: dict[str, float]) -> None:
    """Record one run as earlier versions did that stopped it early."""
    from hpstudy.storage.database import FINAL_COLUMNS, RESULT_COLUMNS

    row = result | dict.fromkeys(FINAL_COLUMNS) | {"diverged": 0}
    row["curve"] = json.dumps(row["curve"])
    values = [spec.run_id, spec.model_dump_json(), *(row[name] for name in RESULT_COLUMNS)]
    values += [1.0, json.dumps(verdict)]
    with store.transaction(write=True) as database:
        database.execute(f"INSERT INTO stopped VALUES ({', '.join('?' * len(values))})", values)


def random_images(
    train: int = 40, test: int = 20, size: int = 8, stored: int | None = None, classes: int = 10
):
    """Data set of random images of every class."""
    import torch

    from hpstudy.training.datasets import Dataset, Split

    random = np.random.default_rng(7)
    stored = stored or size

    def split(count: int) -> Split:
        pixels = random.integers(0, 256, (count, 3, stored, stored), dtype=np.uint8)
        return Split(torch.from_numpy(pixels), torch.arange(count) % classes)

    parts = split(train), split(test)
    pixels = parts[0].images.double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)
    return Dataset(*parts, classes, size, mean, std)
