"""One run, from its specification to its outcome, and the seconds that a step takes."""

import copy
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Recipe
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import initialise
from hpstudy.networks.pruning import filter_scores, weights_hash
from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.early_stopping import Race, StopReason
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


_network = cache(PrunableNetwork)


@cache
def _architecture(network: PrunableNetwork, widths: Widths) -> torch.nn.Module:
    """Network of the given widths, whose weights are drawn again and again (empty: dense)."""
    return network.at_widths(dict(widths))


def _widths(spec: RunSpec) -> Widths:
    return tuple((spec.widths or {}).items())


class RunTrainer:
    """Trains run after run on one data set; runs of one architecture share what is compiled."""

    def __init__(self, data: Dataset, device: torch.device):
        self.data, self.device = data.to(device), device
        self._trainer = lru_cache(maxsize=8)(self._new_trainer)

    def _new_trainer(
        self, network: PrunableNetwork, widths: Widths, recipe: Recipe, arithmetic: str
    ) -> Trainer:
        model = copy.deepcopy(_architecture(network, widths))
        return Trainer(model, self.data, recipe, arithmetic)

    def train(
        self,
        spec: RunSpec,
        rank_filters: bool = False,
        race: Race | None = None,
        checkpoint: Path | None = None,
    ) -> RunOutcome:
        """Train one run, which a `race` may stop early.

        Parameters
        ----------
        spec : RunSpec
        rank_filters : bool, default False
            Whether the outcome holds the filter scores of the trained network.
        race : Race, optional
        checkpoint : Path, optional
            File that a long training is saved to and resumed from. It stays there until the
            outcome is recorded (`hpstudy.training.checkpoint.discard`).
        """
        network = _network(spec.model, self.data.classes, self.data.image_size)
        trainer = self._trainer(network, _widths(spec), spec.recipe, spec.arithmetic)
        # Drawn on the CPU: the same weights on every device, whatever ran here before.
        torch.manual_seed(spec.seed)
        blank = _architecture(network, _widths(spec))
        initialise(blank)
        trainer.model.load_state_dict(blank.state_dict())
        reason: StopReason | None = None

        def stop(curve: dict[str, list[float]]) -> bool:
            nonlocal reason
            if race:
                reason = race.stop_reason(spec.lr, spec.weight_decay, curve["train_loss"])
            return reason is not None

        kept = Checkpoint(checkpoint, spec.run_id, self.device) if checkpoint else None
        result = trainer.run(spec.lr, spec.weight_decay, spec.seed, stop, kept)
        cuda = self.device.type == "cuda"
        row = {
            **asdict(result),
            "macs": network.cost.macs(spec.widths),
            "params": network.cost.params(spec.widths),
            "device": torch.cuda.get_device_name(self.device) if cuda else self.device.type,
            "torch": torch.__version__,
        }
        if not rank_filters:
            return RunOutcome(row, None, reason)
        scores = filter_scores(trainer.model, network.prunable)
        ranking = {"scores": scores, "weights_sha256": weights_hash(trainer.model)}
        return RunOutcome(row, ranking, reason)


def calibrate(
    device: torch.device, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Seconds per image of training and of evaluation, each measured for some `seconds`.

    The network, recipe and precision are those of `spec`; `images` are the numbers of training and
    evaluation images of the study, of which noise takes the place.
    """
    size, recipe = spec.data.image_size, spec.recipe
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
    model = copy.deepcopy(_architecture(network, _widths(spec)))
    with torch.random.fork_rng(devices=[]):
        initialise(model)
    return Trainer(model, data, recipe, spec.arithmetic).measure(seconds)
