"""Batches of uint8 images cut from resident ones: at random to train on, the centre to evaluate."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.sources import Split


class Batches:
    """Views of the images of a split, as the network sees them.

    Images stored at the network's size are padded with black by an eighth of it (4 pixels at 32)
    and cropped; images stored larger are cropped without padding (thesis, section 3.1.1).

    Parameters
    ----------
    split : Split
        On the device to train on.
    size : int
        Height and width that the network sees.
    """

    def __init__(self, split: Split, size: int):
        self.split, self.size = split, size
        stored = split.images.shape[-1]
        self.padding = size // 8 if stored == size else 0
        self.offsets = stored + 2 * self.padding - size + 1

    def random(self, generator: torch.Generator) -> Tensor:
        """Views (4, images) of one epoch: index in a random order, row, column, mirrored or not.

        Drawn on the CPU, so that every device sees the same images.
        """
        count = len(self.split)
        order = torch.randperm(count, generator=generator)
        corner = torch.randint(self.offsets, (2, count), generator=generator)
        mirrored = torch.randint(2, (1, count), generator=generator)
        return torch.cat([order[None], corner, mirrored]).to(self.split.labels.device)

    def centred(self) -> Tensor:
        """Views (4, images) of every image in its order: its centre, not mirrored."""
        views = torch.full((4, len(self.split)), self.offsets // 2)
        views[0] = torch.arange(len(self.split))
        views[3] = 0
        return views.to(self.split.labels.device)

    def take(self, views: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images (batch, 3, size, size) and labels (batch,); the last may be fewer."""
        for index, row, column, mirrored in (part.unbind() for part in views.split(batch_size, 1)):
            images = self.split.images[index]
            if self.padding:
                images = F.pad(images, (self.padding,) * 4)
            # A strided view (batch, 3, offsets, offsets, size, size): a crop is an index, no loop.
            windows = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
            images = windows[torch.arange(len(index), device=index.device), :, row, column]
            images = torch.where(mirrored[:, None, None, None] > 0, images.flip(-1), images)
            yield images, self.split.labels[index]
