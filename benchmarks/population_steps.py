"""Steps of `benchmarks/gpu.py` for networks that are trained as one program of the card."""

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import loops
import torch
from common import machine, median_spread
from kernel_counts import traffic
from loops import DEFAULT, take_precision, turns
from population_scale import capture, counts, scale, storage
from scale import CIFAR, EPOCHS, LR, WEIGHT_DECAY, Scale, built, images, noise

from hpstudy.analysis.thesis_data import table_3_4
from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.grid import grid_value
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, Data
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.training import checkpoint
from hpstudy.training.datasets import load_dataset
from hpstudy.training.device import cuda_graph, set_precision
from hpstudy.training.population.group import Group
from hpstudy.training.population.launch import Launch
from hpstudy.training.population.slots import Slots
from hpstudy.training.population.steps import Step
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import values_of

# Launches of a graph that is timed.
LAUNCHES = 200
# Learning rate, weight decay and seed: three seeds at the prior, and five of its neighbours, whose
# values are those of the thesis's grid.
SETTINGS = [(LR, WEIGHT_DECAY, seed) for seed in range(3)]
SETTINGS += [
    (grid_value(math.log10(LR) + a), grid_value(math.log10(WEIGHT_DECAY) + b), 0)
    for a, b in ((-0.2, 0), (0.2, 0), (0, -0.2), (0, 0.2), (0.2, 0.2))
]
# Work of the recipe that the end of a command may cost.
CHECKPOINT_SECONDS = 45


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
        cases = {shape: _repeated(given, same) for shape, same in shapes.items()}
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


def _repeated(given, same: list[Launch]) -> Iterator[float]:
    """Yield launches of kernels that share a shape: many in one graph, so that the host is hidden.

    They are those of a step in turn, because the activations of one would stay in a cache.
    """
    rounds = 1 if given.smoke else -(-LAUNCHES // len(same))

    def block() -> None:
        for launch in same * rounds:
            launch()

    replay = block if given.smoke else cuda_graph(torch.device(given.device), block)

    def waited() -> None:
        replay()
        if not given.smoke:
            # A host that ran ahead would queue seconds of work, and a turn would last as long.
            torch.cuda.synchronize()

    return loops.repeated(waited, len(same) * rounds, 1)


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
        # Its workers start with the first batch, and cuDNN then searches for its kernels.
        take_precision(DEFAULT)
        next(cases[DEFAULT, 1, "train"])
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
    checkpoint.CHECKPOINT_SECONDS = CHECKPOINT_SECONDS
    done = _rows_of(given.output)
    runs = {}
    for lr, weight_decay, seed in settings:
        spec = size.run(POPULATION, epochs=epochs, seed=seed)
        spec = spec.model_copy(update={"lr": lr, "weight_decay": weight_decay})
        runs[spec.run_id] = spec
        if spec.run_id not in done:
            trained.enter(spec, checkpoint=_kept(given, spec.run_id))
    started, passes = time.perf_counter(), 0
    while trained.free < len(settings):
        ended, passes = trained.epoch(), passes + 1
        if passes % 10 == 0:
            seconds = (time.perf_counter() - started) / passes
            print(f"{passes} epochs of this command, {seconds:.2f} s each", file=sys.stderr)
        for run_id, outcome in ended.items():
            done[run_id] = runs[run_id].model_dump(mode="json") | outcome.row
        if ended and given.output:
            command = f"python benchmarks/gpu.py recipe --epochs {epochs} --data-root FOLDER"
            command += f" --output {given.output.name}"
            said = {"command": command, "machine": machine(), "rows": list(done.values())}
            given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
            for run_id in ended:
                checkpoint.discard(_kept(given, run_id))
    published = table_3_4().set_index("model").loc["resnet56", "top1"]
    return [
        {
            "network": size.network,
            "lr": f"{spec.lr:.3g}",
            "weight decay": f"{spec.weight_decay:.3g}",
            "seed": spec.seed,
            "epochs": done[run_id]["epochs"],
            "top1, %": f"{done[run_id]['top1']:.2f}",
            "diverged": done[run_id]["diverged"],
            "s a run, beside the others": f"{done[run_id]['seconds']:.0f}",
            f"published at the prior, {EPOCHS} epochs": published,
        }
        for run_id, spec in runs.items()
    ]


def _kept(given, run_id: str) -> Path | None:
    return given.output and given.output.with_name(f"{run_id}.pt")


def _rows_of(output: Path | None) -> dict[str, dict]:
    """Rows that an earlier command wrote before its end, by the ids of their runs."""
    if output is None or not output.exists():
        return {}
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    specs = [{key: row[key] for key in RunSpec.model_fields if key in row} for row in rows]
    ids = [RunSpec.model_validate(spec).run_id for spec in specs]
    return dict(zip(ids, rows, strict=True))
