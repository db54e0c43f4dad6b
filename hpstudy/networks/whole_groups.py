"""Grouped convolutions that lose whole groups, where widths are to be multiples of a number.

A unit of channels takes one of each group of a grouped convolution. With 13 groups of 8 channels
(RegNetY) no such width but the full one is a multiple of 8. Whole groups leave the convolution, and
the layers before and after it, with multiples of 8.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from torch import nn

from hpstudy.networks.graph import SCOPES, Member, Part, Refused, Scope, depthwise
from hpstudy.networks.groups import Group, Norms, all_norms, set_units
from hpstudy.networks.models import CONV


class Merged(NamedTuple):
    """Group whose units are whole groups of its convolutions, and those whose place it takes."""

    group: Group
    parts: list[Group]


def units_at_once(group: Group, round_to: int | None) -> int:
    """Units that leave together so that every layer which gives the channels stays a multiple."""
    if not round_to:
        return 1
    lost = [count for part, count in group.per_unit().items() if part[1] == "out"]
    return math.lcm(*(round_to // math.gcd(round_to, count) for count in lost))


def finer_groups(groups: Sequence[Group], model: nn.Module, round_to: int) -> Iterator[Merged]:
    """Merged groups whose steps to multiples of `round_to` are finer than those of their parts."""

    def coarse(group: Group) -> float:
        return units_at_once(group, round_to) / len(group.units)

    for merged in _merged(groups, dict(model.named_modules()), all_norms(model)):
        with suppress(Refused):
            if coarse(merged.group) < max(map(coarse, merged.parts)):
                yield merged


def _merged(
    groups: Sequence[Group], modules: dict[str, nn.Module], norms: Norms
) -> Iterator[Merged]:
    """Groups before and after every grouped convolution, as one."""
    owners = {member.part: group for group in groups for member in group.members}
    joined = {group.root: [group] for group in groups}
    convolutions: dict[str, list[str]] = defaultdict(list)
    for name, module in modules.items():
        if isinstance(module, CONV) and module.groups > 1 and not depthwise(module):
            before, after = (owners.get((name, side, 0)) for side in ("in", "out"))
            for group in filter(None, (before, after)):
                convolutions[group.root].append(name)
            if before and after and joined[before.root] is not joined[after.root]:
                joined[before.root].extend(joined[after.root])
                for group in joined[after.root]:
                    joined[group.root] = joined[before.root]
    for parts in {id(parts): parts for parts in joined.values()}.values():
        names = {name for group in parts for name in convolutions[group.root]}
        sides = [(name, side, 0) for name in names for side in ("in", "out")]
        roots = {group.root for group in parts}
        numbers = {module.groups for name in names if isinstance(module := modules[name], CONV)}
        # A group beside it that is spared or refused keeps all channels, and so must this one.
        whole = all(side in owners and owners[side].root in roots for side in sides)
        if whole and len(numbers) == 1:
            ordered = [group for group in groups if group.root in roots]
            merged = _merge(ordered, names, numbers.pop(), modules, norms)
            yield Merged(merged, ordered)


def _merge(
    parts: list[Group], names: set[str], blocks: int, modules: dict[str, nn.Module], norms: Norms
) -> Group:
    """One group whose units are the blocks of its first part's channels."""
    first = parts[0]
    size = first.channels // blocks
    pairs: dict[Part, set[tuple[int, int]]] = defaultdict(set)
    for group in parts:
        own = group.channels // blocks
        for part, channels, roots in group.members:
            # Any channel of a block stands for the block.
            places = roots if group is first else [root // own * size for root in roots]
            pairs[part] |= {*zip(channels, places, strict=True)}
    members = []
    for part, found in pairs.items():
        channels, roots = zip(*sorted(found), strict=True)
        members.append(Member(part, channels, roots))
    inside: Scope = "inside"
    scope = next((scope for scope in SCOPES if any(x.scope == scope for x in parts)), inside)
    merged = Group(first.root, scope, first.channels, tuple(members), [], [])
    merged.whole = frozenset(names)
    merged.sets = [list(range(block * size, (block + 1) * size)) for block in range(blocks)]
    set_units(merged, modules, norms)
    return merged
