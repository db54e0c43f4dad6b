"""Batches of uint8 images cut from a split: at random to train on, the centre to evaluate."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.errors import HpstudyError
from hpstudy.training.datasets import Split
from hpstudy.training.image_cache import Stored

# Batches of stored images that are cut ahead of the one in use, each by a thread of its own.
AHEAD = 4


class Batches:
    """Views of the images of a split, as the network sees them.

    Images stored at the network's size are padded with black by an eighth of it (4 pixels at 32)
    and cropped; images stored larger are cropped without padding (thesis, section 3.1.1).

    Parameters
    ----------
    split : Split
        On the device to train on; images that are in a file are read ahead, and only batches of
        them are on the device.
    size : int
        Height and width that the network sees.
    """

    def __init__(self, split: Split, size: int):
        self.split, self.size = split, size
        self.device = split.labels.device
        stored = split.images.shape[-1]
        self.padding = size // 8 if stored == size else 0
        self.offsets = stored + 2 * self.padding - size + 1
        self._in_file = isinstance(split.images, Stored)
        if self._in_file:
            self._labels = split.labels.cpu()

    def random(self, generator: torch.Generator) -> Tensor:
        """Views (4, images) of one epoch: index in a random order, row, column, mirrored or not.

        Drawn on the CPU, so that every device sees the same images.
        """
        count = len(self.split)
        order = torch.randperm(count, generator=generator)
        corner = torch.randint(self.offsets, (2, count), generator=generator)
        mirrored = torch.randint(2, (1, count), generator=generator)
        return self._placed(torch.cat([order[None], corner, mirrored]))

    def centred(self) -> Tensor:
        """Views (4, images) of every image in its order: its centre, not mirrored."""
        views = torch.full((4, len(self.split)), self.offsets // 2)
        views[0] = torch.arange(len(self.split))
        views[3] = 0
        return self._placed(views)

    def _placed(self, views: Tensor) -> Tensor:
        """Views where they are used: what is in a file is cut on the CPU."""
        return views if self._in_file else views.to(self.device)

    def take(
        self, views: Tensor, batch_size: int, done: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images (batch, 3, size, size) and labels (batch,); the last may be fewer.

        The first `done` batches are left out.
        """
        parts = views.split(batch_size, 1)[done:]
        return self._read_ahead(parts) if self._in_file else self._cut_resident(parts)

    def _cut_resident(self, parts: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for index, row, column, mirrored in (part.unbind() for part in parts):
            images = self.split.images[index]
            if self.padding:
                images = F.pad(images, (self.padding,) * 4)
            # A strided view (batch, 3, offsets, offsets, size, size): a crop is an index, no loop.
            windows = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
            images = windows[torch.arange(len(index), device=index.device), :, row, column]
            images = torch.where(mirrored[:, None, None, None] > 0, images.flip(-1), images)
            yield images, self.split.labels[index]

    def _read_ahead(self, parts: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches in order, while threads cut the next ones."""
        coming: deque[tuple[Future, Tensor, Tensor]] = deque()
        copied: deque[torch.cuda.Event] = deque()

        def first() -> tuple[Tensor, Tensor]:
            cut, *batch = coming.popleft()
            cut.result()
            # From pinned memory, a copy to a GPU is asked for and not waited for.
            images, labels = (x.to(self.device, non_blocking=True) for x in batch)
            if self.device.type == "cuda":
                # A GPU that is behind would let them fill the memory of the host.
                copied.append(torch.cuda.Event(blocking=True))
                copied[-1].record(torch.cuda.current_stream(self.device))
                if len(copied) > AHEAD:
                    copied.popleft().synchronize()
            return images, labels

        threads = ThreadPoolExecutor(AHEAD, "batch")
        try:
            for part in parts:
                images, labels = self._place(part.shape[1])
                torch.index_select(self._labels, 0, part[0], out=labels)
                coming.append((threads.submit(self._cut_stored, part, images), images, labels))
                if len(coming) > AHEAD:
                    yield first()
            while coming:
                yield first()
        finally:
            # Also where no more batches are wanted.
            threads.shutdown(cancel_futures=True)

    def _place(self, count: int) -> tuple[Tensor, Tensor]:
        """Memory for a batch; asked for here, since threads that do spoil a CUDA graph."""
        pinned = self.device.type == "cuda"
        images = torch.empty(count, 3, self.size, self.size, dtype=torch.uint8, pin_memory=pinned)
        return images, torch.empty(count, dtype=self._labels.dtype, pin_memory=pinned)

    def _cut_stored(self, views: Tensor, images: Tensor) -> None:
        """Fill `images` with crops; a loop is five times as fast here as indexing all at once."""
        read, cuts = self.split.images.read(views[0].numpy()), views[1:].tolist()
        for place, image, row, column, mirrored in zip(images.numpy(), read, *cuts, strict=True):
            crop = image[:, row : row + self.size, column : column + self.size]
            place[...] = crop[:, :, ::-1] if mirrored else crop


def check_last_batch(images: int, batch_size: int) -> None:
    """Refuse a batch size that leaves one training image over (see `hpstudy.training.trainer.Trainer`)."""
    if images % batch_size == 1:
        raise HpstudyError(
            f"batch_size {batch_size} leaves a last batch of one of {images} training images, "
            "which batch normalisation cannot take"
        )
