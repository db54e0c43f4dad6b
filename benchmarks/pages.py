"""Whether large pages make training on a CPU faster: processes that differ in their environment.

    python benchmarks/pages.py [--network resnet56] [--arithmetic float32 ...] [--rounds 15]

`as shipped` is the environment of the workers. The processes take turns, one at a time. Images are
random, of 32 pixels, in batches of 128. Needs Linux, with transparent huge pages on `madvise`.
"""

import argparse
import os
import resource
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from common import interleave, machine, markdown, median_spread
from loops import BATCH

from hpstudy.config.study import Recipe
from hpstudy.networks.models import build_model
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.run import ENVIRONMENT, prepare_process
from hpstudy.training.trainer import Trainer

THREADS = {name: value for name, value in ENVIRONMENT.items() if "THREADS" in name}
HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
WAYS = {
    "as shipped": ENVIRONMENT,
    "as shipped, glibc's huge pages": ENVIRONMENT | HUGE,
    "as shipped, torch's huge pages": ENVIRONMENT | {"THP_MEM_ALLOC_ENABLE": "1"},
    "no malloc settings": THREADS,
    "no malloc settings, glibc's huge pages": THREADS | HUGE,
}


def huge() -> float:
    """Share of this process's own memory that lies in huge pages."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size) for name, size, _ in map(str.split, lines)}
    return sizes["AnonHugePages:"] / sizes["Anonymous:"]


def serve(pipe, network: str, arithmetic: str) -> None:
    """Train a step whenever asked; answer with its seconds, page faults and huge pages."""
    prepare_process(torch.device("cpu"))
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8)
    split = Split(pixels, torch.arange(BATCH) % 10)
    data = Dataset(split, split, 10, 32, torch.full((3,), 0.5), torch.full((3,), 0.25))
    recipe = Recipe(epochs=1, batch_size=BATCH, lr_decay_epochs=())
    trainer = Trainer(build_model(network), data, recipe, arithmetic)
    views = trainer.train_batches.centred()
    for _ in range(3):
        trainer.train_epoch(views)
    pipe.send(None)
    while pipe.recv():
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        began = time.perf_counter()
        trainer.train_epoch(views)
        seconds = time.perf_counter() - began
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        pipe.send((seconds, faults, huge()))


def compare(network: str, arithmetic: str, ways: list[str], rounds: int) -> list[dict]:
    """Rows of the table for one arithmetic."""
    context, before, pipes = get_context("spawn"), dict(os.environ), {}
    for way in ways:
        os.environ |= WAYS[way]
        pipes[way], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, network, arithmetic), daemon=True).start()
        theirs.close()
        os.environ.clear()
        os.environ |= before
    for pipe in pipes.values():
        pipe.recv()

    def step(way: str) -> tuple[float, int, float]:
        pipes[way].send(True)
        return pipes[way].recv()

    found = interleave({way: lambda way=way: step(way) for way in ways}, rounds)
    for pipe in pipes.values():
        pipe.send(False)
    shipped = [seconds for seconds, *_ in found[ways[0]]]
    return [
        {
            "network": network,
            "arithmetic": arithmetic,
            "environment": way,
            "n": len(turns),
            "ms a step": median_spread([1e3 * seconds for seconds, *_ in turns]),
            "speed, as shipped = 1": median_spread(
                [one / seconds for one, (seconds, *_) in zip(shipped, turns, strict=True)]
            ),
            "page faults a step": median_spread([faults for _, faults, _ in turns]),
            "in huge pages": f"{turns[-1][2]:.0%}",
        }
        for way, turns in found.items()
    ]


def main() -> None:
    """Print the ratio of each environment to that of the workers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet56")
    parser.add_argument("--arithmetic", nargs="+", default=["float32", "bfloat16-compiled"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    rows = []
    for arithmetic in given.arithmetic:
        rows += compare(given.network, arithmetic, given.ways, given.rounds)
    print(machine(), markdown(rows), sep="\n\n")


if __name__ == "__main__":
    main()
