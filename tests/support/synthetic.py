"""Synthetic results of two studies, for tests only; they are never published.

Accuracy falls with the distance from a line log10 lr + log10 weight_decay = const, as in a real
landscape.
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[2]
VARIANTS = {
    "resnet56": ("unpruned", "uniform-0.6", "nonuniform-0.6", "uniform-0.2", "nonuniform-0.2"),
    "mobilenetv2": ("unpruned", "uniform-0.6", "nonuniform-0.6", "uniform-0.4", "nonuniform-0.4"),
}
LOSS = {"0.6": 0.6, "0.4": 1.1, "0.2": 2.8}


def grid(points: int = 7) -> tuple[list[float], list[float]]:
    """Learning rates around 0.0063 and weight decays around 0.1, a third of a decade apart."""
    steps = np.arange(points) - (points - 1) / 2
    return (
        [float(f"{10 ** (-2.2 + step / 3):.4g}") for step in steps],
        [float(f"{10 ** (-1.0 + step / 3):.4g}") for step in steps],
    )


def table(study: str, model: str, points: int = 7, seeds: int = 2) -> pd.DataFrame:
    """Runs of one synthetic study, in the columns of a published table."""
    random = np.random.default_rng(20)
    lrs, weight_decays = grid(points)
    rows = []
    for variant in VARIANTS[model]:
        method, _, ratio = variant.partition("-")
        shift = 0.1 if method == "nonuniform" else 0.0
        for lr in lrs:
            for weight_decay in weight_decays:
                x, y = np.log10(lr) + 2.2, np.log10(weight_decay) + 1.0 - shift
                drop = 5.0 * (x + y) ** 2 + 0.8 * (x - y) ** 2
                for seed in range(seeds):
                    diverged = bool(x + y > 1.9)
                    top1 = 78.4 - LOSS.get(ratio, 0.0) - drop + 0.25 * random.standard_normal()
                    top1 = 10.0 if diverged else max(round(top1 * 20) / 20, 10.0)
                    curve = {"train_loss": [1.9, 1.1], "loss": [1.5, 1.0], "top1": [50.0, top1]}
                    rows.append(
                        {
                            "run_id": f"{len(rows):016x}",
                            "study": study,
                            "variant": variant,
                            "model": model,
                            "dataset": "fashion-mnist-8k",
                            "method": method,
                            "flops_ratio": float(ratio or 1.0),
                            "lr": lr,
                            "weight_decay": weight_decay,
                            "seed": seed,
                            "top1": top1,
                            "top5": None,
                            "loss": 1.0,
                            "best_top1": round(min(top1 + 0.1, 100.0), 2),
                            "best_epoch": 5,
                            "train_loss": 1.1,
                            "diverged": diverged,
                            "epochs": 5,
                            "seconds": 9.0,
                            "images_per_second": 1111.0,
                            "macs": 7_900_000,
                            "params": 853_018,
                            "device": "cpu",
                            "torch": "2.0.0",
                            "curve": json.dumps(curve),
                        }
                    )
    return pd.DataFrame(rows)


def record(study: str, model: str, points: int = 7, seeds: int = 2) -> dict:
    """Record of one synthetic study, in the shape of a published one."""
    lrs, weight_decays = grid(points)
    pruned = VARIANTS[model][1:]
    return {
        "study": {
            "name": study,
            "model": model,
            "data": {
                "name": "fashion-mnist-8k",
                "image_size": 8,
                "train": 2000,
                "test": 2000,
                "holdout": "test",
            },
            "recipe": {
                "epochs": 5,
                "batch_size": 64,
                "momentum": 0.9,
                "lr_decay": 0.1,
                "lr_decay_epochs": [3, 4],
            },
            "prior": {"lr": lrs[len(lrs) // 2], "weight_decay": weight_decays[len(lrs) // 2]},
            "grid": {"lr": lrs, "weight_decay": weight_decays},
            "seeds": list(range(seeds)),
            "variants": list(VARIANTS[model]),
            "criterion": "l1-normalised",
            "roi": [0.5, 1.0],
        },
        "certificates": {name: _certificate(model, name) for name in pruned},
        "record": {
            "command": f"hpstudy run params/quick/{model}.yaml",
            "hpstudy": "0.1.0",
            "python": "3.11.0",
            "torch": "2.0.0",
            "torchvision": "0.15.0",
            "torch_pruning": "1.6.1",
            "platform": "synthetic",
            "processor": "synthetic",
            "cores": 2,
            "device": "cpu",
            "workers": 2,
            "runs": len(VARIANTS[model]) * points * points * seeds,
            "train_seconds": 4410.0,
            "images": 10_000 * len(VARIANTS[model]) * points * points * seeds,
        },
    }


def _certificate(model: str, variant: str) -> dict:
    method, _, ratio = variant.partition("-")
    target = float(ratio)
    widths = {f"blocks.{block}.conv1": max(1, round(16 * target)) for block in range(9)}
    return {
        "model": model,
        "method": method,
        "criterion": "l1-normalised",
        "target": target,
        "achieved": target - 1e-4,
        "achieved_torch_pruning": target + 2e-3,
        "macs": round(7_900_000 * target),
        "macs_dense": 7_900_000,
        "params": round(853_018 * target),
        "params_dense": 853_018,
        "widths": widths,
        "smallest": {"layer": "blocks.0.conv1", "width": min(widths.values())},
        "weights_sha256": "0" * 64,
        "kept": {layer: list(range(width)) for layer, width in widths.items()},
    }


def write(
    folder: Path, points: int = 7, seeds: int = 2, models: Iterable[str] = tuple(VARIANTS)
) -> list[str]:
    """Write the table and the record of each synthetic study to `folder`; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for model in models:
        name = f"synthetic-{model}"
        table(name, model, points, seeds).to_csv(folder / f"{name}.csv", index=False)
        text = json.dumps(record(name, model, points, seeds), indent=1)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        names.append(name)
    return names


def clone(folder: Path, models: Iterable[str] = tuple(VARIANTS)) -> Path:
    """Make a clone in `folder`; its only results are synthetic ones in `runs/book/results`."""
    (folder / "book").mkdir(parents=True, exist_ok=True)
    for path in (*(REPOSITORY / "book").glob("*.md"), REPOSITORY / "book" / "references.bib"):
        shutil.copyfile(path, folder / "book" / path.name)
    for name in ("_static", "measurements"):
        shutil.copytree(REPOSITORY / "book" / name, folder / "book" / name)
    for name in ("_config.yml", "voila.json"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    (folder / "book" / "_config.yml").symlink_to("../_config.yml")
    (folder / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    shutil.copytree(REPOSITORY / "notebooks", folder / "notebooks")
    write(folder / "runs" / "book" / "results", 5, 2, models)
    return folder


def environment() -> dict[str, str]:
    """Environment of a process that imports this package without an installation."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}
