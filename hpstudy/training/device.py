"""The machine that a process runs on: devices, precision, CUDA graphs, and its parent process.

torch is imported where it is needed only: processes that decode images would wait seconds for it.
"""

import multiprocessing
import os
import platform
import shutil
import signal
import threading
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpstudy.config.arithmetic import ARITHMETICS, NEED_GPU, split_arithmetic
from hpstudy.errors import HpstudyError
from hpstudy.hardware import processor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Function that calls another one, records what it does, and returns its repetition.
Capture = Callable[[Callable[[], None]], Callable[[], None]]


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices() -> list[str]:
    """Devices to train on, one worker each: every GPU, or else "cpu" once per core."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu"] * cores()


def resident_limit() -> int:
    """Bytes of images to keep in memory: half of this machine's, and of its smallest GPU's."""
    import torch

    memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for index in range(torch.cuda.device_count()):
        memory.append(torch.cuda.get_device_properties(index).total_memory)
    return min(memory) // 2


def default_precision() -> str:
    """Precision of studies that leave it open: bfloat16 on a GPU, float32 on a CPU."""
    return "bfloat16" if devices()[0].startswith("cuda") else "float32"


def check_precision(precision: str) -> None:
    """Raise HpstudyError for a precision that needs a GPU, where this machine has none."""
    if split_arithmetic(precision)[0] in NEED_GPU and devices()[0] == "cpu":
        raise HpstudyError(
            f"the arithmetic {precision} needs a GPU and this machine has none; valid here: "
            f"{', '.join(name for name in ARITHMETICS if name not in NEED_GPU)}"
        )


def set_precision(arithmetic: str) -> None:
    """Switch TF32 on or off in this process, and fix every choice of kernel."""
    import torch

    tf32 = arithmetic.startswith("tf32")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True


def recorded(
    function: Callable[..., None], capture: Capture, *inputs: "Tensor"
) -> Callable[..., None]:
    """`function` of tensors, recorded once for `inputs` of these shapes and then replayed.

    Launching small kernels one by one takes longer on a GPU than they run. The function writes to
    tensors of its own and reads nothing back.
    """
    places = [value.clone() for value in inputs]
    replay = capture(lambda: function(*places))

    def step(*inputs: "Tensor") -> None:
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)
        replay()

    return step


def cuda_graph(device: "torch.device", function: Callable[[], None]) -> Callable[[], None]:
    """Replay of the kernels of `function`, which is called a few times before."""
    import torch

    # A graph records the streams of the current device alone.
    with torch.cuda.device(device):
        # Libraries choose and allocate in the first calls, which a graph cannot record.
        side, pool = _recording(device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                function()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=side):
            function()
    return graph.replay


@cache
def _recording(device: "torch.device") -> tuple[Any, Any]:
    """Stream and memory of every graph that this process records on a device.

    A pool for each would add up to more than a GPU has. Graphs may share one because they are
    replayed one after another, and what outlives a replay is allocated before it is recorded.
    """
    import torch

    return torch.cuda.Stream(device), torch.cuda.graph_pool_handle()


def compiled(function: Callable[..., "Tensor"]) -> Callable[..., "Tensor"]:
    """`function` compiled by torch for one shape, as a whole or not at all."""
    import torch

    # Each architecture is one more variant of the same code; past the limit torch would go on
    # uncompiled without a word.
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    return torch.compile(function, dynamic=False, fullgraph=True)


def environment() -> dict[str, Any]:
    """Versions and hardware that a result is made with."""
    return {
        "hpstudy": version("hpstudy"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "torchvision": version("torchvision"),
        "torch_pruning": version("torch-pruning"),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores(),
    }


def follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and exit when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def exit_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=exit_with_parent, daemon=True).start()


def check_room(folder: Path, needed: int) -> None:
    """Refuse decoded images of more bytes than there is room for in a folder."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise HpstudyError(
            f"{folder} needs {needed / 2**30:.3g} GiB for the decoded images, which are too many "
            f"for the memory, and has {free / 2**30:.3g} GiB free; make room (sets decoded earlier "
            "lie beside it), or name another data root with --data-root or HPSTUDY_DATA"
        )
