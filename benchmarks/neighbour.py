"""What a busy neighbour takes from a training: one that spins on one core, beside it or not.

    python benchmarks/neighbour.py --data-root FOLDER [--rounds 5]

The ways are those of benchmarks/cpu.py. On two cores and with one neighbour, three threads share
two cores: a worker that loses no more than its share keeps two thirds of its speed. Needs CIFAR-10.
"""

import argparse
import os
import time
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from common import interleave, machine, markdown, median_spread
from cpu import Way

from hpstudy.training.device import cores

WAYS = ("usual", "float32")


def spin(flag) -> None:
    """Keep a core busy while the flag is set."""
    while True:
        if not flag.value:
            time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default=os.environ.get("HPSTUDY_DATA", "data"))
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    context = get_context("spawn")
    busy = context.Value("b", 0, lock=False)
    neighbour = context.Process(target=spin, args=(busy,), daemon=True)
    neighbour.start()
    root = str(Path(given.data_root))
    standing = {way: Way(way, given.network, given.size, root) for way in WAYS}

    def rate(way: str, beside: int) -> float:
        busy.value = beside
        try:
            return standing[way].rate(given.seconds)
        finally:
            busy.value = 0

    cases = {(way, beside): lambda w=way, b=beside: rate(w, b) for way in WAYS for beside in (0, 1)}
    try:
        rates = interleave(cases, given.rounds)
    finally:
        for way in standing.values():
            way.end()
        neighbour.kill()
    print(f"{machine()}; {given.network} at {given.size}, ", end="")
    print(f"{given.rounds} turns of {given.seconds:g} s each; fair share ", end="")
    print(f"{cores() / (cores() + 1):.2f}\n")
    rows = []
    for way in WAYS:
        alone, beside = rates[way, 0], rates[way, 1]
        kept = median(b / a for a, b in zip(alone, beside, strict=True))
        rows.append(
            {
                "way": way,
                "alone (images/s)": median_spread(alone),
                "beside one (images/s)": median_spread(beside),
                "kept": f"{kept:.2f}",
            }
        )
    print(markdown(rows))


if __name__ == "__main__":
    main()
