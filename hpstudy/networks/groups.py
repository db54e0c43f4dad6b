"""Groups of channels that leave a network together, in the smallest units that can."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from torch import nn

from hpstudy.networks.graph import Graph, Member, Part, Refused, Removed, Scope, depthwise
from hpstudy.networks.models import CONV

# "inexact": the cut is right, but statistics over the removed channels change.
Status = Literal["exact", "inexact", "refused", "spared"]
# L1 norms of the filters of layers, by layer.
Norms = Mapping[str, Sequence[float]]


@dataclass
class Group:
    """Output channels of a layer, with all that leaves with them.

    Attributes
    ----------
    root : str
        First layer of the group, whose output channels are counted.
    members : tuple of Member
        All that loses channels; `layers` are those that give them.
    units : list of list of int
        Smallest sets of the root's channels that can leave together, lowest score first.
    scores : list of float
        Mean L1 norm of the filters of each unit.
    status : {"exact", "inexact", "refused", "spared"}
        Whether it may be pruned, and whether that is exact; `sentence` says why not.
    whole : set of str
        Grouped convolutions that lose whole groups with every unit.
    sets : list of list of int
        Sets of the root's channels that are tied by the way they are wired.
    """

    root: str
    scope: Scope
    channels: int
    members: tuple[Member, ...]
    units: list[list[int]]
    scores: list[float]
    status: Status = "spared"
    sentence: str = ""
    whole: frozenset[str] = frozenset()
    sets: list[list[int]] = field(default_factory=list)

    @property
    def layers(self) -> list[str]:
        """Layers that give the channels."""
        return [member.part[0] for member in self.members if member.part[1] == "out"]

    def removed(self, channels: Iterable[int]) -> Removed:
        """What each part loses with channels of the root."""
        gone, removed = set(channels), {}
        for part, own, roots in self.members:
            lost = {channel for channel, root in zip(own, roots, strict=True) if root in gone}
            if lost:
                removed[part] = lost
        return removed

    def without_units(self, kept: Iterable[int]) -> Removed:
        """What each part loses when the root keeps only the units of these numbers."""
        gone = set(range(len(self.units))) - set(kept)
        return self.removed(channel for unit in gone for channel in self.units[unit])

    def per_unit(self) -> dict[Part, int]:
        """Channels that each part loses with any one unit."""
        unit_of = np.empty(self.channels, dtype=int)
        for number, unit in enumerate(self.units):
            unit_of[unit] = number
        lost = {}
        for part, channels, roots in self.members:
            pairs = {*zip(channels, unit_of[list(roots)].tolist(), strict=True)}
            counts = np.bincount([unit for _, unit in pairs], minlength=len(self.units))
            if len(pairs) != len(set(channels)) or len(set(counts)) > 1:
                raise Refused(f"its units remove unequal numbers of channels from {part[0]}")
            lost[part] = int(counts[0])
        return lost


def union(removed: Iterable[Removed]) -> Removed:
    """All that several groups remove."""
    total: Removed = {}
    for one in removed:
        for part, channels in one.items():
            total.setdefault(part, set()).update(channels)
    return total


def find_groups(
    graph: Graph, model: nn.Module, may_prune: Callable[[str], bool] = lambda layer: True
) -> list[Group]:
    """Groups of a network whose first layer `may_prune`, in the order of definition.

    They are not verified yet. A group whose channels cannot leave in equal units is refused.
    """
    groups: list[Group] = []
    seen: set[str] = set()
    modules = dict(model.named_modules())
    shared, norms = _shared(model), all_norms(model)
    for layer in graph.layers():
        if layer in seen or not may_prune(layer):
            continue
        channels = _width(modules[layer])
        group = Group(layer, "inside", channels, (), [], [])
        groups.append(group)
        try:
            reach = graph.reach(layer)
            group.members, group.scope = reach.members, reach.scope
            seen |= {part[0] for part, *_ in reach.members if part[1] in ("out", "both")}
            owners = {part[0] for part, *_ in reach.members}
            for names in shared:
                if owners & {name.rpartition(".")[0] for name in names}:
                    raise Refused(f"{' and '.join(names)} are one parameter")
            group.sets = reach.sets
            set_units(group, modules, norms)
            if len(group.units) < 2:
                raise Refused(f"its {channels} channels can only leave together")
            group.per_unit()
        except Refused as reason:
            group.status, group.sentence = "refused", str(reason)
    for layer, sentence in graph.unreached.items():
        width = _width(modules[layer])
        groups.append(Group(layer, "inside", width, (), [], [], "refused", sentence))
    return groups


def _width(module: Any) -> int:
    """Output channels of a convolution or linear layer."""
    return module.out_channels if isinstance(module, CONV) else module.out_features


def _shared(model: nn.Module) -> list[list[str]]:
    """Names of every parameter that has more than one."""
    names: dict[nn.Parameter, list[str]] = defaultdict(list)
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                names[parameter].append(f"{path}.{name}")
    return [paths for paths in names.values() if len(paths) > 1]


def filter_norms(module: nn.Module) -> list[float]:
    """L1 norm of every filter of a convolution or linear layer (Li et al., 2017)."""
    weight = module.get_parameter("weight").detach().double().abs()
    if isinstance(module, CONV) and module.transposed and module.groups == 1:
        weight = weight.transpose(0, 1)
    norms: list[float] = weight.sum(tuple(range(1, weight.ndim))).tolist()
    return norms


def all_norms(model: nn.Module) -> dict[str, list[float]]:
    """Norms of the filters of every convolution and linear layer with weights of its own."""
    return {
        name: filter_norms(module)
        for name, module in model.named_modules()
        if isinstance(module, (CONV, nn.Linear)) and "weight" in module._parameters
    }


def ranked_group(group: Group, model: nn.Module, norms: Norms) -> Group:
    """Group of a network with the units and scores that other norms of filters give."""
    group = replace(group)
    set_units(group, dict(model.named_modules()), norms)
    return group


def _channel_scores(group: Group, norms: Norms) -> np.ndarray:
    """Mean norm of the filters that give each channel of the root."""
    total = np.zeros(group.channels)
    for (layer, side, _), channels, roots in group.members:
        if side == "out" or layer == group.root:
            if layer not in norms:
                raise Refused(f"the weights of {layer} are computed from others")
            own = np.array(norms[layer])
            if max(channels) < len(own):
                np.add.at(total, list(roots), own[list(channels)])
    return total / max(1, len(group.layers))


def set_units(group: Group, modules: Mapping[str, nn.Module], norms: Norms) -> None:
    """Set the units of a group, lowest score first.

    Channels that share a channel of some part are tied. A grouped convolution must lose equally
    many channels in each of its groups: a unit takes the lowest remaining channel of each.
    """
    # Whole blocks leave alike, whatever the order of the channels in them.
    members = () if group.whole else group.members
    blocks = math.lcm(*(_blocks(member, group, modules) for member in members))
    if group.channels % blocks:
        raise Refused(f"its {group.channels} channels cannot be divided into {blocks} equal groups")
    scores, sets = _channel_scores(group, norms), group.sets
    if len(sets) < group.channels:
        if blocks > 1 or len(set(map(len, sets))) > 1:
            raise Refused("its channels are tied to each other in unequal sets")
    else:
        size = group.channels // blocks
        # Stable, so that ties leave by index and the choice is the same everywhere.
        ranks = np.argsort(scores.reshape(blocks, size), axis=1, kind="stable")
        sets = (ranks + size * np.arange(blocks)[:, None]).T.tolist()
    means = [float(scores[one].mean()) for one in sets]
    order = sorted(range(len(sets)), key=lambda number: (means[number], sets[number][0]))
    group.units = [sets[number] for number in order]
    group.scores = [means[number] for number in order]


def _blocks(member: Member, group: Group, modules: Mapping[str, nn.Module]) -> int:
    """Number of blocks of the root's channels that must lose equally many, for a part."""
    module = modules.get(member.part[0])
    if isinstance(module, CONV) and not depthwise(module):
        blocks = module.groups
    else:
        blocks = module.num_groups if isinstance(module, nn.GroupNorm) else 1
    if blocks > 1 and member.channels != member.roots:
        raise Refused(f"{member.part[0]} is grouped and sees its channels in another order")
    return blocks
