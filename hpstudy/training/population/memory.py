"""Tensors that the kernels read and write, allocated once for K networks."""

import torch
from torch import Tensor

from hpstudy.networks.models import ResNetCifar
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Dataset
from hpstudy.training.population.layers import Layer, Layout

# Images that one program works through: in both passes, and for weights' gradients by stage.
CHUNK = 4
WEIGHT_CHUNKS = {1: 4, 2: 4, 4: 16}


class Memory:
    """Values of `slots` networks of one shape, of batches of at most `batch` images.

    Activations are in the `storage` type; statistics, sums and parameters are in float32, those of
    float64 in float64.
    """

    def __init__(
        self, model: ResNetCifar, data: Dataset, slots: int, batch: int, storage: torch.dtype
    ):
        self.data, self.slots, self.batch, self.storage = data, slots, batch, storage
        self.layout = Layout(model, data.image_size)
        self.device = data.train.labels.device
        self._sums = torch.float64 if storage == torch.float64 else torch.float32
        zeros, layout = self._zeros, self.layout
        self.active = zeros(slots, dtype=torch.int32)
        self.lr, self.weight_decay, self.loss = zeros(slots), zeros(slots), zeros(slots)
        self.totals = zeros(slots, 3, dtype=torch.float64)
        # Images of the pass that are done.
        self.position = zeros(1, dtype=torch.int32)
        self.views = zeros(slots, 4, len(data.train), dtype=torch.int32)
        batches = Batches(data.test, data.image_size)
        self.padding = batches.padding
        self.test_views = batches.centred().to(self.device, torch.int32)
        # Factor and term that take a uint8 pixel to zero mean and unit deviation.
        self.colour = zeros(2, 16)
        self.colour[0, :3] = 1 / (255 * data.std)
        self.colour[1, :3] = -data.mean / data.std
        self.parameters, self.momenta = zeros(slots, layout.size), zeros(slots, layout.size)
        self.stored = zeros(slots, layout.size, dtype=storage)
        self.running, self.saved = zeros(slots, layout.norms), zeros(slots, layout.norms)
        groups = slots * -(-batch // CHUNK)
        self.part, self.z_part = zeros(groups, layout.norms), zeros(groups, layout.norms)
        self.outputs = {layer.convolution: self._output(layer) for layer in layout.layers}
        # What a block reads: outputs of the stem and of the blocks, after their shortcuts.
        kept = (layout.layers[0], *layout.layers[2::2])
        self.kept = {layer.convolution: self._output(layer) for layer in kept}
        largest = max(value.numel() for value in self.outputs.values())
        # Gradients at a block's two normalisations, and at the one below.
        self.z = [zeros(largest, dtype=storage) for _ in range(3)]
        self.pooled = zeros(slots * batch, layout.features)
        self.pooled_gradient = zeros(slots * batch, layout.features)
        self.gradients = {
            stage: zeros(slots * -(-batch // WEIGHT_CHUNKS[stage]), size)
            for stage, (_, size) in layout.segments().items()
        }
        self.linear_gradient = zeros(slots, (layout.features + 1) * layout.classes)
        self._scratches: dict[tuple[int, int, int], Tensor] = {}

    def _zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self._sums, device=self.device)

    def _output(self, layer: Layer) -> Tensor:
        shape = self.slots * self.batch, layer.out**2, layer.outputs
        return self._zeros(*shape, dtype=self.storage)

    def scratch(self, side: int, channels: int, spacing: int = 1) -> Tensor:
        """Images with a border, one a program; of a side's pixels, every `spacing`-th is written.

        What is not written stays zero, for kernels of the same shape share them.
        """
        key = side, channels, spacing
        if key not in self._scratches:
            # A kernel's three rows may have a program each.
            parts = [-(-self.batch // CHUNK)]
            parts += [3 * -(-self.batch // chunk) for chunk in WEIGHT_CHUNKS.values()]
            size = ((side + 2) ** 2 + 1) * channels
            self._scratches[key] = self._zeros(self.slots * max(parts), size, dtype=self.storage)
        return self._scratches[key]
