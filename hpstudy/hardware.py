"""The processor of this machine, and how it is best used."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from threadpoolctl import ThreadpoolController

F = TypeVar("F", bound=Callable[..., Any])


def processor() -> str:
    """Name of the processor, as its maker gives it where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def single_threaded(method: F) -> F:
    """Method whose matrices of a hundred rows use one thread."""
    # They gain nothing from more, and lose twentyfold where another process has the core.
    return cast(F, ThreadpoolController().wrap(limits=1, user_api="blas")(method))
