"""The kernels of a step, in order."""

from typing import Any

from torch import Tensor

from hpstudy.training.population import backward, forward
from hpstudy.training.population.launch import Launch
from hpstudy.training.population.layers import Layer, power_of_2
from hpstudy.training.population.memory import CHUNK, WEIGHT_CHUNKS, Memory

EPSILON, BATCH_NORM_MOMENTUM = 1e-5, 0.1
# Pixels of an image, images, and parameters that a program works on at once.
PIXELS, HEAD_BLOCK, UPDATE_BLOCK = 128, 32, 1024


class Step:
    """Launches of one step of all networks on `batch` images each, for training or evaluation."""

    def __init__(self, memory: Memory, training: bool, batch: int, momentum: float):
        self.memory, self.training, self.batch = memory, training, batch
        self.layers = memory.layout.layers
        self.launches = [*self._forward(), *self._head()]
        if training:
            self.launches += [*self._backward(), *self._update(momentum)]

    def __call__(self) -> None:
        """Queue the kernels."""
        for launch in self.launches:
            launch()
        self.memory.position += self.batch

    # --- arguments that kernels share -------------------------------------------------------------

    @property
    def _common(self) -> dict[str, Any]:
        return {"active": self.memory.active, "batch": self.batch}

    @property
    def _norms(self) -> dict[str, Any]:
        """Parameters and statistics of the normalisations."""
        memory, layout = self.memory, self.memory.layout
        return {
            **self._common,
            "weight": memory.parameters[:, layout.weights : layout.weights + layout.norms],
            "stride": layout.size,
            "saved": memory.saved,
            "norms": layout.norms,
            "GROUPS": power_of_2(-(-memory.batch // CHUNK)),
        }

    @property
    def _normalise(self) -> dict[str, Any]:
        return {
            **self._norms,
            "part": self.memory.part,
            "running": self.memory.running,
            "TRAIN": self.training,
            "EPS": EPSILON,
            "MOMENTUM": BATCH_NORM_MOMENTUM,
        }

    @property
    def _images(self) -> dict[str, Any]:
        """Pixels that the first convolution reads, and how."""
        memory, data = self.memory, self.memory.data
        split = data.train if self.training else data.test
        return {
            "pixels": split.images,
            "views": memory.views if self.training else memory.test_views,
            "views_stride": 4 * len(split) if self.training else 0,
            "count": len(split),
            "position": memory.position,
            "colour": memory.colour,
            "STORED": split.images.shape[-1],
            "PADDING": memory.padding,
        }

    def _shape(self, layer: Layer) -> dict[str, Any]:
        return {
            "SIDE": layer.side,
            "CI": layer.inputs,
            "CO": layer.outputs,
            "STRIDE": layer.stride,
            "CHUNK": CHUNK,
            "BLOCK": min(PIXELS, layer.out**2),
        }

    def _kernel(self, layer: Layer) -> dict[str, Any]:
        memory = self.memory
        return {"kernel": memory.stored[:, layer.at :], "kernels": memory.layout.size}

    def _output(self, layer: Layer) -> dict[str, Any]:
        """Output of the last block, a chunk of images for each program."""
        return {
            "y": self.memory.outputs[layer.convolution],
            "output": self.memory.kept[layer.convolution],
            "SIDE": layer.out,
            "C": layer.outputs,
            "CHUNK": CHUNK,
            "BLOCK": min(PIXELS, layer.out**2),
        }

    def _grid(self, chunk: int) -> tuple[int, ...]:
        return (self.memory.slots * -(-self.batch // chunk),)

    # --- forward ----------------------------------------------------------------------------------

    def _forward(self) -> list[Launch]:
        memory, found = self.memory, []
        for number, layer in enumerate(self.layers):
            below = self.layers[max(0, number - 1)]
            # Convolutions of odd numbers begin a block: they read the output of the one before,
            # whose shortcut comes from where that began.
            begins = number % 2 == 1
            skip = self.layers[number - 2].stride if begins and number > 1 else 0
            arguments = {
                **self._images,
                **self._normalise,
                **self._kernel(layer),
                **self._shape(layer),
                "below_y": memory.outputs[below.convolution],
                "skip": self._shortcut(number - 2) if skip else memory.active,
                "output": memory.kept[below.convolution] if begins else memory.active,
                "below": below.norm_at,
                "own": layer.norm_at,
                "scratch": memory.scratch(layer.side, layer.inputs),
                "y": memory.outputs[layer.convolution],
                "STEM": number == 0,
                "SKIP": skip,
                "KEEP": begins,
            }
            found.append(Launch(forward.forward, self._grid(CHUNK), arguments))
        return found

    def _shortcut(self, number: int) -> Tensor:
        """Input of the block that begins with a layer."""
        return self.memory.kept[self.layers[number - 1].convolution]

    def _head(self) -> list[Launch]:
        memory, layout = self.memory, self.memory.layout
        last, begin = self.layers[-1], len(self.layers) - 2
        split = memory.data.train if self.training else memory.data.test
        pool = {
            **self._normalise,
            **self._output(last),
            "skip": self._shortcut(begin),
            "below": last.norm_at,
            "pooled": memory.pooled,
            "SKIP": self.layers[begin].stride,
        }
        head = {
            **self._common,
            **{name: self._images[name] for name in ("views", "views_stride", "position")},
            "labels": split.labels,
            "pooled": memory.pooled,
            "weight": memory.parameters[:, layout.weights + layout.norms :],
            "stride": layout.size,
            "gradient": memory.linear_gradient,
            "pooled_gradient": memory.pooled_gradient,
            "loss": memory.loss,
            "totals": memory.totals,
            "classes": layout.real_classes,
            "C": layout.features,
            "CLASSES": layout.classes,
            "TRAIN": self.training,
            "BLOCK": HEAD_BLOCK,
        }
        return [
            Launch(forward.pool, self._grid(CHUNK), pool),
            Launch(forward.head, (memory.slots,), head),
        ]

    # --- backward ---------------------------------------------------------------------------------

    def _backward(self) -> list[Launch]:
        memory, last = self.memory, self.layers[-1]
        second_z, first_z, below_z = memory.z
        arguments = {
            **self._common,
            **self._output(last),
            "pooled_gradient": memory.pooled_gradient,
            "saved": memory.saved,
            "norms": memory.layout.norms,
            "own": last.norm_at,
            "z": second_z,
            "z_part": memory.z_part,
        }
        found = [Launch(backward.backward_pool, self._grid(CHUNK), arguments)]
        for second in range(len(self.layers) - 1, 0, -2):
            found += self._backward_layer(second, second_z, first_z, None)
            found += self._backward_layer(second - 1, first_z, below_z, second_z)
            second_z, below_z = below_z, second_z
        return [*found, self._weight_gradient(0, second_z)]

    def _backward_layer(
        self, number: int, z: Tensor, below_z: Tensor, skip_z: Tensor | None
    ) -> list[Launch]:
        """Both gradients of a convolution; `skip_z` is that of a shortcut from its input."""
        memory, layer, below = self.memory, self.layers[number], self.layers[number - 1]
        arguments = {
            **self._norms,
            **self._kernel(layer),
            **self._shape(layer),
            "z": z,
            "y": memory.outputs[layer.convolution],
            "z_part": memory.z_part,
            "own": layer.norm_at,
            "below": below.norm_at,
            "scratch": memory.scratch(layer.side, layer.outputs, layer.stride),
            "below_y": memory.outputs[below.convolution],
            "output": memory.active if skip_z is None else memory.kept[below.convolution],
            "skip_z": memory.active if skip_z is None else skip_z,
            "below_z": below_z,
            "SKIP": 0 if skip_z is None else layer.stride,
        }
        # With four, the accumulators of the widest layers would spill.
        warps = 8 if layer.inputs * layer.outputs > 2048 else 4
        images = Launch(backward.backward_images, self._grid(CHUNK), arguments, warps)
        return [self._weight_gradient(number, z), images]

    def _weight_gradient(self, number: int, z: Tensor) -> Launch:
        memory, layer = self.memory, self.layers[number]
        below, size = self.layers[max(0, number - 1)], layer.inputs * layer.outputs
        chunk = WEIGHT_CHUNKS[layer.stage]
        start, length = memory.layout.segments()[layer.stage]
        # Three tiles of whole rows do not fit into registers where there are many channels.
        by_row = size > 1024 or layer.stage == 4
        plain = number % 2 == 1
        source = memory.kept if plain else memory.outputs
        arguments = {
            **self._norms,
            **self._images,
            **self._shape(layer),
            "source": source[below.convolution],
            "z": z,
            "y": memory.outputs[layer.convolution],
            "z_part": memory.z_part,
            "own": layer.norm_at,
            "below": below.norm_at,
            "scratch": memory.scratch(layer.side, layer.inputs),
            "gradient": memory.gradients[layer.stage][:, layer.at - start :],
            "gradients": length,
            "STEM": number == 0,
            "PLAIN": plain,
            "BY_ROW": by_row,
            "NORM_CHUNK": CHUNK,
            "CHUNK": chunk,
        }
        grid = *self._grid(chunk), 3 if by_row else 1
        warps = 8 if size == 1024 and not by_row else 4
        return Launch(backward.backward_kernel, grid, arguments, warps)

    def _update(self, momentum: float) -> list[Launch]:
        memory, layout = self.memory, self.memory.layout
        parts = [
            (start, size, memory.gradients[stage], WEIGHT_CHUNKS[stage])
            for stage, (start, size) in layout.segments().items()
        ]
        linear = memory.linear_gradient
        parts += [
            (layout.weights, layout.norms, memory.z_part, CHUNK),
            (layout.weights + layout.norms, linear.shape[1], linear, self.batch),
        ]
        common = {name: getattr(memory, name) for name in ("active", "parameters", "stored")}
        common |= {"momenta": memory.momenta, "lr": memory.lr, "decay": memory.weight_decay}
        common |= {"stride": layout.size, "MOMENTUM": momentum, "BLOCK": UPDATE_BLOCK}
        return [
            Launch(
                backward.update,
                (memory.slots, -(-size // UPDATE_BLOCK)),
                {
                    **common,
                    "start": start,
                    "size": size,
                    "gradient": gradient,
                    "groups": -(-self.batch // chunk),
                },
            )
            for start, size, gradient, chunk in parts
        ]
