"""Steps of `benchmarks/gpu.py` for networks that are trained as one program of the card."""

import copy
import json
import sys
from collections.abc import Callable, Iterator

import loops
import torch
from common import machine, median_spread
from kernel_counts import traffic
from loops import DEFAULT, take_precision, turns
from population_scale import capture, counts, scale, storage
from scale import CIFAR, EPOCHS, LR, WEIGHT_DECAY, Scale, built, images, noise

from hpstudy.analysis.thesis_data import table_3_4
from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.study import DENSE, Data
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.training.checkpoint import discard
from hpstudy.training.datasets import load_dataset
from hpstudy.training.device import cuda_graph, set_precision
from hpstudy.training.population.group import Group
from hpstudy.training.population.launch import Launch
from hpstudy.training.population.slots import Slots
from hpstudy.training.population.steps import Step
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import values_of

# Learning rate, weight decay and seed: three seeds at the prior, and five of its neighbours.
SETTINGS = [(LR, WEIGHT_DECAY, seed) for seed in range(3)]
SETTINGS += [(LR * 10**a, WEIGHT_DECAY * 10**b, 0) for a, b in ((-0.2, 0), (0.2, 0), (0, -0.2))]
SETTINGS += [(LR * 10**a, WEIGHT_DECAY * 10**b, 0) for a, b in ((0, 0.2), (0.2, 0.2))]


def group(given, count: int, variant: str = DENSE) -> Group:
    """`count` networks with weights, views and the prior's setting."""
    size = scale(given)
    # Ten batches a pass, as the calibration of a sweep has them.
    few = Scale(**{**vars(size), "train": min(size.train, 10 * size.batch)})
    data = noise(few).to(given.device)
    model = built(size, variant)
    found = Group(model, data, size.recipe(), count, storage(given), capture(given))
    for slot in range(count):
        found.enter(slot, values_of(model))
        found.lr[slot], found.weight_decay[slot] = LR, WEIGHT_DECAY
        views = found.batches.random(torch.Generator().manual_seed(slot))
        found.views[slot].copy_(views)
    return found


# --- kernels --------------------------------------------------------------------------------------


def kernels(given) -> list[dict]:
    """Each kernel of a step in each of its shapes, for K networks at once."""
    rows = []
    for count in counts(given):
        found = group(given, count)
        # The kernels then read real values.
        found.first_step()
        found.lr.zero_()
        launches = Step(found.memory, True, found.memory.batch, 0.9).launches
        shapes: dict[tuple, list[Launch]] = {}
        for launch in launches:
            shapes.setdefault(launch.shape, []).append(launch)
        cases = {shape: _repeated(given, same[0]) for shape, same in shapes.items()}
        rates = turns(given, cases)
        total = 0.0
        for shape, same in shapes.items():
            arguments = same[0].arguments
            microseconds = [1e6 / value / count for value in rates[shape]]
            moved = traffic(same[0]) * scale(given).batch
            total += sorted(microseconds)[len(microseconds) // 2] * len(same)
            rows.append(
                {
                    "K": count,
                    "kernel": same[0].kernel.__name__,
                    "pixels": f"{arguments['SIDE']}²" if "SIDE" in arguments else "",
                    "channels": " → ".join(
                        str(arguments[name]) for name in ("CI", "CO") if name in arguments
                    ),
                    "shortcut": arguments.get("SKIP", ""),
                    "launches": len(same),
                    "n": len(microseconds),
                    "us a network": median_spread(microseconds),
                    "GB/s": median_spread([moved / value / 1e3 for value in microseconds]),
                }
            )
        step = {"K": count, "kernel": "all of a step", "launches": len(launches)}
        rows.append(dict.fromkeys(rows[0], "") | step | {"us a network": f"{total:.0f}"})
    return rows


def _repeated(given, launch: Launch) -> Iterator[float]:
    """Yield launches of a kernel: many in one graph, so that the host does not count."""
    times = 1 if given.smoke else 50
    launch()

    def block() -> None:
        for _ in range(times):
            launch()

    replay = block if given.smoke else cuda_graph(torch.device(given.device), block)
    return loops.repeated(replay, times, 1)


# --- steps ----------------------------------------------------------------------------------------


def population(given) -> list[dict]:
    """A step of one of K networks, beside the default loop and one network at a time."""
    rows = []
    size = scale(given)
    for variant in given.variants or [DENSE]:
        cases: dict[tuple[str, int, str], Iterator[int]] = {}
        data = images(size, given.data_root)
        start = built(size, variant)
        pictures = loops.Pictures(data.train, loops.usual_transform(size.size, size.stored))
        cases[DEFAULT, 1, "train"] = loops.usual_loop(
            pictures, copy.deepcopy(start), given.device, size.batch
        )
        alone = "float32" if given.smoke else "bfloat16-compiled"
        trainer = Trainer(copy.deepcopy(start), data.to(given.device), size.recipe(), alone)
        cases[alone, 1, "train"] = loops.trainer_loop(trainer, size.steps)
        cases[alone, 1, "evaluate"] = loops.trainer_evaluation(trainer)
        for count in counts(given):
            found = group(given, count, variant)
            cases[POPULATION, count, "train"] = _pass(found, True)
            cases[POPULATION, count, "evaluate"] = _pass(found, False)
        rates = turns(given, {key: _turn(given, *key[:1], case) for key, case in cases.items()})
        for way, count in dict.fromkeys(key[:2] for key in cases):
            train = rates[way, count, "train"]
            evaluate = rates.get((way, count, "evaluate"), [float("nan")] * len(train))
            points = [
                EPOCHS * (CIFAR.train / a + CIFAR.test / b)
                for a, b in zip(train, evaluate, strict=True)
            ]
            base = rates[DEFAULT, 1, "train"]
            times = [a / b for a, b in zip(train, base, strict=True)]
            rows.append(
                {
                    "network": f"{size.network}, {variant}",
                    "way": way,
                    "K": count,
                    "n": len(train),
                    "ms a step and network": median_spread(
                        [1e3 * size.batch / value for value in train]
                    ),
                    "x default loop": median_spread(times),
                    "evaluated images x networks/s": median_spread(evaluate),
                    f"s per {EPOCHS}-epoch point": median_spread(points),
                }
            )
    return rows


def _turn(given, way: str, case: Iterator[int]) -> Callable[[], float]:
    """A turn of a loop with the choices of kernels that belong to it."""

    def turn() -> float:
        take_precision(way)
        return loops.rate(case, given.seconds, given.device)

    return turn


def _pass(found: Group, training: bool) -> Iterator[int]:
    """Yield images of all networks that a pass has trained on, or evaluated."""
    split = found.memory.data.train if training else found.memory.data.test
    while True:
        if training:
            found.first_step()
            found.other_steps()
        else:
            found.evaluate()
        found.totals.tolist()
        yield len(split) * found.memory.slots


# --- the whole recipe -----------------------------------------------------------------------------


def recipe(given) -> list[dict]:
    """Eight runs of the whole recipe at once: three seeds at the prior, and five neighbours."""
    size, epochs = scale(given), given.epochs
    settings = SETTINGS[:2] if given.smoke else SETTINGS
    data = noise(size)
    if not given.smoke:
        data = load_dataset(Data(name="cifar10", image_size=32), given.data_root)
    set_precision("bfloat16")
    network = PrunableNetwork(size.network, size.classes, size.size)
    trained = Slots(
        network,
        None,
        data.to(given.device),
        size.recipe(epochs),
        len(settings),
        storage(given),
    )
    runs = {}
    for lr, weight_decay, seed in settings:
        spec = size.run(POPULATION, epochs=epochs, seed=seed)
        spec = spec.model_copy(update={"lr": lr, "weight_decay": weight_decay})
        kept = given.output and given.output.with_name(f"{spec.run_id}.pt")
        runs[spec.run_id] = spec, kept
        trained.enter(spec, checkpoint=kept)
    rows, done = [], []
    published = table_3_4().set_index("model").loc["resnet56", "top1"]
    while trained.free < len(settings):
        for run_id, outcome in trained.epoch().items():
            spec, kept = runs[run_id]
            row = outcome.row
            print(f"{spec.lr:g}, {spec.weight_decay:g}: {row['top1']:.2f} %", file=sys.stderr)
            done.append(spec.model_dump(mode="json") | row)
            if given.output:
                said = {"machine": machine(), "rows": done}
                given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
                discard(kept)
            rows.append(
                {
                    "network": size.network,
                    "lr": f"{spec.lr:.3g}",
                    "weight decay": f"{spec.weight_decay:.3g}",
                    "seed": spec.seed,
                    "epochs": row["epochs"],
                    "top1, %": f"{row['top1']:.2f}",
                    "diverged": row["diverged"],
                    "s a run, beside the others": f"{row['seconds']:.0f}",
                    f"published at the prior, {EPOCHS} epochs": published,
                }
            )
    return rows
