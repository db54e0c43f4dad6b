"""Certificate of one pruned network, for any weights: what `hpstudy prune` prints."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, shown, unknown
from hpstudy.models import MODELS, build_model, input_size
from hpstudy.pruning import filter_scores, prune, weights_hash
from hpstudy.surgery import Network

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
        See `hpstudy.pruning.choose_channels`.
    weights : path, optional
        State dict of the trained dense network, as `torch.save(model.state_dict(), path)` writes
        it. Without, He-initialised weights of seed 0 are ranked, and `ranked` says so.
    classes, image_size : int, optional
        By default those of the thesis (Table 3.2).

    Returns
    -------
    dict
        As `hpstudy.pruning.prune`.

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
        ranked = Path(weights).name
        dense.load_state_dict(read_weights(Path(weights), dense))
    ranking = {
        "ranked": ranked,
        "weights_sha256": weights_hash(dense),
        "scores": filter_scores(dense, network.prunable),
    }
    return prune(network, ranking, method, flops_ratio, criterion)


def read_weights(path: Path, dense: nn.Module) -> dict[str, Tensor]:
    """State dict in a file, which is the one of a network like `dense`; runs nothing in it.

    Raises
    ------
    HpstudyError
        If it is none, does not fit, or is not finite.
    """
    if not path.is_file():
        raise HpstudyError(f"there is no file {str(path)!r}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise HpstudyError(
            f"{path} is no file of tensors alone; write it by torch.save(model.state_dict(), path)."
        ) from None
    except Exception:  # whatever a decoder may say
        raise HpstudyError(f"{path} is no file of torch.save, or is cut short.") from None
    wanted = dense.state_dict()
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise HpstudyError(f"{path} holds no state dict; write model.state_dict() alone.")
    for name in (*wanted, *state):
        if name not in state:
            raise HpstudyError(f"{path} lacks {name!r} of the network.")
        if name not in wanted:
            raise HpstudyError(f"{path} has {shown(name)}, which the network has not.")
        if state[name].shape != wanted[name].shape:
            there, here = (tuple(one[name].shape) for one in (state, wanted))
            raise HpstudyError(f"{path} has {name} of shape {there}, and the network of {here}.")
        if not state[name].isfinite().all():
            raise HpstudyError(f"{path} has values in {name} that are not finite.")
    return state


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
        f"smallest     {c['smallest']['layer']} with {c['smallest']['width']} channel(s)",
        f"ranked       {c['ranked']}, SHA-256 {c['weights_sha256']}",
        "widths       " + ", ".join(f"{name} {width}" for name, width in c["widths"].items()),
    ]
    return "\n".join(lines)
