"""The recipe: one loop that trains a network from scratch and says how it went."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.data import Dataset
from hpstudy.errors import HpstudyError
from hpstudy.sources import Split
from hpstudy.study import Recipe


@dataclass(frozen=True)
class Result:
    """Outcome of one training.

    Attributes
    ----------
    top1, top5 : float
        Accuracy on the evaluation images after the last epoch, in percent (equations 3.1, 3.2);
        `top5` is None where there are 10 classes or fewer.
    loss : float
        Mean cross-entropy on the evaluation images after the last epoch.
    best_top1, best_epoch : float, int
        Highest accuracy over the epochs, and the first epoch (from 1) that reached it: selected
        on the images that it is measured on, hence biased upward.
    train_loss : float
        Mean cross-entropy over the last epoch's training steps.
    diverged : bool
        The training loss stopped being finite (training ends with that epoch), or the last
        epoch's is above that of the first step: the network ended worse than it began.
        Accuracies stay as measured.
    epochs : int
        Epochs trained.
    seconds : float
        Wall time of training and evaluation.
    images_per_second : float
        Training images over the wall time of training alone.
    curve : dict of str to list of float
        One value per epoch of `train_loss`, `loss` and `top1`.
    """

    top1: float
    top5: float | None
    loss: float
    best_top1: float
    best_epoch: int
    train_loss: float
    diverged: bool
    epochs: int
    seconds: float
    images_per_second: float
    curve: dict[str, list[float]]


class Batches:
    """Augmented training batches drawn from resident uint8 images.

    Every image is padded with black by an eighth of its size (4 pixels at 32), cropped at a random
    place, flipped with probability one half and normalised; images stored larger than the network
    sees are cropped without padding (thesis, section 3.1.1).
    """

    def __init__(self, data: Dataset, dtype: torch.dtype, generator: torch.Generator):
        self.labels, self.generator = data.train.labels, generator
        size, stored = data.image_size, data.train.images.shape[-1]
        images = data.train.images
        if stored == size:
            images = F.pad(images, (size // 8,) * 4)
        # Strided view (images, 3, offsets, offsets, size, size): a crop is an index, not a loop.
        self.windows = images.unfold(2, size, 1).unfold(3, size, 1)
        self.offsets = self.windows.shape[2]
        self.scale, self.shift = _normalisation(data, dtype)

    def epoch(self, batch_size: int):
        """Yield (images, labels) over one random order of the training images."""
        device, generator = self.labels.device, self.generator
        order = torch.randperm(len(self.labels), generator=generator, device=device)
        for index in order.split(batch_size):
            count = len(index)
            y, x = torch.randint(self.offsets, (2, count), generator=generator, device=device)
            flip = torch.rand(count, generator=generator, device=device) < 0.5
            images = self.windows[index, :, y, x]
            images = torch.where(flip[:, None, None, None], images.flip(-1), images)
            yield _prepare(images, self.scale, self.shift), self.labels[index]


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    lr: float,
    weight_decay: float,
    seed: int,
    after_epoch: Callable[[int], None] | None = None,
) -> Result:
    """Train `model` in place, from its present weights, and evaluate it after every epoch.

    Parameters
    ----------
    model : torch.nn.Module
        On the device and in the precision to train with.
    data : Dataset
        On the same device.
    recipe : Recipe
        Epochs, batch size, momentum and learning-rate steps; the last, smaller batch of an epoch
        is trained on too.
    lr, weight_decay : float
        Initial learning rate, and torch's coupled weight decay, applied to every parameter: a
        step shrinks the weights by lr x weight_decay (equation 2.1).
    seed : int
        Of the order and augmentation of the images.
    after_epoch : callable, optional
        Called with the number of finished epochs.

    Returns
    -------
    Result

    Raises
    ------
    HpstudyError
        If the last batch of an epoch would hold a single image, which batch normalisation cannot
        take.

    References
    ----------
    Thesis, section 3.1.3, equation 2.1 and Table 3.3.
    """
    check_last_batch(len(data.train), recipe.batch_size)
    parameter = next(model.parameters())
    generator = torch.Generator(parameter.device).manual_seed(seed)
    batches = Batches(data, parameter.dtype, generator)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr, momentum=recipe.momentum, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, list(recipe.lr_decay_epochs), recipe.lr_decay
    )
    curve: dict[str, list[float]] = {"train_loss": [], "loss": [], "top1": []}
    started = time.perf_counter()
    training_seconds, images, first_loss = 0.0, 0, None
    for epoch in range(1, recipe.epochs + 1):
        epoch_started = time.perf_counter()
        model.train()
        total = torch.zeros((), dtype=torch.float64, device=parameter.device)
        for inputs, labels in batches.epoch(recipe.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            first_loss = loss.detach() if first_loss is None else first_loss
            total += loss.detach() * len(labels)
        schedule.step()
        images += len(data.train)
        train_loss = total.item() / len(data.train)
        training_seconds += time.perf_counter() - epoch_started
        top1, top5, test_loss = evaluate(model, data)
        for key, value in (("train_loss", train_loss), ("loss", test_loss), ("top1", top1)):
            curve[key].append(value)
        if after_epoch is not None:
            after_epoch(epoch)
        finite = torch.isfinite(torch.tensor(train_loss)).item()
        if not finite:
            break
    return Result(
        top1=top1,
        top5=top5,
        loss=test_loss,
        best_top1=max(curve["top1"]),
        best_epoch=curve["top1"].index(max(curve["top1"])) + 1,
        train_loss=train_loss,
        diverged=not finite or train_loss > first_loss.item(),
        epochs=len(curve["top1"]),
        seconds=time.perf_counter() - started,
        images_per_second=images / training_seconds,
        curve=curve,
    )


def check_last_batch(images: int, batch_size: int) -> None:
    """Refuse a batch size that leaves one training image over (see `train`)."""
    if images % batch_size == 1:
        raise HpstudyError(
            f"batch_size {batch_size} leaves a last batch of one of {images} training images, "
            "which batch normalisation cannot take"
        )


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Dataset, batch_size: int = 500
) -> tuple[float, float | None, float]:
    """Top-1 and top-5 accuracy in percent and mean cross-entropy on the evaluation images.

    One centre view of each image, normalised. Top-5 is None with 10 classes or fewer. An image
    whose logits are not numbers counts as an error.

    References
    ----------
    Thesis, equations 3.1 and 3.2.
    """
    model.eval()
    dtype = next(model.parameters()).dtype
    scale, shift = _normalisation(data, dtype)
    split = _centre(data.test, data.image_size)
    totals = torch.zeros(3, dtype=torch.float64, device=split.labels.device)
    for images, labels in zip(
        split.images.split(batch_size), split.labels.split(batch_size), strict=True
    ):
        logits = model(_prepare(images, scale, shift))
        finite = torch.isfinite(logits).all(1)
        ranked = logits.topk(min(5, data.classes), 1).indices == labels[:, None]
        totals[0] += (ranked[:, 0] & finite).sum()
        totals[1] += (ranked.any(1) & finite).sum()
        totals[2] += F.cross_entropy(logits, labels, reduction="sum")
    top1, top5, loss = (totals / len(split)).tolist()
    return 100 * top1, 100 * top5 if data.classes > 10 else None, loss


def _centre(split: Split, size: int) -> Split:
    margin = (split.images.shape[-1] - size) // 2
    crop = slice(margin, margin + size)
    return Split(split.images[:, :, crop, crop], split.labels)


def _normalisation(data: Dataset, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Factors (3, 1, 1) that take a uint8 pixel to zero mean and unit deviation."""
    scale = 1 / (255 * data.std)
    shift = -data.mean / data.std
    return scale.to(dtype)[:, None, None], shift.to(dtype)[:, None, None]


def _prepare(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    images = torch.addcmul(shift, images.to(scale.dtype), scale)
    return images.contiguous(memory_format=torch.channels_last)
