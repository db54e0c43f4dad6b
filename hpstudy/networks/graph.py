"""Which channels of a network leave together, read off torch-pruning's dependency graph."""

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks._torch_pruning import dependency_graph, tp
from hpstudy.networks.calls import LAYERS, calls_recorded
from hpstudy.networks.models import CONV
from hpstudy.networks.ties import Ties

Side = Literal["in", "out", "both", "parameter"]
Scope = Literal["inside", "residual", "stem", "output"]
# "both" are layers that give as many channels as they take: normalisations, depthwise convolutions.
Part = tuple[str, Side, int]
Removed = dict[Part, set[int]]

# A group takes the first of these that applies to any of its layers.
SCOPES: tuple[Scope, ...] = ("output", "residual", "stem")
# Channels in all nodes that one layer's reach: 100 nodes of 2048 have a fifth of it.
_MOST = 1_000_000


class Refused(HpstudyError):
    """Reason why a group of channels is not pruned."""


class Inputs(NamedTuple):
    """Arguments of a network's forward."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, example: Any) -> "Inputs":
        """Arguments from a tensor, a tuple or list of arguments, or a dict of named ones."""
        if not tensors(example):
            raise HpstudyError(
                "example_inputs must be a tensor, or a tuple of arguments or dict of named "
                f"arguments with a tensor among them, not {type(example).__name__}"
            )
        if isinstance(example, Mapping):
            return cls((), dict(example))
        return cls((example,) if isinstance(example, Tensor) else tuple(example), {})

    def tensors(self) -> list[Tensor]:
        """Tensors among the arguments, in their order."""
        return tensors((self.args, self.kwargs))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """The arguments with every tensor changed."""

        def changed(value: Any) -> Any:
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, dict):
                return {key: changed(item) for key, item in value.items()}
            if isinstance(value, (tuple, list)):
                return type(value)(map(changed, value))
            return value

        return Inputs(changed(self.args), changed(self.kwargs))

    def double(self) -> "Inputs":
        """The arguments in float64."""
        return self.map(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    def run(self, model: nn.Module) -> list[Tensor]:
        """Tensors that a network returns for these arguments."""
        return tensors(model(*self.args, **self.kwargs))


def tensors(value: Any) -> list[Tensor]:
    """Tensors in nested tuples, lists and dicts, in their order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in tensors(item)]
    return []


class Member(NamedTuple):
    """Part of the network that loses channels with those of a group's first layer.

    Channel `channels[k]` of `part` leaves with channel `roots[k]` of the first layer.
    """

    part: Part
    channels: tuple[int, ...]
    roots: tuple[int, ...]


class Reach(NamedTuple):
    """All that depends on the output channels of one layer.

    "residual" channels are added to those of another layer, "stem" channels are the first of the
    network, and "output" channels are what it returns. `sets` are the layer's channels that can
    only leave together.
    """

    members: tuple[Member, ...]
    scope: Scope
    sets: list[list[int]]


class Graph:
    """Dependencies between the layers of a network, for some inputs.

    Torch-pruning's graph gives the edges and the maps between channels; which channels are reached
    is computed here, because its groups keep one root a channel and take quadratic time.
    """

    def __init__(self, model: nn.Module, inputs: Inputs):
        model = copy.deepcopy(model).requires_grad_(True)
        self.names = {module: name for name, module in model.named_modules()}
        self.parameters = {parameter: name for name, parameter in model.named_parameters()}
        self.called: set[str] = set()
        try:
            with calls_recorded(model, self.called):
                self._graph = _build(model, inputs, training=False)
        except HpstudyError:
            raise
        except Exception as error:  # whatever torch-pruning raises
            raise HpstudyError(
                f"autograd cannot follow the network's operators: {one_line(error)}"
            ) from None
        called = set(self.called)
        if uncalled := [layer for layer in self._unreached(model) if layer not in called]:
            # Auxiliary heads run in training mode only; left uncut, training would fail.
            pair = inputs.map(lambda tensor: torch.cat([tensor, tensor]) if tensor.ndim else tensor)
            try:
                with calls_recorded(model, called):
                    self._graph = _build(model, pair, training=True)
            except Exception as error:
                raise HpstudyError(
                    f"{uncalled[0]} does not run in evaluation mode, and in training mode the "
                    f"network fails on the example inputs: {one_line(error)}"
                ) from None
        self.unreached = {
            layer: "it runs without gradients (torch.no_grad, detach), which the trace follows"
            if layer in called
            else "the forward does not call it as a module on these inputs"
            for layer in self._unreached(model)
        }

    def _unreached(self, model: nn.Module) -> list[str]:
        """Convolutions and linear layers that autograd does not see in the forward pass."""
        reached = set(self._graph.module2node)
        for module in model.modules():
            if isinstance(module, nn.MultiheadAttention):  # calls its projection by function
                reached |= set(module.modules())
        layers = [module for module in self.names if isinstance(module, LAYERS)]
        return [self.names[module] for module in layers if module not in reached]

    def layers(self) -> Iterator[str]:
        """Names of the convolutions and linear layers that run, in the order of definition."""
        for module, name in self.names.items():
            if isinstance(module, LAYERS) and module in self._graph.module2node:
                yield name

    def reach(self, layer: str) -> Reach:
        """All that depends on the output channels of a layer; raises Refused if that is unknown."""
        module = next(module for module, name in self.names.items() if name == layer)
        found, ties = self._walk(module)
        parts: dict[Part, set[tuple[int, int]]] = defaultdict(set)
        scopes: set[Scope] = set()
        for (node, handler), owners in found.items():
            if part := self._part(node, handler):
                parts[part] |= owners.items()
                if part[1] == "out" and not node.inputs:
                    scopes.add("stem")
            elif _adds(node):
                scopes.add("residual")
            if not node.outputs and not (part and part[1] == "in"):
                scopes.add("output")
        members = []
        for part, pairs in parts.items():
            ties.add(part, pairs)
            channels, roots = zip(*sorted(pairs), strict=True)
            members.append(Member(part, channels, roots))
        # A layer added to itself, as in an attention bias, is no shortcut.
        if sum(part[1] == "out" for part in parts) < 2:
            scopes.discard("residual")
        scope: Scope = next((scope for scope in SCOPES if scope in scopes), "inside")
        return Reach(tuple(members), scope, ties.sets())

    def _walk(self, module: nn.Module) -> tuple[dict[tuple[Any, Any], dict[int, int]], Ties]:
        """Root of every channel that is reached, by node and pruning function, and tied roots."""
        pruner = self._graph.get_pruner_of_module(module)
        start = self._graph.module2node[module], pruner.prune_out_channels
        first = {k: k for k in range(pruner.get_out_channels(module))}
        found, ties, pending = {start: dict(first)}, Ties(len(first)), [(*start, first)]
        total = 0
        while pending:
            node, trigger, owners = pending.pop()
            if (total := total + len(owners)) > _MOST:
                raise Refused("their map grows at every reshape: the dependency graph is wrong")
            for edge in node.dependencies:
                if not edge.is_triggered_by(trigger):
                    continue
                mapped = [_Pair(*pair) for pair in owners.items()]
                for mapping in filter(None, edge.index_mapping):
                    try:
                        mapped = mapping(mapped)
                    except IndexError:  # a split whose parts torch-pruning miscounts
                        raise Refused(f"their map through {node.name} is unknown") from None
                place = edge.target, edge.handler
                known, new = found.get(place, {}), {}
                for channel, root in mapped:
                    if channel in known:
                        ties.tie(known[channel], root)  # One is followed; both leave together.
                    else:
                        known[channel] = new[channel] = root
                if new:
                    found[place] = known
                # No layer has such a channel: the map is wrong, and is not followed further.
                if new and max(new) < self._width(*place):
                    pending.append((*place, new))
        return found, ties

    def _width(self, node: Any, handler: Callable[..., Any]) -> float:
        """Channels that a layer has on one side; infinite for other nodes."""
        if isinstance(node.module, nn.Parameter):
            return math.inf
        pruner = self._graph.get_pruner_of_module(node.module)
        inwards = handler == pruner.prune_in_channels
        width = (pruner.get_in_channels if inwards else pruner.get_out_channels)(node.module)
        return math.inf if width is None else float(width)

    def _part(self, node: Any, handler: Callable[..., Any]) -> Part | None:
        module = node.module
        if isinstance(module, nn.Parameter):
            return self.parameters[module], "parameter", node.pruning_dim
        if module not in self.names or tp.ops.module2type(module) == tp.ops.OPTYPE.ELEMENTWISE:
            return None
        if isinstance(module, LAYERS) and not depthwise(module):
            return self.names[module], "in" if "in_channels" in handler.__name__ else "out", 0
        return self.names[module], "both", 0


class _Pair(NamedTuple):
    """Channel and root; the names are those that torch-pruning's maps read."""

    idx: int
    root_idx: int


def _build(model: nn.Module, inputs: Inputs, training: bool) -> Any:
    def forward(model: nn.Module, inputs: Inputs) -> list[Tensor]:
        # torch-pruning puts the model in evaluation mode first.
        outputs = inputs.run(model.train(training))
        if not any(output.requires_grad for output in outputs):
            raise HpstudyError(
                "the network's outputs have no gradients, by which its layers are followed: its "
                "forward uses torch.no_grad or detach, or freezes its parameters"
            )
        return outputs

    return dependency_graph(model, inputs, forward)


def depthwise(module: nn.Module) -> bool:
    """Whether a module is a convolution that sees each channel alone and gives one for each."""
    if not isinstance(module, CONV):
        return False
    return bool(1 < module.groups == module.in_channels == module.out_channels)


def _adds(node: Any) -> bool:
    """Whether a node adds two tensors that the network computes."""
    name = str(getattr(node.module, "_grad_fn", ""))
    adds = name.startswith(("AddBackward", "SubBackward")) or "CopySlices" in name
    computed = [source for source in node.inputs if source.type != tp.ops.OPTYPE.PARAMETER]
    return adds and len(computed) >= 2
