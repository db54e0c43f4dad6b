"""Images that a function of one's own returns: forms, identity, refusals."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset, random_split
from torch.utils.data import Dataset as TorchDataset

from hpstudy.config.study import Data
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.training.datasets import dataset_size, load_dataset

RANDOM = np.random.default_rng(4)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def mine(monkeypatch):
    """Module of the user whose function `images` returns what is given; and its data set."""
    module = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "mine", module)

    def mine(value, image_size=8, **options):
        module.images = value if callable(value) else lambda: value
        return Data(name="mine:images", image_size=image_size, **options)

    return mine


class Numbered(TorchDataset):
    """Images and labels by number."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


def pair(count=6, *shape, classes=3):
    return torch.from_numpy(noise(count, *(shape or (3, 8, 8)))), torch.arange(count) % classes


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (8, 8)])
def test_tensors_of_the_size_are_taken_as_they_are(shape, mine):
    train, test = pair(6, *shape), pair(3, *shape)
    data = load_dataset(mine((train, test)))
    for split, (images, labels) in ((data.train, train), (data.test, test)):
        wanted = images.reshape(len(images), -1, 8, 8).expand(-1, 3, -1, -1)
        assert torch.equal(split.images, wanted) and torch.equal(split.labels, labels)
    assert data.classes == 3
    size = dataset_size(mine((train, test)))
    assert (size.classes, size.train, size.test) == (3, 6, 3)


def test_all_forms_of_one_image_are_the_same_images(mine):
    images, labels = pair(6)
    wanted = dataset_size(mine((images, labels), holdout=0.5)).fingerprint
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    forms = [
        (images.numpy(), labels.numpy()),
        (images.double() / 255, labels.tolist()),
        TensorDataset(images.float() / 255, labels),
        Numbered(*zip(images, labels, strict=True)),
        Numbered(*zip(pictures, map(np.int64, range(6)), strict=True)),
    ]
    marks = [dataset_size(mine(form, holdout=0.5)).fingerprint for form in forms]
    assert marks[:4] == [wanted] * 4 and marks[4] != wanted
    data = load_dataset(mine(forms[4], holdout=0.5))
    assert {image.numpy().tobytes() for image in [*data.train.images, *data.test.images]} == {
        image.numpy().tobytes() for image in images
    }


def test_images_of_other_sizes_and_modes_are_resized_for_cropping(mine):
    modes = ("RGB", "L", "CMYK", "P", "RGBA", "1")
    items = [
        (Image.new("RGB", (20 + k, 9), "white").convert(m), k % 2) for k, m in enumerate(modes)
    ]
    items += [(Image.fromarray(np.full((5, 5), 65535, np.uint16)), 1), (torch.ones(1, 40, 7), 0)]
    data = load_dataset(mine(Numbered(*items), 16, holdout=0.25))
    assert data.train.images.shape == (6, 3, 18, 18)
    assert (data.train.images == 255).all() and (data.test.images == 255).all()


def test_random_split_of_torch_is_the_same_every_time(mine):
    images = TensorDataset(*pair(20))
    spec = mine(lambda: random_split(images, [14, 6]))
    size = dataset_size(spec)
    assert (size.train, size.test) == (14, 6)
    assert torch.equal(load_dataset(spec).train.images, load_dataset(spec).train.images)
    assert load_dataset(spec, None, size.fingerprint)


def test_images_that_differ_at_every_call_are_refused_before_training(mine, tmp_path, refused):
    spec = mine(lambda: pair(20), holdout=0.2)
    words = refused(load_dataset, spec, tmp_path, dataset_size(spec).fingerprint)
    assert "mine:images returns other images or labels at every call" in words


def test_arguments_reach_the_function_and_leave_a_run_its_identity(mine, tmp_path):
    train, test = pair(40), pair(20)
    store = Store.open(tmp_path / "store.sqlite")

    def plan(function, **options):
        spec = mine(function, **options)
        return Plan.open(tiny.study({"data": spec.model_dump()}), store)

    first = plan(lambda: (train, test))
    other = plan(
        lambda part, folder: (part * [train])[0:1] + [test], arguments={"part": 1, "folder": "b"}
    )
    assert first.size.train == 40 and first.prior.run_id == other.prior.run_id
    assert first.prior.data.name == "factory" and first.fingerprint == other.fingerprint
    assert plan(lambda: (test, train)).prior.run_id != first.prior.run_id


def spoiled(labels=None, **changes):
    images, given = pair(6)
    return changes.get("images", images), given if labels is None else labels


@pytest.mark.parametrize(
    "value, fragment",
    [
        (None, "must return (images, labels), a torch Dataset with a length, or two"),
        ({"train": 1}, "not dict"),
        (DataLoader(TensorDataset(*pair())), "not DataLoader"),
        (spoiled(torch.arange(5)), "not 6 images and 5 labels"),
        (spoiled(torch.arange(6) - 1), "label 0 of the training images of mine:images must be a"),
        (spoiled(torch.arange(6) / 1), "whole number from 0, not 0.0"),
        (spoiled(torch.eye(6)), "must be a whole number from 0, not tensor([1.,"),
        (spoiled(["a"] * 6), "must be a whole number from 0, not 'a'"),
        (spoiled(torch.zeros(6, dtype=torch.long)), "holds one class"),
        (spoiled(images=torch.zeros(6, 8, 8, 3)), "or (height, width), not (8, 8, 3)"),
        (spoiled(images=torch.zeros(6, 4, 8, 8)), "not (4, 8, 8)"),
        (
            spoiled(images=torch.ones(6, 3, 8, 8) * 2),
            "image 0 of the training images of mine:images must hold values from 0 to 1",
        ),
        (spoiled(images=torch.full((6, 8, 8), torch.nan)), "not values from nan to nan"),
        (spoiled(images=torch.zeros(6, 8, 8, dtype=torch.int64)), "from 0 to 1, not int64"),
        (pair(0), "there are no training images of mine:images"),
        (Numbered(torch.zeros(3, 8, 8)), "must be a pair (image, label), not tensor("),
        (Numbered({"image": 1}), "must be a pair (image, label), not {'image': 1}"),
        (Numbered(("a.png", 0)), "must be a PIL image, a tensor or an array, not str"),
        (Numbered((Image.new("F", (8, 8)), 0)), "cannot be made RGB: ValueError: its values"),
        ((pair(6, classes=2), pair(3)), "the label 2 is among the test images"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_name(value, fragment, mine, refused):
    holdout = "test" if isinstance(value, tuple) and isinstance(value[0], tuple) else 0.5
    assert fragment in refused(dataset_size, mine(value, holdout=holdout))


def test_functions_that_cannot_be_called_are_refused(mine, refused, tmp_path, monkeypatch):
    def fail():
        raise OSError("no such file")

    assert "mine:images fails: OSError: no such file" in refused(dataset_size, mine(fail))
    words = refused(dataset_size, mine(lambda path: 1))
    assert "cannot be called with the arguments {}: missing a required argument: 'path'" in words
    words = refused(dataset_size, mine(pair(), holdout="test"))
    assert "mine:images has no test images of its own" in words
    short = Numbered(*TensorDataset(*pair()))
    short.__class__ = type("Short", (Numbered,), {"__len__": lambda self: 7})
    words = refused(dataset_size, mine(short, holdout=0.5))
    assert "item 6 of the training images of mine:images cannot be read: IndexError" in words
    words = refused(dataset_size, Data(name="mine:imagse", image_size=8))
    assert "mine has no function 'imagse' (did you mean 'images'?)" in words
    words = refused(dataset_size, Data(name="not_there.sets:images", image_size=8))
    assert "not_there.sets:images cannot be imported: there is no module 'not_there'" in words
    monkeypatch.setattr("hpstudy.training.image_sets.resident_limit", lambda: 100)
    words = refused(dataset_size, mine(pair(), holdout=0.5))
    assert "folder:PATH" in words and "GiB" in words


def test_arguments_of_other_sets_are_refused(refused):
    spec = Data(name="cifar10", image_size=32, arguments={"a": 1})
    assert "cifar10 takes none" in refused(dataset_size, spec)


def test_module_may_lie_in_the_working_directory(tmp_path, monkeypatch):
    folder = tmp_path / "my data Ä"
    folder.mkdir()
    (folder / "own_images.py").write_text(
        "import torch\n\n\ndef squares(count):\n"
        "    labels = torch.arange(count) % 2\n"
        "    return torch.ones(count, 8, 8) * labels[:, None, None], labels\n"
    )
    monkeypatch.chdir(folder)
    spec = Data(name="own_images:squares", image_size=8, holdout=0.2, arguments={"count": 10})
    data = load_dataset(spec)
    assert data.train.images[:, 0, 0, 0].tolist() == (255 * data.train.labels).tolist()
