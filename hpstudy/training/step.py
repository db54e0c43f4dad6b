"""Precision of a training step, and its repetition: called on a CPU, replayed on a GPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor

Capture = Callable[[Callable[[], None]], Callable[[], None]]


class CapturedStep:
    """Function of tensors that is called many times with inputs of the same shapes.

    On a GPU its kernels are recorded once and replayed as one CUDA graph, because launching small
    kernels one by one takes longer than they run. The function writes to tensors of its own and
    reads nothing back; `capture` (see `capture_for`) turns it into its repetition.
    """

    def __init__(self, function: Callable[..., None], capture: Capture | None):
        self._function, self._capture = function, capture
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], None] | None = None

    def prepare(self, *inputs: Tensor) -> None:
        """Compile and record the function before a run; it is called, once or several times."""
        if self._capture is None:
            return self._function(*inputs)
        self._inputs = tuple(value.clone() for value in inputs)
        self._replay = self._capture(lambda: self._function(*self._inputs))

    def __call__(self, *inputs: Tensor) -> None:
        """Call or replay the function on `inputs`."""
        if self._replay is None:
            return self._function(*inputs)
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value)
        self._replay()


def capture_for(device: torch.device) -> Capture | None:
    """Repetition of steps on a device: a CUDA graph on a GPU, none on a CPU."""
    return partial(_capture_graph, device) if device.type == "cuda" else None


def _capture_graph(device: torch.device, function: Callable[[], None]) -> Callable[[], None]:
    # A graph records the streams of the current device alone.
    with torch.cuda.device(device):
        # Libraries choose and allocate in the first calls, which a graph cannot record.
        side = torch.cuda.Stream(device)
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
    """Switch TF32 on or off in this process, and fix every choice of kernel."""
    tf32 = arithmetic.startswith("tf32")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True


def casting(arithmetic: str, device: torch.device) -> AbstractContextManager[object]:
    """Context in which products are of bfloat16 if `arithmetic` says so; weights stay float32."""
    bfloat16 = arithmetic.startswith("bfloat16")
    # A cache of cast weights would outlive the step that a CUDA graph records.
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False)


def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function` compiled by torch for one shape, as a whole or not at all."""
    # Each architecture is one more variant of the same code; past the limit torch would go on
    # uncompiled without a word.
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    return torch.compile(function, dynamic=False, fullgraph=True)
