"""The shape of a pruned network, from which it is built without tracing."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from hpstudy.errors import HpstudyError
from hpstudy.networks.cutting import WIDTHS, cut, kept_groups
from hpstudy.networks.graph import Part, Refused, Removed, depthwise
from hpstudy.networks.models import CONV

# Channels that parts keep. The key is a layer for its output channels, "layer:in" for its input
# channels, "layer:groups" for the groups left of a convolution that lost whole ones, and
# "parameter:1" for the second dimension of a parameter.
Shapes = Mapping[str, int]
_GROUPS = ":groups"


def shapes_of(removed: Removed, model: nn.Module) -> dict[str, int]:
    """Channels that each part of a network keeps; of parts that lose none, nothing."""
    shapes = {
        _key(part): _channels(model, part) - len(lost)
        for part, lost in sorted(removed.items())
        # One slope of a PReLU for all channels stays.
        if len(lost) < _channels(model, part)
    }
    for name, module in model.named_modules():
        if isinstance(module, CONV) and (kept := kept_groups(module, name, removed)) is not None:
            shapes[name + _GROUPS] = len(kept)
    return shapes


def cut_to(model: nn.Module, shapes: Shapes) -> nn.Module:
    """Cut a network in place to a shape; the last channels go, or the last of each group.

    A network that is initialised afterwards does not depend on which channels go. Raises
    HpstudyError if it has no such parts.
    """
    removed: Removed = {}
    try:
        for key, kept in shapes.items():
            if key.endswith(_GROUPS):
                continue
            part = _part(key)
            channels, blocks = _channels(model, part), _blocks(model, part)
            size, left = channels // blocks, shapes.get(part[0] + _GROUPS, blocks)
            removed[part] = {
                channel
                for channel in range(channels)
                if channel // size >= left or channel % size >= kept // left
            }
        return cut(model, removed)
    except (Refused, LookupError, AttributeError, ValueError) as error:
        raise HpstudyError(f"the network has no such shape: {error}") from None


def _key(part: Part) -> str:
    name, side, dim = part
    return {"in": f"{name}:in", "parameter": f"{name}:{dim}"}.get(side, name)


def _part(key: str) -> Part:
    name, _, end = key.rpartition(":")
    if not name:
        return key, "out", 0
    return (name, "in", 0) if end == "in" else (name, "parameter", int(end))


def _channels(model: nn.Module, part: Part) -> int:
    name, side, dim = part
    if side == "parameter":
        return int(model.get_parameter(name).shape[dim])
    module: Any = model.get_submodule(name)
    if isinstance(module, CONV):
        return int(module.in_channels if side == "in" else module.out_channels)
    if isinstance(module, nn.Linear):
        return int(module.in_features if side == "in" else module.out_features)
    if isinstance(module, nn.LayerNorm):
        return int(module.normalized_shape[0])
    return int(next(getattr(module, width) for kind, width in WIDTHS if isinstance(module, kind)))


def _blocks(model: nn.Module, part: Part) -> int:
    """Number of groups of channels that lose equally many."""
    module: Any = model.get_submodule(part[0]) if part[1] != "parameter" else None
    return int(module.groups) if isinstance(module, CONV) and not depthwise(module) else 1
