"""Sizes of the thesis's networks (Table 3.2), for the book.

    python benchmarks/networks.py [--output book/measurements/networks.json]

Some seconds; nothing is trained.
"""

import argparse
import json
from pathlib import Path

from hpstudy.networks.pruning_report import network_sizes

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "book/measurements/networks.json")
    output = parser.parse_args().output
    output.write_text(json.dumps(network_sizes(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
