"""Trained weights from files of `torch.save`, renamed to the layers of the study's networks."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, shown
from hpstudy.networks.models import MODELS, MobileNetV2Cifar, ResNetCifar

# Keys under which training scripts keep the state dict in a checkpoint.
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "net")
# Parts that DataParallel, torch.compile and wrapping classes add to the names of layers.
WRAPPERS = ("module", "_orig_mod", "model", "net")
# Names of each kind that a refusal lists.
_MOST = 3
# Layers of a block of MobileNetV2 in kuangliu/pytorch-cifar and in torchvision.
_KUANGLIU = {"conv1": "expand", "conv2": "depthwise", "conv3": "project"}
_KUANGLIU |= {"bn1": "bn1", "bn2": "bn2", "bn3": "bn3"}
_TORCHVISION = {"conv.0.0": "expand", "conv.0.1": "bn1", "conv.1.0": "depthwise"}
_TORCHVISION |= {"conv.1.1": "bn2", "conv.2": "project", "conv.3": "bn3"}
# The first block of torchvision's has no expansion.
_FIRST_BLOCK = {"conv.0.0": "depthwise", "conv.0.1": "bn2", "conv.1": "project", "conv.2": "bn3"}


def read_weights(path: Path, model: str, dense: nn.Module) -> tuple[dict[str, Tensor], list[str]]:
    """Weights for a network from a file; nothing in the file is executed.

    The file holds a state dict alone or under one of `CHECKPOINT_KEYS`. Layers may bear the names
    of `DataParallel`, `torch.compile`, torchvision, akamaster/pytorch_resnet_cifar10,
    chenyaofo/pytorch-cifar-models or kuangliu/pytorch-cifar. `dense` is not changed.

    Returns
    -------
    state : dict of str to Tensor
        float32, under the names of the network.
    notes : list of str
        Remarks on how the file was read; empty for a plain state dict.

    Raises
    ------
    HpstudyError
        For a file without a state dict, with one that does not fit, or with values not finite.
    """
    given, notes = _state_dict(path, _load(path))
    parts = {part for name in given for part in name.split(".")}
    notes += [f"without the prefix {part}." for part in WRAPPERS if part in parts]
    names = _own_names(path, given, dense)
    state = dense.state_dict()
    if differences := _differences(state, names, given):
        raise HpstudyError(
            f"{path} does not fit {model} with {len(state['fc.bias']):,} classes: "
            f"{'; '.join(differences)}; {_advice(path, given, model)}"
        )
    if any(_unwrapped(public) != own for own, public in names.items()):
        notes.append("layers called as in public code")
    converted = set()
    for own, public in names.items():
        tensor = given[public]
        if not tensor.isfinite().all():
            raise HpstudyError(f"{path} has values in {shown(public)} that are not finite.")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            converted.add(str(tensor.dtype).removeprefix("torch."))
            tensor = tensor.float()
        state[own] = tensor
    return state, notes + [f"{dtype} converted to float32" for dtype in sorted(converted)]


def load_state(
    state: Mapping[str, Tensor] | str | Path, network: nn.Module, what: str
) -> dict[str, Tensor]:
    """Weights for a network, under its names, from a state dict or a file of one.

    Raises HpstudyError if they do not fit; the message calls the network `what`.
    """
    place = str(state) if isinstance(state, (str, Path)) else "the state dict"
    if isinstance(state, (str, Path)):
        given, _ = _state_dict(Path(state), _load(Path(state)))
    else:
        given = dict(state)
    if differences := _differences(network.state_dict(), {name: name for name in given}, given):
        raise HpstudyError(f"{place} does not fit {what}: {'; '.join(differences)}")
    for name, tensor in given.items():
        if not tensor.isfinite().all():
            raise HpstudyError(f"{place} has values in {shown(name)} that are not finite.")
    # Filled in place, because some networks load no state without its versions of modules.
    own: dict[str, Tensor] = network.state_dict()
    own.update(given)
    return own


def _load(path: Path) -> Any:
    if not path.is_file():
        raise HpstudyError(f"there is no file {str(path)!r}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's own message advises to load the file nevertheless.
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        what = f", but holds {unsafe[1]}, which could run commands" if unsafe else ""
        raise HpstudyError(
            f"{path} is no file of tensors alone{what}; write it by "
            "torch.save(model.state_dict(), path)."
        ) from None
    except Exception:  # whatever a decoder may raise
        raise HpstudyError(f"{path} is no file of torch.save, or is cut short.") from None


def _state_dict(path: Path, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    """State dict in the content of a file, and a note on the key that holds it."""
    if _is_state_dict(content):
        return content, []
    checkpoint = content if isinstance(content, dict) else {}
    keys = [key for key in CHECKPOINT_KEYS if _is_state_dict(checkpoint.get(key))]
    if not keys:
        others = f", but {_first(list(map(shown, checkpoint)))}" if checkpoint else ""
        raise HpstudyError(
            f"{path} holds no state dict, neither alone nor as {', '.join(CHECKPOINT_KEYS)}"
            f"{others}; write it by torch.save(model.state_dict(), path)."
        )
    if len(keys) > 1:
        raise HpstudyError(
            f"{path} holds the state dicts {' and '.join(map(repr, keys))}; write one of them "
            "alone by torch.save"
        )
    return checkpoint[keys[0]], [f"its {keys[0]}"]


def _is_state_dict(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _own_names(path: Path, given: Mapping[str, Tensor], dense: nn.Module) -> dict[str, str]:
    """Names in the file by those of the network; an unknown name stands for itself."""
    prefixes = _prefixes(dense, {_unwrapped(public) for public in given})
    names: dict[str, str] = {}
    for public in given:
        own = _unwrapped(public)
        prefix = next(filter(own.startswith, prefixes), "")
        own = prefixes.get(prefix, "") + own.removeprefix(prefix)
        if own in names:
            raise HpstudyError(
                f"{path} holds more than one network: {shown(names[own])} and {shown(public)} "
                f"may both be {shown(own)}; write the state dict of one network alone"
            )
        names[own] = public
    return names


def _prefixes(dense: nn.Module, names: set[str]) -> dict[str, str]:
    """Beginnings of the public `names` of layers, and what `dense` has in their place."""
    prefixes = {"linear.": "fc."}
    if isinstance(dense, ResNetCifar):
        depth = len(dense.blocks) // 3
        for number in range(3 * depth):
            prefixes[f"layer{number // depth + 1}.{number % depth}."] = f"blocks.{number}."
    if isinstance(dense, MobileNetV2Cifar):
        last = f"features.{len(dense.blocks) + 1}"
        prefixes |= {"features.0.0.": "conv1.", "features.0.1.": "bn1.", "classifier.1.": "fc."}
        prefixes |= {f"{last}.0.": "conv2.", f"{last}.1.": "bn2."}
        expands = "features.1.conv.3.weight" in names
        for number in range(len(dense.blocks)):
            torchvision = _TORCHVISION if number or expands else _FIRST_BLOCK
            for public, own in torchvision.items():
                prefixes[f"features.{number + 1}.{public}."] = f"blocks.{number}.{own}."
            for public, own in _KUANGLIU.items():
                prefixes[f"layers.{number}.{public}."] = f"blocks.{number}.{own}."
    return prefixes


def _differences(
    state: Mapping[str, Tensor], names: Mapping[str, str], given: Mapping[str, Tensor]
) -> list[str]:
    """Differences between the state dict of a file and that of the network; none if it fits."""
    # The number of batches that a norm has seen plays no part, and old files lack it.
    needed = [own for own in state if not own.endswith(".num_batches_tracked")]
    missing = [repr(own) for own in needed if own not in names]
    extra = [shown(public) for own, public in names.items() if own not in state]
    shapes, no_floats = [], []
    for own in (own for own in names if own in state):
        tensor, expected, name = given[names[own]], state[own], shown(names[own])
        if tensor.shape != expected.shape:
            shapes.append(f"{name} is {tuple(tensor.shape)} instead of {tuple(expected.shape)}")
        strided_floats = tensor.is_floating_point() and tensor.layout == torch.strided
        if expected.is_floating_point() and not strided_floats:
            no_floats.append(name)
    kinds = {
        "it lacks ": missing,
        "the network has no ": extra,
        "": shapes,
        "no floating-point numbers are in ": no_floats,
    }
    return [f"{words}{_first(layers)}" for words, layers in kinds.items() if layers]


def _first(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more:,} more" if more > 0 else "")


def _advice(path: Path, given: Mapping[str, Tensor], model: str) -> str:
    """Command to type: for a network that the file fits, or the names that it should have."""
    for name, architecture in MODELS.items():
        with torch.device("meta"):
            names = _own_names(path, given, architecture.build(2))
            classifier = given.get(names.get("fc.weight", ""))
            if classifier is None or classifier.ndim != 2 or not len(classifier):
                continue
            dense = architecture.build(len(classifier))
        if not _differences(dense.state_dict(), names, given):
            return f"it fits `hpstudy prune {name} --classes {len(classifier)}`"
    return (
        f"`hpstudy prune {model}` takes the weights of "
        f"hpstudy.networks.models.build_model({model!r}), under its names or under those of "
        "torchvision and common public code"
    )
