"""One run, from its specification to its outcome, and the seconds that a step takes."""

import platform
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import nn

from hpstudy.config.arithmetic import PADDED, split_arithmetic
from hpstudy.config.runspec import Network, RunSpec
from hpstudy.config.study import Recipe, Study, is_source
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.own_network import OwnNetwork
from hpstudy.networks.pruning import weights_hash
from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.evaluation import evaluation_batch
from hpstudy.training.state import RunOutcome, RunResult
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import copy_values, padded_widths, values_of

# Read when a process starts: one thread per worker (more threads than free cores cost tenfold),
# and freed memory kept by the allocator instead of being returned and faulted in again each step.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**26),
}
# Multiply-accumulates of a calibration step on a CPU: one that takes a second or two.
_STEP_MACS = 6.4e10

Widths = tuple[tuple[str, int], ...]


def prepare_process(device: torch.device) -> None:
    """Give this process one thread, no denormal numbers and, on a GPU, that GPU."""
    if device.type == "cuda":
        # A CUDA graph records the streams of the current device only.
        torch.cuda.set_device(device)
    torch.set_num_threads(1)
    # Strong weight decay drives weights to denormal numbers, which a CPU handles in microcode.
    torch.set_flush_denormal(True)


StudyNetwork = PrunableNetwork | OwnNetwork

_built_in = cache(PrunableNetwork)


@cache
def _own(model: str, classes: int, image_size: int, network: str) -> OwnNetwork:
    given = Network.model_validate_json(network)
    try:
        own = OwnNetwork.open(model, classes, image_size, given.arguments, given.stem)
    except HpstudyError as error:
        raise HpstudyError(
            f"the machine {platform.node()} cannot train {model}, though that of the sweep can: "
            f"{error}"
        ) from None
    if own.identity != given:
        raise HpstudyError(
            f"{model} makes another network in {Path.cwd()} on {platform.node()} than the sweep "
            "was planned with; give every machine the same code, and start the sweep anew after a "
            "change"
        )
    return own


def open_network(study: Study, classes: int) -> StudyNetwork:
    """Dense network of a study; raises HpstudyError if it is not there, or cannot be trained."""
    if is_source(study.model):
        size = study.data.image_size
        return OwnNetwork.open(study.model, classes, size, study.arguments, study.stem)
    return PrunableNetwork(study.model, classes, study.data.image_size)


def network_of(spec: RunSpec, classes: int) -> StudyNetwork:
    """Dense network of a run, built once in a process.

    Raises HpstudyError if code of one's own is not there, or makes another network than that of
    the run.
    """
    size = spec.data.image_size
    if spec.network is None:
        return _built_in(spec.model, classes, size)
    return _own(spec.model, classes, size, spec.network.model_dump_json())


def _widths(spec: RunSpec) -> Widths:
    """Widths that the network of a run is trained at."""
    widths = spec.widths or {}
    padded = split_arithmetic(spec.arithmetic)[0].endswith(PADDED)
    return tuple((padded_widths(widths) if padded else widths).items())


class RunTrainer:
    """Trains run after run on one data set; runs of one architecture share what is compiled."""

    def __init__(self, data: Dataset, device: torch.device):
        self.data, self.device = data.to(device), device
        # What is recorded for a GPU stays in its memory, which other workers may share.
        self._trainer = lru_cache(maxsize=2 if device.type == "cuda" else 8)(self._new_trainer)

    def _new_trainer(
        self, network: StudyNetwork, widths: Widths, recipe: Recipe, arithmetic: str
    ) -> Trainer:
        model = network.at_widths(dict(widths))
        return Trainer(model, self.data, recipe, arithmetic, layout=network.layout)

    def train(
        self,
        spec: RunSpec,
        rank_filters: bool = False,
        checkpoint: Path | None = None,
    ) -> RunOutcome:
        """Train one run.

        Parameters
        ----------
        spec : RunSpec
        rank_filters : bool, default False
            Whether the outcome holds the filter scores of the trained network.
        checkpoint : Path, optional
            File that a long training is saved to and resumed from. It stays there until the
            outcome is recorded (`hpstudy.training.checkpoint.discard`).
        """
        network = network_of(spec, self.data.classes)
        trainer = self._trainer(network, _widths(spec), spec.recipe, spec.arithmetic)
        # Leaves torch's generator where the draws of training go on.
        fresh = values_of(network.fresh(spec.seed, spec.widths))
        copy_values(fresh, values_of(trainer.model))
        kept = Checkpoint(checkpoint, spec.run_id, self.device) if checkpoint else None
        result = trainer.run(spec.lr, spec.weight_decay, spec.seed, kept)
        return outcome(spec, network, result, self.device, trainer.model if rank_filters else None)


def outcome(
    spec: RunSpec,
    network: StudyNetwork,
    result: RunResult,
    device: torch.device,
    ranked: nn.Module | None,
) -> RunOutcome:
    """Outcome of a run on a device; `ranked` is its network if its filters are to be ranked."""
    row = {
        **asdict(result),
        **dict(zip(("macs", "params"), network.size(spec.widths), strict=True)),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
    }
    if ranked is None:
        return RunOutcome(row, None)
    ranking = {"scores": network.scores(ranked), "weights_sha256": weights_hash(ranked)}
    return RunOutcome(row, ranking)


def calibrate(
    device: torch.device, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Seconds per image of training and of evaluation, each measured for some `seconds`.

    The network, recipe and precision are those of `spec`; `images` are the numbers of training and
    evaluation images of the study, of which noise takes the place.
    """
    size, recipe = spec.data.image_size, spec.recipe
    network = network_of(spec, classes)
    evaluated = evaluation_batch(device, size)
    most = 10 * max(recipe.batch_size, evaluated)
    if device.type == "cpu":
        step = max(2, int(_STEP_MACS / 3 / network.size(spec.widths)[0]))
        recipe = recipe.model_copy(update={"batch_size": min(recipe.batch_size, step)})
        most = max(recipe.batch_size, min(step, evaluated))
    # Whole batches: a smaller last one might be too small for the devices that share it.
    most -= most % recipe.batch_size
    train, test = (min(count, most) for count in images)
    data = noise(size, classes, train, test).to(device)
    with torch.random.fork_rng(devices=[]):
        model = network.fresh(0, dict(_widths(spec)))
    return Trainer(model, data, recipe, spec.arithmetic, layout=network.layout).measure(seconds)


def noise(size: int, classes: int, train: int, test: int) -> Dataset:
    """Random images and labels, the same every time."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        pixels = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.randint(classes, (count,), generator=generator))

    zero = torch.zeros(3, dtype=torch.float64)
    return Dataset(split(train), split(test), classes, size, zero, zero + 1)
