"""Report of a pruned network, from which it is rebuilt without tracing."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError
from torch import Tensor, nn

from hpstudy.config.study import Stem
from hpstudy.config.validation import read_text
from hpstudy.errors import HpstudyError, one_line, shown
from hpstudy.networks.cutting import cut
from hpstudy.networks.graph import Refused, Removed, Scope, Side
from hpstudy.networks.groups import Group, Status
from hpstudy.networks.latency import LatencyReport
from hpstudy.networks.onnx_export import OnnxReport
from hpstudy.networks.sources import Factory, build_network, call_factory, is_data
from hpstudy.networks.stem import small_stem
from hpstudy.networks.weights import load_state

FORMAT = 1
# Channels are below ten million, so that a damaged report cannot fill the memory.
_RANGES = r"^\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*$"
_PACKAGES = ("torch", "torchvision", "timm", "torch-pruning", "hpstudy")


class GroupReport(BaseModel, frozen=True, extra="forbid"):
    """What can be pruned of one group of channels, or why not.

    `units` are the smallest sets of its `channels` that can leave together, and `layers` the
    convolutions and linear layers that give them. `kept` counts channels.
    """

    root: str
    layers: list[str]
    scope: Scope
    channels: int
    units: int
    status: Status
    sentence: str
    kept: int

    @classmethod
    def of(cls, group: Group, kept: int | None = None) -> "GroupReport":
        """Report of a group that keeps some channels, by default all."""
        return cls(
            root=group.root,
            layers=group.layers,
            scope=group.scope,
            channels=group.channels,
            units=len(group.units),
            status=group.status,
            sentence=group.sentence,
            kept=group.channels if kept is None else kept,
        )


class NetworkReport(BaseModel, frozen=True, extra="forbid"):
    """A pruned network: how it is made from the dense one, and what it costs.

    `model` and `arguments` are the factory's; `model` is the class of a network that was given as
    an object. `stem` is that of a study (`hpstudy.networks.stem`). `removed` holds layer, side,
    dimension and ranges of channels. The hashes are those of the dense network's names and shapes
    (`architecture_sha256`) and weights, and of the pruned network's weights, if it has any. FLOPs
    ratios are as asked for (`target`), as reached (`achieved`) and the lowest possible (`floor`).
    `error` is the largest relative difference of the outputs from those of the dense network with
    the removed channels at zero, in float64. `ranked` says which weights ranked the filters.
    `latency` holds the times of "dense" and "pruned" where they were measured, and `latency_target`
    the ratio in onnxruntime that was asked for in place of a FLOPs ratio.
    """

    format: Literal[1]
    model: str
    arguments: dict[str, Any]
    stem: Stem | None = None
    inputs: list[tuple[list[int], str]]
    method: str
    criterion: str
    scope: str
    round_to: int | None
    exact: bool
    target: float
    achieved: float
    floor: float
    macs: int
    macs_dense: int
    params: int
    params_dense: int
    error: float
    ranked: str
    groups: list[GroupReport]
    removed: list[tuple[str, Side, int, Annotated[str, Field(pattern=_RANGES)]]]
    architecture_sha256: str
    weights_sha256: str
    pruned_sha256: str | None
    versions: dict[str, str]
    latency_target: float | None = None
    latency: LatencyReport | None = None
    onnx: OnnxReport | None = None

    def widths(self) -> dict[str, int]:
        """Channels that each pruned group keeps, by its first layer."""
        return {group.root: group.kept for group in self.groups if group.kept < group.channels}

    def facts(self) -> dict[str, str]:
        """Facts that the terminal prints, by name."""
        shapes = ", ".join("x".join(map(str, shape)) for shape, _ in self.inputs)
        settings = ", ".join(f"{name} {value}" for name, value in self.arguments.items())
        asked = f"asked {self.target}"
        if self.latency_target is not None:
            asked = f"chosen for a latency ratio of {self.latency_target}"
        facts = {
            "network": f"{self.model}{f' ({settings})' if settings else ''}, inputs {shapes}",
            "pruning": f"{self.method}, by {self.criterion}, {self.scope}",
            "FLOPs ratio": f"{asked}, reached {self.achieved:.6f}, lowest {self.floor:.4f}",
            "MACs": f"{self.macs:,} of {self.macs_dense:,}",
            "parameters": f"{self.params:,} of {self.params_dense:,}",
            "error": f"{self.error:.1e} of the largest output, in float64",
            "ranked": self.ranked,
            "SHA-256": self.weights_sha256,
            "widths": ", ".join(f"{root} {width}" for root, width in self.widths().items()),
        }
        if self.latency is not None:
            facts |= self.latency.facts()
        if self.onnx is not None:
            batch = (
                "batches of any size" if self.onnx.dynamic_batch else "a batch of this size only"
            )
            facts["ONNX"] = f"{batch}, error {self.onnx.difference:.1e} of the largest output"
        return facts


def rebuild(
    report: NetworkReport | Mapping[str, Any] | str | Path,
    state: Mapping[str, Tensor] | str | Path | None = None,
    factory: Factory | str | None = None,
) -> nn.Module:
    """Build a pruned network again from its report; nothing is traced.

    Parameters
    ----------
    report : NetworkReport, dict or path
        Report, its values, or a JSON file of them.
    state : dict of tensors or path, optional
        Weights of the pruned network; by default those that the factory draws.
    factory : callable or str, optional
        Function that makes the dense network from the report's arguments. Needed where the report
        names your own code, which is not imported without consent. The name that the report has
        for it gives this consent.

    Raises
    ------
    HpstudyError
        If report, factory and weights do not fit together.
    """
    report = read_report(report)
    if callable(factory):
        model = call_factory(factory, report.arguments, "the factory")
    elif factory is not None and factory != report.model:
        raise HpstudyError(f"the report is of {report.model}, not of {factory}")
    elif is_data(report.model) or factory is not None:
        model = build_network(report.model, report.arguments)
    else:
        raise HpstudyError(
            f"the report names {report.model}, code that is not imported without consent; pass "
            "factory=, a function that makes the dense network, or this name if you trust it"
        )
    if report.stem:
        small_stem(model, report.model)
    if architecture_hash(model) != report.architecture_sha256:
        raise HpstudyError(
            f"the dense network that the factory makes is not that of the report of "
            f"{report.model}: names or shapes of its weights differ (the report was made with "
            f"{', '.join(f'{name} {number}' for name, number in report.versions.items())})"
        )
    try:
        cut(model, from_ranges(report.removed))
    except (Refused, LookupError, AttributeError) as error:
        raise HpstudyError(
            f"the report removes channels that {report.model} does not have: {one_line(error)}"
        ) from None
    if state is not None:
        model.load_state_dict(load_state(state, model, f"the pruned {report.model}"))
    return model


def read_report(report: NetworkReport | Mapping[str, Any] | str | Path) -> NetworkReport:
    """Report from its values or a JSON file; raises HpstudyError for anything else."""
    if isinstance(report, NetworkReport):
        return report
    place = "the report"
    try:
        if isinstance(report, (str, Path)):
            place = str(report)
            return NetworkReport.model_validate_json(read_text(report))
        return NetworkReport.model_validate(report)
    except FileNotFoundError:
        raise HpstudyError(f"there is no report {place}") from None
    except ValidationError as error:
        faults = {".".join(map(str, fault["loc"])): fault for fault in error.errors()}
        if fault := faults.get("format"):
            raise HpstudyError(
                f"{place} has the format {shown(fault['input'])}, but this version of hpstudy "
                f"reads {FORMAT}; prune the network again"
            ) from None
        key, fault = next(iter(faults.items()))
        raise HpstudyError(
            f"{place} is no report of a pruned network: {key or 'it'}: {fault['msg']}"
        ) from None


def architecture_hash(model: nn.Module) -> str:
    """SHA-256 over the names and shapes of the state of a network."""
    lines = [f"{name} {tuple(value.shape)}\n" for name, value in model.state_dict().items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def installed_versions() -> dict[str, str]:
    """Versions of the packages that build and prune networks."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def as_ranges(removed: Removed) -> list[tuple[str, Side, int, str]]:
    """Removed channels as in a report, such as "0-3,7"."""
    return [(*part, _ranges(sorted(channels))) for part, channels in removed.items()]


def from_ranges(rows: Sequence[tuple[str, Side, int, str]]) -> Removed:
    """Removed channels of a report."""
    removed: Removed = {}
    for layer, side, dim, ranges in rows:
        channels: set[int] = set()
        for pair in ranges.split(","):
            first, _, last = pair.partition("-")
            channels.update(range(int(first), int(last or first) + 1))
        removed[layer, side, dim] = channels
    return removed


def _ranges(channels: list[int]) -> str:
    pairs: list[list[int]] = []
    for channel in channels:
        if pairs and pairs[-1][1] == channel - 1:
            pairs[-1][1] = channel
        else:
            pairs.append([channel, channel])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in pairs)
