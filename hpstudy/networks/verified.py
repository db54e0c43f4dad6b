"""A network whose groups of channels are verified, and its cuts to shares of its FLOPs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from torch import nn

from hpstudy.errors import HpstudyError, count, did_you_mean, shown
from hpstudy.networks.cutting import without
from hpstudy.networks.flops import CostModel, cost_model, measured_macs
from hpstudy.networks.graph import Graph, Inputs, Removed
from hpstudy.networks.groups import Group, Norms, find_groups, ranked_group, union
from hpstudy.networks.models import MODELS
from hpstudy.networks.network_report import (
    FORMAT,
    GroupReport,
    NetworkReport,
    architecture_hash,
    as_ranges,
    installed_versions,
)
from hpstudy.networks.pruning import choose_channels, lowest_ratio, weights_hash
from hpstudy.networks.verification import Probe

STEM, OUTPUT = "stem", "output"


@dataclass(frozen=True)
class VerifiedNetwork:
    """Dense network with its groups of channels, of which each was cut alone and compared.

    `groups` are all that were found and `usable` those that may be pruned. The options are those
    of `hpstudy.networks.prune`.
    """

    name: str
    dense: nn.Module
    inputs: Inputs
    scope: str
    exact: bool
    round_to: int | None
    probe: Probe
    groups: list[Group]

    @classmethod
    def open(
        cls,
        name: str,
        dense: nn.Module,
        inputs: Inputs,
        scope: str,
        spare: Sequence[str],
        exact: bool,
        round_to: int | None,
    ) -> "VerifiedNetwork":
        """Trace and verify a network; raises HpstudyError if no channels of it can be pruned."""
        probe, found = verified_groups(name, dense, inputs, scope, spare)
        network = cls(name, dense, inputs, scope, exact, round_to, probe, found)
        if not network.usable:
            raise HpstudyError(f"no channels of {name} can be pruned: {_reasons(found)}")
        return network

    @cached_property
    def usable(self) -> list[Group]:
        """Groups that may be pruned."""
        statuses = ("exact",) if self.exact else ("exact", "inexact")
        return [group for group in self.groups if group.status in statuses]

    @cached_property
    def cost(self) -> CostModel:
        """Closed form of the cost, by the units that the usable groups keep."""
        return cost_model(self.dense, self.inputs, self.usable)

    @cached_property
    def floor(self) -> float:
        """Smallest share of the FLOPs that can remain."""
        return lowest_ratio(self.cost, self._at_once)

    @cached_property
    def _at_once(self) -> dict[str, int]:
        """Units of each group that leave together, for widths that are multiples."""
        if not self.round_to:
            return {}
        sizes = {group.root: len(group.units[0]) for group in self.usable}
        return {root: self.round_to // math.gcd(self.round_to, n) for root, n in sizes.items()}

    def choose(
        self,
        groups: Sequence[Group],
        flops_ratio: float,
        method: str,
        criterion: str,
        tolerance: float,
    ) -> dict[str, list[int]]:
        """Units to keep of each group, by the scores of `groups`; see `choose_channels`.

        Raises HpstudyError for a ratio out of reach.
        """
        if flops_ratio < self.floor - tolerance:
            wider = self.scope == "inside" and any(g.scope == "residual" for g in self.groups)
            advice = _advice(self.groups, groups, wider, self.round_to)
            raise HpstudyError(
                f"flops_ratio {flops_ratio} is out of reach: {self.name} keeps at least "
                f"{self.floor:.4f} of its FLOPs with scope {self.scope!r}{advice}"
            )
        scores = {group.root: group.scores for group in groups}
        return choose_channels(
            *(self.cost, scores, method, flops_ratio, criterion),
            at_once=self._at_once,
            tolerance=tolerance,
            trade=True,
        )

    def removed(
        self,
        flops_ratio: float,
        method: str,
        criterion: str,
        tolerance: float,
        norms: Norms | None = None,
    ) -> tuple[dict[str, list[int]], Removed]:
        """Units that each group keeps, and all that the network loses.

        `norms` are those of the filters by layer; by default those of the network itself.
        """
        groups = self.usable
        if norms is not None:
            groups = [ranked_group(group, self.dense, norms) for group in groups]
        kept = self.choose(groups, flops_ratio, method, criterion, tolerance)
        return kept, union(group.without_units(kept[group.root]) for group in groups)

    def prune(
        self,
        flops_ratio: float,
        method: str,
        criterion: str,
        tolerance: float,
        *,
        ranked: str,
        arguments: Mapping[str, Any],
        norms: Norms | None = None,
        weights_sha256: str | None = None,
        stem: str | None = None,
    ) -> tuple[nn.Module, NetworkReport]:
        """Pruned network and its report; see `hpstudy.networks.prune`.

        With the `norms` of the filters of another training, whose weights have the hash
        `weights_sha256`, the pruned network has no weights worth a hash.
        """
        kept, removed = self.removed(flops_ratio, method, criterion, tolerance, norms)
        error = self.probe.verify_cut(removed, self.exact) if removed else 0.0
        pruned, cost = without(self.dense, removed), self.cost
        widths = {root: len(units) for root, units in kept.items()}
        _check_macs(self.name, pruned, self.inputs, cost, widths)
        sizes = {group.root: len(group.units[0]) * widths[group.root] for group in self.usable}
        tensors = self.inputs.tensors()
        return pruned, NetworkReport(
            format=FORMAT,
            model=self.name,
            arguments=dict(arguments),
            stem=stem,
            inputs=[(list(t.shape), str(t.dtype).removeprefix("torch.")) for t in tensors],
            method=method,
            criterion=criterion,
            scope=self.scope,
            round_to=self.round_to,
            exact=self.exact,
            target=flops_ratio,
            achieved=cost.macs(widths) / cost.macs(),
            floor=self.floor,
            macs=cost.macs(widths),
            macs_dense=cost.macs(),
            params=sum(parameter.numel() for parameter in pruned.parameters()),
            params_dense=sum(parameter.numel() for parameter in self.dense.parameters()),
            error=error,
            ranked=ranked,
            groups=[GroupReport.of(group, sizes.get(group.root)) for group in self.groups],
            removed=as_ranges(removed),
            architecture_sha256=architecture_hash(self.dense),
            weights_sha256=weights_sha256 or weights_hash(self.dense),
            pruned_sha256=None if norms else weights_hash(pruned),
            versions=installed_versions(),
        )


def verified_groups(
    name: str, dense: nn.Module, inputs: Inputs, scope: str, spare: Sequence[str]
) -> tuple[Probe, list[Group]]:
    """Probe and groups of a network; each group is verified, or has the reason why it is not."""
    found = find_groups(Graph(dense, inputs), dense)
    _check_patterns(found, spare)
    probe = Probe(dense, inputs)
    for group in found:
        if reason := _spared(group, name, scope, spare):
            group.status, group.sentence = "spared", reason
        elif group.status != "refused":
            probe.verify(group)
    return probe, found


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


def _reasons(groups: Sequence[Group]) -> str:
    """Reason of one group, a refused one if there is one, and the number of the others."""
    ordered = sorted(groups, key=lambda group: group.status == "spared")
    if not ordered:
        return "no convolution or linear layer runs on example_inputs with gradients"
    first, more = ordered[0], len(ordered) - 1
    others = f", and {count(more, 'more group')}; `hpstudy groups` lists them" * (more > 0)
    return f"{first.root}: {first.sentence.removesuffix('.')}{others}"


def _advice(
    groups: Sequence[Group], usable: Sequence[Group], wider: bool, round_to: int | None
) -> str:
    refused = sum(group.status in ("refused", "inexact") for group in groups)
    parts = [f"{count(len(usable), 'group')} pruned, {refused} refused"]
    if wider:
        parts.append("scope='all' prunes the residual stream too")
    if round_to:
        parts.append(f"a round_to below {round_to} goes lower")
    return f" ({'; '.join(parts)})"


def _check_macs(
    name: str, pruned: nn.Module, inputs: Inputs, cost: CostModel, widths: Mapping[str, int]
) -> None:
    measured, computed = measured_macs(pruned, inputs), cost.macs(widths)
    if measured != computed:
        raise HpstudyError(
            f"the pruned {name} takes {measured:,} multiply-accumulates, not {computed:,}: "
            "operators other than layers work on the pruned channels; spare the layers before them"
        )
