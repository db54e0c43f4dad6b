"""Pruning of any network to a share of its FLOPs, verified against the dense one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from hpstudy.config.study import CRITERIA, METHODS, SCOPES
from hpstudy.errors import HpstudyError, shown, unknown
from hpstudy.networks.latency import measure_latency
from hpstudy.networks.network_report import GroupReport, NetworkReport
from hpstudy.networks.onnx_export import check_packages
from hpstudy.networks.pruning import TOLERANCE
from hpstudy.networks.sources import open_network
from hpstudy.networks.verified import VerifiedNetwork
from hpstudy.networks.verified_groups import OUTPUT, STEM, verified_groups

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
    network = VerifiedNetwork.open(name, dense, inputs, scope, spare, exact, round_to)
    given, within = (method, criterion), tolerance
    if latency_ratio is not None:
        target = network.ratio_for_latency(latency_ratio, *given, example_inputs)
        # Any FLOPs ratio near to that of a probe will do.
        within = 1.0
    pruned, report = network.prune(
        *(target, *given, within), ranked=ranked, arguments=arguments or {}
    )
    if latency_ratio is not None:
        latency = measure_latency({"dense": dense, "pruned": pruned}, example_inputs)
        measured = {"latency_target": latency_ratio, "latency": latency}
        report = report.model_copy(update=measured)
    return pruned, report


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
