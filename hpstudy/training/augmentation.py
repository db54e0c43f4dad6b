"""Batches of uint8 images cut from a split: random crops to train on, centres to evaluate."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.errors import HpstudyError
from hpstudy.training.datasets import Split
from hpstudy.training.image_folders import Stored
from hpstudy.training.shared import Share

# Batches of stored images that are cut ahead of the one in use, each by a thread of its own.
AHEAD = 4
Batch = tuple[Tensor, Tensor]


class Batches:
    """Views of the images of a split, as the network sees them.

    Images stored at the network's size are padded with black by an eighth of it (4 pixels at 32)
    and cropped; larger images are cropped without padding (thesis, section 3.1.1).
    The split is on the device to train on; of images in a file, only batches are. Of every batch,
    only the `share` of this process is cut.
    """

    def __init__(self, split: Split, size: int, share: Share = Share()):  # noqa: B008
        self.split, self.size, self.share = split, size, share
        self.device = split.labels.device
        stored = split.images.shape[-1]
        self.padding = size // 8 if stored == size else 0
        self.offsets = stored + 2 * self.padding - size + 1
        # Images in a file are cut on the CPU.
        self._cut_on = "cpu" if isinstance(split.images, Stored) else self.device

    def random(self, generator: torch.Generator) -> Tensor:
        """Views (4, images) of one epoch: index in a random order, row, column, mirrored or not.

        Drawn on the CPU, so that every device sees the same images.
        """
        count = len(self.split)
        order = torch.randperm(count, generator=generator)
        corner = torch.randint(self.offsets, (2, count), generator=generator)
        mirrored = torch.randint(2, (1, count), generator=generator)
        views = torch.cat([order[None], corner, mirrored])
        if torch.device(self._cut_on).type == "cuda":
            # From pinned memory, a copy to a GPU is queued and not waited for.
            views = views.pin_memory()
        return views.to(self._cut_on, non_blocking=True)

    def centred(self) -> Tensor:
        """Views (4, images) of every image in its order: its centre, not mirrored."""
        views = torch.full((4, len(self.split)), self.offsets // 2)
        views[0] = torch.arange(len(self.split))
        views[3] = 0
        return views.to(self._cut_on)

    def take(self, views: Tensor, batch_size: int, done: int = 0) -> Iterator[Batch]:
        """Yield uint8 images (batch, 3, size, size) and labels (batch,), without the `done` first.

        The last batch may be smaller.
        """
        return (self.cut(*inputs) for inputs in self.inputs(views, batch_size, done))

    def inputs(self, views: Tensor, batch_size: int, done: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield what `cut` makes the batches of `take` from.

        These are the views (4, batch) of resident images, and the batches of images in a file.
        """
        starts = range(done * batch_size, views.shape[1], batch_size)
        parts = [self.share.cut(views[:, start : start + batch_size]) for start in starts]
        if isinstance(self.split.images, Stored):
            return self._read_ahead(self.split.images, parts)
        return ((part,) for part in parts)

    def cut(self, *inputs: Tensor) -> Batch:
        """Images and labels of one batch; a CUDA graph can record it."""
        pixels = self.split.images
        if isinstance(pixels, Stored):
            images, labels = inputs
            return images, labels
        index, row, column, mirrored = inputs[0].unbind()
        images = pixels[index]
        if self.padding:
            images = F.pad(images, (self.padding,) * 4)
        # A strided view (batch, 3, offsets, offsets, size, size): a crop is an index, no loop.
        windows = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
        images = windows[torch.arange(len(index), device=index.device), :, row, column]
        images = torch.where(mirrored[:, None, None, None] > 0, images.flip(-1), images)
        return images, self.split.labels[index]

    def _read_ahead(self, stored: Stored, parts: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield batches in order, while threads cut the next ones."""
        all_labels, on_gpu = self.split.labels.cpu(), self.device.type == "cuda"
        coming: deque[tuple[Future[None], Batch]] = deque()
        copied: deque[torch.cuda.Event] = deque()

        def first() -> Batch:
            cut, (images, labels) = coming.popleft()
            cut.result()
            # From pinned memory, a copy to a GPU is queued and not waited for.
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            if on_gpu:
                # A GPU that is behind would let the copies fill the memory of the host.
                copied.append(torch.cuda.Event(blocking=True))
                copied[-1].record(torch.cuda.current_stream(self.device))
                if len(copied) > AHEAD:
                    copied.popleft().synchronize()
            return images, labels

        threads = ThreadPoolExecutor(AHEAD, "batch")
        try:
            for part in parts:
                # Allocated here, because pinning memory in a thread spoils a CUDA graph.
                shape = part.shape[1], 3, self.size, self.size
                images = torch.empty(shape, dtype=torch.uint8, pin_memory=on_gpu)
                labels = torch.empty(shape[0], dtype=all_labels.dtype, pin_memory=on_gpu)
                torch.index_select(all_labels, 0, part[0], out=labels)
                task = threads.submit(self._cut_stored, stored, part, images)
                coming.append((task, (images, labels)))
                if len(coming) > AHEAD:
                    yield first()
            while coming:
                yield first()
        finally:
            # Also where no more batches are taken.
            threads.shutdown(cancel_futures=True)

    def _cut_stored(self, stored: Stored, views: Tensor, images: Tensor) -> None:
        """Fill `images` with crops; a loop is five times as fast here as indexing all at once."""
        read, cuts = stored.read(views[0].numpy()), views[1:].tolist()
        for place, image, row, column, mirrored in zip(images.numpy(), read, *cuts, strict=True):
            crop = image[:, row : row + self.size, column : column + self.size]
            place[...] = crop[:, :, ::-1] if mirrored else crop


def check_last_batch(images: int, batch_size: int, devices: int = 1) -> None:
    """Refuse a last batch of one training image, or of fewer than the devices that share it."""
    if images % batch_size == 1:
        raise HpstudyError(
            f"batch_size {batch_size} leaves a last batch of one of {images} training images, "
            "which batch normalisation cannot take"
        )
    if (last := images % batch_size or batch_size) < devices:
        raise HpstudyError(
            f"batch_size {batch_size} leaves a last batch of {last} of {images} training images, "
            f"which {devices} devices cannot share"
        )
