"""Runs that enter a group of networks, are trained side by side, and leave it when they end."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Recipe
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import ResNetCifar
from hpstudy.training.checkpoint import Checkpoint, Values
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import cuda_graph
from hpstudy.training.evaluation import median_seconds
from hpstudy.training.image_folders import Stored
from hpstudy.training.population.group import Group
from hpstudy.training.run import network_of, noise, outcome
from hpstudy.training.state import RunOutcome, TrainingState
from hpstudy.training.values import copy_values, values_of


@dataclass
class _Member:
    """A run in a slot; `views` are those of its next epoch, drawn while another is trained."""

    spec: RunSpec
    state: TrainingState
    generator: torch.Generator
    checkpoint: Checkpoint | None
    rank_filters: bool
    first_loss: float = 0.0
    views: Tensor | None = None


class GroupTrainer:
    """Trains runs of one data set in groups, one architecture and recipe after the other."""

    def __init__(self, data: Dataset, device: torch.device, slots: int):
        if isinstance(data.train.images, Stored) or isinstance(data.test.images, Stored):
            raise HpstudyError(
                f"the arithmetic {POPULATION} needs all images in memory, and these are too many; "
                "choose another, as `arithmetic: bfloat16-compiled`"
            )
        self.data, self.device, self.count = data.to(device), device, slots
        self._shape: tuple[Any, ...] = ()
        self._slots: Slots | None = None

    def enter(
        self, spec: RunSpec, rank_filters: bool = False, checkpoint: Path | None = None
    ) -> None:
        """Begin a run with the next epoch (see `hpstudy.training.run.RunTrainer.train`).

        Runs of another architecture or recipe have ended.
        """
        shape = spec.model, spec.widths, spec.recipe
        if self._slots is None or shape != self._shape:
            # Its memory is free before another's is taken.
            self._slots = None
            network = network_of(spec, self.data.classes)
            assert isinstance(network, PrunableNetwork)
            self._slots = Slots(network, spec.widths, self.data, spec.recipe, self.count)
            self._shape = shape
        self._slots.enter(spec, rank_filters, checkpoint)

    def epoch(self) -> dict[str, RunOutcome]:
        """See `Slots.epoch`."""
        assert self._slots is not None
        return self._slots.epoch()


def calibrate_group(
    device: torch.device,
    spec: RunSpec,
    classes: int,
    images: tuple[int, int],
    seconds: float,
    slots: int,
) -> tuple[float, float]:
    """Seconds per image of one run among `slots` (see `hpstudy.training.run.calibrate`)."""
    train, test = (min(count, 10 * spec.recipe.batch_size) for count in images)
    data = noise(spec.data.image_size, classes, train, test).to(device)
    network = network_of(spec, classes)
    assert isinstance(network, PrunableNetwork)
    trained = Slots(network, spec.widths, data, spec.recipe, slots)
    for seed in range(slots):
        trained.enter(spec.model_copy(update={"seed": seed}))
    return trained.measure(seconds)


class Slots:
    """Trains runs of one architecture and recipe side by side, an epoch at a time.

    Parameters
    ----------
    network : PrunableNetwork
    widths : Mapping of str to int, optional
        Of its pruned layers; None for the dense network.
    data : Dataset
        On the device to train on.
    recipe : Recipe
    slots : int
        Runs trained at once.
    storage : torch.dtype, default torch.bfloat16
        See `Group`.
    """

    def __init__(
        self,
        network: PrunableNetwork,
        widths: Mapping[str, int] | None,
        data: Dataset,
        recipe: Recipe,
        slots: int,
        storage: torch.dtype = torch.bfloat16,
    ):
        self.network, self.widths, self.data, self.recipe = network, widths, data, recipe
        self.device = data.train.labels.device
        model = network.at_widths(widths)
        assert isinstance(model, ResNetCifar)
        capture = partial(cuda_graph, self.device) if self.device.type == "cuda" else None
        self.group = Group(model, data, recipe, slots, storage, capture)
        self._members: list[_Member | None] = [None] * slots

    @property
    def free(self) -> int:
        """Number of slots without a run."""
        return self._members.count(None)

    def enter(
        self, spec: RunSpec, rank_filters: bool = False, checkpoint: Path | None = None
    ) -> None:
        """Give a run a free slot, and its first weights or those of its checkpoint.

        The arguments are those of `hpstudy.training.run.RunTrainer.train`.
        """
        slot = self._members.index(None)
        fresh = values_of(self.network.fresh(spec.seed, self.widths))
        generator = torch.Generator().manual_seed(spec.seed)
        kept = Checkpoint(checkpoint, spec.run_id, self.device) if checkpoint else None
        state = TrainingState(order=generator.get_state())
        member = _Member(spec, state, generator, kept, rank_filters)
        self.group.enter(slot, fresh)
        if kept and (resumed := kept.resume(self._values(slot, member))):
            values, member.state = resumed
            for part, tensors in self.group.values(slot).items():
                copy_values(values[part], tensors)
            member.first_loss = values["others"]["first_loss"].item()
            self.group.synchronise(slot)
            generator.set_state(member.state.order)
        self.group.weight_decay[slot] = spec.weight_decay
        self._members[slot] = member

    def epoch(self) -> dict[str, RunOutcome]:
        """Train every run in a slot for an epoch; outcomes of those that have ended, by their ids.

        They have left their slots.
        """
        busy = {slot: member for slot, member in enumerate(self._members) if member}
        # A run that a kill has ended after its last epoch is trained no more.
        training = {
            slot: member
            for slot, member in busy.items()
            if not member.state.ended(self.recipe.epochs)
        }
        if training:
            self._train(training)
        ended: dict[str, RunOutcome] = {}
        for slot, member in busy.items():
            over, kept = member.state.ended(self.recipe.epochs), member.checkpoint
            if kept and ((over and kept.written) or (not over and kept.due())):
                kept.write(self._values(slot, member), member.state)
            if over:
                ended[member.spec.run_id] = self._outcome(slot, member)
                self._members[slot] = None
                self.group.active[slot] = 0
        return ended

    def _train(self, members: dict[int, _Member]) -> None:
        group, recipe = self.group, self.recipe
        for slot, member in members.items():
            state, spec = member.state, member.spec
            decays = sum(state.epochs >= epoch for epoch in recipe.lr_decay_epochs)
            group.lr[slot] = spec.lr * recipe.lr_decay**decays
            views = self._draw(member) if member.views is None else member.views
            group.views[slot].copy_(views)
            state.clock()
        group.first_step()
        first = group.loss.clone()
        group.other_steps()
        # The device is behind: the next views cost nothing.
        for member in members.values():
            member.state.order = member.generator.get_state()
            member.views = self._draw(member)
        losses = group.totals[:, 0].tolist()
        for slot, member in members.items():
            member.state.seconds["training"] += member.state.clock()
            if not member.state.epochs:
                member.first_loss = first[slot].item()
        group.evaluate()
        totals = (group.totals / len(self.data.test)).tolist()
        for slot, member in members.items():
            top1, top5, loss = totals[slot]
            state = member.state
            state.top5 = 100 * top5 if self.data.has_top5 else None
            state.seconds["evaluation"] += state.clock()
            state.add_epoch(losses[slot] / len(self.data.train), loss, 100 * top1)

    def measure(self, seconds: float) -> tuple[float, float]:
        """Median seconds per image of training and of evaluation, each over some `seconds`.

        The learning rates are zero, and the weights are not changed.
        """
        group, medians = self.group, list[float]()
        group.lr.zero_()

        def train() -> None:
            group.first_step()
            group.other_steps()
            group.totals.tolist()

        def evaluate() -> None:
            group.evaluate()
            group.totals.tolist()

        for work, split in ((train, self.data.train), (evaluate, self.data.test)):
            medians.append(median_seconds(work, seconds) / len(split))
        return medians[0], medians[1]

    def _draw(self, member: _Member) -> Tensor:
        return self.group.batches.random(member.generator)

    def _values(self, slot: int, member: _Member) -> Values:
        """Copies of all that steps change, as a checkpoint keeps them."""
        parts = self.group.values(slot)
        values = {part: {k: v.clone() for k, v in of.items()} for part, of in parts.items()}
        return {**values, "others": {"first_loss": torch.tensor(member.first_loss)}}

    def _outcome(self, slot: int, member: _Member) -> RunOutcome:
        result = member.state.result(len(self.data.train), member.first_loss)
        ranked = None
        if member.rank_filters:
            ranked = self.network.at_widths(self.widths)
            copy_values(self.group.values(slot)["model"], values_of(ranked))
        return outcome(member.spec, self.network, result, self.device, ranked)
