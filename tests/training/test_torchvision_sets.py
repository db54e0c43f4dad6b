"""Classification sets of torchvision by name, read from small files in its own formats."""

import hashlib
import inspect
import shutil
import struct

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets as published

from hpstudy.config.study import Data
from hpstudy.training import torchvision_sets
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import dataset_size, load_dataset

RANDOM = np.random.default_rng(3)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def torchvision(name, image_size, **options):
    return Data(name=f"torchvision:{name}", image_size=image_size, **options)


def idx(path, values):
    """File in the format of MNIST."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">{1 + values.ndim}i", 0x800 + values.ndim, *values.shape)
    path.write_bytes(head + values.astype(np.uint8).tobytes())


def mnist(root, folder="MNIST", prefixes=("train", "t10k"), labels=(3, 1, 3, 1)):
    images = [noise(4, 28, 28), noise(4, 28, 28)]
    for prefix, part in zip(prefixes, images, strict=True):
        idx(root / folder / "raw" / f"{prefix}-images-idx3-ubyte", part)
        idx(root / folder / "raw" / f"{prefix}-labels-idx1-ubyte", np.array(labels))
    return images


def test_mnist_keeps_its_size_and_has_three_equal_colours(tmp_path):
    train, test = mnist(tmp_path, labels=(1, 0, 1, 0))
    data = load_dataset(torchvision("MNIST", 28), tmp_path)
    for split, images in ((data.train, train), (data.test, test)):
        assert split.labels.tolist() == [1, 0, 1, 0]
        for colour in range(3):
            assert np.array_equal(split.images[:, colour].numpy(), images)
    # As CIFAR at its own size, padded by an eighth to be cropped.
    assert Batches(data.train, 28).padding == 3 and data.image_size == 28


def test_images_of_another_size_are_resized_for_cropping_as_those_of_folders(tmp_path):
    train, _ = mnist(tmp_path)
    for size, stored in ((16, 18), (56, 64)):
        data = load_dataset(torchvision("MNIST", size), tmp_path)
        assert data.train.images.shape == (4, 3, stored, stored)
        wanted = Image.fromarray(train[2]).resize((stored, stored), Image.Resampling.BILINEAR)
        assert np.array_equal(data.train.images[2, 1].numpy(), np.asarray(wanted))


def test_labels_with_gaps_are_numbered_from_0_with_a_message(tmp_path, capfd):
    # Letters are labelled 1 to 26.
    prefixes = ("emnist-letters-train", "emnist-letters-test")
    mnist(tmp_path, "EMNIST", prefixes, (26, 1, 5, 5))
    data = load_dataset(torchvision("EMNIST", 28, arguments={"split": "letters"}), tmp_path)
    assert data.train.labels.tolist() == data.test.labels.tolist() == [2, 0, 1, 1]
    assert data.classes == 3 and not data.has_top5
    assert "the labels 1, 5, 26 are taken as classes 0 to 2" in capfd.readouterr().err


def test_svhn_is_read_from_its_matlab_files(tmp_path, monkeypatch):
    parts = {}
    for split, labels in (("train", [10, 1, 2]), ("test", [1, 10])):
        images, path = noise(32, 32, 3, len(labels)), tmp_path / f"{split}_32x32.mat"
        scipy.io.savemat(path, {"X": images, "y": np.array(labels)[:, None]})
        parts[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
        parts[f"{split} images"] = images.transpose(3, 2, 0, 1)
    monkeypatch.setattr(published.SVHN, "split_list", parts)
    data = load_dataset(torchvision("SVHN", 32), tmp_path)
    assert np.array_equal(data.train.images.numpy(), parts["train images"])
    assert np.array_equal(data.test.images.numpy(), parts["test images"])
    # torchvision's zero is the digit 0.
    assert data.train.labels.tolist() == [0, 1, 2] and data.test.labels.tolist() == [1, 0]


@pytest.fixture
def eurosat(tmp_path):
    """Twelve classes of four satellite images, 20 x 20; no split."""
    for k in range(12):
        folder = tmp_path / "eurosat" / "2750" / f"Class{k:02}"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise(20, 20, 3)).save(folder / f"{number}.jpg")
    return tmp_path


def test_set_without_test_images_needs_a_held_out_share(eurosat, refused):
    for call in (dataset_size, load_dataset):
        words = refused(call, torchvision("EuroSAT", 20), eurosat)
        assert "torchvision:EuroSAT has no test images" in words and "data.holdout: 0.2" in words
    # Nothing was read, nor downloaded.
    assert not (eurosat / "decoded").exists()
    spec = torchvision("EuroSAT", 20, holdout=0.25)
    data, size = load_dataset(spec, eurosat), dataset_size(spec, eurosat)
    assert data.test.labels.tolist() == list(range(12)) and len(data.train) == 36
    assert (size.classes, size.train, size.test) == (12, 36, 12) and data.has_top5
    image = np.asarray(published.EuroSAT(str(eurosat))[0][0]).transpose(2, 0, 1)
    assert any(
        np.array_equal(image, each.numpy()) for each in [*data.train.images, *data.test.images]
    )


def test_images_are_decoded_once_and_again_where_the_files_are_not_whole(eurosat, monkeypatch):
    spec = torchvision("EuroSAT", 20, holdout=0.25)
    first, data = dataset_size(spec, eurosat), load_dataset(spec, eurosat)
    # torchvision's files are no longer needed.
    (eurosat / "eurosat").rename(eurosat / "away")
    monkeypatch.setattr(torchvision_sets, "open_part", None)
    assert dataset_size(spec, eurosat) == first and len(first.fingerprint) == 16
    assert torch.equal(load_dataset(spec, eurosat).train.images, data.train.images)
    monkeypatch.undo()
    (eurosat / "away").rename(eurosat / "eurosat")
    for path in (eurosat / "decoded").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-1])
        assert dataset_size(spec, eurosat).fingerprint[:15] == first.fingerprint[:15]
    # The content is part of a run's identity.
    (eurosat / "eurosat" / "2750" / "Class03" / "0.jpg").unlink()
    shutil.rmtree(eurosat / "decoded")
    assert dataset_size(spec, eurosat).fingerprint != first.fingerprint


def test_images_beyond_the_memory_stay_in_their_file(eurosat, monkeypatch):
    spec = torchvision("EuroSAT", 16, holdout=0.25)
    data = load_dataset(spec, eurosat)
    shutil.rmtree(eurosat / "decoded")
    monkeypatch.setattr(torchvision_sets, "resident_limit", lambda: 0)
    stored = load_dataset(spec, eurosat)
    assert not isinstance(stored.train.images, torch.Tensor)
    images = list(stored.train.images.read(np.arange(3)))
    assert np.array_equal(images[-1], data.train.images[2].numpy())
    assert torch.equal(stored.mean, data.mean) and torch.equal(stored.std, data.std)


def test_parts_have_the_names_that_a_set_gives_them(tmp_path):
    # Imagenette has train and val, FGVCAircraft trainval and test.
    for part, count in (("train", 3), ("val", 2)):
        for name in ("n01440764", "n02102040"):
            folder = tmp_path / "imagenette2-160" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(noise(9, 12, 3)).save(folder / f"{number}.JPEG")
    spec = torchvision("Imagenette", 8, arguments={"size": "160px"})
    size = dataset_size(spec, tmp_path)
    assert (size.classes, size.train, size.test) == (2, 6, 4)

    folder = tmp_path / "fgvc-aircraft-2013b" / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "manufacturers.txt").write_text("Airbus\nBoeing\n")
    for part, names in (("trainval", "abc"), ("test", "de")):
        lines = [f"{name} {('Airbus', 'Boeing')[k % 2]}\n" for k, name in enumerate(names)]
        (folder / f"images_manufacturer_{part}.txt").write_text("".join(lines))
        for name in names:
            Image.fromarray(noise(9, 12, 3)).save(folder / "images" / f"{name}.jpg")
    spec = torchvision("FGVCAircraft", 8, arguments={"annotation_level": "manufacturer"})
    size = dataset_size(spec, tmp_path)
    assert (size.classes, size.train, size.test) == (2, 3, 2)


def test_split_that_is_named_is_the_training_part(tmp_path, refused):
    given = {"arguments": {"size": 20, "num_classes": 2, "image_size": [3, 8, 8]}}
    words = refused(dataset_size, torchvision("FakeData", 8, **given), tmp_path)
    assert "no test images" in words
    assert dataset_size(torchvision("FakeData", 8, holdout=0.2, **given), tmp_path).test == 4
    words = refused(dataset_size, torchvision("STL10", 96, arguments={"split": "train"}), tmp_path)
    assert "no test images" in words


@pytest.mark.parametrize(
    "name, options, fragments",
    [
        ("SVNH", {}, ["'SVNH'", "did you mean 'SVHN'?", "EuroSAT"]),
        # No classification.
        ("Kitti", {}, ["unknown classification set of torchvision 'Kitti'"]),
        ("SVHN", {"arguments": {"splits": "a"}}, ["'splits'", "did you mean 'split'?"]),
        ("SVHN", {"arguments": {"root": "a"}}, ["'root'", "valid: split"]),
        ("EMNIST", {}, ["torchvision:EMNIST needs data.arguments with split"]),
        ("EMNIST", {"arguments": {"split": "x"}}, ["Unknown value 'x'", "'letters'"]),
        ("FER2013", {}, ["'torchvision:FER2013' is not", "HPSTUDY_DATA"]),
    ],
)
def test_sets_and_arguments_that_are_not_there_are_refused(
    name, options, fragments, tmp_path, refused
):
    words = refused(dataset_size, torchvision(name, 32, **options), tmp_path)
    assert [fragment for fragment in fragments if fragment not in words] == []


def test_set_without_labels_is_refused(tmp_path, refused):
    """CLEVR's test images have no labels; those that are trained on count what they show."""
    for part in ("train", "test"):
        folder = tmp_path / "clevr" / "CLEVR_v1.0" / "images" / part
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise(9, 9, 3)).save(folder / f"CLEVR_{part}_{number}.png")
    scenes = tmp_path / "clevr" / "CLEVR_v1.0" / "scenes" / "CLEVR_train_scenes.json"
    scenes.parent.mkdir()
    lines = [
        f'{{"image_filename": "CLEVR_train_{n}.png", "objects": [{"0, " * (n % 2)}0]}}'
        for n in range(4)
    ]
    scenes.write_text(f'{{"scenes": [{", ".join(lines)}]}}')
    words = refused(dataset_size, torchvision("CLEVRClassification", 8), tmp_path)
    assert "label 0 of the test images" in words and "not None" in words
    assert dataset_size(torchvision("CLEVRClassification", 8, holdout=0.5), tmp_path).classes == 2


@pytest.mark.parametrize("name", torchvision_sets.CLASSIFICATION)
def test_every_set_of_the_list_is_called_as_its_constructor_wants(name):
    given = {"split": "letters"} if name == "EMNIST" else {}
    kind, options, parts = torchvision_sets._constructor(
        torchvision(name, 32, holdout=0.1, arguments=given), name
    )
    ours = {} if name == "FakeData" else {"root": "data"}
    inspect.signature(kind).bind(**ours, **options, **parts[0][0])
    assert kind is getattr(published, name) and len(parts) == 1
