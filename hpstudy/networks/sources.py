"""Networks by name: the study's, torchvision's, timm's, or made by your own function."""

import copy
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from hpstudy.config.study import SOURCE_FORMS
from hpstudy.errors import HpstudyError, did_you_mean, listed, one_line, shown
from hpstudy.networks.graph import Inputs
from hpstudy.networks.models import MODELS, build_model
from hpstudy.networks.weights import load_state, read_weights

Factory = Callable[..., nn.Module]
TORCHVISION, TIMM = "torchvision", "timm"


class Opened(NamedTuple):
    """Network to prune, with its inputs; `ranked` says where its weights come from."""

    name: str
    model: nn.Module
    inputs: Inputs
    ranked: str


def open_network(
    model: "nn.Module | str",
    example_inputs: Any,
    arguments: Mapping[str, Any] | None,
    weights: str | Path | None,
) -> Opened:
    """Copy of a network, or a network by name, after a trial run of its forward; see `prune`.

    Raises HpstudyError if there is no such network, if it fails on the inputs or returns no
    tensors, or if weights do not fit or are not finite.
    """
    inputs = Inputs.of(example_inputs)
    if isinstance(model, str):
        try:
            json.dumps(dict(arguments or {}), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise HpstudyError(f"arguments must be values that JSON can hold: {error}") from None
        name, ranked = model, "untrained, seed 0"
        dense = build_network(model, arguments)
    elif not isinstance(model, nn.Module):
        raise HpstudyError(
            f"model must be a torch.nn.Module or the name of one, not {type(model).__name__}"
        )
    elif arguments or weights:
        raise HpstudyError("arguments and weights are for a network by name; this one has its own")
    else:
        name = f"{type(model).__module__}.{type(model).__qualname__}"
        try:
            dense, ranked = copy.deepcopy(model), "the given network"
        except Exception as error:
            raise HpstudyError(f"{name} cannot be copied: {one_line(error)}") from None
        dense.zero_grad()
    if weights is not None:
        ranked = _load(dense, name, Path(weights))
    if any(isinstance(module, torch.jit.ScriptModule) for module in dense.modules()):
        raise HpstudyError(f"{name} is compiled by torch.jit; give the network that it is made of")
    for key, value in dense.named_parameters():
        if not value.isfinite().all():
            raise HpstudyError(f"{name} has values in {key!r} that are not finite")
    _try(dense, name, inputs)
    return Opened(name, dense, inputs, ranked)


def _load(dense: nn.Module, name: str, weights: Path) -> str:
    """Load a file of weights into a network; says how it was read."""
    if name not in MODELS:
        dense.load_state_dict(load_state(weights, dense, name))
        return weights.name
    state, notes = read_weights(weights, name, dense)
    dense.load_state_dict(state)
    return weights.name + (f" ({', '.join(notes)})" if notes else "")


def _try(dense: nn.Module, name: str, inputs: Inputs) -> None:
    try:
        with torch.no_grad():
            outputs = inputs.run(copy.deepcopy(dense).eval())
    except Exception as error:
        shapes = listed(list(tensor.shape) for tensor in inputs.tensors())
        raise HpstudyError(
            f"{name} fails on example_inputs of the shape {shapes}: {one_line(error)}"
        ) from None
    if not outputs:
        raise HpstudyError(f"{name} must return tensors, alone or in tuples, lists or dicts")


def build_network(
    name: str, arguments: Mapping[str, Any] | None = None, seed: int = 0
) -> nn.Module:
    """Network by name, untrained, with the same weights every time.

    Parameters
    ----------
    name : str
        One of `hpstudy.networks.models.MODELS`, "torchvision:NAME", "timm:NAME", or
        "package.module:factory", whose code is imported and called.
    arguments : dict, optional
        Keyword arguments of the factory.
    seed : int, default 0
        Of torch's generator, while the factory runs.

    Raises
    ------
    HpstudyError
        If there is no such network, or its factory fails with these arguments.
    """
    factory, given = _factory(name), dict(arguments or {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return call_factory(factory, given, name)


def takes_classes(name: str) -> bool:
    """Whether a factory has a parameter `num_classes`, as all of torchvision and timm have."""
    if is_data(name):
        return name not in MODELS
    try:
        return "num_classes" in inspect.signature(_factory(name)).parameters
    except ValueError:  # no signature to look at
        return False


def is_data(name: str) -> bool:
    """Whether a name picks one of the networks of hpstudy, torchvision or timm; others run code."""
    return name in MODELS or name.partition(":")[0] in (TORCHVISION, TIMM)


def call_factory(factory: Factory, arguments: Mapping[str, Any], name: str) -> nn.Module:
    """Network that a factory makes; raises HpstudyError if it takes other arguments or fails."""
    model = call(factory, arguments, name)
    if not isinstance(model, nn.Module):
        raise HpstudyError(f"{name} must return a torch.nn.Module, not {type(model).__name__}")
    return model


def call(function: Callable[..., Any], arguments: Mapping[str, Any], name: str) -> Any:
    """What a function returns; raises HpstudyError if it takes other arguments or fails."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise HpstudyError(
            f"{name} cannot be called with the arguments {shown(dict(arguments))}: {error}"
        ) from None
    except ValueError:  # no signature to look at
        pass
    try:
        return function(**arguments)
    except HpstudyError:
        raise
    except Exception as error:
        raise HpstudyError(f"{name} fails: {one_line(error)}") from None


def _factory(name: str) -> Factory:
    if name in MODELS:
        return lambda classes=MODELS[name].classes: build_model(name, classes)
    package, colon, member = name.partition(":")
    if not colon or not package or not member:
        raise HpstudyError(
            f"unknown model {shown(name)}{did_you_mean(name, MODELS)}; valid: {listed(MODELS)}, "
            f"{SOURCE_FORMS}"
        )
    if package == TORCHVISION:
        from torchvision import models

        _known(package, member, models.list_models())
        return lambda weights=None, **rest: models.get_model(member, weights=weights, **rest)
    if package == TIMM:
        try:
            import timm
        except ImportError:
            raise HpstudyError(f"{name} needs the package timm; type `pip install timm`") from None
        _known(package, member.partition(".")[0], timm.list_models())
        return lambda **rest: timm.create_model(member, **rest)
    return imported(package, member)


def _known(package: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise HpstudyError(
            f"{package} has no network {shown(name)}{did_you_mean(name, names)}; valid: "
            f"{listed(names)}"
        )


def imported(package: str, member: str) -> Callable[..., Any]:
    """Function of a package, which may lie in the working directory.

    Raises HpstudyError if there is no such package or function, or the import fails.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = f"no module {shown(error.name or package)}"
        raise HpstudyError(
            f"{package}:{member} cannot be imported: there is {missing} in {folder} or among the "
            "installed packages"
        ) from None
    except Exception as error:
        raise HpstudyError(f"{package} fails when it is imported: {one_line(error)}") from None
    finally:
        sys.path.remove(folder)
    factory: Callable[..., Any] | None = getattr(module, member, None)
    if not callable(factory):
        names = [name for name in vars(module) if not name.startswith("_")]
        callables = [name for name in names if callable(vars(module)[name])]
        raise HpstudyError(
            f"{package} has no function {shown(member)}{did_you_mean(member, callables)}; it has "
            f"{listed(callables)}"
        )
    return factory
