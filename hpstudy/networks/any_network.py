"""Pruning of any network to a share of its FLOPs, verified against the dense one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from hpstudy.config.study import CRITERIA, METHODS
from hpstudy.errors import HpstudyError, count, shown, unknown
from hpstudy.networks.cutting import without
from hpstudy.networks.flops import CostModel, cost_model, measured_macs
from hpstudy.networks.graph import Inputs, Removed
from hpstudy.networks.groups import union
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
from hpstudy.networks.onnx_export import check_packages, to_onnx
from hpstudy.networks.pruning import TOLERANCE, choose_channels, lowest_ratio, weights_hash
from hpstudy.networks.sources import open_network
from hpstudy.networks.verified_groups import (
    OUTPUT,
    STEM,
    lower_floors,
    reasons,
    usable_groups,
    verified_groups,
)
from hpstudy.networks.whole_groups import units_at_once

SCOPES = ("inside", "all")
# What remains where no ratio is given.
FLOPS_RATIO = 0.4


def prune(
    # The text is for the documentation, which is built without torch.
    model: "nn.Module | str",
    example_inputs: Any,
    flops_ratio: float | None = None,
    method: str = "nonuniform",
    criterion: str = "l1-normalised",
    scope: str = "inside",
    round_to: int | None = None,
    spare: Sequence[str] = (STEM, OUTPUT),
    exact: bool = True,
    tolerance: float = TOLERANCE,
    arguments: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    latency_ratio: float | None = None,
) -> tuple[nn.Module, NetworkReport]:
    """Prune a network to a share of its FLOPs, or of its latency.

    Each group of channels is cut alone, and then all chosen channels together, in float64. Each
    result is compared with the dense network in which later layers see zeros in place of the
    removed channels. A group whose result differs keeps its channels, and the report says why.

    Parameters
    ----------
    model : torch.nn.Module or str
        Network, which is not changed; its own weights rank its filters. Or a name: one of the
        study's, "torchvision:NAME", "timm:NAME", or "package.module:factory".
    example_inputs : tensor, tuple or dict
        Arguments of its forward, for a batch of one.
    flops_ratio : float, optional
        Share of the FLOPs that remains, in (0, 1]; by default 0.4 without a `latency_ratio`.
    method : {"nonuniform", "uniform"}
        One ranking over all groups, or one keep factor for all (thesis, section 3.2).
    criterion : {"l1-normalised", "l1"}
        Norms of filters divided by their group's mean, or raw norms.
    scope : {"inside", "all"}
        Channels inside blocks, or those of the residual stream too. In the study's networks,
        "inside" prunes what the thesis prunes.
    round_to : int, optional
        Widths become multiples of it where groups allow; such widths run faster. Grouped
        convolutions then lose whole groups where the steps are finer so.
    spare : sequence of str, default ("stem", "output")
        Layers that keep all channels. "stem" is the first layer, "output" those that give the
        network's outputs; a pattern such as "layer4.*" matches names.
    exact : bool, default True
        Whether channels over which a normalisation takes statistics are kept.
    tolerance : float, default 1e-3
        Share of the dense FLOPs by which the target may be missed.
    arguments : dict, optional
        Keyword arguments of a network that is given by name.
    weights : path, optional
        File of trained weights for that network (see `hpstudy.networks.weights`).
    latency_ratio : float, optional
        Share of the dense network's time in onnxruntime with one thread, in (0, 1], for which a
        FLOPs ratio is searched (see `latency_target`). The report has the times of the result.

    Returns
    -------
    network : torch.nn.Module
        The pruned network, in the training or evaluation mode of the given one.
    report : NetworkReport
        What was removed, what remains, and how the network is rebuilt.

    Raises
    ------
    HpstudyError
        If the network cannot be pruned as asked; the message says why and what is possible.
    """
    if None not in (flops_ratio, latency_ratio):
        raise HpstudyError("give flops_ratio or latency_ratio, not both")
    target = FLOPS_RATIO if flops_ratio is None else flops_ratio
    _check_options(target, latency_ratio, method, criterion, scope, round_to, tolerance)
    name, dense, inputs, ranked = open_network(model, example_inputs, arguments, weights)
    probe, found = verified_groups(name, dense, inputs, scope, spare, round_to)
    usable = usable_groups(found, exact)
    if not usable:
        raise HpstudyError(f"no channels of {name} can be pruned: {reasons(found)}")
    cost = cost_model(dense, inputs, usable)
    at_once = {group.root: units_at_once(group, round_to) for group in usable}
    floor = lowest_ratio(cost, at_once)
    if latency_ratio is None and target < floor - tolerance:
        refused = sum(group.status in ("refused", "inexact") for group in found) * exact
        raise HpstudyError(
            f"flops_ratio {target} is out of reach: {name} keeps at least {floor:.4f} of its "
            f"FLOPs with scope {scope!r} ({count(len(usable), 'group')} pruned, {refused} refused)"
            + lower_floors(name, dense, inputs, floor, scope, spare, exact, round_to)
        )
    scores = {group.root: group.scores for group in usable}

    # Where the latency is the target, any FLOPs ratio near to that of a probe will do.
    within, trade = (tolerance, True) if latency_ratio is None else (1.0, False)

    def choose(ratio: float) -> dict[str, list[int]]:
        given = cost, scores, method, ratio, criterion
        return choose_channels(*given, at_once=at_once, tolerance=within, trade=trade)

    def removal(kept: Mapping[str, list[int]]) -> Removed:
        return union(group.without_units(kept[group.root]) for group in usable)

    if latency_ratio is not None:
        whole = to_onnx(dense, inputs, any_batch=False).content

        def measured(ratio: float) -> Latency:
            pruned = without(dense, removal(choose(ratio)))
            models = {"dense": whole, "pruned": to_onnx(pruned, inputs, any_batch=False).content}
            return measure_latency(models, example_inputs).onnxruntime["pruned"]

        target = flops_ratio_for(latency_ratio, floor, measured, name)
    kept = choose(target)
    removed = removal(kept)
    error = probe.verify_cut(removed, exact) if removed else 0.0
    pruned = without(dense, removed)
    widths = {root: len(units) for root, units in kept.items()}
    _check_macs(name, pruned, inputs, cost, widths)
    latency = None
    if latency_ratio is not None:
        latency = measure_latency({"dense": dense, "pruned": pruned}, example_inputs)
    sizes = {group.root: len(group.units[0]) * widths[group.root] for group in usable}
    return pruned, NetworkReport(
        format=FORMAT,
        model=name,
        arguments=dict(arguments or {}),
        inputs=[(list(t.shape), str(t.dtype).removeprefix("torch.")) for t in inputs.tensors()],
        method=method,
        criterion=criterion,
        scope=scope,
        round_to=round_to,
        exact=exact,
        target=target,
        achieved=cost.macs(widths) / cost.macs(),
        floor=floor,
        macs=cost.macs(widths),
        macs_dense=cost.macs(),
        params=sum(parameter.numel() for parameter in pruned.parameters()),
        params_dense=sum(parameter.numel() for parameter in dense.parameters()),
        error=error,
        ranked=ranked,
        groups=[GroupReport.of(group, sizes.get(group.root)) for group in found],
        removed=as_ranges(removed),
        architecture_sha256=architecture_hash(dense),
        weights_sha256=weights_hash(dense),
        pruned_sha256=weights_hash(pruned),
        versions=installed_versions(),
        latency_target=latency_ratio,
        latency=latency,
    )


def groups(
    model: "nn.Module | str", example_inputs: Any, arguments: Mapping[str, Any] | None = None
) -> list[GroupReport]:
    """Groups of channels that can be pruned, and why others cannot; parameters as in `prune`."""
    name, dense, inputs, _ = open_network(model, example_inputs, arguments, None)
    _, found = verified_groups(name, dense, inputs, "all", (OUTPUT,))
    return [GroupReport.of(group) for group in found]


def _check_options(
    flops_ratio: float,
    latency_ratio: float | None,
    method: str,
    criterion: str,
    scope: str,
    round_to: int | None,
    tolerance: float,
) -> None:
    for kind, value, valid in (
        ("method", method, METHODS),
        ("criterion", criterion, CRITERIA),
        ("scope", scope, SCOPES),
    ):
        if value not in valid:
            raise unknown(kind, value, valid)
    for kind, ratio in (("flops_ratio", flops_ratio), ("latency_ratio", latency_ratio)):
        if ratio is not None and not 0 < ratio <= 1:
            raise HpstudyError(f"{kind} must be above 0 and at most 1, not {shown(ratio)}")
    if latency_ratio is not None:
        check_packages()
    if round_to is not None and (not isinstance(round_to, int) or round_to < 1):
        raise HpstudyError(f"round_to must be a whole number from 1, not {shown(round_to)}")
    if not 0 < tolerance < 1:
        raise HpstudyError(f"tolerance must be between 0 and 1, not {shown(tolerance)}")


def _check_macs(
    name: str, pruned: nn.Module, inputs: Inputs, cost: CostModel, widths: Mapping[str, int]
) -> None:
    measured, computed = measured_macs(pruned, inputs), cost.macs(widths)
    if measured != computed:
        raise HpstudyError(
            f"the pruned {name} takes {measured:,} multiply-accumulates, not {computed:,}: "
            "operators other than layers work on the pruned channels; spare the layers before them"
        )
