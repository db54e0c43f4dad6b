"""Groups of a network, each of them verified or with the reason why it is not pruned."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from hpstudy.errors import HpstudyError, count, did_you_mean, shown
from hpstudy.networks.flops import cost_model
from hpstudy.networks.graph import Graph, Inputs
from hpstudy.networks.groups import Group, find_groups
from hpstudy.networks.models import MODELS
from hpstudy.networks.pruning import TOLERANCE, lowest_ratio
from hpstudy.networks.verification import Probe
from hpstudy.networks.whole_groups import finer_groups, units_at_once

STEM, OUTPUT = "stem", "output"


def verified_groups(
    name: str,
    dense: nn.Module,
    inputs: Inputs,
    scope: str,
    spare: Sequence[str],
    round_to: int | None = None,
) -> tuple[Probe, list[Group]]:
    """Probe and groups of a network; each group is verified, or has the reason why it is not."""
    graph = Graph(dense, inputs)
    found = find_groups(graph, dense)
    _check_patterns(found, spare)
    probe = Probe(dense, inputs)
    if branch := probe.path ^ graph.called:
        raise HpstudyError(
            f"{min(branch)} of {name} runs for some values of the inputs and not for others; the "
            "layers that run must not depend on values"
        )
    waiting = []
    for group in found:
        if reason := _spared(group, name, scope, spare):
            group.status, group.sentence = "spared", reason
        elif group.status != "refused":
            waiting.append(group)
    for merged, parts in finer_groups(waiting, dense, round_to) if round_to else ():
        probe.verify(merged)
        if merged.status == "exact":
            roots = {group.root for group in parts}
            waiting = [group for group in waiting if group.root not in roots]
            found = [
                merged if group.root == merged.root else group
                for group in found
                if group.root == merged.root or group.root not in roots
            ]
    for group in waiting:
        probe.verify(group)
    return probe, found


def usable_groups(groups: Sequence[Group], exact: bool) -> list[Group]:
    """Groups that may be pruned: exact ones, and on request those whose statistics change."""
    return [x for x in groups if x.status == "exact" or (x.status == "inexact" and not exact)]


def lower_floors(
    name: str,
    dense: nn.Module,
    inputs: Inputs,
    floor: float,
    scope: str,
    spare: Sequence[str],
    exact: bool,
    round_to: int | None,
) -> str:
    """Shares of the FLOPs below `floor` that a network keeps with other options."""
    kept: dict[str, str] = {}  # The fewest options for each share.
    for wider in dict.fromkeys((scope, "all")):
        _, found = verified_groups(name, dense, inputs, wider, spare, round_to)
        for looser in dict.fromkeys((exact, False)):
            usable = usable_groups(found, looser)
            at_once = {group.root: units_at_once(group, round_to) for group in usable}
            lowest = lowest_ratio(cost_model(dense, inputs, usable), at_once)
            options = [f"scope={wider!r}"] * (wider != scope)
            options += ["exact=False"] * (looser != exact)
            if lowest < floor - TOLERANCE:
                kept.setdefault(f"{lowest:.4f}", " and ".join(options))
    lower = [f"{options} keeps at least {share}" for share, options in kept.items()]
    lower += [f"a round_to below {round_to} goes lower"] * bool(round_to)
    return "".join(f"; {one}" for one in lower)


def reasons(groups: Sequence[Group]) -> str:
    """Reason of one group, a refused one if there is one, and the number of the others."""
    ordered = sorted(groups, key=lambda group: group.status == "spared")
    if not ordered:
        return "no convolution or linear layer runs on example_inputs with gradients"
    first, more = ordered[0], len(ordered) - 1
    others = f", and {count(more, 'more group')}; `hpstudy groups` lists them" * (more > 0)
    return f"{first.root}: {first.sentence.removesuffix('.')}{others}"


def _check_patterns(found: list[Group], spare: Sequence[str]) -> None:
    layers = [layer for group in found for layer in (group.root, *group.layers)]
    for pattern in set(spare) - {STEM, OUTPUT}:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise HpstudyError(
                f"no layer matches {shown(pattern)}, which is to be spared"
                f"{did_you_mean(pattern, layers)}; `hpstudy groups` lists the layers"
            )


def _spared(group: Group, name: str, scope: str, spare: Sequence[str]) -> str:
    """Reason why a group is spared without verification; empty if it is not spared."""
    layers = {group.root, *group.layers}
    for pattern in spare:
        if pattern == group.scope:
            return f"{pattern} layers are spared"
        if any(fnmatchcase(layer, pattern) for layer in layers):
            return f"spared by {pattern!r}"
    if scope == "inside" and group.scope == "residual":
        return "its channels are added to those of other layers; scope='all' prunes them"
    if scope == "inside" and name in MODELS and not MODELS[name].may_prune(group.root):
        return "it is not inside a residual block; scope='all' prunes it"
    return ""
