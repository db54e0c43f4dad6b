"""One run, from its specification to its row; and the process that trains run after run."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hpstudy.child import follow_parent
from hpstudy.data import Dataset
from hpstudy.decoded import Stored
from hpstudy.models import initialise
from hpstudy.pruning import filter_scores, weights_hash
from hpstudy.racing import Race, Verdict
from hpstudy.sources import Split
from hpstudy.study import Recipe, RunSpec
from hpstudy.surgery import Network
from hpstudy.training import EVALUATION_BATCH, Trainer

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


class Outcome(NamedTuple):
    """What a run comes to.

    Attributes
    ----------
    row : dict
        The columns `hpstudy.store.RESULT_COLUMNS`, as measured when it ended.
    ranking : dict or None
        For `hpstudy.store.Store.add`.
    verdict : Verdict or None
        Why it was stopped early, if it was.
    """

    row: dict[str, Any]
    ranking: Mapping[str, Any] | None
    verdict: Verdict | None


_data: Dataset
_device: torch.device
_barrier: Any


def save_dataset(data: Dataset, path: Path) -> None:
    """Write prepared images so that every worker maps the same pages; of stored ones, where."""
    content = {key: getattr(data, key) for key in ("classes", "image_size", "mean", "std")}
    for name in ("train", "test"):
        images, labels = getattr(data, name).images, getattr(data, name).labels
        if isinstance(images, Stored):
            images = {**vars(images), "path": str(images.path), "rows": torch.tensor(images.rows)}
        content[name] = {"images": images, "labels": labels}
    torch.save(content, path)


def _open_dataset(path: Path) -> Dataset:
    content = torch.load(path, mmap=True, weights_only=True)
    for name in ("train", "test"):
        images, labels = content[name]["images"], content[name]["labels"]
        if isinstance(images, dict):
            images = Stored(Path(images["path"]), images["size"], images["rows"].numpy())
        content[name] = Split(images, labels)
    return Dataset(**content)


def start(path: Path | None, devices: Any, barrier: Any) -> None:
    """Make this process a worker: one thread, one device, the data mapped; end with the parent.

    Without a path it can calibrate, but not run.
    """
    global _data, _device, _barrier
    follow_parent()
    _device, _barrier = torch.device(devices.get()), barrier
    if _device.type == "cuda":
        # A CUDA graph records the streams of the current device only.
        torch.cuda.set_device(_device)
    prepare_process()
    if path is not None:
        _data = _open_dataset(path).to(_device)


def prepare_process() -> None:
    """One thread, and no denormal numbers."""
    torch.set_num_threads(1)
    # Strong weight decay drives weights to denormal numbers, which a CPU handles in microcode.
    torch.set_flush_denormal(True)


@cache
def _network(model: str, classes: int, image_size: int) -> Network:
    return Network(model, classes, image_size)


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


def run(spec: RunSpec, keep_scores: bool, race: Race | None = None) -> Outcome:
    """Train one run on this worker's data and device (see `run_on`)."""
    return run_on(spec, _data, _device, keep_scores, race)


def run_on(
    spec: RunSpec,
    data: Dataset,
    device: torch.device,
    keep_scores: bool = False,
    race: Race | None = None,
) -> Outcome:
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
    verdict: Verdict | None = None

    def stop(curve: dict[str, list[float]]) -> bool:
        nonlocal verdict
        verdict = race and race.verdict(spec.lr, spec.weight_decay, curve["train_loss"])
        return verdict is not None

    result = trainer.run(spec.lr, spec.weight_decay, spec.seed, stop)
    cuda = device.type == "cuda"
    row = {
        **asdict(result),
        "macs": network.cost.macs(spec.widths),
        "params": network.cost.params(spec.widths),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "torch": torch.__version__,
    }
    if not keep_scores:
        return Outcome(row, None, verdict)
    ranking = {
        "scores": filter_scores(trainer.model, network.prunable),
        "weights_sha256": weights_hash(trainer.model),
    }
    return Outcome(row, ranking, verdict)


def calibrate(
    spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Seconds per image of training and of evaluation, while all other workers measure theirs.

    Parameters
    ----------
    spec : RunSpec
        Of the network, the recipe and the arithmetic; noise stands for its images.
    classes : int
    images : tuple of (int, int)
        How many images there are to train and to evaluate on.
    seconds : float
        To spend on each.
    """
    _barrier.wait()
    size, recipe = spec.data.image_size, spec.recipe
    widths = tuple(spec.widths.items()) if spec.widths else None
    network = _network(spec.model, classes, size)
    most = 10 * max(recipe.batch_size, EVALUATION_BATCH)
    if _device.type == "cpu":
        step = max(2, int(_STEP_MACS / 3 / network.cost.macs(spec.widths)))
        recipe = recipe.model_copy(update={"batch_size": min(recipe.batch_size, step)})
        most = max(recipe.batch_size, min(step, EVALUATION_BATCH))
    generator = torch.Generator().manual_seed(0)

    def noise(count: int) -> Split:
        pixels = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.randint(classes, (count,), generator=generator))

    train, test = (noise(min(count, most)) for count in images)
    zero = torch.zeros(3, dtype=torch.float64)
    data = Dataset(train, test, classes, size, zero, zero + 1).to(_device)
    model = copy.deepcopy(_architecture(spec.model, classes, size, widths))
    with torch.random.fork_rng(devices=[]):
        initialise(model)
    trainer = Trainer(model, data, recipe, spec.arithmetic)
    return trainer.measure(seconds)
