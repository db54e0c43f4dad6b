"""Whether a GPU gets the right numbers: over three steps, and after a whole training."""

import json
import sys
from collections.abc import Callable
from statistics import median

import loops
import torch
from common import machine, median_spread
from scale import CIFAR, EPOCHS, LR, SMALL, WEIGHT_DECAY, Scale, noise
from torch import Tensor

from hpstudy.analysis.thesis_data import table_3_4
from hpstudy.config.study import Data
from hpstudy.networks.models import build_model
from hpstudy.training.checkpoint import discard
from hpstudy.training.datasets import load_dataset
from hpstudy.training.run import RunTrainer
from hpstudy.training.trainer import Trainer

RECORDED = ("float32", "tf32", "bfloat16", "bfloat16-compiled")
REFERENCE = "float64 on the CPU"
STEPS = 3

# Training losses of the steps, evaluation losses, all weights.
Ends = tuple[Tensor, Tensor, Tensor]


def correct(given) -> list[dict]:
    """Three steps from the same weights on the same images, by seed: how far ways are apart."""
    scale = SMALL if given.smoke else CIFAR
    # One batch an epoch: the losses of an epoch are those of its step, and of what it left.
    data = noise(Scale(**{**vars(scale), "train": scale.batch, "test": scale.batch}))

    def trainer(
        arithmetic: str, capture: Callable | None = None, device=given.device, dtype=torch.float32
    ) -> Trainer:
        model = build_model(scale.network, scale.classes).to(dtype)
        return Trainer(model, data.to(device), scale.recipe(STEPS), arithmetic, capture)

    single = {REFERENCE: trainer("float32", device="cpu", dtype=torch.float64)}
    pairs = []
    for arithmetic in RECORDED:
        eager = f"{arithmetic}, eager"
        single[eager], single[arithmetic] = trainer(arithmetic, loops.called), trainer(arithmetic)
        pairs += [(eager, REFERENCE), (arithmetic, REFERENCE), (arithmetic, eager)]
    gaps: dict[tuple[str, str], list[tuple[float, ...]]] = {pair: [] for pair in pairs}
    for seed in range(given.rounds or 5):
        torch.manual_seed(seed)
        start = build_model(scale.network, scale.classes).state_dict()
        ends = {name: _run(way, start, seed) for name, way in single.items()}
        for pair in pairs:
            gaps[pair].append(gap(*(ends[name] for name in pair)))
    columns = ("training losses", "evaluation losses", "weights")
    return [
        {"way": way, "against": other, "n": len(found)}
        | {
            f"gap of {column}": median_spread(list(values))
            for column, values in zip(columns, zip(*found, strict=True), strict=True)
        }
        for (way, other), found in gaps.items()
    ]


def _run(trainer: Trainer, start: dict, seed: int) -> Ends:
    trainer.model.load_state_dict(start)
    curve = trainer.run(LR, WEIGHT_DECAY, seed).curve
    return torch.tensor(curve["train_loss"]), torch.tensor(curve["loss"]), _weights(trainer)


def _weights(trainer: Trainer) -> Tensor:
    return torch.cat([p.detach().double().cpu().flatten() for p in trainer.parameters])


def gap(a: Ends, b: Ends) -> tuple[float, float, float]:
    """Largest relative difference of the losses, and that of the weights as one vector."""
    first, second = (
        ((x.double() - y.double()).abs() / y.abs()).max().item()
        for x, y in zip(a[:2], b[:2], strict=True)
    )
    return first, second, ((a[2] - b[2]).norm() / b[2].norm()).item()


def accuracy(given) -> list[dict]:
    """ResNet-56 on the whole of CIFAR-10 at the thesis's prior, by seed."""
    scale = SMALL if given.smoke else CIFAR
    data = noise(scale)
    if not given.smoke:
        data = load_dataset(Data(name="cifar10", image_size=32), given.data_root)
    trainer = RunTrainer(data, torch.device(given.device))
    published = table_3_4().set_index("model").loc["resnet56", "top1"]
    rows, trained = [], []
    for arithmetic in [given.arithmetic] if given.arithmetic else ("bfloat16", "float32"):
        found = []
        for seed in range(given.rounds or 1):
            spec = scale.run(arithmetic, epochs=given.epochs, seed=seed)
            kept = given.output and given.output.with_name(f"{spec.run_id}.pt")
            found.append(trainer.train(spec, checkpoint=kept).row)
            print(f"{arithmetic}, seed {seed}: {found[-1]['top1']:.2f} %", file=sys.stderr)
            trained.append(spec.model_dump(mode="json") | found[-1])
            if given.output:
                _write(given, trained)
                discard(kept)
        rows.append(
            {
                "network": scale.network,
                "arithmetic": arithmetic,
                "epochs": given.epochs,
                "n": len(found),
                "top1, %": "{:.2f} ({:.2f} to {:.2f})".format(
                    *(f(row["top1"] for row in found) for f in (median, min, max))
                ),
                "s a run": median_spread([row["seconds"] for row in found]),
                f"published, {EPOCHS} epochs": published,
            }
        )
    return rows


def _write(given, trained: list[dict]) -> None:
    """Keep what was trained, with its recipe and its curve, as each training ends."""
    command = f"python benchmarks/gpu.py accuracy --epochs {given.epochs}"
    command += f" --rounds {given.rounds or 1}"
    command += f" --arithmetic {given.arithmetic}" * bool(given.arithmetic)
    command += f" --data-root FOLDER --output {given.output.name}"
    said = {"command": command, "machine": machine(), "rows": trained}
    given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
