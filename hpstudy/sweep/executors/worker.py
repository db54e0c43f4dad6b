"""One run, from its specification to its row; and the process that trains run after run."""

import copy
from contextlib import suppress
from dataclasses import asdict
from functools import cache, lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Recipe
from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import initialise
from hpstudy.networks.pruning import filter_scores, weights_hash
from hpstudy.sweep.executors.base import Job
from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.device import follow_parent
from hpstudy.training.early_stopping import Race, StopReason
from hpstudy.training.image_cache import Stored
from hpstudy.training.state import RunOutcome
from hpstudy.training.trainer import EVALUATION_BATCH, Trainer

# Read when a process starts: one thread per worker (more threads than free cores cost tenfold),
# and freed memory kept by the allocator instead of being returned and faulted in again each step.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**26),
}

# Calibration is kept below this many multiply-accumulates a step on a CPU (a second or two).
_STEP_MACS = 6.4e10


def save_dataset(data: Dataset, path: Path) -> None:
    """Write prepared images so that every worker maps the same pages; of stored ones, where."""
    content = {key: getattr(data, key) for key in ("classes", "image_size", "mean", "std")}
    for name in ("train", "test"):
        images, labels = getattr(data, name).images, getattr(data, name).labels
        if isinstance(images, Stored):
            images = {**vars(images), "path": str(images.path), "rows": torch.tensor(images.rows)}
        content[name] = {"images": images, "labels": labels}
    torch.save(content, path)


@cache
def _open_dataset(path: Path, device: torch.device) -> Dataset:
    content = torch.load(path, mmap=True, weights_only=True)
    for name in ("train", "test"):
        images, labels = content[name]["images"], content[name]["labels"]
        if isinstance(images, dict):
            images = Stored(Path(images["path"]), images["size"], images["rows"].numpy())
        content[name] = Split(images, labels)
    return Dataset(**content).to(device)


def serve(connection: Connection, path: Path | None, device: str, barrier: Any) -> None:
    """Be a worker of a pool, until it closes the connection or its process ends.

    A question is a Job, or arguments of `calibrate` after the first; its answer is ("done", value),
    ("refused", words) or ("failed", words).

    Parameters
    ----------
    connection : Connection
    path : Path or None
        Of the images to train on (`save_dataset`); without, it can calibrate only.
    device : str
    barrier : multiprocessing.Barrier
        At which all workers meet before they calibrate.
    """
    follow_parent()
    place = torch.device(device)
    with suppress(EOFError):
        while True:
            question = connection.recv()
            try:
                prepare_process(place)
                if isinstance(question, Job):
                    spec, *how = question[:4]
                    answer = run_on(spec, _open_dataset(path, place), place, *how)
                else:
                    barrier.wait()
                    answer = calibrate(place, *question)
            except HpstudyError as error:
                connection.send(("refused", str(error)))
            except Exception as error:  # whatever a library or a device may say
                connection.send(("failed", one_line(error)))
            else:
                connection.send(("done", answer))


def prepare_process(device: torch.device | None = None) -> None:
    """Give this process one thread, no denormal numbers and, if it has one, its GPU."""
    if device is not None and device.type == "cuda":
        # A CUDA graph records the streams of the current device only.
        torch.cuda.set_device(device)
    torch.set_num_threads(1)
    # Strong weight decay drives weights to denormal numbers, which a CPU handles in microcode.
    torch.set_flush_denormal(True)


@cache
def _network(model: str, classes: int, image_size: int) -> PrunableNetwork:
    return PrunableNetwork(model, classes, image_size)


@cache
def _architecture(
    model: str, classes: int, image_size: int, widths: tuple[tuple[str, int], ...] | None
) -> torch.nn.Module:
    return _network(model, classes, image_size).at_widths(widths and dict(widths))


@lru_cache(maxsize=8)
def _trainer(
    model: str,
    widths: tuple[tuple[str, int], ...] | None,
    recipe: Recipe,
    arithmetic: str,
    data: Dataset,
) -> Trainer:
    """What has been captured or compiled for an architecture serves all its runs."""
    network = copy.deepcopy(_architecture(model, data.classes, data.image_size, widths))
    return Trainer(network, data, recipe, arithmetic)


def run_on(
    spec: RunSpec,
    data: Dataset,
    device: torch.device,
    keep_scores: bool = False,
    race: Race | None = None,
    checkpoint: Path | None = None,
) -> RunOutcome:
    """Train one run.

    Parameters
    ----------
    spec : RunSpec
    data : Dataset
        On `device`.
    device : torch.device
    keep_scores : bool
        Whether to rank the filters of the trained network.
    race : Race, optional
        What stops it early.
    checkpoint : Path, optional
        File that a long training is kept in, and gone on from. It is left there: it may go once
        the outcome is recorded (`hpstudy.training.checkpoint.discard`).

    Returns
    -------
    Outcome
    """
    widths = tuple(spec.widths.items()) if spec.widths else None
    key = (spec.model, data.classes, data.image_size)
    network = _network(*key)
    blank = _architecture(*key, widths)
    trainer = _trainer(spec.model, widths, spec.recipe, spec.arithmetic, data)
    # Drawn on the CPU: the same weights on every device, whatever ran here before.
    torch.manual_seed(spec.seed)
    initialise(blank)
    trainer.model.load_state_dict(blank.state_dict())
    verdict: StopReason | None = None

    def stop(curve: dict[str, list[float]]) -> bool:
        nonlocal verdict
        verdict = race and race.stop_reason(spec.lr, spec.weight_decay, curve["train_loss"])
        return verdict is not None

    kept = Checkpoint(checkpoint, spec.run_id, device) if checkpoint else None
    result = trainer.run(spec.lr, spec.weight_decay, spec.seed, stop, kept)
    cuda = device.type == "cuda"
    row = {
        **asdict(result),
        "macs": network.cost.macs(spec.widths),
        "params": network.cost.params(spec.widths),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "torch": torch.__version__,
    }
    if not keep_scores:
        return RunOutcome(row, None, verdict)
    ranking = {
        "scores": filter_scores(trainer.model, network.prunable),
        "weights_sha256": weights_hash(trainer.model),
    }
    return RunOutcome(row, ranking, verdict)


def calibrate(
    device: torch.device, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Seconds per image of training and of evaluation.

    Parameters
    ----------
    device : torch.device
    spec : RunSpec
        Of the network, the recipe and the arithmetic; noise stands for its images.
    classes : int
    images : tuple of (int, int)
        How many images there are to train and to evaluate on.
    seconds : float
        To spend on each.
    """
    size, recipe = spec.data.image_size, spec.recipe
    widths = tuple(spec.widths.items()) if spec.widths else None
    network = _network(spec.model, classes, size)
    most = 10 * max(recipe.batch_size, EVALUATION_BATCH)
    if device.type == "cpu":
        step = max(2, int(_STEP_MACS / 3 / network.cost.macs(spec.widths)))
        recipe = recipe.model_copy(update={"batch_size": min(recipe.batch_size, step)})
        most = max(recipe.batch_size, min(step, EVALUATION_BATCH))
    generator = torch.Generator().manual_seed(0)

    def noise(count: int) -> Split:
        pixels = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.randint(classes, (count,), generator=generator))

    train, test = (noise(min(count, most)) for count in images)
    zero = torch.zeros(3, dtype=torch.float64)
    data = Dataset(train, test, classes, size, zero, zero + 1).to(device)
    model = copy.deepcopy(_architecture(spec.model, classes, size, widths))
    with torch.random.fork_rng(devices=[]):
        initialise(model)
    trainer = Trainer(model, data, recipe, spec.arithmetic)
    return trainer.measure(seconds)
