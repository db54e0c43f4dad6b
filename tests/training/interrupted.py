"""Trainings that can be killed at any step, and compared to the bit."""

from dataclasses import asdict

import tiny
import torch
from test_trainer import recipe, same, small_network, weights
from torch import nn

from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.trainer import Trainer

CPU = torch.device("cpu")
DATA = tiny.random_images(train=45, test=30)
# Three steps and one evaluation an epoch; the learning rate falls after the second.
PLAN = recipe(epochs=3, batch_size=20, lr_decay=0.2, lr_decay_epochs=(2,))
# After each of these steps, and once more at the end.
ALL = range(1, 3 * 4 + 2)


class Killed(BaseException):
    """Kill that nothing in the package may catch."""


def dropping():
    """A network that draws from torch's generator at every training step."""
    return nn.Sequential(*small_network(torch.float32), nn.Dropout(0.5))


def plain():
    return small_network(torch.float32)


def ended(network=plain, path=None, seed=0, data=DATA, plan=PLAN, lr=0.05, **options):
    """Result and weights of a training in a state as a new process has it.

    Another `seed` means other initial weights and another generator, on which a resumed training
    must not depend.
    """
    torch.manual_seed(seed)
    model = network()
    for parameter in model.parameters():
        parameter.data += 0.01 * seed
    trainer = Trainer(model, data, plan, **options)
    torch.manual_seed(seed)
    kept = path and Checkpoint(path, "this-run", CPU)
    result = trainer.run(lr, 0.01, 3, kept)
    return asdict(result), weights(trainer.model)


def equal(one, other, clock=True):
    if not clock:
        one, other = (
            ({k: v for k, v in row.items() if "second" not in k}, end) for row, end in (one, other)
        )
    return one[0] == other[0] and same(one[1], other[1])
