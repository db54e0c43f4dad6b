"""The cut: layers of a network without some of their channels."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hpstudy.networks.graph import CONV, Removed, depthwise
from hpstudy.networks.groups import Refused

_CHANNELWISE = nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm


def cut(model: nn.Module, removed: Removed) -> nn.Module:
    """Remove channels from a network in place, all in one pass; the order makes no difference.

    Raises Refused for a layer without a rule, or one that would have no channel left.
    """
    modules = dict(model.named_modules())
    for (name, side, dim), lost in removed.items():
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


def _kept(channels: int, lost: set[int], name: str) -> Tensor:
    """Indices of the channels that stay."""
    if max(lost) >= channels:
        raise Refused(f"channel {max(lost)} of {name} is asked for, which has {channels}")
    kept = [channel for channel in range(channels) if channel not in lost]
    if not kept:
        raise Refused(f"no channel of {name} would be left")
    return torch.tensor(kept)


def _select(module: nn.Module, name: str, dim: int, kept: Tensor) -> None:
    """Keep part of a parameter or buffer, if the module has it."""
    value = getattr(module, name, None)
    if value is None:
        return
    if name not in module._parameters and name not in module._buffers:
        raise Refused(f"{name} of {type(module).__name__} is computed from other parameters")
    smaller = value.detach().index_select(dim, kept.to(value.device))
    if isinstance(value, nn.Parameter):
        smaller = nn.Parameter(smaller, requires_grad=value.requires_grad)
    setattr(module, name, smaller)


def _cut_module(module: nn.Module, side: str, lost: set[int], name: str) -> None:
    if isinstance(module, CONV):
        _cut_convolution(module, side, lost, name)
    elif isinstance(module, nn.Linear):
        width = "in_features" if side == "in" else "out_features"
        kept = _kept(getattr(module, width), lost, name)
        _select_filters(module, 1 if side == "in" else 0, kept, getattr(module, width), side)
        setattr(module, width, len(kept))
    elif isinstance(module, _CHANNELWISE):
        kept = _kept(module.num_features, lost, name)
        for part in ("weight", "bias", "running_mean", "running_var"):
            _select(module, part, 0, kept)
        module.num_features = len(kept)
    elif isinstance(module, nn.GroupNorm):
        kept = _kept(module.num_channels, lost, name)
        _select(module, "weight", 0, kept)
        _select(module, "bias", 0, kept)
        module.num_channels = len(kept)
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        kept = _kept(module.normalized_shape[0], lost, name)
        _select(module, "weight", 0, kept)
        _select(module, "bias", 0, kept)
        module.normalized_shape = (len(kept),)
    elif isinstance(module, nn.PReLU):
        if module.num_parameters > 1:
            kept = _kept(module.num_parameters, lost, name)
            _select(module, "weight", 0, kept)
            module.num_parameters = len(kept)
    else:
        raise Refused(f"{name} is a {type(module).__name__}, which has no rule")


def _cut_convolution(module: nn.Module, side: str, lost: set[int], name: str) -> None:
    channels = module.in_channels if side == "in" else module.out_channels
    kept = _kept(channels, lost, name)
    if depthwise(module):
        _select_filters(module, 0, kept, channels, "out")
        module.in_channels = module.out_channels = module.groups = len(kept)
        return
    size = channels // module.groups
    blocks = [kept[kept // size == block] - block * size for block in range(module.groups)]
    if len(set(map(len, blocks))) > 1:
        raise Refused(f"the {module.groups} groups of {name} would keep unequal numbers of channels")
    # The first dimension of a weight has the channels of all groups, the second those of one.
    first_is_out = not module.transposed
    if module.groups == 1 or (side == "out") == first_is_out:
        dim = 0 if (side == "out") == first_is_out else 1
        _select_filters(module, dim, kept, channels, side)
    else:
        weight = module.weight.detach().unflatten(0, (module.groups, -1))
        parts = [
            part.index_select(1, block.to(part.device))
            for part, block in zip(weight, blocks, strict=True)
        ]
        trainable = module.weight.requires_grad
        module.weight = nn.Parameter(torch.cat(parts), requires_grad=trainable)
        if side == "out":
            _select(module, "bias", 0, kept)
    setattr(module, f"{side}_channels", len(kept))


def _select_filters(module: nn.Module, dim: int, kept: Tensor, channels: int, side: str) -> None:
    """Keep part of a weight and, for outputs, of what else the layer has for each filter."""
    _select(module, "weight", dim, kept)
    if side == "out":
        for name, value in [*module._parameters.items(), *module._buffers.items()]:
            if name != "weight" and value is not None and value.shape[:1] == (channels,):
                _select(module, name, 0, kept)
