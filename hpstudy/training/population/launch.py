"""One launch of a kernel, and its machine code, which takes no GPU to compile."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

_POINTERS = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.uint8: "*u8",
}


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

        They are those of `triton.jit`, so that it finds the machine code in its cache.
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
        """Machine code for a compute capability, as 90; of the CPU's tensors, no value is read."""
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        signature, constants, attributes = self._specialised()
        places = {name: place for place, name in enumerate(self.kernel.arg_names)}
        source = ASTSource(
            self.kernel,
            signature,
            {(places[name],): value for name, value in constants.items()},
            attributes,
        )
        options = {"num_warps": self.warps, "num_stages": 1}
        return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
