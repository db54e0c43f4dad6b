"""How large the GPU benchmark's populations are: on a card, or in Triton's interpreter."""

from collections.abc import Callable
from functools import partial

import torch
from scale import CIFAR, Scale

from hpstudy.training.device import cuda_graph

COUNTS = (1, 2, 4, 8, 16)
# In Triton's interpreter, whose products of bfloat16 are wrong, a step takes seconds.
TINY = Scale("resnet20", 8, 8, 10, 2, 4, 2, 1)


def storage(given) -> torch.dtype:
    return torch.float32 if given.smoke else torch.bfloat16


def capture(given) -> Callable | None:
    return None if given.smoke else partial(cuda_graph, torch.device(given.device))


def scale(given) -> Scale:
    return TINY if given.smoke else CIFAR


def counts(given) -> list[int]:
    return given.counts or ([1, 2] if given.smoke else list(COUNTS))
