"""Parameters and buffers of networks by name, also of one whose pruned layers are padded.

A padded network has more channels than it needs, because a GPU computes multiples of 8 faster. The
further ones hold zeros everywhere: they give zeros, have zero gradients, and stay zero under
momentum and weight decay. So the other channels train as without them.
"""

from collections.abc import Mapping

from torch import Tensor, nn

# Widths of padded layers are multiples of it, as are those of the study's dense networks.
MULTIPLE = 8


def padded_widths(widths: Mapping[str, int]) -> dict[str, int]:
    """Widths of pruned layers rounded up to multiples of `MULTIPLE`."""
    return {layer: -(-width // MULTIPLE) * MULTIPLE for layer, width in widths.items()}


def values_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a network by name, those too that its state dict leaves out."""
    values = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach() for name, value in values}


def copy_values(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Copy the values of tensors to those of the same names, which stay in place.

    In a larger tensor they come first in every dimension, before zeros.
    """
    for name, value in target.items():
        value.zero_()
        value[tuple(slice(size) for size in source[name].shape)].copy_(source[name])
