"""K networks of one shape, their steps and their evaluation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hpstudy.config.study import Recipe
from hpstudy.networks.models import ResNetCifar
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import Capture
from hpstudy.training.population import kernels
from hpstudy.training.population.layers import (
    CHUNK,
    WEIGHT_CHUNKS,
    Layer,
    Layout,
    dtype_of_sums,
    tile_of_pixels,
)
from hpstudy.training.population.launch import Launch

EPSILON, BATCH_NORM_MOMENTUM = 1e-5, 0.1
UPDATE_BLOCK, HEAD_BLOCK = 1024, 32


class Group:
    """Trains up to `slots` networks of one shape at once; each has its own views and setting.

    A network's numbers are the same in every slot and beside any others.

    Parameters
    ----------
    model : ResNetCifar
        Its shape; its weights are not read (`enter`).
    data : Dataset
        Images in the memory of the device to train on.
    recipe : Recipe
    slots : int
    storage : torch.dtype, default torch.bfloat16
        Type of activations, and of weights where they are multiplied; sums are in float32, of
        float64 in float64.
    capture : callable, optional
        How steps are repeated: as calls by default.

    Attributes
    ----------
    active : Tensor
        (slots), int32: 1 where a network is trained; others are left as they are.
    lr, weight_decay : Tensor
        (slots).
    views : Tensor
        (slots, 4, images), int32: those of the next epoch (`Batches.random`).
    loss : Tensor
        (slots): mean cross-entropy of the last training step.
    totals : Tensor
        (slots, 3), float64: of a pass, the sum of the loss (training), or the numbers of images
        right at once and within five, and the sum of the loss (evaluation).
    """

    def __init__(
        self,
        model: ResNetCifar,
        data: Dataset,
        recipe: Recipe,
        slots: int,
        storage: torch.dtype = torch.bfloat16,
        capture: Capture | None = None,
    ):
        self.data, self.recipe, self.slots, self.storage = data, recipe, slots, storage
        self.layout = Layout(model, data.image_size)
        self.device = data.train.labels.device
        self.batch = min(recipe.batch_size, max(len(data.train), len(data.test)))
        self.groups = -(-self.batch // CHUNK)
        self._allocate()
        self.batches = Batches(data.train, data.image_size)
        test = Batches(data.test, data.image_size)
        self.test_views = test.centred().to(self.device, torch.int32)
        self._steps: dict[tuple[bool, int], Callable[[], None]] = {}
        for training in (True, False):
            for number in set(self._sizes(training)):
                step = partial(self._step, self._launches(training, number), number)
                # No slot is active: what is recorded changes nothing.
                self._steps[training, number] = capture(step) if capture else step

    def _zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self.sums, device=self.device)

    def _allocate(self) -> None:
        self.sums = dtype_of_sums(self.storage)
        zeros, layout, slots, data = self._zeros, self.layout, self.slots, self.data
        self.active = zeros(slots, dtype=torch.int32)
        self.lr, self.weight_decay, self.loss = zeros(slots), zeros(slots), zeros(slots)
        self.totals = zeros(slots, 3, dtype=torch.float64)
        self.position = zeros(1, dtype=torch.int32)
        self.views = zeros(slots, 4, len(data.train), dtype=torch.int32)
        self.colour = zeros(2, 16)
        self.colour[0, :3] = 1 / (255 * data.std)
        self.colour[1, :3] = -data.mean / data.std
        self.parameters, self.momenta = zeros(slots, layout.size), zeros(slots, layout.size)
        self.stored = zeros(slots, layout.size, dtype=self.storage)
        self.running, self.saved = zeros(slots, layout.norms), zeros(slots, layout.norms)
        self.tracked = zeros(slots, dtype=torch.int64)
        self.part = zeros(slots * self.groups, layout.norms)
        self.z_part = torch.zeros_like(self.part)
        self.outputs = {
            layer.convolution: zeros(
                *(slots * self.batch, layer.out**2, layer.outputs), dtype=self.storage
            )
            for layer in layout.layers
        }
        # Outputs of the stem and of the blocks, after their shortcuts.
        self.kept = {
            layer.convolution: torch.zeros_like(self.outputs[layer.convolution])
            for layer in (layout.layers[0], *layout.layers[2::2])
        }
        largest = max(value.numel() for value in self.outputs.values())
        # Of a block's two convolutions, and of the one below.
        self.z = [zeros(largest, dtype=self.storage) for _ in range(3)]
        self.pooled = zeros(slots * self.batch, layout.features)
        self.pooled_gradient = torch.zeros_like(self.pooled)
        self.gradients = {
            stage: zeros(slots * -(-self.batch // WEIGHT_CHUNKS[stage]), size)
            for stage, (_, size) in layout.segments().items()
        }
        self.linear_gradient = zeros(slots, (layout.features + 1) * layout.classes)
        self._scratches: dict[tuple[int, int, int], Tensor] = {}

    def _scratch(self, side: int, channels: int, spacing: int) -> Tensor:
        """Images with a border, one for each program; only every `spacing`-th pixel is written."""
        key = side, channels, spacing
        if key not in self._scratches:
            programs = self.slots * max(
                [self.groups, *(3 * -(-self.batch // size) for size in WEIGHT_CHUNKS.values())]
            )
            size = ((side + 2) ** 2 + 1) * channels
            self._scratches[key] = self._zeros(programs, size, dtype=self.storage)
        return self._scratches[key]

    # --- launches ---------------------------------------------------------------------------------

    def _launches(self, training: bool, batch: int) -> list[Launch]:
        """Kernels of one step on `batch` images of each network, in order."""
        found = [*self._forward(training, batch), *self._head(training, batch)]
        if training:
            found += [*self._backward(batch), *self._update(batch)]
        return found

    def _common(self, batch: int) -> dict[str, Any]:
        return {"active": self.active, "batch": batch}

    def _norms(self) -> dict[str, Any]:
        """Parameters and statistics of the normalisations."""
        start = self.layout.weights
        return {
            "weight": self.parameters[:, start : start + self.layout.norms],
            "stride": self.layout.size,
            "saved": self.saved,
            "norms": self.layout.norms,
        }

    def _images(self, training: bool) -> dict[str, Any]:
        """Pixels that the first convolution reads, and how."""
        split = self.data.train if training else self.data.test
        stored, size = split.images.shape[-1], self.data.image_size
        return {
            "pixels": split.images,
            "views": self.views if training else self.test_views,
            "views_stride": self.views[0].numel() if training else 0,
            "count": len(split),
            "position": self.position,
            "colour": self.colour,
            "STORED": stored,
            "PADDING": size // 8 if stored == size else 0,
        }

    def _shape(self, layer: Layer) -> dict[str, Any]:
        return {
            "SIDE": layer.side,
            "CI": layer.inputs,
            "CO": layer.outputs,
            "STRIDE": layer.stride,
            "CHUNK": CHUNK,
            "BLOCK": tile_of_pixels(layer.out),
        }

    def _kernel(self, layer: Layer) -> dict[str, Any]:
        return {"kernel": self.stored[:, layer.at :], "kernels": self.layout.size}

    def _grid(self, batch: int, chunk: int = CHUNK) -> tuple[int, ...]:
        return (self.slots * -(-batch // chunk),)

    def _normalise(self, training: bool) -> dict[str, Any]:
        return {
            **self._norms(),
            "part": self.part,
            "running": self.running,
            "TRAIN": training,
            "EPS": EPSILON,
            "MOMENTUM": BATCH_NORM_MOMENTUM,
        }

    def _forward(self, training: bool, batch: int) -> list[Launch]:
        found, layers = [], self.layout.layers
        for number, layer in enumerate(layers):
            below = layers[max(0, number - 1)]
            # Convolutions of odd numbers begin a block, and read the output of the one before.
            begins = number % 2 == 1
            skip = 0
            if begins and number > 1:
                skip = layers[number - 2].stride
            shortcut = self._kept_below(number - 2) if skip else below
            arguments = {
                **self._common(batch),
                **self._images(training),
                **self._normalise(training),
                **self._kernel(layer),
                **self._shape(layer),
                "below_y": self.outputs[below.convolution],
                "skip": self.kept[shortcut.convolution] if skip else self.active,
                "output": self.kept[below.convolution] if begins else self.active,
                "below": below.norm_at,
                "own": layer.norm_at,
                "scratch": self._scratch(layer.side, layer.inputs, 1),
                "y": self.outputs[layer.convolution],
                "STEM": number == 0,
                "SKIP": skip,
                "KEEP": begins,
            }
            found.append(Launch(kernels.forward, self._grid(batch), arguments))
        return found

    def _kept_below(self, number: int) -> Layer:
        """Layer whose kept output the block that begins with a layer reads."""
        return self.layout.layers[number - 1]

    def _head(self, training: bool, batch: int) -> list[Launch]:
        layers, layout = self.layout.layers, self.layout
        last, begin = layers[-1], len(layers) - 2
        split = self.data.train if training else self.data.test
        images = self._images(training)
        pool = {
            **self._common(batch),
            **self._normalise(training),
            "y": self.outputs[last.convolution],
            "skip": self.kept[self._kept_below(begin).convolution],
            "output": self.kept[last.convolution],
            "below": last.norm_at,
            "pooled": self.pooled,
            "SIDE": last.out,
            "C": last.outputs,
            "SKIP": layers[begin].stride,
            "CHUNK": CHUNK,
            "BLOCK": tile_of_pixels(last.out),
        }
        head = {
            **self._common(batch),
            **{name: images[name] for name in ("views", "views_stride", "position")},
            "labels": split.labels,
            "pooled": self.pooled,
            "weight": self.parameters[:, layout.weights + layout.norms :],
            "stride": layout.size,
            "gradient": self.linear_gradient,
            "pooled_gradient": self.pooled_gradient,
            "loss": self.loss,
            "totals": self.totals,
            "classes": layout.real_classes,
            "C": layout.features,
            "CLASSES": layout.classes,
            "TRAIN": training,
            "BLOCK": HEAD_BLOCK,
        }
        return [
            Launch(kernels.pool, self._grid(batch), pool),
            Launch(kernels.head, (self.slots,), head),
        ]

    def _backward(self, batch: int) -> list[Launch]:
        layers = self.layout.layers
        last = layers[-1]
        z2, z1, below_z = self.z
        through = {**self._common(batch), **self._norms(), "z_part": self.z_part}
        arguments = {
            **{name: value for name, value in through.items() if name not in ("weight", "stride")},
            "pooled_gradient": self.pooled_gradient,
            "output": self.kept[last.convolution],
            "y": self.outputs[last.convolution],
            "own": last.norm_at,
            "z": z2,
            "SIDE": last.out,
            "C": last.outputs,
            "CHUNK": CHUNK,
            "BLOCK": tile_of_pixels(last.out),
        }
        found = [Launch(kernels.backward_pool, self._grid(batch), arguments)]
        for second in range(len(layers) - 1, 0, -2):
            first = second - 1
            found += self._backward_layer(through, batch, second, z2, z1, None)
            found += self._backward_layer(through, batch, first, z1, below_z, z2)
            z2, below_z = below_z, z2
        return [*found, self._weight_gradient(through, batch, 0, z2)]

    def _backward_layer(
        self,
        through: dict[str, Any],
        batch: int,
        number: int,
        z: Tensor,
        below_z: Tensor,
        skip_z: Tensor | None,
    ) -> list[Launch]:
        """Both gradients of a convolution; `skip_z` is that of a shortcut from its input."""
        layer, below = self.layout.layers[number], self.layout.layers[number - 1]
        skip = 0 if skip_z is None else layer.stride
        arguments = {
            **through,
            **self._kernel(layer),
            **self._shape(layer),
            "z": z,
            "y": self.outputs[layer.convolution],
            "own": layer.norm_at,
            "below": below.norm_at,
            "scratch": self._scratch(layer.side, layer.outputs, layer.stride),
            "below_y": self.outputs[below.convolution],
            "output": self.kept[below.convolution] if skip else self.active,
            "skip_z": self.active if skip_z is None else skip_z,
            "below_z": below_z,
            "SKIP": skip,
        }
        images = Launch(kernels.backward_images, self._grid(batch), arguments)
        return [self._weight_gradient(through, batch, number, z), images]

    def _weight_gradient(
        self, through: dict[str, Any], batch: int, number: int, z: Tensor
    ) -> Launch:
        layers = self.layout.layers
        layer, below = layers[number], layers[max(0, number - 1)]
        chunk = WEIGHT_CHUNKS[layer.stage]
        start, size = self.layout.segments()[layer.stage]
        # Three tiles of whole rows would not fit into registers.
        by_row = layer.inputs * layer.outputs > 1024
        plain = number % 2 == 1
        source = self.kept if plain else self.outputs
        arguments = {
            **through,
            **self._images(True),
            **self._shape(layer),
            "source": source[below.convolution],
            "z": z,
            "y": self.outputs[layer.convolution],
            "own": layer.norm_at,
            "below": below.norm_at,
            "scratch": self._scratch(layer.side, layer.inputs, 1),
            "gradient": self.gradients[layer.stage][:, layer.at - start :],
            "gradients": size,
            "STEM": number == 0,
            "PLAIN": plain,
            "BY_ROW": by_row,
            "NORM_CHUNK": CHUNK,
            "CHUNK": chunk,
        }
        grid = *self._grid(batch, chunk), 3 if by_row else 1
        return Launch(kernels.backward_kernel, grid, arguments)

    def _update(self, batch: int) -> list[Launch]:
        layout = self.layout
        parts = [
            (start, size, self.gradients[stage], WEIGHT_CHUNKS[stage])
            for stage, (start, size) in layout.segments().items()
        ]
        parts += [
            (layout.weights, layout.norms, self.z_part, CHUNK),
            (layout.weights + layout.norms, self.linear_gradient.shape[1], *(self.linear_gradient, batch)),
        ]
        return [
            Launch(
                kernels.update,
                (self.slots, -(-size // UPDATE_BLOCK)),
                {
                    "active": self.active,
                    "parameters": self.parameters,
                    "stored": self.stored,
                    "momenta": self.momenta,
                    "stride": layout.size,
                    "start": start,
                    "gradient": gradient,
                    "groups": -(-batch // chunk),
                    "size": size,
                    "lr": self.lr,
                    "decay": self.weight_decay,
                    "MOMENTUM": self.recipe.momentum,
                    "BLOCK": UPDATE_BLOCK,
                },
            )
            for start, size, gradient, chunk in parts
        ]

    # --- networks ---------------------------------------------------------------------------------

    def values(self, slot: int) -> dict[str, dict[str, Tensor]]:
        """Views on a network's values, by part and by the names that they have in the network."""
        buffers = self.layout.buffers(self.running[slot], self.tracked[slot])
        momenta = self.layout.parameters(self.momenta[slot])
        return {
            "model": {**self.layout.parameters(self.parameters[slot]), **buffers},
            "momentum": {str(number): value for number, value in enumerate(momenta.values())},
        }

    def enter(self, slot: int, model: dict[str, Tensor]) -> None:
        """Give a slot a network's values, without momentum, and begin to train it."""
        for flat in (self.parameters, self.momenta, self.running):
            flat[slot].zero_()
        for name, view in self.values(slot)["model"].items():
            view.copy_(model[name])
        self.synchronise(slot)
        self.active[slot] = 1

    def synchronise(self, slot: int) -> None:
        """Store the parameters anew, after they were written to (`values`)."""
        self.stored[slot].copy_(self.parameters[slot])

    # --- epochs -----------------------------------------------------------------------------------

    def _sizes(self, training: bool) -> list[int]:
        """Images of each step of a pass."""
        count = len(self.data.train if training else self.data.test)
        whole, rest = divmod(count, self.batch)
        return [self.batch] * whole + ([rest] if rest else [])

    def _step(self, launches: list[Launch], batch: int) -> None:
        for launch in launches:
            launch()
        self.position += batch

    def first_step(self) -> None:
        """Begin a training pass: one step of the active networks."""
        self.totals.zero_()
        self.position.zero_()
        self._steps[True, self._sizes(True)[0]]()

    def other_steps(self) -> None:
        """The rest of a training pass."""
        sizes = self._sizes(True)
        for number in sizes[1:]:
            self._steps[True, number]()
        self.tracked += len(sizes) * self.active

    def evaluate(self) -> None:
        """One evaluation of the active networks."""
        self.totals.zero_()
        self.position.zero_()
        for number in self._sizes(False):
            self._steps[False, number]()
