"""The loops that the benchmarks time: each yields how many images (or operations) it has done."""

import time
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from common import interleave
from PIL import Image
from scale import LR, WEIGHT_DECAY
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Listed
from torchvision import transforms

from hpstudy.training.datasets import Split
from hpstudy.training.device import set_precision
from hpstudy.training.trainer import Trainer

BATCH, DEFAULT = 128, "default loop"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Pictures(Listed):
    """A split as torchvision's CIFAR10 keeps one: pixels in memory, images made when asked for."""

    def __init__(self, split: Split, transform):
        self.pixels = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels, self.transform = split.labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def usual_transform(size: int, stored: int = 32, training: bool = True) -> transforms.Compose:
    """What the widely used CIFAR ResNet repositories do to an image."""
    steps = [transforms.Resize(size)] if size != stored else []
    if training:
        steps += [transforms.RandomCrop(size, size // 8), transforms.RandomHorizontalFlip()]
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def _loader(data: Listed, batch: int, device: str, shuffle: bool) -> DataLoader:
    # Forked, as from a script of one's own: a spawned process would spawn its workers, and each
    # epoch would wait for them to import everything.
    return DataLoader(
        data,
        batch,
        shuffle=shuffle,
        num_workers=4,
        pin_memory=device.startswith("cuda"),
        multiprocessing_context="fork",
    )


def usual_loop(
    data: Listed, model: nn.Module, device: str = "cpu", batch: int = BATCH
) -> Iterator[int]:
    """Yield images trained: the loop of those repositories, the loss read after each step."""
    loader = _loader(data, batch, device, shuffle=True)
    model = model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), LR, momentum=0.9, weight_decay=WEIGHT_DECAY)
    while True:
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield len(labels)


def usual_evaluation(
    data: Listed, model: nn.Module, device: str = "cpu", batch: int = BATCH
) -> Iterator[int]:
    """Yield images evaluated: the same repositories' loop over the test images."""
    loader = _loader(data, batch, device, shuffle=False)
    model = model.to(device).eval()
    while True:
        for images, labels in loader:
            with torch.no_grad():
                right = model(images.to(device)).argmax(1) == labels.to(device)
            right.sum().item()
            yield len(labels)


def trainer_loop(trainer: Trainer, steps: int = 1) -> Iterator[int]:
    """Yield images that the package's trainer trained, the device waited for every `steps`."""
    trainer.lr.fill_(LR)
    trainer.weight_decay.fill_(WEIGHT_DECAY)
    generator = torch.Generator().manual_seed(0)
    while True:
        views = trainer.train_batches.random(generator)
        for part in views.split(steps * trainer.recipe.batch_size, 1):
            trainer.train_epoch(part)
            trainer.totals[0].item()
            yield part.shape[1]


def trainer_evaluation(trainer: Trainer) -> Iterator[int]:
    """Yield images that the package's trainer evaluated, all of them at a time."""
    while True:
        trainer.evaluate()
        yield len(trainer.data.test)


def called(function):
    """In place of a capture: a step that is called, and so launched kernel by kernel."""
    return function


def repeated(function, amount: float, times: int = 10) -> Iterator[float]:
    """Yield the `amount` that a function does, `times` over."""
    while True:
        for _ in range(times):
            function()
        yield amount * times


def rate(work: Iterator[float], seconds: float, device: str = "cpu") -> float:
    """What a loop does in a second, measured over `seconds` after a quarter of them unmeasured.

    What was fetched ahead while others had their turn is spent by then, and the device awake.
    """
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None

    def spend(limit: float) -> float:
        wait()
        started, done = time.perf_counter(), 0.0
        while time.perf_counter() - started < limit:
            done += next(work)
        wait()
        return done / (time.perf_counter() - started)

    spend(seconds / 4)
    return spend(seconds)


def turns(given, cases: dict) -> dict:
    """Each loop's rate, or each callable's figure, in turns."""
    measured = {
        name: case if callable(case) else partial(rate, case, given.seconds, given.device)
        for name, case in cases.items()
    }
    return interleave(measured, given.rounds or 5)


def take_precision(way: str) -> None:
    """The process's choices of kernels: torch's own for the default loop, else the package's."""
    set_precision(way.partition(",")[0])
    torch.backends.cudnn.benchmark = way == DEFAULT
    if way == DEFAULT:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = False, True
