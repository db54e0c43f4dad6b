"""The cut: layers of a network without some of their channels."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hpstudy.networks.graph import Part, Refused, Removed, depthwise
from hpstudy.networks.models import CONV

# Attribute that counts the channels of a layer which gives as many as it takes.
WIDTHS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.modules.batchnorm._BatchNorm, "num_features"),
    (nn.modules.instancenorm._InstanceNorm, "num_features"),
    (nn.GroupNorm, "num_channels"),
    (nn.PReLU, "num_parameters"),
)


def cut(model: nn.Module, removed: Removed) -> nn.Module:
    """Remove channels from a network in place, all in one pass; the order makes no difference.

    Raises Refused for a layer without a rule, or one that would have no channel left.
    """
    modules = dict(model.named_modules())
    for (name, side, dim), lost in _without_whole_groups(modules, removed).items():
        if side == "parameter":
            owner, _, parameter = name.rpartition(".")
            module = modules[owner]
            kept = _kept(module.get_parameter(parameter).shape[dim], lost, name)
            _select(module, parameter, dim, kept)
        else:
            _cut_module(modules[name], side, lost, name)
    return model


def without(model: nn.Module, removed: Removed) -> nn.Module:
    """Copy of a network without some channels; the network itself is not changed."""
    return cut(copy.deepcopy(model), removed)


@contextmanager
def temporarily_cut(model: nn.Module, removed: Removed) -> Iterator[nn.Module]:
    """Context in which a network lacks some channels."""
    owners = {name.rpartition(".")[0] if side == "parameter" else name for name, side, _ in removed}
    kept = []
    for name in owners:
        module = model.get_submodule(name)
        kept.append((module, dict(module.__dict__)))
        # The cut replaces parameters and buffers, and never writes into them.
        module._parameters, module._buffers = dict(module._parameters), dict(module._buffers)
    try:
        yield cut(model, removed)
    finally:
        for module, attributes in kept:
            module.__dict__.clear()
            module.__dict__.update(attributes)


def _cut_module(module: Any, side: str, lost: set[int], name: str) -> None:
    if isinstance(module, CONV):
        _cut_convolution(module, side, lost, name)
    elif isinstance(module, nn.Linear):
        width = "in_features" if side == "in" else "out_features"
        kept = _kept(getattr(module, width), lost, name)
        _select_all(module, kept, getattr(module, width), dim=int(side == "in"))
        setattr(module, width, len(kept))
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        (channels,) = module.normalized_shape
        kept = _kept(channels, lost, name)
        _select_all(module, kept, channels)
        module.normalized_shape = (len(kept),)
    elif width := next((width for kind, width in WIDTHS if isinstance(module, kind)), ""):
        if (channels := getattr(module, width)) > 1 or not isinstance(module, nn.PReLU):
            kept = _kept(channels, lost, name)
            _select_all(module, kept, channels)
            setattr(module, width, len(kept))
    else:
        raise Refused(f"{name} is a {type(module).__name__}, which has no rule")


def kept_groups(module: nn.modules.conv._ConvNd, name: str, removed: Removed) -> list[int] | None:
    """Groups of a convolution that keep channels on either side; None where all do."""
    sides: list[Part] = [(name, "in", 0), (name, "out", 0)]
    if module.groups < 2 or not all(side in removed for side in sides):
        return None
    sizes = [width // module.groups for width in (module.in_channels, module.out_channels)]
    kept = [
        block
        for block in range(module.groups)
        if not all(
            removed[side].issuperset(range(block * size, (block + 1) * size))
            for side, size in zip(sides, sizes, strict=True)
        )
    ]
    return kept if len(kept) < module.groups else None


def _without_whole_groups(modules: dict[str, nn.Module], removed: Removed) -> Removed:
    """Remove the groups that grouped convolutions lose on both sides; what is left to remove."""
    rest = dict(removed)
    for name in {name for name, side, _ in removed if side == "in"}:
        module: Any = modules[name]
        if not isinstance(module, CONV) or (blocks := kept_groups(module, name, removed)) is None:
            continue
        sides: list[Part] = [(name, "in", 0), (name, "out", 0)]
        sizes = [width // module.groups for width in (module.in_channels, module.out_channels)]
        if not blocks:
            raise Refused(f"no channel of {name} would be left")
        seen, given = (
            torch.tensor([block * size + k for block in blocks for k in range(size)])
            for size in sizes
        )
        _select(module, "weight", 0, seen if module.transposed else given)
        _select_all(module, given, module.out_channels, but="weight")
        module.in_channels, module.out_channels, module.groups = len(seen), len(given), len(blocks)
        for side, kept in zip(sides, (seen, given), strict=True):
            rest[side] = {k for k, channel in enumerate(kept.tolist()) if channel in removed[side]}
            if not rest[side]:
                del rest[side]
    return rest


def _cut_convolution(module: Any, side: str, lost: set[int], name: str) -> None:
    channels = getattr(module, "in_channels" if side == "in" else "out_channels")
    kept, groups = _kept(channels, lost, name), module.groups
    if depthwise(module):
        _select_all(module, kept, channels)
        module.in_channels = module.out_channels = module.groups = len(kept)
        return
    size = channels // groups
    blocks = [kept[kept // size == block] - block * size for block in range(groups)]
    if len(set(map(len, blocks))) > 1:
        raise Refused(f"the {groups} groups of {name} would keep unequal numbers of channels")
    # The first dimension of a weight has the channels of all groups, the second those of one.
    dim = int((side == "in") != module.transposed)
    if groups == 1 or dim == 0:
        _select(module, "weight", dim, kept)
    else:
        parts = module.weight.detach().unflatten(0, (groups, -1))
        pairs = zip(parts, blocks, strict=True)
        smaller = torch.cat([part.index_select(1, one.to(part.device)) for part, one in pairs])
        module.weight = nn.Parameter(smaller, requires_grad=module.weight.requires_grad)
    if side == "out":
        _select_all(module, kept, channels, but="weight")
    setattr(module, f"{side}_channels", len(kept))


def _select_all(
    module: nn.Module, kept: Tensor, channels: int, dim: int = 0, but: str = ""
) -> None:
    """Keep some channels of every parameter and buffer that has one entry a channel."""
    if "weight" not in module._parameters and hasattr(module, "weight"):
        raise Refused(f"the weights of a {type(module).__name__} are computed from others")
    for name, value in [*module._parameters.items(), *module._buffers.items()]:
        if name != but and value is not None and value.shape[dim : dim + 1] == (channels,):
            _select(module, name, dim, kept)


def _select(module: nn.Module, name: str, dim: int, kept: Tensor) -> None:
    """Keep part of a parameter or buffer."""
    value = getattr(module, name)
    smaller = value.detach().index_select(dim, kept.to(value.device))
    if isinstance(value, nn.Parameter):
        smaller = nn.Parameter(smaller, requires_grad=value.requires_grad)
    setattr(module, name, smaller)


def _kept(channels: int, lost: set[int], name: str) -> Tensor:
    """Indices of the channels that stay."""
    if max(lost) >= channels:
        raise Refused(f"{name} has {channels} channels, but channel {max(lost)} is to be removed")
    kept = [channel for channel in range(channels) if channel not in lost]
    if not kept:
        raise Refused(f"no channel of {name} would be left")
    return torch.tensor(kept)
