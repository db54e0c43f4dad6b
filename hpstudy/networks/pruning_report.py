"""Certificate of one pruned network, for any weights: what `hpstudy prune` prints."""

from pathlib import Path
from typing import Any

import torch

from hpstudy.config.words import count
from hpstudy.errors import unknown
from hpstudy.networks.dependency import Network
from hpstudy.networks.models import MODELS, build_model, input_size
from hpstudy.networks.pruning import filter_scores, prune, weights_hash
from hpstudy.networks.weights import read_weights

UNTRAINED_SEED = 0


def certify(
    model: str,
    method: str,
    flops_ratio: float,
    criterion: str = "l1-normalised",
    weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> dict[str, Any]:
    """Certificate of `model` pruned to `flops_ratio` by the weights of a file.

    Parameters
    ----------
    model, method, flops_ratio, criterion
        See `hpstudy.networks.pruning.choose_channels`.
    weights : path, optional
        Of the trained dense network (`hpstudy.networks.weights.read_weights`); `ranked` says how they were
        read. Without, He-initialised weights of seed 0 are ranked, and `ranked` says so.
    classes, image_size : int, optional
        By default those of the thesis (Table 3.2).

    Returns
    -------
    dict
        As `hpstudy.networks.pruning.prune`.

    Raises
    ------
    HpstudyError
        For an unknown model, a file that does not fit it, or a ratio out of reach.
    """
    if model not in MODELS:
        raise unknown("model", model, MODELS)
    classes = (1000 if model == "resnet50" else 10) if classes is None else classes
    network = Network(model, classes, input_size(model) if image_size is None else image_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        dense = build_model(model, classes)
    ranked = f"He-initialised, untrained, seed {UNTRAINED_SEED}"
    if weights is not None:
        state, notes = read_weights(Path(weights), model, dense)
        dense.load_state_dict(state)
        ranked = Path(weights).name + (f" ({', '.join(notes)})" if notes else "")
    ranking = {
        "ranked": ranked,
        "weights_sha256": weights_hash(dense),
        "scores": filter_scores(dense, network.prunable),
    }
    return prune(network, ranking, method, flops_ratio, criterion)


def format_certificate(certificate: dict[str, Any]) -> str:
    """The certificate as lines of text for a terminal; the kept channels are left to the JSON."""
    c = certificate
    lines = [
        f"{c['model']}, {c['classes']} classes, {c['image_size']}x{c['image_size']} pixels, "
        f"{c['method']} pruning by {c['criterion']}",
        f"FLOPs ratio  asked {c['target']}, reached {c['achieved']:.6f} "
        f"(by torch-pruning's counter {c['achieved_torch_pruning']:.6f})",
        f"MACs         {c['macs']:,} of {c['macs_dense']:,}",
        f"parameters   {c['params']:,} of {c['params_dense']:,}",
        f"smallest     {c['smallest']['layer']} with {count(c['smallest']['width'], 'channel')}",
        f"ranked       {c['ranked']}, SHA-256 {c['weights_sha256']}",
        "widths       " + ", ".join(f"{name} {width}" for name, width in c["widths"].items()),
    ]
    return "\n".join(lines)
