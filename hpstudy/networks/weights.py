"""State dicts in files of `torch.save`, under the names of the study's networks."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, shown
from hpstudy.networks.models import MODELS, MobileNetV2Cifar, ResNetCifar

# Keys under which training scripts keep the state dict in a checkpoint.
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "net")
# What DataParallel, torch.compile and classes around a network put into the names of its layers.
WRAPPERS = ("module", "_orig_mod", "model", "net")
# Names of each kind that a refusal lists.
_MOST = 3


class Weights(NamedTuple):
    """Weights of a network, from a file.

    Attributes
    ----------
    state : dict of str to Tensor
        In float32, under the names of the network.
    notes : tuple of str
        How the content of the file was read, a few words each; none for a plain state dict.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...]


def read_weights(path: Path, model: str, dense: nn.Module) -> Weights:
    """Weights of a network in a file; runs nothing in it.

    Parameters
    ----------
    path : Path
        State dict, or a checkpoint that holds one under one of `CHECKPOINT_KEYS`. Its layers may
        be called as `DataParallel`, `torch.compile` and common public code do (`public_names`).
    model : str
        Name of the network.
    dense : Module
        The network, which stays as it is.

    Raises
    ------
    HpstudyError
        If it holds none, does not fit, or is not finite; the sentence says what differs.
    """
    found, notes = _state_dict(path, _load(path))
    parts = {part for name in found for part in name.split(".")}
    notes += [f"without the prefix {part}." for part in WRAPPERS if part in parts]
    named = _named(path, found, dense)
    wanted = dense.state_dict()
    if faults := _differences(wanted, named, found):
        raise HpstudyError(
            f"{path} does not fit {model} with {dense.fc.out_features:,} classes: "
            f"{'; '.join(faults)}; {_advice(path, found, model)}"
        )
    if any(_unwrapped(theirs) != ours for ours, theirs in named.items()):
        notes.append("layers called as in public code")
    state, kinds = {}, set()
    for ours, theirs in named.items():
        tensor = found[theirs]
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kinds.add(str(tensor.dtype).removeprefix("torch."))
            tensor = tensor.float()
        if not tensor.isfinite().all():
            raise HpstudyError(f"{path} has values in {shown(theirs)} that are not finite.")
        state[ours] = tensor
    notes += [f"{kind} converted to float32" for kind in sorted(kinds)]
    return Weights(wanted | state, tuple(notes))


def _load(path: Path) -> Any:
    if not path.is_file():
        raise HpstudyError(f"there is no file {str(path)!r}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # What torch says names the class, and advises to load it nevertheless.
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f", but holds {found[1]}, which could run commands" if found else ""
        raise HpstudyError(
            f"{path} is no file of tensors alone{what}; write it by "
            "torch.save(model.state_dict(), path)."
        ) from None
    except Exception:  # whatever a decoder may say
        raise HpstudyError(f"{path} is no file of torch.save, or is cut short.") from None


def _state_dict(path: Path, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict in the content of a file, and under which key it was."""
    if _is_state_dict(content):
        return content, []
    inside = content if isinstance(content, dict) else {}
    keys = [key for key in CHECKPOINT_KEYS if _is_state_dict(inside.get(key))]
    if not keys:
        there = f", but {_some(list(map(shown, inside)))}" if inside else ""
        raise HpstudyError(
            f"{path} holds no state dict, neither alone nor as {', '.join(CHECKPOINT_KEYS)}"
            f"{there}; write it by torch.save(model.state_dict(), path)."
        )
    if len(keys) > 1:
        raise HpstudyError(
            f"{path} holds the state dicts {' and '.join(map(repr, keys))}; write one of them "
            "alone by torch.save"
        )
    return inside[keys[0]], [f"its {keys[0]}"]


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(name, str) for name in content)
        and all(isinstance(value, Tensor) for value in content.values())
    )


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _named(path: Path, found: Mapping[str, Tensor], dense: nn.Module) -> dict[str, str]:
    """Names in the file by those of the network; what it does not know keeps its own."""
    plain = {theirs: _unwrapped(theirs) for theirs in found}
    layers = public_names(dense, set(plain.values()))
    named: dict[str, str] = {}
    for theirs, name in plain.items():
        layer, _, last = name.rpartition(".")
        ours = f"{layers.get(layer, layer)}.{last}".removeprefix(".")
        if ours in named:
            raise HpstudyError(
                f"{path} holds more than one network: {shown(named[ours])} and {shown(theirs)} "
                f"may both be {shown(ours)}; write the state dict of one network alone"
            )
        named[ours] = theirs
    return named


def public_names(dense: nn.Module, theirs: set[str]) -> dict[str, str]:
    """What layers are called in public code, and what the same layers are called here.

    Parameters
    ----------
    dense : Module
        Network of the study.
    theirs : set of str
        Names in a state dict: whether its MobileNetV2 has an expansion in its first block.

    Returns
    -------
    dict of str to str
        For torchvision's ResNets and MobileNetV2, and those of akamaster/pytorch_resnet_cifar10,
        chenyaofo/pytorch-cifar-models, kuangliu/pytorch-cifar and weiaicunzai/pytorch-cifar100.
    """
    layers = {"linear": "fc"}
    if isinstance(dense, ResNetCifar):
        each = len(dense.blocks) // 3
        for k in range(3 * each):
            for layer in ("conv1", "bn1", "conv2", "bn2"):
                layers[f"layer{k // each + 1}.{k % each}.{layer}"] = f"blocks.{k}.{layer}"
    elif isinstance(dense, MobileNetV2Cifar):
        last = len(dense.blocks) + 1
        layers |= {"features.0.0": "conv1", "features.0.1": "bn1", "classifier.1": "fc"}
        layers |= {f"features.{last}.0": "conv2", f"features.{last}.1": "bn2"}
        for k in range(len(dense.blocks)):
            block = {"0.0": "expand", "0.1": "bn1", "1.0": "depthwise", "1.1": "bn2"}
            block |= {"2": "project", "3": "bn3"}
            if k == 0 and "features.1.conv.3.weight" not in theirs:
                block = {"0.0": "depthwise", "0.1": "bn2", "1": "project", "2": "bn3"}
            layers |= {f"features.{k + 1}.conv.{one}": f"blocks.{k}.{block[one]}" for one in block}
            block = {"conv1": "expand", "conv2": "depthwise", "conv3": "project"}
            block |= {norm: norm for norm in ("bn1", "bn2", "bn3")}
            layers |= {f"layers.{k}.{one}": f"blocks.{k}.{block[one]}" for one in block}
    else:
        layers |= {"conv1.0": "conv1", "conv1.1": "bn1"}
        for layer, _ in dense.named_modules():
            if match := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)", layer):
                stage, block, kind, number = match.groups()
                place = 3 * int(number) - (3 if kind == "conv" else 2)
                layers[f"conv{int(stage) + 1}_x.{block}.residual_function.{place}"] = layer
            elif match := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.(\d)", layer):
                stage, block, place = match.groups()
                layers[f"layer{stage}.{block}.shortcut.{place}"] = layer
                layers[f"conv{int(stage) + 1}_x.{block}.shortcut.{place}"] = layer
    return layers


def _differences(
    wanted: Mapping[str, Tensor], named: Mapping[str, str], found: Mapping[str, Tensor]
) -> list[str]:
    """What tells the state dict of a file from that of the network; nothing if it fits."""
    # The number of batches that a norm has seen plays no part, and old files lack it.
    needed = [name for name in wanted if not name.endswith(".num_batches_tracked")]
    lacking = [repr(name) for name in needed if name not in named]
    extra = [shown(theirs) for ours, theirs in named.items() if ours not in wanted]
    both = [(ours, theirs) for ours, theirs in named.items() if ours in wanted]
    shapes = [
        f"{shown(theirs)} is {tuple(found[theirs].shape)} instead of {tuple(wanted[ours].shape)}"
        for ours, theirs in both
        if found[theirs].shape != wanted[ours].shape
    ]
    odd = [
        shown(theirs)
        for ours, theirs in both
        if wanted[ours].is_floating_point()
        and not (found[theirs].is_floating_point() and found[theirs].layout == torch.strided)
    ]
    return [
        f"{words}{_some(names)}"
        for words, names in (
            ("it lacks ", lacking),
            ("the network has no ", extra),
            ("", shapes),
            ("no floating-point numbers are in ", odd),
        )
        if names
    ]


def _some(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more:,} more" if more > 0 else "")


def _advice(path: Path, found: Mapping[str, Tensor], model: str) -> str:
    """What to type next: a network that the file fits, or the names that it should have."""
    for name, (build, *_) in MODELS.items():
        with torch.device("meta"):
            own = _named(path, found, build(2))
            classifier = found.get(own.get("fc.weight", ""))
            if classifier is None or classifier.ndim != 2 or not len(classifier):
                continue
            dense = build(len(classifier))
        if not _differences(dense.state_dict(), own, found):
            return f"it fits `hpstudy prune {name} --classes {len(classifier)}`"
    return (
        f"`hpstudy prune {model}` takes the weights of hpstudy.networks.models.build_model({model!r}), "
        "under its names or under those of torchvision and common public code"
    )
