"""How the arithmetic of a step is done, and how a step is repeated: where devices differ."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor

Capture = Callable[[Callable[[], None]], Callable[[], None]]


class CapturedStep:
    """A function of tensors that is called many times with other values of the same shapes.

    On a CPU it is called. On a GPU its kernels are recorded once and replayed as one CUDA graph,
    from inputs that stay in place: a step of small kernels is otherwise spent launching them.

    Parameters
    ----------
    function : callable
        Leaves its results in tensors of its own; returns nothing, reads nothing back.
    capture : callable, optional
        Makes what repeats a function without arguments (see `capture_for`); None to call it.
    """

    def __init__(self, function: Callable[..., None], capture: Capture | None):
        self._function, self._capture = function, capture
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], None] | None = None

    def prepare(self, *inputs: Tensor) -> None:
        """Call the function once or, to record it, a few times: what it changes must be set anew.

        What is compiled is compiled now, and not within the time of a run.
        """
        if self._capture is None:
            return self._function(*inputs)
        self._inputs = tuple(value.clone() for value in inputs)
        self._replay = self._capture(lambda: self._function(*self._inputs))

    def __call__(self, *inputs: Tensor) -> None:
        """Call the function, or replay it, on `inputs`."""
        if self._replay is None:
            return self._function(*inputs)
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value)
        self._replay()


def capture_for(device: torch.device) -> Capture | None:
    """How steps are repeated on a device: as a CUDA graph on a GPU, by calling them on a CPU."""
    return partial(_capture_graph, device) if device.type == "cuda" else None


def _capture_graph(device: torch.device, function: Callable[[], None]) -> Callable[[], None]:
    # A graph records the streams of the current device alone.
    with torch.cuda.device(device):
        return _recorded(function)


def _recorded(function: Callable[[], None]) -> Callable[[], None]:
    # Libraries choose and allocate in the first calls, which a graph cannot record.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def set_precision(arithmetic: str) -> None:
    """Set this process's float32 products to TF32 or not, and every choice of kernel to fixed."""
    tf32 = arithmetic.startswith("tf32")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True


def casting(arithmetic: str, device: torch.device) -> AbstractContextManager:
    """Context in which convolutions and linear layers take bfloat16, if the arithmetic says so.

    Weights, their gradients and the loss stay as they are.
    """
    wanted = arithmetic.startswith("bfloat16")
    # A cache of cast weights would outlive the step that a CUDA graph records.
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted, cache_enabled=False)


def compiled(function: Callable) -> Callable:
    """`function` compiled by torch for one shape, whole or not at all."""
    # Each architecture is one more variant of the same code; past the limit torch would go on
    # uncompiled without a word.
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    return torch.compile(function, dynamic=False, fullgraph=True)
