"""What the network sees: crops and flips in training, the plain image in evaluation; accuracy."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from hpstudy.config.study import Recipe
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.trainer import Trainer


def dataset(pixels, size, tests=None, classes=10, labels=None):
    """Images with statistics that normalisation can be undone by: mean 0.5, deviation 0.25."""
    labels = torch.arange(len(pixels)) % classes if labels is None else labels
    half = torch.full((3,), 0.5, dtype=torch.float64)
    tests = Split(pixels, labels) if tests is None else tests
    return Dataset(Split(pixels, labels), tests, classes, size, half, half / 2)


def seen(data, epochs=1, batch_size=50, seed=0):
    """Training images as uint8 (images, 3, size, size), and their labels."""
    batches, generator = Batches(data.train, data.image_size), torch.Generator().manual_seed(seed)
    views = [batches.random(generator) for _ in range(epochs)]
    pairs = [pair for epoch in views for pair in batches.take(epoch, batch_size)]
    return tuple(torch.cat(part).numpy() for part in zip(*pairs, strict=True))


def evaluate(model, data, batch_size=500):
    recipe = Recipe(epochs=1, batch_size=len(data.train), lr_decay_epochs=())
    return Trainer(model, data, recipe).evaluate(batch_size)


@pytest.mark.parametrize("size, stored, offsets", [(8, 8, 3), (32, 32, 9), (32, 36, 5)])
def test_each_crop_occurs_plain_and_mirrored(size, stored, offsets):
    """Padded by an eighth of the size (4 pixels at 32), or cut from a larger stored image."""
    pixels = np.random.default_rng(0).integers(1, 256, (3, stored, stored), dtype=np.uint8)
    padding = size // 8 if stored == size else 0
    padded = np.pad(pixels, ((0, 0), (padding, padding), (padding, padding)))
    possible = {}
    for y in range(offsets):
        for x in range(offsets):
            crop = padded[:, y : y + size, x : x + size]
            possible[crop.tobytes()] = (y, x, False)
            possible[crop[:, :, ::-1].tobytes()] = (y, x, True)
    assert len(possible) == 2 * offsets**2
    images, _ = seen(dataset(torch.from_numpy(np.stack([pixels] * 100)), size), epochs=30)
    crops = [possible.get(image.tobytes()) for image in images]
    assert set(crops) == set(possible.values())
    # Of 3,000 draws, half are mirrored and every offset is as likely: five standard errors.
    mirrored = np.mean([crop[2] for crop in crops])
    rows = np.bincount([crop[0] for crop in crops], minlength=offsets) / 3000
    assert mirrored == pytest.approx(0.5, abs=5 * 0.5 / 3000**0.5)
    assert rows == pytest.approx(np.full(offsets, 1 / offsets), abs=5 * (1 / offsets / 3000) ** 0.5)


def test_rows_columns_and_mirrors_are_independent():
    pixels = np.random.default_rng(0).integers(1, 256, (3, 10, 10), dtype=np.uint8)
    images, _ = seen(dataset(torch.from_numpy(np.stack([pixels] * 100)), 8), epochs=30)
    draws = []
    for y in range(3):
        for x in range(3):
            crop = pixels[:, y : y + 8, x : x + 8]
            draws += [(y, x, 0)] * int((images == crop).all((1, 2, 3)).sum())
            draws += [(y, x, 1)] * int((images == crop[:, :, ::-1]).all((1, 2, 3)).sum())
    correlations = np.corrcoef(np.array(draws).T)
    assert len(draws) == 3000
    assert np.abs(correlations - np.eye(3)).max() < 5 / 3000**0.5


def test_epoch_shows_each_image_once_in_a_new_order():
    # Images of one colour: their own number.
    pixels = torch.arange(1, 46, dtype=torch.uint8)[:, None, None, None].expand(45, 3, 8, 8)
    data = dataset(pixels.contiguous(), 8)
    batches, generator = Batches(data.train, 8), torch.Generator().manual_seed(0)
    orders = []
    for _ in range(2):
        numbers, sizes = [], []
        for images, labels in batches.take(batches.random(generator), 20):
            middle = images[:, 0, 4, 4].long() - 1
            assert torch.equal(middle % 10, labels)
            numbers += middle.tolist()
            sizes.append(len(labels))
        assert sizes == [20, 20, 5]
        assert sorted(numbers) == list(range(45))
        orders.append(numbers)
    assert orders[0] != orders[1] and orders[0] != sorted(orders[0])


def test_padding_is_black_and_not_the_mean_colour():
    white = torch.full((40, 3, 8, 8), 255, dtype=torch.uint8)
    images, _ = seen(dataset(white, 8))
    assert set(np.unique(images)) == {0, 255}


class Listening(nn.Module):
    """A network that keeps what it is given, and answers from a table."""

    def __init__(self, answers):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.answers, self.given = answers, []

    def forward(self, images):
        start = sum(map(len, self.given))
        self.given.append(images)
        return self.answers[start : start + len(images)] * self.scale


@pytest.mark.parametrize("stored", [8, 12])
def test_evaluated_images_are_normalised_centres(stored):
    data = tiny.random_images(test=30, size=8, stored=stored)
    model = Listening(torch.zeros(30, 10, dtype=torch.float64))
    evaluate(model, data, batch_size=7)
    margin = (stored - 8) // 2
    centre = data.test.images[:, :, margin : margin + 8, margin : margin + 8].double() / 255
    expected = (centre - data.mean[:, None, None]) / data.std[:, None, None]
    assert [len(images) for images in model.given] == [7, 7, 7, 7, 2]
    assert torch.allclose(torch.cat(model.given), expected, rtol=1e-13, atol=1e-13)
    assert not model.training


def test_accuracy_by_hand_of_the_thesis_definitions():
    # 12 classes; the right one is ranked 1st, 2nd, 5th, 6th and last.
    answers = torch.zeros(5, 12, dtype=torch.float64)
    labels = torch.tensor([0, 3, 7, 7, 11])
    for k, rank in enumerate((1, 2, 5, 6, 12)):
        others = [c for c in range(12) if c != labels[k]]
        order = [*others[: rank - 1], int(labels[k]), *others[rank - 1 :]]
        answers[k, order] = torch.arange(12, 0, -1, dtype=torch.float64)
    pixels = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    data = dataset(pixels, 8, Split(pixels, labels), classes=12, labels=labels)
    top1, top5, loss = evaluate(Listening(answers), data, batch_size=2)
    assert (top1, top5) == (pytest.approx(20.0), pytest.approx(60.0))
    # Cross-entropy: log of the sum of e^1 ... e^12, less the logit 13 - rank.
    partition = np.log(np.exp(np.arange(1, 13)).sum())
    assert loss == pytest.approx(partition - np.mean([12, 11, 8, 7, 1]), rel=1e-12)


@pytest.mark.parametrize(
    "classes, folder, known",
    [(2, False, False), (10, False, False), (11, False, True), (5, True, False), (10, True, True)],
)
def test_top5_is_given_above_ten_classes_and_in_folders_above_five(classes, folder, known):
    data = replace(tiny.random_images(test=22, classes=classes), folder=folder)
    _, top5, _ = evaluate(Listening(torch.eye(classes, dtype=torch.float64).repeat(22, 1)), data)
    assert (top5 is not None) == known


def test_logits_that_are_not_finite_count_as_an_error():
    answers = torch.eye(10, dtype=torch.float64)
    answers[2], answers[5, 5] = float("nan"), float("inf")
    data = tiny.random_images(test=10)
    top1, _, loss = evaluate(Listening(answers), data)
    assert top1 == pytest.approx(80.0)
    assert not np.isfinite(loss)
