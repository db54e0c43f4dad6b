"""A study's images: the embedded set, its reduction, splits and statistics."""

import tracemalloc

import numpy as np
import pytest
import torch

import hpstudy.training.datasets
from hpstudy.config.study import Data
from hpstudy.training.datasets import NAMES, Dataset, Split, dataset_size, load_dataset


def embedded(**options):
    return load_dataset(Data(**{"name": "fashion-mnist-8k", "image_size": 32, **options}))


@pytest.fixture(scope="module")
def whole():
    return embedded()


@pytest.fixture
def numbered(monkeypatch):
    """A source whose images hold their own number: 600, 300 and 100 of three classes."""

    def numbered(labels=(0,) * 600 + (1,) * 300 + (2,) * 100, tests=40):
        numbers = torch.arange(len(labels) + tests)
        pixels = torch.zeros(len(numbers), 3, 8, 8, dtype=torch.uint8)
        pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = numbers // 256, numbers % 256
        labels = torch.tensor([*labels, *(k % 3 for k in range(tests))])
        parts = numbers[:-tests], numbers[-tests:]
        train, test = (Split(pixels[part], labels[part]) for part in parts)
        monkeypatch.setattr(hpstudy.training.datasets, "_read", lambda *spec: (train, test))

    return numbered


def numbers(split):
    return (split.images[:, 0, 0, 0].long() * 256 + split.images[:, 0, 0, 1]).tolist()


def drawn(**options):
    return load_dataset(Data(name="numbered", image_size=8, **options))


# --- the embedded set -----------------------------------------------------------------------------


@pytest.mark.slow
def test_embedded_set_is_balanced_grey_and_padded_with_black_to_32_pixels(whole):
    assert whole.classes == 10 and whole.image_size == 32
    for split, count in ((whole.train, 6000), (whole.test, 2000)):
        assert split.images.shape == (count, 3, 32, 32)
        assert split.images.dtype == torch.uint8 and split.labels.dtype == torch.int64
        assert split.labels.bincount().tolist() == [count // 10] * 10
        assert torch.equal(split.images[:, 0], split.images[:, 1])
        assert torch.equal(split.images[:, 0], split.images[:, 2])
        inside = split.images[:, :, 2:-2, 2:-2]
        assert inside.long().sum() == split.images.long().sum()
        assert (inside.flatten(1).max(1).values > 100).all()


def test_training_and_test_images_are_not_the_same(whole):
    train = {image.numpy().tobytes() for image in whole.train.images}
    test = {image.numpy().tobytes() for image in whole.test.images}
    assert len(train) > 5900 and not train & test


def test_labels_belong_to_their_images(whole):
    """Fashion-MNIST's trousers (1) are narrow, its bags (8) and shirts (6) are wide."""
    columns = whole.train.images[:, 0].double().mean(1)
    width = [(columns[whole.train.labels == k] > 20).double().sum(1).mean() for k in (1, 6, 8)]
    assert width[0] < 14 < min(width[1:])


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 16])
def test_smaller_images_are_the_means_of_blocks_of_pixels(size, whole):
    small = embedded(image_size=size)
    block = 32 // size
    pixels = whole.train.images.numpy().astype(np.float64)
    blocks = pixels.reshape(-1, 3, size, block, size, block).mean((3, 5))
    assert np.array_equal(small.train.images.numpy(), np.round(blocks))
    assert torch.equal(small.train.labels, whole.train.labels)


def test_size_that_does_not_divide_the_pixels_is_refused_with_those_that_do(refused):
    for size in (12, 64):
        words = refused(embedded, image_size=size)
        assert f"image_size {size}" in words and "8, 16, 32" in words


# --- statistics -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"image_size": 8, "train_images": 500}])
def test_normalised_training_images_have_mean_zero_and_deviation_one(options):
    data = embedded(**options)
    pixels = data.train.images.double() / 255
    normalised = (pixels - data.mean[:, None, None]) / data.std[:, None, None]
    assert normalised.mean((0, 2, 3)) == pytest.approx(torch.zeros(3), abs=1e-12)
    assert normalised.std((0, 2, 3), correction=0) == pytest.approx(torch.ones(3), abs=1e-12)


def test_reading_takes_no_more_than_a_few_times_the_memory_of_the_images():
    tracemalloc.start()
    data = embedded()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * data.train.images.numel()


def test_constant_colour_has_deviation_one(numbered):
    numbered()
    data = drawn()
    assert data.mean[1] == 0 and data.std[1] == 1 and data.std[0] > 0


# --- subsets and held-out images ------------------------------------------------------------------


def test_subset_has_the_classes_in_their_proportions(numbered):
    numbered()
    for count in (10, 100, 500, 1000):
        labels = drawn(train_images=count).train.labels
        shares = labels.bincount(minlength=3) / count
        assert len(labels) == count
        assert shares == pytest.approx([0.6, 0.3, 0.1], abs=1 / count)


def test_subset_is_the_same_each_time_and_a_larger_one_contains_it(numbered):
    numbered()
    subsets = [set(numbers(drawn(train_images=n).train)) for n in (10, 100, 101, 700)]
    assert subsets[1] == set(numbers(drawn(train_images=100).train))
    assert subsets[0] < subsets[1] < subsets[2] < subsets[3]
    # Drawn, not the first of every class.
    assert max(subsets[1] & set(range(600))) > 400


def test_held_out_images_leave_the_training_images_and_replace_the_test_images(numbered):
    numbered()
    data = drawn(holdout=0.2)
    train, test = set(numbers(data.train)), set(numbers(data.test))
    assert len(data.train) == 800 and len(data.test) == 200
    assert not train & test and train | test == set(range(1000))
    assert data.test.labels.bincount().tolist() == [120, 60, 20]
    assert data.train.labels.bincount().tolist() == [480, 240, 80]


def test_test_images_are_kept_without_a_holdout(numbered):
    numbered()
    data = drawn(test_images=20)
    assert set(numbers(data.test)) < set(range(1000, 1040))
    assert set(numbers(data.train)) == set(range(1000))


def test_subsets_are_taken_after_the_split(numbered):
    numbered()
    small, large = drawn(holdout=0.2, train_images=50, test_images=10), drawn(holdout=0.2)
    assert set(numbers(small.train)) < set(numbers(large.train))
    assert set(numbers(small.test)) < set(numbers(large.test))
    assert (len(small.train), len(small.test)) == (50, 10)


def test_statistics_are_of_the_images_that_are_trained_on(numbered):
    numbered()
    data = drawn(holdout=0.5, train_images=20)
    assert data.mean[0] == pytest.approx(data.train.images[:, 0].double().mean().item() / 255)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, what",
    [
        ({"train_images": 6001}, "6001 training"),
        ({"test_images": 2001}, "2001 test"),
        ({"holdout": 0.5, "train_images": 3001}, "3001 training"),
        ({"holdout": 0.1, "test_images": 601}, "601 test"),
    ],
)
def test_too_many_images_are_refused_before_and_when_reading(options, what, refused):
    spec = Data(name="fashion-mnist-8k", image_size=8, **options)
    assert what in refused(dataset_size, spec)
    assert what in refused(load_dataset, spec)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train_images": 7, "test_images": 9},
        {"holdout": 0.333},
        {"holdout": 0.0125, "test_images": 70},
    ],
)
def test_size_without_reading_is_the_size_as_read(options):
    size = dataset_size(Data(name="fashion-mnist-8k", image_size=8, **options))
    data = embedded(image_size=8, **options)
    assert (size.classes, size.train, size.test) == (10, len(data.train), len(data.test))


def test_size_of_published_sets_is_known_before_they_are_there(tmp_path):
    # Table 3.1.
    known = {"cifar10": (10, 50_000, 10_000), "imagenet": (1000, 1_281_167, 50_000)}
    for name, expected in known.items():
        size = dataset_size(Data(name=name, image_size=32), tmp_path)
        assert (size.classes, size.train, size.test) == expected
    size = dataset_size(Data(name="cifar100", image_size=32, holdout=0.1), tmp_path)
    assert (size.classes, size.train, size.test) == (100, 45_000, 5_000)


@pytest.mark.parametrize("call", [load_dataset, dataset_size])
def test_unknown_set_is_refused_with_the_nearest(call, refused):
    words = refused(call, Data(name="cifar-10", image_size=32))
    assert "'cifar-10'" in words and "did you mean 'cifar10'?" in words
    assert all(name in words for name in NAMES)


def test_moving_a_data_set_keeps_its_values(whole):
    moved = whole.to("cpu")
    assert isinstance(moved, Dataset)
    assert torch.equal(moved.train.images, whole.train.images)
    assert torch.equal(moved.std, whole.std) and moved.classes == 10
