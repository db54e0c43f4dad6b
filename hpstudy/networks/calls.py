"""Which layers a forward pass calls."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from hpstudy.networks.models import CONV

LAYERS = (CONV, nn.Linear)


@contextmanager
def calls_recorded(model: nn.Module, names: set[str]) -> Iterator[None]:
    """Context in which the names of the convolutions and linear layers that run are collected."""
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, LAYERS):
                handle = module.register_forward_hook(lambda *_, name=name: names.add(name))
                hooks.callback(handle.remove)
        yield
