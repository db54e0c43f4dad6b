"""Check that a pruned network equals the dense one with the removed channels at zero."""

import copy
import math
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks.calls import calls_recorded
from hpstudy.networks.cutting import temporarily_cut
from hpstudy.networks.graph import Inputs, Refused, Removed
from hpstudy.networks.groups import Group

# Relative to the largest output: rounding is below, and any wrong channel above.
EQUAL = 1e-9
# A smaller effect of the removed channels on the output proves nothing.
_EFFECT = 1e-13
_BATCH_NORM = nn.modules.batchnorm._BatchNorm


class Probe:
    """Copy of a network in float64 whose every weight matters.

    Gains and shifts are random, since at their usual 0, 1 or 1e-6 removed channels may make no
    difference; statistics are those of a random batch, since activations that grow from layer to
    layer saturate.
    """

    def __init__(self, model: nn.Module, inputs: Inputs):
        self.model = copy.deepcopy(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            _randomise(self.model, inputs)
            # Equal pixels would hide that a layer sees them in another order.
            self.inputs = inputs.map(_varied).double()
        self.model.double().eval()
        self.called: set[str] = set()
        self.dense = self.run()
        self.path = self.called
        if distance(self.run(), self.dense) > EQUAL:
            raise HpstudyError(
                "the network returns different outputs for the same inputs in evaluation mode; "
                "make its forward deterministic"
            )

    def run(self) -> list[Tensor]:
        """Outputs of the network as it is now; `called` has the layers that ran."""
        self.called = set()
        with torch.no_grad(), calls_recorded(self.model, self.called):
            return self.inputs.run(self.model)

    def masked(self, removed: Removed) -> list[Tensor]:
        """Outputs of the dense network when every layer sees the removed channels as zeros."""
        with ExitStack() as hooks:
            for (name, side, _), lost in removed.items():
                if side == "in":
                    hook = partial(_zeroed, sorted(lost))
                    module = self.model.get_submodule(name)
                    hooks.callback(module.register_forward_pre_hook(hook).remove)
            return self.run()

    def differences(self, removed: Removed) -> tuple[float, float]:
        """Distances of pruned and dense outputs from those of the masked network."""
        with temporarily_cut(self.model, removed):
            pruned = self.run()
        if self.called != self.path:
            raise Refused("other layers run without them: the forward branches on its values")
        masked = self.masked(removed)
        return distance(pruned, masked), distance(self.dense, masked)

    def verify(self, group: Group) -> None:
        """Set the status of a group by a cut of half of its units."""
        total = len(group.units)
        removed = group.without_units(range(total // 2, total))
        try:
            gap, effect = self.differences(removed)
            if effect < _EFFECT:
                # Few units may all be silent for one input; the other half may not be.
                removed = group.without_units(range(total // 2))
                gap, effect = self.differences(removed)
            if effect < _EFFECT:
                raise Refused("no output changes with them at zero, so no cut can be verified")
            if math.isinf(gap):
                raise Refused("the output would have another shape")
            group.status = "exact" if gap < min(EQUAL, 1e-6 * effect) else "inexact"
            if group.status == "exact":
                return
            with _ChannelwiseNorms():
                neutral, _ = self.differences(removed)
            if not neutral < EQUAL:
                raise Refused(
                    f"with them at zero the dense network differs from the pruned one by {gap:.1g} "
                    "of its largest output: the dependency graph is wrong for them"
                )
            group.sentence = (
                "a normalisation takes statistics over them, which their cut changes; exact=False "
                "prunes them"
            )
        except Refused as reason:
            group.status, group.sentence = "refused", str(reason)
        except Exception as error:  # whatever the network raises at other widths
            group.status = "refused"
            group.sentence = f"the network fails without half of them: {one_line(error)}"

    def verify_cut(self, removed: Removed, exact: bool) -> float:
        """Distance of a cut from the masked network; raises HpstudyError if it is above EQUAL."""
        with ExitStack() as stack:
            if not exact:
                stack.enter_context(_ChannelwiseNorms())
            gap, _ = self.differences(removed)
        if not gap < EQUAL:
            raise HpstudyError(
                f"each group alone is pruned exactly, but all together differ by {gap:.1g} from "
                "the dense network with their channels at zero; spare some of them"
            )
        return gap


def distance(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Largest difference of outputs over their largest value; infinite for other shapes."""
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return math.inf
    gaps = [0.0]
    for a, b in zip(one, other, strict=True):
        if b.numel():
            largest = float(b.abs().max())
            gap = float((a - b).abs().max())
            gaps.append(gap / largest if largest else gap)
    return math.nan if any(map(math.isnan, gaps)) else max(gaps)


def _zeroed(lost: list[int], module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    values = args[0].clone()
    if isinstance(module, nn.Linear):
        values[..., lost] = 0
    else:
        values[:, lost] = 0
    return values, *args[1:]


def _randomise(model: nn.Module, inputs: Inputs) -> None:
    """Random gains and shifts; running statistics are those of a batch, if the network takes it."""
    for name, parameter in model.named_parameters():
        if parameter.numel() == max(parameter.shape, default=1):  # a vector, of any shape
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.2)
            else:
                nn.init.uniform_(parameter, 0.5, 1.5)
        elif not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    norms = [module for module in model.modules() if isinstance(module, _BATCH_NORM)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    # Not every network takes another batch; it keeps its own statistics then.
    with suppress(Exception), torch.no_grad():
        inputs.map(_batch).run(model.train())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _varied(tensor: Tensor) -> Tensor:
    constant = tensor.is_floating_point() and bool((tensor == tensor.flatten()[:1]).all())
    return torch.rand_like(tensor) if constant else tensor


def _batch(tensor: Tensor) -> Tensor:
    """Four times as many examples; random ones, where they are floating-point numbers."""
    if tensor.ndim == 0:
        return tensor
    more = tensor.repeat(4, *[1] * (tensor.ndim - 1))
    return torch.rand_like(more) if more.is_floating_point() else more


class _ChannelwiseNorms(TorchFunctionMode):
    """Context in which normalisations over channels scale and shift alone."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func in (F.layer_norm, F.group_norm):
            weight, bias = (
                args[k] if k < len(args) else given.get(name)
                for k, name in ((2, "weight"), (3, "bias"))
            )
        # Standardised weights are computed by a batch normalisation over the filters.
        elif func is F.batch_norm and given.get("training") and args[1] is None:
            weight, bias = given.get("weight"), given.get("bias")
        else:
            return func(*args, **given)
        values = args[0]
        shape = (-1,) if func is F.layer_norm else (1, -1, *[1] * (values.ndim - 2))
        if weight is not None:
            values = values * weight.reshape(shape)
        return values if bias is None else values + bias.reshape(shape)
