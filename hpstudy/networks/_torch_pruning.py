"""torch-pruning without timm, whose import takes seconds and serves a counter not used here."""

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import nn

hidden = "timm" not in sys.modules
if hidden:
    sys.modules["timm"] = None  # type: ignore[assignment]  # An import of it then fails.
try:
    import torch_pruning as tp
    from torch_pruning.dependency import index_mapping
finally:
    if hidden:
        del sys.modules["timm"]

__all__ = ["dependency_graph", "tp"]

_MAPPINGS: dict[Any, Callable[[Any, Any], None]] = {
    tp.ops.OPTYPE.CONCAT: index_mapping.update_concat_index_mapping,
    tp.ops.OPTYPE.SPLIT: index_mapping.update_split_index_mapping,
    tp.ops.OPTYPE.RESHAPE: index_mapping.update_reshape_index_mapping,
    tp.ops.OPTYPE.UNBIND: index_mapping.update_unbind_index_mapping,
    tp.ops.OPTYPE.EXPAND: index_mapping.update_expand_index_mapping,
    tp.ops.OPTYPE.SLICE: index_mapping.update_slice_index_mapping,
}
# Raised by torch-pruning at a channel shuffle, and at slices of concatenations (DPN).
_UNMAPPED = ZeroDivisionError, TypeError


def dependency_graph(model: nn.Module, inputs: Any, forward: Callable[..., Any]) -> Any:
    """Torch-pruning's graph of a network, whose pass is `forward(model, inputs)`."""
    graph = tp.DependencyGraph()
    with warnings.catch_warnings(), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        try:
            graph.build_dependency(model, inputs, forward_fn=forward, verbose=False)
        except _UNMAPPED:
            # Maps are the last step; verification refuses the groups that lack theirs.
            for node in graph.module2node.values():
                with suppress(*_UNMAPPED):
                    _MAPPINGS.get(node.type, lambda graph, node: None)(graph, node)
    return graph
