"""Where images come from: torchvision's files, and folders of one's own."""

import hashlib
import os
import pickle
import struct
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

import hpstudy.training.image_folders
from hpstudy.config.study import Data
from hpstudy.training.datasets import data_root, dataset_size, load_dataset
from hpstudy.training.image_folders import fingerprint, resident_limit

RANDOM = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Any download fails, as without a network."""

    def fail(*args, **options):
        raise URLError("no network in tests")

    for module in ("cifar", "mnist"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", fail)


# --- torchvision's sets ---------------------------------------------------------------------------


def cifar(root, monkeypatch, kind, folder, label_key, classes):
    """Files in the layout of CIFAR, a few images each, and their checksums made known."""
    pixels = RANDOM.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    labels = [k % classes for k in range(8)]
    (root / folder).mkdir()

    def write(name, part):
        content = {"data": pixels[part].reshape(-1, 3072), label_key: labels[part]}
        raw = pickle.dumps(content | {"label_names": [], "fine_label_names": []})
        (root / folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw).hexdigest()]

    train = [write("one", slice(0, 3)), write("two", slice(3, 5))]
    monkeypatch.setattr(kind, "train_list", train)
    monkeypatch.setattr(kind, "test_list", [write("three", slice(5, 8))])
    name, md5 = write("meta", slice(0, 0))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "filename": name, "md5": md5})
    return pixels, labels


@pytest.mark.parametrize(
    "name, kind, folder, label_key, classes",
    [
        ("cifar10", "CIFAR10", "cifar-10-batches-py", "labels", 3),
        ("cifar100", "CIFAR100", "cifar-100-python", "fine_labels", 8),
    ],
)
def test_cifar_is_read_from_torchvisions_files(
    name, kind, folder, label_key, classes, tmp_path, monkeypatch
):
    from torchvision import datasets

    kind = getattr(datasets, kind)
    pixels, labels = cifar(tmp_path, monkeypatch, kind, folder, label_key, classes)
    data = load_dataset(Data(name=name, image_size=32), tmp_path)
    assert np.array_equal(data.train.images.numpy(), pixels[:5])
    assert np.array_equal(data.test.images.numpy(), pixels[5:])
    assert data.train.labels.tolist() + data.test.labels.tolist() == labels
    assert data.classes == classes


def test_fashion_mnist_is_padded_with_black_and_copied_to_all_colours(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = RANDOM.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        head = struct.pack(">iiii", 0x803, 5, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = struct.pack(">ii", 0x801, 5) + bytes([3, 1, 4, 1, 5])
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    data = load_dataset(Data(name="fashion-mnist", image_size=32), tmp_path)
    for colour in range(3):
        padded = data.train.images[:, colour].numpy()
        assert np.array_equal(padded, np.pad(pixels, ((0, 0), (2, 2), (2, 2))))
    assert data.test.labels.tolist() == [3, 1, 4, 1, 5]


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist"])
def test_absent_set_that_cannot_be_downloaded_is_refused(name, tmp_path, refused):
    words = refused(load_dataset, Data(name=name, image_size=32), tmp_path)
    assert f"'{name}'" in words and str(tmp_path) in words
    assert "no network in tests" in words and "HPSTUDY_DATA" in words


def test_set_with_a_damaged_file_is_refused(tmp_path, monkeypatch, refused):
    from torchvision.datasets import CIFAR10

    cifar(tmp_path, monkeypatch, CIFAR10, "cifar-10-batches-py", "labels", 3)
    with (tmp_path / "cifar-10-batches-py" / "two").open("r+b") as file:
        file.seek(300)
        file.write(b"\0\0\0\0")
    assert "not whole" in refused(load_dataset, Data(name="cifar10", image_size=32), tmp_path)


def test_data_root_is_an_argument_or_a_variable_or_data(monkeypatch, tmp_path):
    monkeypatch.delenv("HPSTUDY_DATA", raising=False)
    assert str(data_root()) == "data"
    monkeypatch.setenv("HPSTUDY_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert str(data_root("elsewhere")) == "elsewhere"


# --- folders of images ----------------------------------------------------------------------------


@pytest.fixture
def flowers(tmp_path):
    """Two classes, named out of order: red roses in colour, grey asters; and their params."""
    folder = tmp_path / "flowers"
    for part, count in (("train", 3), ("val", 2)):
        for name, mode, colour in (("rose", "RGB", (200, 40, 10)), ("aster", "L", 90)):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                image = Image.new(mode, (40 + 10 * k, 30), colour)
                image.save(folder / part / name / f"{k}.{('png', 'jpeg', 'PNG')[k]}")
    return folder, Data(name=f"folder:{folder}", image_size=16)


def test_classes_of_an_image_folder_are_sorted_by_name(flowers):
    folder, spec = flowers
    (folder / "train" / "rose" / "notes.txt").write_text("not an image")
    data = load_dataset(spec)
    size = dataset_size(spec)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert (size.classes, size.train, size.test) == (2, 6, 4)
    # JPEG may be off by a little.
    rose = data.train.images[3:].double().mean((0, 2, 3))
    assert rose.tolist() == pytest.approx([200, 40, 10], abs=3)
    assert data.train.images[:3].double().mean((0, 2, 3)).tolist() == pytest.approx([90] * 3, abs=1)


def test_images_of_a_folder_are_an_eighth_larger_for_cropping(flowers):
    folder, _ = flowers
    # As 256 for 224 in the thesis.
    for size, stored in ((224, 256), (16, 18), (8, 9)):
        data = load_dataset(Data(name=f"folder:{folder}", image_size=size))
        assert data.train.images.shape == (6, 3, stored, stored)
        assert data.image_size == size


def test_image_is_resized_and_not_cropped(flowers):
    folder, spec = flowers
    pixels = np.zeros((36, 72, 3), np.uint8)
    pixels[:, :36] = 255
    Image.fromarray(pixels).save(folder / "train" / "aster" / "0.png")
    image = load_dataset(spec).train.images[0].double()
    assert (image[:, :, :8] > 250).all() and (image[:, :, 10:] < 5).all()


@pytest.mark.parametrize(
    "mode, suffix", [("P", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("1", "png")]
)
def test_images_of_other_modes_are_read(mode, suffix, flowers):
    folder, spec = flowers
    for path in (folder / "train" / "aster").iterdir():
        path.unlink()
    Image.new("RGB", (20, 20), (255, 255, 255)).convert(mode).save(
        folder / "train" / "aster" / f"white.{suffix}"
    )
    assert (load_dataset(spec).train.images[0] >= 250).all()


def test_folder_test_is_used_without_a_folder_val(flowers):
    folder, spec = flowers
    (folder / "val").rename(folder / "test")
    assert len(load_dataset(spec).test) == 4


def test_imagenet_is_a_folder_of_the_data_root(flowers):
    folder, _ = flowers
    folder.rename(folder.with_name("imagenet"))
    spec = Data(name="imagenet", image_size=16)
    assert load_dataset(spec, folder.parent).classes == 2
    assert dataset_size(spec, folder.parent).train == 6
    assert fingerprint(spec, folder.parent) is not None


def spoil(how, folder):
    rose = folder / "train" / "rose"
    if how == "no folder":
        folder.rename(folder.with_name("gone"))
    elif how == "no test folder":
        (folder / "val").rename(folder / "validation")
    elif how == "one class":
        rose.rename(folder / "rose")
    elif how == "class without images":
        for path in rose.iterdir():
            path.unlink()
    elif how == "class in one part only":
        rose.rename(folder / "train" / "tulip")
    elif how == "no image":
        (rose / "0.png").write_bytes(b"hello")
    elif how == "half an image":
        pixels = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(rose / "0.png")
        raw = (rose / "0.png").read_bytes()
        (rose / "0.png").write_bytes(raw[: len(raw) // 2])


@pytest.mark.parametrize(
    "how, fragments",
    [
        ("no folder", ["there is no folder", "flowers"]),
        ("no test folder", ["flowers/val", "one folder of images per class", "set holdout"]),
        ("one class", ["flowers/train", "1 class", "two or more"]),
        ("class without images", ["train/rose", "no JPEG, PNG or WebP"]),
        ("class in one part only", ["'rose'", "only one of"]),
        ("no image", ["rose/0.png", "cannot be read"]),
        ("half an image", ["rose/0.png", "cannot be read"]),
    ],
)
def test_bad_image_folder_is_refused_by_name(how, fragments, flowers, refused):
    folder, spec = flowers
    spoil(how, folder)
    words = refused(load_dataset, spec)
    assert [fragment for fragment in fragments if fragment not in words] == []


@pytest.mark.slow
def test_images_beyond_the_resident_limit_are_kept_in_a_file(flowers, monkeypatch, tmp_path):
    _, spec = flowers
    # 10 images of 18 x 18 x 3 bytes.
    monkeypatch.setattr(hpstudy.training.image_folders, "resident_limit", lambda: 9720)
    assert isinstance(load_dataset(spec, tmp_path).train.images, torch.Tensor)
    assert not (tmp_path / "decoded").exists()
    monkeypatch.setattr(hpstudy.training.image_folders, "resident_limit", lambda: 9719)
    assert not isinstance(load_dataset(spec, tmp_path).train.images, torch.Tensor)
    assert (tmp_path / "decoded" / f"{fingerprint(spec, tmp_path)}-18").is_dir()


def test_resident_limit_is_half_of_the_smallest_memory(monkeypatch):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 5}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert resident_limit() == 10_240
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for memory, limit in (((30_000, 8_000), 4_000), ((30_000, 40_000), 10_240)):
        gpus = [SimpleNamespace(total_memory=each) for each in memory]
        monkeypatch.setattr(torch.cuda, "get_device_properties", gpus.__getitem__)
        assert resident_limit() == limit


def test_fingerprint_ignores_decoded_images(flowers, tmp_path):
    folder, spec = flowers
    first = fingerprint(spec, folder)
    (folder / "decoded").mkdir()
    (folder / "decoded" / "train.u8").write_bytes(b"pixels")
    assert fingerprint(spec, folder) == first
    # The same folder in a set whose data root is elsewhere is the set's own.
    assert fingerprint(spec, tmp_path) != first


def test_fingerprint_depends_on_the_files_alone(flowers, tmp_path):
    folder, spec = flowers
    first = fingerprint(spec, tmp_path)
    assert first == fingerprint(spec, tmp_path / "elsewhere") and len(first) == 16
    path = folder / "train" / "rose" / "0.png"
    path.write_bytes(path.read_bytes() + b" ")
    second = fingerprint(spec, tmp_path)
    path.rename(path.with_name("9.png"))
    assert len({first, second, fingerprint(spec, tmp_path)}) == 3
    moved = folder.rename(tmp_path / "moved")
    assert fingerprint(Data(name=f"folder:{moved}", image_size=16), tmp_path) not in (None, first)
    assert fingerprint(spec, tmp_path) is None
    for name in ("fashion-mnist-8k", "cifar10", "imagenet"):
        assert fingerprint(Data(name=name, image_size=8), tmp_path) is None
