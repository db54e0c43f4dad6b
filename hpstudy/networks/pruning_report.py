"""Report of a pruned network of a study, as its published record keeps it."""

import copy
from typing import Any

from pydantic import BaseModel
from torch import nn

from hpstudy.config.study import Study, parse_variant
from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks._torch_pruning import tp
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.groups import Norms
from hpstudy.networks.models import build_model, zeros
from hpstudy.networks.network_report import NetworkReport, from_ranges
from hpstudy.networks.own_network import OwnNetwork
from hpstudy.networks.pruning import Scores, choose_channels, weights_hash
from hpstudy.networks.shapes import Shapes, shapes_of


class PruningReport(BaseModel, frozen=True, extra="forbid"):
    """A pruned network: what it is, what it costs, and which channels it keeps.

    FLOPs ratios are as asked for (`target`), as reached, and as reached by torch-pruning's counter.
    `smallest` is the layer that keeps the fewest channels, and its width; `widths` and `kept` are
    the number and the indices of the kept channels per prunable layer. `ranked` describes the
    network whose filters were ranked, and `weights_sha256` is its `weights_hash`.
    """

    model: str
    classes: int
    image_size: int
    method: str
    criterion: str
    target: float
    achieved: float
    achieved_torch_pruning: float
    macs: int
    macs_dense: int
    params: int
    params_dense: int
    smallest: dict[str, str | int]
    ranked: str
    weights_sha256: str
    widths: dict[str, int]
    kept: dict[str, list[int]]

    # The text is for the documentation, which is built without torch.
    def rebuild(self, model: "nn.Module | None" = None) -> nn.Module:
        """The pruned network, with the kept weights of the ranked dense network `model`.

        Without `model`, weights are drawn from torch's global generator. Raises HpstudyError if
        the weights of `model` are not the ranked ones.
        """
        network = PrunableNetwork(self.model, self.classes, self.image_size)
        if model is None:
            model = build_model(self.model, self.classes)
        elif (given := weights_hash(model)) != self.weights_sha256:
            raise HpstudyError(
                f"the given weights (SHA-256 {given[:16]}...) are not those that were ranked "
                f"({self.weights_sha256[:16]}...)"
            )
        return network.cut(model, self.kept)


def prune_network(
    network: PrunableNetwork,
    scores: Scores,
    method: str,
    flops_ratio: float,
    criterion: str,
    *,
    ranked: str,
    weights_sha256: str,
) -> PruningReport:
    """Prune a network by the scores of its trained filters (thesis, section 3.2).

    See `choose_channels` for the choice and what it refuses, and `PruningReport` for `ranked` and
    `weights_sha256`.
    """
    cost, size = network.cost, network.image_size
    kept = choose_channels(cost, scores, method, flops_ratio, criterion)
    widths = {layer: len(channels) for layer, channels in kept.items()}
    smallest = min(widths, key=widths.__getitem__)
    macs = torch_pruning_macs(network.cut(network.model, kept), size)
    return PruningReport(
        model=network.name,
        classes=network.classes,
        image_size=size,
        method=method,
        criterion=criterion,
        target=flops_ratio,
        achieved=cost.macs(widths) / cost.macs(),
        achieved_torch_pruning=macs / torch_pruning_macs(network.model, size),
        macs=cost.macs(widths),
        macs_dense=cost.macs(),
        params=cost.params(widths),
        params_dense=cost.params(),
        smallest={"layer": smallest, "width": widths[smallest]},
        ranked=ranked,
        weights_sha256=weights_sha256,
        widths=widths,
        kept=kept,
    )


def torch_pruning_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates by torch-pruning's counter, normalisations and activations included."""
    # Counted on a copy, because counting changes the mode of the model.
    return int(tp.utils.count_ops_and_params(copy.deepcopy(model).eval(), zeros(image_size))[0])


def prune_own_network(
    network: OwnNetwork,
    study: Study,
    variant: str,
    norms: Norms,
    *,
    ranked: str,
    weights_sha256: str,
) -> dict[str, Any]:
    """Record of a pruned network from a source, by the norms of its trained filters.

    Its keys are those of `PruningReport` but for the channels that it keeps. `shapes` is what the
    runs are identified by (`hpstudy.networks.shapes`), and `hpstudy.rebuild` makes the network
    from `report`.
    """
    method, ratio = parse_variant(variant)
    verified = network.verified(study)
    _, report = verified.prune(
        *(ratio, method, study.criterion, study.tolerance),
        norms=norms,
        ranked=ranked,
        weights_sha256=weights_sha256,
        arguments=network.arguments,
        stem=network.identity.stem,
    )
    roots = {group.root for group in verified.usable}
    widths = {group.root: group.kept for group in report.groups if group.root in roots}
    smallest = min(widths, key=widths.__getitem__)
    shapes = shapes_of(from_ranges(report.removed), verified.dense)
    _check_shape(network, shapes, report)
    shared = [
        *("model", "method", "criterion", "target", "achieved", "macs", "macs_dense"),
        *("params", "params_dense", "ranked", "weights_sha256"),
    ]
    return {
        "classes": network.classes,
        "image_size": network.image_size,
        **{name: getattr(report, name) for name in shared},
        "smallest": {"layer": smallest, "width": widths[smallest]},
        "widths": widths,
        "shapes": shapes,
        "report": report.model_dump(mode="json"),
    }


def _check_shape(network: OwnNetwork, shapes: Shapes, report: NetworkReport) -> None:
    """Refuse a network that its shape alone does not make, as workers do."""
    try:
        size = network.size(shapes)
    except Exception as error:  # whatever a network raises at other widths
        raise HpstudyError(
            f"{network.name} fails at the shape of its cut: {one_line(error)}"
        ) from None
    if size != (report.macs, report.params):
        raise HpstudyError(
            f"{network.name} at the shape of its cut takes {size[0]:,} multiply-accumulates, not "
            f"{report.macs:,}; spare the layers that other operators than layers work on"
        )
