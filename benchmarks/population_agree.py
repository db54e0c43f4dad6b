"""Whether a population has the right numbers on a card, whoever is beside a network."""

import copy
from collections.abc import Callable

import torch
from population_scale import capture, scale, storage
from scale import CIFAR, LR, WEIGHT_DECAY, Scale, built, noise
from three_steps import gap
from torch import Tensor

from hpstudy.training.population.group import Group
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import values_of

COLUMNS = ("training losses", "evaluation losses", "weights")


def agree(given) -> list[dict]:
    """Three steps against float64 on the CPU, and whether slots and neighbours change a bit."""
    start = built(scale(given))
    reference = _three(given, start, lambda data: _trained(start, data, torch.float64, "float32"))
    # Products of float32 would take minutes to compile for a card.
    kind, arithmetic = storage(given), "float32" if given.smoke else "bfloat16"
    ways: dict[str, Callable] = {
        f"trainer, {arithmetic}": lambda data: _trained(
            start, data.to(given.device), torch.float32, arithmetic
        ),
        f"population, {arithmetic}": lambda data: _grouped(given, start, data, kind),
    }
    rows = []
    for name, way in ways.items():
        gaps = gap(_three(given, start, way), reference)
        found = {f"gap of {key}": f"{value:.2e}" for key, value in zip(COLUMNS, gaps, strict=True)}
        rows.append({"way": name, "against": "float64 on the CPU", **found})
    rows += _bits(given, start)
    return rows


def _three(given, start, way: Callable) -> tuple[Tensor, Tensor, Tensor]:
    size = scale(given)
    return way(noise(Scale(**{**vars(size), "train": size.batch, "test": size.batch})))


def _trained(start, data, dtype: torch.dtype, arithmetic: str) -> tuple[Tensor, Tensor, Tensor]:
    recipe = CIFAR.recipe().model_copy(
        update={"batch_size": len(data.train), "epochs": 3, "lr_decay_epochs": ()}
    )
    trainer = Trainer(copy.deepcopy(start).to(dtype), data, recipe, arithmetic)
    curve = trainer.run(LR, WEIGHT_DECAY, 0).curve
    weights = torch.cat([p.detach().double().cpu().flatten() for p in trainer.parameters])
    return torch.tensor(curve["train_loss"]), torch.tensor(curve["loss"]), weights


def _grouped(
    given, start, data, kind: torch.dtype, slots: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in the last of some slots; the first, if it is another, holds NaN."""
    recipe = CIFAR.recipe().model_copy(update={"batch_size": len(data.train)})
    found = Group(start, data.to(given.device), recipe, slots, kind, capture(given))
    poison = {name: value.clone() for name, value in values_of(start).items()}
    poison["conv1.weight"].fill_(float("nan"))
    for slot in range(slots):
        found.enter(slot, values_of(start) if slot == slots - 1 else poison)
        found.lr[slot], found.weight_decay[slot] = LR, WEIGHT_DECAY
    generator = torch.Generator().manual_seed(0)
    losses: tuple[list[float], list[float]] = [], []
    for _ in range(3):
        found.views.copy_(found.batches.random(generator))
        found.first_step()
        losses[0].append(found.totals[-1, 0].item() / len(data.train))
        found.evaluate()
        losses[1].append(found.totals[-1, 2].item() / len(data.test))
    parameters = found.layout.parameters(found.parameters[-1]).values()
    weights = torch.cat([p.double().cpu().flatten() for p in parameters])
    return torch.tensor(losses[0]), torch.tensor(losses[1]), weights


def _bits(given, start) -> list[dict]:
    """Whether the numbers of one network are those beside networks of NaN."""
    kind = storage(given)
    alone = _three(given, start, lambda data: _grouped(given, start, data, kind))
    rows = []
    for slots in (2,) if given.smoke else (2, 8):
        several = _three(given, start, lambda data, n=slots: _grouped(given, start, data, kind, n))
        same = all(torch.equal(a, b) for a, b in zip(alone, several, strict=True))
        values = {
            "gap of training losses": "",
            "gap of evaluation losses": "",
            "gap of weights": "",
        }
        name = f"slot {slots} of {slots}, NaN in the others"
        rows.append({"way": name, "against": f"alone: same bits: {same}", **values})
    return rows
