"""What identifies a network whose name fixes neither its layers nor its forward."""

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def network_hash(one: nn.Module, other: nn.Module, run: Callable[[nn.Module], object]) -> str:
    """SHA-256 over the layout of a network, its constants, and the operators of its forward.

    Comments and names of variables change nothing; another layer, dropout rate or order of
    operators does.

    Parameters
    ----------
    one, other : torch.nn.Module
        The network as it is initialised from two seeds: what both hold is constant, and the rest
        random, of which the shape counts alone.
    run : callable
        Runs the forward of a network. It is recorded in training and in evaluation mode.
    """
    digest = hashlib.sha256()
    for (name, value), (_, second) in zip(_values(one), _values(other), strict=True):
        constant = summary(value) if torch.equal(value, second) else ""
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} {constant}\n".encode())
    for training in (True, False):
        with _Recorder() as recorder:
            run(one.train(training))
        digest.update("".join(f"{line}\n" for line in recorder.lines).encode())
    return digest.hexdigest()


def _values(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        yield name, value.detach()


def summary(values: Tensor) -> str:
    """Values in short: those of whole numbers to the bit, others up to rounding.

    Functions such as the sine round differently on other processors.
    """
    if not values.is_floating_point():
        return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()
    flat = values.double().flatten().nan_to_num(0.5, 1e9, -1e9)
    # Weights that take plain numbers off the ends of the last digit's interval.
    places = torch.linspace(1, 2, flat.numel(), dtype=torch.float64) * math.pi
    # Sums of one sign, in which nothing cancels.
    signs = flat.clamp(min=0), -flat.clamp(max=0)
    return " ".join(f"{float(part @ places):.4g}" for part in signs)


class _Recorder(TorchDispatchMode):
    """Context that notes the name, plain arguments and output shapes of every operator."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        plain = [
            str(value)
            for value in tree_leaves((args, kwargs))
            if isinstance(value, (bool, int, float, str, torch.dtype))
        ]
        shapes = [tuple(value.shape) for value in tree_leaves(result) if isinstance(value, Tensor)]
        self.lines.append(f"{func} {' '.join(plain)} {shapes}")
        return result
