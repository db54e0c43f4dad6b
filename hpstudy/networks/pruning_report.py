"""Report of one pruned network, enough to rebuild it."""

import copy
from pathlib import Path

import torch_pruning as tp
from pydantic import BaseModel
from torch import nn

from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import architecture, build_model, zeros
from hpstudy.networks.pruning import Scores, choose_channels, filter_scores, weights_hash
from hpstudy.networks.weights import read_weights


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

    def facts(self) -> dict[str, str]:
        """What a terminal shows by name, without the kept channels."""
        size, smallest = self.image_size, self.smallest
        return {
            "network": f"{self.model}, {self.classes} classes, {size}x{size} pixels",
            "pruning": f"{self.method}, by {self.criterion}",
            "FLOPs ratio": f"asked {self.target}, reached {self.achieved:.6f} "
            f"(by torch-pruning's counter {self.achieved_torch_pruning:.6f})",
            "MACs": f"{self.macs:,} of {self.macs_dense:,}",
            "parameters": f"{self.params:,} of {self.params_dense:,}",
            "smallest": f"{smallest['layer']}, width {smallest['width']}",
            "ranked": self.ranked,
            "SHA-256": self.weights_sha256,
            "widths": ", ".join(f"{name} {width}" for name, width in self.widths.items()),
        }


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


def prune(
    model: str,
    method: str,
    flops_ratio: float,
    criterion: str = "l1-normalised",
    weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> PruningReport:
    """Prune one of `hpstudy.networks.models.MODELS` (see `choose_channels`).

    Parameters
    ----------
    model, method, flops_ratio, criterion
    weights : path, optional
        File of trained dense weights (see `read_weights`); untrained ones are ranked by default.
    classes, image_size : int, optional
        By default those of the thesis (Table 3.2).

    Raises
    ------
    HpstudyError
        For an unknown model, a file that does not fit it, or a ratio out of reach.
    """
    thesis = architecture(model)
    network = PrunableNetwork(
        model,
        thesis.classes if classes is None else classes,
        thesis.image_size if image_size is None else image_size,
    )
    ranked = "He-initialised, untrained, seed 0"
    if weights is not None:
        state, notes = read_weights(Path(weights), model, network.model)
        network.model.load_state_dict(state)
        ranked = Path(weights).name + (f" ({', '.join(notes)})" if notes else "")
    return prune_network(
        network,
        filter_scores(network.model, network.prunable),
        method,
        flops_ratio,
        criterion,
        ranked=ranked,
        weights_sha256=weights_hash(network.model),
    )


def torch_pruning_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates by torch-pruning's counter, normalisations and activations included."""
    # Counted on a copy, because counting changes the mode of the model.
    return int(tp.utils.count_ops_and_params(copy.deepcopy(model).eval(), zeros(image_size))[0])
