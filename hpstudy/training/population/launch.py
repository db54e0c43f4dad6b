"""One launch of a kernel, and its machine code, which takes no GPU to compile."""

from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

_POINTERS = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.uint8: "*u8",
}


class _Card:
    """What Triton asks of a card before it compiles for it."""

    def __init__(self, capability: int):
        self.capability = capability

    def get_current_device(self) -> int:
        """Number of the device, which is another for every capability."""
        return self.capability

    def get_current_stream(self, device: int | None = None) -> int:
        """No stream."""
        return 0

    def get_current_target(self) -> Any:
        """What to compile for."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)


class Launch(NamedTuple):
    """A kernel, its grid, its arguments by name, and the warps of a program."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    warps: int = 4

    def __call__(self) -> None:
        """Queue the kernel."""
        self.kernel[self.grid](**self.arguments, num_warps=self.warps, num_stages=1)

    @property
    def shape(self) -> tuple[Any, ...]:
        """What the machine code depends on: equal for launches that share it."""
        signature, constants, attributes = self._specialised()
        parts = signature.items(), constants.items(), map(str, attributes.items())
        return self.kernel.__name__, *(tuple(sorted(part)) for part in parts), self.warps

    def _specialised(self) -> tuple[dict[str, str], dict[str, Any], dict[tuple[int, ...], Any]]:
        """Types of the arguments, values of the constants, and which arguments are multiples of 16.

        The machine code depends on them as `triton.jit` sees it.
        """
        signature: dict[str, str] = {}
        constants: dict[str, Any] = {}
        attributes: dict[tuple[int, ...], Any] = {}
        for place, name in enumerate(self.kernel.arg_names):
            value = self.arguments[name]
            if name.isupper() or (isinstance(value, int) and value == 1):
                signature[name], constants[name] = "constexpr", value
                continue
            pointer = isinstance(value, Tensor)
            signature[name] = _POINTERS[value.dtype] if pointer else "i32"
            if (value.data_ptr() if pointer else value) % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
        return signature, constants, attributes

    def compiled(self, capability: int) -> Any:
        """Machine code for a compute capability, as 90, where a launch on such a card looks for it.

        It takes no GPU: of the CPU's tensors, no value is read.
        """
        from triton.runtime import driver

        driver.set_active(_Card(capability))
        try:
            return self.kernel.warmup(
                **self.arguments, grid=self.grid, num_warps=self.warps, num_stages=1
            )
        finally:
            # A machine without a GPU has nothing to return to.
            with suppress(RuntimeError):
                driver.reset_active()
