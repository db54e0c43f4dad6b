"""Whether pruned networks train faster when their widths are padded to multiples.

python benchmarks/padded.py [--variant nonuniform-0.2] [--arithmetic float32 bfloat16] [--rounds 9]

Widths are those of ResNet-56 in the published study on one GPU; padded channels would be zero and
stay zero, so only the time of a step counts here. Images are random, of 32 pixels, in batches of
128. On a GPU a round takes ten steps, which are graphs.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import torch
from common import interleave, machine, markdown, median_spread

from hpstudy.config.study import Recipe
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.device import devices
from hpstudy.training.trainer import Trainer

RECORD = Path(__file__).resolve().parents[1] / "book" / "results" / "gpu-resnet56.json"
BATCH = 128
RECIPE = Recipe(epochs=1, batch_size=BATCH, lr_decay_epochs=())


def images(device: torch.device, batches: int) -> Dataset:
    """Random images of ten classes."""
    pixels = torch.randint(0, 256, (BATCH * batches, 3, 32, 32), dtype=torch.uint8)
    split = Split(pixels.to(device), (torch.arange(BATCH * batches) % 10).to(device))
    return Dataset(split, split, 10, 32, torch.full((3,), 0.5), torch.full((3,), 0.25))


def step(trainer: Trainer) -> float:
    """Seconds of training on all images."""
    views = trainer.train_batches.centred()
    began = time.perf_counter()
    trainer.train_epoch(views)
    return time.perf_counter() - began


def main() -> None:
    """Print the ratio of each padding to the widths as they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", default="nonuniform-0.2")
    parser.add_argument("--arithmetic", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    widths = record["certificates"][options.variant]["widths"]
    device = torch.device(devices()[0])
    data = images(device, 10 if device.type == "cuda" else 1)
    network, rows = PrunableNetwork("resnet56", 10, 32), []
    for arithmetic in options.arithmetic:
        trainers = {}
        for multiple in (1, 8, 16):
            padded = {layer: -(-width // multiple) * multiple for layer, width in widths.items()}
            trainers[multiple] = Trainer(network.at_widths(padded), data, RECIPE, arithmetic)
            trainers[multiple].lr.zero_()
            step(trainers[multiple])
        cases = {str(multiple): partial(step, of) for multiple, of in trainers.items()}
        found = interleave(cases, options.rounds)
        for multiple, times in found.items():
            ratios = [one / other for one, other in zip(found["1"], times, strict=True)]
            rows.append({"arithmetic": arithmetic, "multiple of": multiple, "rounds": len(times)})
            rows[-1] |= {"ms": median_spread([1e3 * of for of in times])}
            rows[-1] |= {"speed, as they are = 1": median_spread(ratios)}
    print(machine(), markdown(rows), sep="\n\n")


if __name__ == "__main__":
    main()
