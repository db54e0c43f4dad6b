"""One training by several processes, each with its share of every batch, on a device of its own.

The processes of a training are those of the default group of `torch.distributed`. They hold the
same weights and take the same steps: what they add up is the same for all.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from hpstudy.errors import HpstudyError


class Share(NamedTuple):
    """Which part of every batch a process has, from 0, of those of all `devices`."""

    number: int = 0
    devices: int = 1

    @classmethod
    def of_process(cls, devices: int) -> "Share":
        """Share of this process, where as many as `devices` train together."""
        return cls(distributed.get_rank(), devices) if devices > 1 else cls()

    def cut(self, views: Tensor) -> Tensor:
        """Part of the views (4, images) of a batch; all parts have about the same size."""
        return views.tensor_split(self.devices, 1)[self.number]

    def agreed(self, seconds: float, device: torch.device) -> float:
        """Duration of what all processes have done: its mean, the same for all."""
        if self.devices == 1:
            return seconds
        return add_up(torch.tensor(seconds, device=device)).item() / self.devices


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return add_up(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # What one process adds, all receive.
        return add_up(gradients[0].clone())


def add_up(values: Tensor) -> Tensor:
    """Replace values by their sum over all processes."""
    distributed.all_reduce(values)
    return values


def sum_gradients(gradients: list[Tensor], loss: Tensor) -> Tensor:
    """Replace gradients by their sums over all processes, in one message; returns that of the loss.

    `DistributedDataParallel` sends parts while others are still computed, but not always the same
    ones, so that a training would not resume to the same bits.
    """
    parts = [*gradients, loss.detach()]
    sums = add_up(torch.cat([part.flatten() for part in parts]))
    summed: list[Tensor]
    *summed, total = sums.split([part.numel() for part in parts])
    torch._foreach_copy_(gradients, [s.view_as(g) for s, g in zip(summed, gradients, strict=True)])
    return loss.detach().copy_(total[0])


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the mean and variance of what all processes hold of a batch.

    `torch.nn.SyncBatchNorm` is for GPUs alone.
    """

    share: Share

    def _check_input_dim(self, inputs: Tensor) -> None:
        """Any: the layer that this one replaces had its own check."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise a share of a batch."""
        if not self.training:
            return super().forward(inputs)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        values = inputs.to(self.running_mean.dtype)
        channels, (number, devices) = values.shape[1], self.share
        over = [axis for axis in range(values.ndim) if axis != 1]
        variance, mean = torch.var_mean(values, over, correction=0)
        size = mean.new_full((1,), values.numel() // channels)
        own = torch.cat([size, mean, variance])
        # A sum with zeros collects what all have, and is differentiable.
        table: Tensor = _Sum.apply(F.pad(own[None], (0, 0, number, devices - 1 - number)))
        sizes, means, variances = table.split([1, channels, channels], 1)
        total = sizes.sum()
        mean = (sizes * means).sum(0) / total
        variance = (sizes * (variances + (means - mean) ** 2)).sum(0) / total
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * total / (total - 1), self.momentum)
        factor = torch.rsqrt(variance + self.eps)
        shape = [1, channels] + [1] * (values.ndim - 2)
        normal: Tensor = (values - mean.view(shape)) * factor.view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(inputs.dtype)


def share_statistics(model: nn.Module, share: Share) -> None:
    """Make the batch normalisations of a network take their statistics over all processes.

    Raises
    ------
    HpstudyError
        If there is one of another kind than torch's usual ones.
    """
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            continue
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if type(layer) not in kinds or layer.momentum is None or layer.running_mean is None:
            raise HpstudyError(
                f"the statistics of {name}, a {type(layer).__name__}, cannot be taken over several "
                "devices; train each run on one, with an arithmetic that does not end in -over"
            )
        # In place, so that its weights and its name stay.
        layer.__class__ = SharedBatchNorm
        layer.share = share  # type: ignore[assignment]
