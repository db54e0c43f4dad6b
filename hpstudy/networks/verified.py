"""A network whose groups of channels are verified, and its cuts to shares of its FLOPs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from hpstudy.errors import HpstudyError, count
from hpstudy.networks.cutting import without
from hpstudy.networks.flops import CostModel, cost_model, measured_macs
from hpstudy.networks.graph import Inputs, Removed
from hpstudy.networks.groups import Group, Norms, ranked_group, union
from hpstudy.networks.latency import Latency, measure_latency
from hpstudy.networks.latency_target import flops_ratio_for
from hpstudy.networks.network_report import (
    FORMAT,
    GroupReport,
    NetworkReport,
    architecture_hash,
    as_ranges,
    installed_versions,
)
from hpstudy.networks.onnx_export import to_onnx
from hpstudy.networks.pruning import choose_channels, lowest_ratio, weights_hash
from hpstudy.networks.verification import Probe
from hpstudy.networks.verified_groups import (
    lower_floors,
    reasons,
    usable_groups,
    verified_groups,
)
from hpstudy.networks.whole_groups import units_at_once


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
    spare: Sequence[str]
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
        probe, found = verified_groups(name, dense, inputs, scope, spare, round_to)
        network = cls(name, dense, inputs, scope, spare, exact, round_to, probe, found)
        if not network.usable:
            raise HpstudyError(f"no channels of {name} can be pruned: {reasons(found)}")
        return network

    @cached_property
    def usable(self) -> list[Group]:
        """Groups that may be pruned."""
        return usable_groups(self.groups, self.exact)

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
        return {group.root: units_at_once(group, self.round_to) for group in self.usable}

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
            refused = sum(g.status in ("refused", "inexact") for g in self.groups) * self.exact
            options = self.scope, self.spare, self.exact, self.round_to
            raise HpstudyError(
                f"flops_ratio {flops_ratio} is out of reach: {self.name} keeps at least "
                f"{self.floor:.4f} of its FLOPs with scope {self.scope!r} "
                f"({count(len(groups), 'group')} pruned, {refused} refused)"
                + lower_floors(self.name, self.dense, self.inputs, self.floor, *options)
            )
        scores = {group.root: group.scores for group in groups}
        return choose_channels(
            *(self.cost, scores, method, flops_ratio, criterion),
            at_once=self._at_once,
            tolerance=tolerance,
            # Where any ratio will do, the nearest single units are near enough.
            trade=tolerance < 1,
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

    def ratio_for_latency(
        self, latency_ratio: float, method: str, criterion: str, example_inputs: Any
    ) -> float:
        """FLOPs ratio at which the network takes a share of the dense one's time.

        Raises HpstudyError for one out of reach; see `flops_ratio_for`.
        """
        whole = to_onnx(self.dense, self.inputs, any_batch=False).content

        def measured(ratio: float) -> Latency:
            _, removed = self.removed(ratio, method, criterion, 1.0)
            pruned = to_onnx(without(self.dense, removed), self.inputs, any_batch=False).content
            models = {"dense": whole, "pruned": pruned}
            return measure_latency(models, example_inputs).onnxruntime["pruned"]

        return flops_ratio_for(latency_ratio, self.floor, measured, self.name)

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


def _check_macs(
    name: str, pruned: nn.Module, inputs: Inputs, cost: CostModel, widths: Mapping[str, int]
) -> None:
    measured, computed = measured_macs(pruned, inputs), cost.macs(widths)
    if measured != computed:
        raise HpstudyError(
            f"the pruned {name} takes {measured:,} multiply-accumulates, not {computed:,}: "
            "operators other than layers work on the pruned channels; spare the layers before them"
        )
