"""Sizes of the thesis's networks (Table 3.2), for the book.

    python benchmarks/networks.py [--output book/measurements/networks.json]

Some seconds; nothing is trained.
"""

import argparse
import json
from pathlib import Path

from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import architecture
from hpstudy.networks.pruning_report import torch_pruning_macs

ROOT = Path(__file__).parents[1]
MODELS = ("resnet56", "mobilenetv2", "resnet50")


def sizes(name: str) -> dict[str, int]:
    """Pixels a side, parameters and multiply-accumulates (by both counters) of a dense network."""
    thesis = architecture(name)
    network = PrunableNetwork(name, thesis.classes, thesis.image_size)
    return {
        "image_size": thesis.image_size,
        "params": network.cost.params(),
        "macs": network.cost.macs(),
        "macs_torch_pruning": torch_pruning_macs(network.model, thesis.image_size),
    }


def main() -> None:
    """Write the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "book/measurements/networks.json")
    output = parser.parse_args().output
    content = {name: sizes(name) for name in MODELS}
    output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
