"""A stem for small images in networks that were made for large ones."""

from contextlib import ExitStack
from functools import partial
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks.flops import mode_kept
from hpstudy.networks.models import CONV

# Pixels of the images that such networks were made for.
_SIZE = 224


def small_stem(model: nn.Module, name: str) -> None:
    """Give a network a stem for small images, in place; the new weights are not initialised.

    The first convolution gets kernel 3, stride 1 and padding 1, and a max pool before the second
    one goes (the stem of He et al., 2015b, section 4.2, for images of 32 pixels).

    Raises HpstudyError if there is no stem for large images; the message calls the network `name`.
    """
    events = _events(model, name)
    convolutions = [module for kind, module in events if kind == "convolution"]
    first: Any = model.get_submodule(convolutions[0]) if convolutions else None
    if not isinstance(first, nn.Conv2d):
        raise HpstudyError(f"stem: small fails: {name} does not begin with a 2-d convolution")
    before = list(takewhile(lambda event: event[1] not in convolutions[1:], events))
    pools = [module for kind, module in before if kind == "module"]
    if len(pools) < sum(kind == "operator" for kind, _ in before):
        raise HpstudyError(
            f"stem: small fails: {name} calls a function for the max pool of its stem; make it a "
            "torch.nn.MaxPool2d"
        )
    kernel, stride = first.kernel_size[0], first.stride[0]
    # Others cut the image into patches.
    large = kernel in (3, 5, 7) and stride <= 2 and (kernel > 3 or stride > 1 or pools)
    if not large or "weight" not in first._parameters:
        raise HpstudyError(
            f"stem: small fails: {name} has no stem for large images; its first convolution, "
            f"{convolutions[0]}, has kernel {kernel} and stride {stride}"
        )
    first.weight = nn.Parameter(first.weight.new_zeros(*first.weight.shape[:2], 3, 3))
    first.kernel_size, first.stride, first.padding, first.dilation = (3, 3), (1, 1), (1, 1), (1, 1)
    first._reversed_padding_repeated_twice = [1, 1, 1, 1]
    for pool in pools:
        model.set_submodule(pool, nn.Identity())


def _events(model: nn.Module, name: str) -> list[tuple[str, str]]:
    """Convolutions and max pools, both modules and operators, in the order in which they run."""
    events: list[tuple[str, str]] = []

    def note(kind: str, module_name: str, module: nn.Module, args: Any) -> None:
        events.append((kind, module_name))

    class Operators(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if "max_pool2d" in str(func):
                events.append(("operator", ""))
            return func(*args, **(kwargs or {}))

    with ExitStack() as stack:
        for path, module in model.named_modules():
            kind = "convolution" if isinstance(module, CONV) else "module"
            if isinstance(module, (CONV, nn.MaxPool2d)):
                handle = module.register_forward_pre_hook(partial(note, kind, path))
                stack.callback(handle.remove)
        for context in (mode_kept(model), torch.no_grad(), Operators()):
            stack.enter_context(context)
        try:
            model.eval()(torch.zeros(1, 3, _SIZE, _SIZE))
        except Exception as error:  # whatever a network raises
            raise HpstudyError(
                f"stem: small fails: {name} fails on images of {_SIZE} pixels: {one_line(error)}"
            ) from None
    return events
