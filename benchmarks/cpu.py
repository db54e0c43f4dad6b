"""Trained images per second on a CPU: the usual loop, plain resident data, and hpstudy.

    python benchmarks/cpu.py --data-root FOLDER [--networks resnet20] [--sizes 16]

All ways stand ready in processes of their own and take turns, so that what else the machine does
meets all of them alike. The usual loop is one process with all cores: a DataLoader with four
workers, PIL transforms, float32, NCHW, the loss read after each step. `threads` is plain PyTorch
in channels_last on resident data in one process with all cores. All others are one single-threaded
process per core on resident data; `vmap`, only if asked for, trains four networks in each at once,
which takes gigabytes. Needs CIFAR-10.
"""

import argparse
import copy
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import loops
import torch
import torch.nn.functional as F
from common import interleave, machine, markdown, median_spread
from loops import BATCH, MEAN, STD

from hpstudy.config.study import Data, Recipe
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import build_model
from hpstudy.training.datasets import load_dataset
from hpstudy.training.device import cores
from hpstudy.training.run import ENVIRONMENT, prepare_process
from hpstudy.training.trainer import Trainer

OURS = ("float32", "float32-compiled", "bfloat16", "bfloat16-compiled")
ALONE = ("usual", "threads")
TRIED = ("resident", "channels_last", "vmap")
WAYS = (*ALONE, *TRIED, *OURS, "peak", "peak bfloat16")
TOGETHER = 4


def usual_loop(network: str, size: int, root: str):
    """Yield images trained: the loop of the widely used CIFAR ResNet repositories."""
    from torchvision import datasets

    torch.manual_seed(0)
    data = datasets.CIFAR10(root, transform=loops.usual_transform(size))
    return loops.usual_loop(data, build_model(network))


def resident_batches(size: int, root: str, memory_format: torch.memory_format):
    """Yield augmented batches of resident images, as plain PyTorch makes them, and labels."""
    data = load_dataset(Data(name="cifar10", image_size=size), root)
    images, labels = data.train.images, data.train.labels
    mean, std = torch.tensor(MEAN)[:, None, None] * 255, torch.tensor(STD)[:, None, None] * 255
    pad = size // 8
    while True:
        for index in torch.randperm(len(images)).split(BATCH)[:-1]:
            batch = F.pad(images[index], (pad,) * 4)
            y, x = torch.randint(2 * pad + 1, (2,)).tolist()
            batch = (batch[:, :, y : y + size, x : x + size].float() - mean) / std
            flip = torch.rand(len(index)) < 0.5
            batch[flip] = batch[flip].flip(-1)
            yield batch.contiguous(memory_format=memory_format), labels[index]


def resident_loop(network: str, size: int, root: str, memory_format: torch.memory_format):
    """Yield images trained: plain PyTorch on resident images."""
    torch.manual_seed(0)
    model = build_model(network).to(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    for images, labels in resident_batches(size, root, memory_format):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield len(labels)


def vmap_loop(network: str, size: int, root: str):
    """Yield images x networks trained: several at once on the same batches, by torch.func."""
    torch.manual_seed(0)
    models = [build_model(network) for _ in range(TOGETHER)]
    params, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    momenta = {name: torch.zeros_like(value) for name, value in params.items()}

    def loss(params, buffers, images, labels):
        return F.cross_entropy(torch.func.functional_call(base, (params, buffers), images), labels)

    gradients = torch.vmap(torch.func.grad(loss), in_dims=(0, 0, None, None))
    for images, labels in resident_batches(size, root, torch.channels_last):
        found = gradients(params, buffers, images, labels)
        with torch.no_grad():
            for name, value in params.items():
                momenta[name].mul_(0.9).add_(found[name]).add_(value, alpha=1e-4)
                value.sub_(momenta[name], alpha=0.1)
        yield TOGETHER * len(labels)


def our_loop(network: str, size: int, root: str, arithmetic: str):
    """Yield images trained by the package's trainer."""
    data = load_dataset(Data(name="cifar10", image_size=size), root)
    torch.manual_seed(0)
    recipe = Recipe(epochs=1, batch_size=BATCH, lr_decay_epochs=())
    return loops.trainer_loop(Trainer(build_model(network), data, recipe, arithmetic))


def product_loop(dtype: torch.dtype):
    """Yield floating-point operations of square matrix products: what a core can do."""
    a, b = torch.randn(2, 1536, 1536).to(dtype)
    while True:
        torch.mm(a, b)
        yield 2 * 1536**3


def loop(way: str, network: str, size: int, root: str):
    """The loop of a way, by its name."""
    if way == "usual":
        return usual_loop(network, size, root)
    if way not in ALONE:
        prepare_process(torch.device("cpu"))
    if way == "vmap":
        return vmap_loop(network, size, root)
    if way in ("resident", "channels_last", "threads"):
        formats = {"resident": torch.contiguous_format}
        return resident_loop(network, size, root, formats.get(way, torch.channels_last))
    if way.startswith("peak"):
        return product_loop(torch.bfloat16 if way.endswith("bfloat16") else torch.float32)
    return our_loop(network, size, root, way)


def serve(pipe, way: str, *arguments) -> None:
    """Work for as long as the other end asks, and answer with units per second."""
    work = loop(way, *arguments)
    # Two batches of each of four workers are fetched while other ways have their turn.
    ahead = 8 if way == "usual" else 1
    for _ in range(3):
        next(work)
    pipe.send(None)
    while (seconds := pipe.recv()) is not None:
        for _ in range(ahead):
            next(work)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            done += next(work)
        pipe.send(done / (time.perf_counter() - started))


class Way:
    """Processes of one way; asked for a rate, they all work at once."""

    def __init__(self, way: str, network: str, size: int, root: str):
        context, before = get_context("spawn"), dict(os.environ)
        if way not in ALONE:
            os.environ |= ENVIRONMENT
        self.pipes, self.processes = [], []
        for _ in range(1 if way in ALONE else cores()):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, way, network, size, root))
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            self.pipes.append(ours)
            self.processes.append(process)
        os.environ.clear()
        os.environ |= before
        for pipe in self.pipes:
            pipe.recv()

    def rate(self, seconds: float) -> float:
        """Images, or operations, per second of all processes together."""
        for pipe in self.pipes:
            pipe.send(seconds)
        return sum(pipe.recv() for pipe in self.pipes)

    def end(self) -> None:
        """End the processes."""
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send(None)
            process.join(10)
            process.kill()


def compare(ways: list[str], network: str, size: int, root: str, seconds: float, rounds: int):
    """Rows of the table for one network at one size."""
    standing = {way: Way(way, network, size, root) for way in ways}
    try:
        rates = interleave(
            {way: lambda way=way: standing[way].rate(seconds) for way in ways}, rounds
        )
    finally:
        for way in standing.values():
            way.end()
    operations = 6 * PrunableNetwork(network, 10, size).cost.macs()
    rows = []
    for name in ways:
        if name.startswith("peak"):
            continue
        peak = median(rates["peak bfloat16" if name.startswith("bfloat16") else "peak"])
        ratios = [
            median(a / b for a, b in zip(rates[name], rates[base], strict=True))
            for base in ("usual", "resident")
        ]
        rows.append(
            {
                "network": network,
                "size": size,
                "way": name,
                "images/s": median_spread(rates[name]),
                "x usual": f"{ratios[0]:.2f}",
                "x resident": f"{ratios[1]:.2f}",
                "of peak": f"{median(rates[name]) * operations / peak:.0%}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default=os.environ.get("HPSTUDY_DATA", "data"))
    parser.add_argument("--networks", nargs="+", default=["resnet20", "resnet56"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 32])
    parser.add_argument(
        "--ways", nargs="+", default=[way for way in WAYS if way != "vmap"], choices=WAYS
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = []
    for network in given.networks:
        for size in given.sizes:
            rows += compare(
                given.ways, network, size, str(Path(given.data_root)), given.seconds, given.rounds
            )
            print(markdown(rows[-len(given.ways) :]), file=sys.stderr, flush=True)
    print(f"{machine()}; batch {BATCH}, {given.rounds} turns of {given.seconds:g} s each\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
