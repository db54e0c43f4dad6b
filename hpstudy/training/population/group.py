"""K networks of one shape: their values, and the passes over the images."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from hpstudy.config.study import Recipe
from hpstudy.networks.models import ResNetCifar
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import Capture
from hpstudy.training.population.memory import Memory
from hpstudy.training.population.steps import Step


class Group:
    """Trains up to `slots` networks of one shape at once; each has its own views and setting.

    A network's numbers are the same in every slot and beside any others.

    Parameters
    ----------
    model : ResNetCifar
        Its shape; its weights are not read (`enter`).
    data : Dataset
        Images in the memory of the device to train on.
    recipe : Recipe
    slots : int
    storage : torch.dtype, default torch.bfloat16
        Type of activations, and of weights where they are multiplied; sums are in float32, of
        float64 in float64.
    capture : callable, optional
        How steps are repeated: as calls by default.

    Attributes
    ----------
    active : Tensor
        (slots), int32: 1 where a network is trained; others are left as they are.
    lr, weight_decay : Tensor
        (slots).
    views : Tensor
        (slots, 4, images), int32: those of the next epoch (`Batches.random`).
    loss : Tensor
        (slots): mean cross-entropy of the last training step.
    totals : Tensor
        (slots, 3), float64, of a pass: the sum of the loss (training), or the numbers of images
        whose class ranks first and among the first five, and the sum of the loss (evaluation).
    """

    def __init__(
        self,
        model: ResNetCifar,
        data: Dataset,
        recipe: Recipe,
        slots: int,
        storage: torch.dtype = torch.bfloat16,
        capture: Capture | None = None,
    ):
        batch = min(recipe.batch_size, max(len(data.train), len(data.test)))
        self.memory = memory = Memory(model, data, slots, batch, storage)
        self.layout, self.parameters, self.momenta = (
            memory.layout,
            memory.parameters,
            memory.momenta,
        )
        self.active, self.lr, self.weight_decay = memory.active, memory.lr, memory.weight_decay
        self.views, self.loss, self.totals = memory.views, memory.loss, memory.totals
        self.running, self.tracked = memory.running, torch.zeros_like(memory.active).long()
        self.batches = Batches(data.train, data.image_size)
        self._sizes = {
            training: [len(part) for part in torch.arange(len(split)).split(batch)]
            for training, split in ((True, data.train), (False, data.test))
        }
        # No slot is active: what is recorded changes nothing.
        self._steps: dict[tuple[bool, int], Callable[[], None]] = {}
        for training, sizes in self._sizes.items():
            for size in set(sizes):
                step = Step(memory, training, size, recipe.momentum)
                self._steps[training, size] = capture(step) if capture else step

    def values(self, slot: int) -> dict[str, dict[str, Tensor]]:
        """Views on a network's values, by part and by the names that they have in the network."""
        buffers = self.layout.buffers(self.running[slot], self.tracked[slot])
        momenta = self.layout.parameters(self.momenta[slot])
        return {
            "model": {**self.layout.parameters(self.parameters[slot]), **buffers},
            "momentum": {str(number): value for number, value in enumerate(momenta.values())},
        }

    def enter(self, slot: int, model: Mapping[str, Tensor]) -> None:
        """Give a slot a network's values, without momentum, and begin to train it."""
        for flat in (self.parameters, self.momenta, self.running):
            flat[slot].zero_()
        for name, view in self.values(slot)["model"].items():
            view.copy_(model[name])
        self.synchronise(slot)
        self.active[slot] = 1

    def synchronise(self, slot: int) -> None:
        """Store the parameters for products anew, after they were written to (`values`)."""
        self.memory.stored[slot].copy_(self.parameters[slot])

    def _begin(self) -> None:
        self.totals.zero_()
        self.memory.position.zero_()

    def first_step(self) -> None:
        """Begin a training pass: one step of the active networks."""
        self._begin()
        self._steps[True, self._sizes[True][0]]()

    def other_steps(self) -> None:
        """The rest of a training pass."""
        for size in self._sizes[True][1:]:
            self._steps[True, size]()
        self.tracked += len(self._sizes[True]) * self.active

    def evaluate(self) -> None:
        """One evaluation of the active networks."""
        self._begin()
        for size in self._sizes[False]:
            self._steps[False, size]()
