"""What one GPU does with hpstudy, in short steps that each print a table last.

    python benchmarks/gpu.py ceilings
    python benchmarks/gpu.py step [--variants unpruned uniform-0.2 nonuniform-0.2]
    python benchmarks/gpu.py many [--variants unpruned] [--arithmetic bfloat16] [--counts 1 8]
    python benchmarks/gpu.py correct
    python benchmarks/gpu.py accuracy --data-root FOLDER [--epochs 30] [--rounds 1] [--output FILE]
    python benchmarks/gpu.py resnet50 [--images IMAGEFOLDER]
    python benchmarks/gpu.py agree | kernels | population [--counts 1 8] [--variants ...]
    python benchmarks/gpu.py recipe --data-root FOLDER --output FILE [--epochs 180]

Options: --seconds of each turn, --rounds of turns (seeds in `correct` and `accuracy`), --device,
and --smoke for sizes that a CPU does in seconds. `accuracy` and `recipe` need CIFAR-10 in FOLDER;
the others train on it if it is there, else on as many random images of its size, at the same cost.
Targets of `step`: 20 times the default loop, and 60 s for the thesis's 180 epochs of ResNet-56.

The default loop is what the widely used repositories do: a DataLoader with four workers, PIL
transforms, pinned memory, float32 weights in NCHW, cuDNN's own choice of kernels, the loss read
after each step; its convolutions take TF32, as torch allows unless told otherwise. In `many`,
processes share the GPU by time slices, or by MPS if its daemon was started before:

    export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps; mkdir -p /tmp/mps
    nvidia-cuda-mps-control -d; python benchmarks/gpu.py many; echo quit | nvidia-cuda-mps-control
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import loops
import torch
from common import machine, markdown, median_spread
from imagenet import resnet50
from loops import DEFAULT, take_precision, turns
from population_agree import agree
from population_steps import kernels, population, recipe
from scale import CIFAR, EPOCHS, SMALL, Scale, built, has_cifar, images
from three_steps import RECORDED, accuracy, correct

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE
from hpstudy.sweep.executors.local import open_pool
from hpstudy.sweep.executors.mps import mps_answers
from hpstudy.training.trainer import Trainer

EAGER = "float32, eager"


def ratios(values: list[float], base: list[float]) -> list[float]:
    """Ratio within each round."""
    return [value / other for value, other in zip(values, base, strict=True)]


# --- ceilings -------------------------------------------------------------------------------------


def ceilings(given) -> list[dict]:
    """Copy bandwidth and matrix products of this card."""
    bytes_, side = (2**20, 128) if given.smoke else (2**30, 8192)
    source = torch.randint(256, (bytes_,), dtype=torch.uint8, device=given.device)
    target = torch.empty_like(source)

    def product(dtype: torch.dtype, tf32: bool) -> Callable[[], float]:
        a, b = (torch.randn(side, side, device=given.device).to(dtype) for _ in range(2))
        work = loops.repeated(lambda: a @ b, 2e-12 * side**3)

        def turn() -> float:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            return loops.rate(work, given.seconds, given.device)

        return turn

    cases = {
        ("copy, read + written", "TB/s"): loops.repeated(
            lambda: target.copy_(source), 2e-12 * bytes_
        ),
        ("product, bfloat16", "TFLOP/s"): product(torch.bfloat16, False),
        ("product, TF32", "TFLOP/s"): product(torch.float32, True),
        ("product, float32", "TFLOP/s"): product(torch.float32, False),
    }
    return [
        {"ceiling": name, "unit": unit, "n": len(values), "median": median_spread(values)}
        for (name, unit), values in turns(given, cases).items()
    ]


# --- one step -------------------------------------------------------------------------------------

# In a process that serves: loops of (variant, way), and the images that they share.
_standing: dict[tuple[str, str], dict[str, Iterator[int]]] = {}


def stand(scale: Scale, variant: str, root: str, device: str) -> None:
    """Make every way of a variant ready in this process."""
    data, start = images(scale, root), built(scale, variant)
    pictures = {
        "train": loops.Pictures(data.train, loops.usual_transform(scale.size, scale.stored)),
        "evaluate": loops.Pictures(
            data.test, loops.usual_transform(scale.size, scale.stored, training=False)
        ),
    }
    if scale == SMALL:
        torch.compiler.set_stance("force_eager")
    data = data.to(device)
    take_precision(DEFAULT)
    _standing[variant, DEFAULT] = {
        "train": loops.usual_loop(pictures["train"], copy.deepcopy(start), device, scale.batch),
        "evaluate": loops.usual_evaluation(
            pictures["evaluate"], copy.deepcopy(start), device, scale.batch
        ),
    }
    for way in (EAGER, *RECORDED):
        take_precision(way)
        trainer = Trainer(
            copy.deepcopy(start),
            data,
            scale.recipe(),
            way.partition(",")[0],
            loops.called if way == EAGER else None,
        )
        _standing[variant, way] = {
            "train": loops.trainer_loop(trainer, scale.steps),
            "evaluate": loops.trainer_evaluation(trainer),
        }
    for (name, way), phases in _standing.items():
        if name == variant:
            take_precision(way)
            for phase in phases.values():
                next(phase)


def turn(variant: str, way: str, phase: str, seconds: float, device: str) -> float:
    """Images per second of one way, in the process where it stands."""
    take_precision(way)
    return loops.rate(_standing[variant, way][phase], seconds, device)


def step(given) -> list[dict]:
    """Every way to train and to evaluate one network at a time."""
    scale = SMALL if given.smoke else CIFAR
    variants = given.variants or [DENSE, "uniform-0.2", "nonuniform-0.2"]
    with ExitStack() as stack:
        # A process for each variant, so that they are compiled side by side.
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            for _ in range(1 if given.smoke else len(variants))
        ]
        serve = {variant: pools[n % len(pools)] for n, variant in enumerate(variants)}
        ready = [
            serve[variant].submit(stand, scale, variant, given.data_root, given.device)
            for variant in variants
        ]
        for future in ready:
            future.result()
        lengths = {"train": given.seconds, "evaluate": given.seconds / 3}
        cases = {
            (variant, way, phase): lambda v=variant, w=way, p=phase: (
                serve[v].submit(turn, v, w, p, lengths[p], given.device).result()
            )
            for variant in variants
            for way in (DEFAULT, EAGER, *RECORDED)
            for phase in lengths
        }
        rates = turns(given, cases)
    rows = []
    for variant in variants:
        for way in (DEFAULT, EAGER, *RECORDED):
            train, evaluate = (rates[variant, way, phase] for phase in lengths)
            point = [
                EPOCHS * (CIFAR.train / a + CIFAR.test / b)
                for a, b in zip(train, evaluate, strict=True)
            ]
            rows.append(
                {
                    "network": f"{scale.network}, {variant}",
                    "way": way,
                    "n": len(train),
                    "ms/step": median_spread([1e3 * scale.batch / value for value in train]),
                    "x default loop": median_spread(
                        ratios(train, rates[variant, DEFAULT, "train"])
                    ),
                    "evaluated images/s": median_spread(evaluate),
                    f"s per {EPOCHS}-epoch point": median_spread(point),
                }
            )
    return rows


# --- many networks at once ------------------------------------------------------------------------


def many(given) -> list[dict]:
    """K networks on one GPU, each in a worker of its own."""
    scale = SMALL if given.smoke else CIFAR
    arithmetic = given.arithmetic or "bfloat16"
    counts = (1, 2) if given.smoke else given.counts or (1, 2, 4, 8)
    counts = tuple(sorted({1, *counts}))
    shared = "processes, MPS" if mps_answers() else "processes, time-sliced"
    rows = []
    for variant in given.variants or [DENSE]:
        rates = _processes(given, scale.run(arithmetic, variant), scale, counts)
        for count, values in rates.items():
            rows.append(
                {
                    "network": f"{scale.network}, {variant}, {arithmetic}",
                    "way": shared,
                    "K": count,
                    "n": len(values),
                    "images x networks/s": median_spread(values),
                    "x K = 1": median_spread(ratios(values, rates[1])),
                }
            )
    return rows


def _processes(
    given, spec: RunSpec, scale: Scale, counts: tuple[int, ...]
) -> dict[int, list[float]]:
    """Rates of K workers that calibrate at once."""
    arguments = spec, scale.classes, (scale.train, scale.test), given.seconds
    with ExitStack() as stack:
        pools = {count: stack.enter_context(open_pool(count)) for count in counts}

        def turn(count: int) -> float:
            return sum(1 / training for training, _ in pools[count].calibrate(*arguments))

        # The first calibration of a process also starts its libraries.
        for count in counts:
            turn(count)
        return turns(given, {count: partial(turn, count) for count in counts})


STEPS = {
    f.__name__: f
    for f in (
        *(ceilings, step, many, correct, accuracy, resnet50),
        *(agree, kernels, population, recipe),
    )
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--rounds", type=int, help="of turns, or seeds; 5, in `accuracy` 1")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variants", nargs="+")
    parser.add_argument("--arithmetic", help="of `many`, else bfloat16; of `accuracy`, else both")
    parser.add_argument("--epochs", type=int, default=30, help="of `accuracy`")
    parser.add_argument("--output", type=Path, help="JSON file for what is trained")
    parser.add_argument(
        "--counts", type=int, nargs="+", help="networks of a population; workers of `many`"
    )
    parser.add_argument("--images", type=Path, help="ImageFolder whose images `resnet50` decodes")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for a CPU")
    given = parser.parse_args(arguments)
    # Compiling takes minutes on a CPU, and its results are the same.
    quick = torch.compiler.set_stance("force_eager") if given.smoke else nullcontext()
    with quick:
        rows = STEPS[given.step](given)
    # `correct` and `resnet50` are on random images always.
    real = given.step in ("step", "many", "accuracy", "recipe", "population") and not given.smoke
    shown = "CIFAR-10" if real and has_cifar(given.data_root) else "random images"
    print(f"{machine()}; {given.step}, {shown}, turns of {given.seconds:g} s\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
