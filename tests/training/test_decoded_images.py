"""Image folders too large for the memory: decoded once into a file, read a batch at a time."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from hpstudy.config.study import Data, Recipe
from hpstudy.networks.models import build_model
from hpstudy.sweep.executors.images import open_dataset, save_dataset
from hpstudy.training import image_folders
from hpstudy.training.augmentation import AHEAD, Batches
from hpstudy.training.datasets import Split, load_dataset
from hpstudy.training.image_folders import Stored
from hpstudy.training.trainer import Trainer

# 3 x 7 training images are six chunks of this size, the last of one image; 3 x 4 test images three.
CHUNK = 4
# Pixels (3 colours of 18 x 18) and counts (3 x 256 of 4 bytes) of an image.
BYTES = 972 + 3072


def decode_here(chunks, workers, bar):
    """Decode in this process: a pool of processes takes seconds to start."""
    for chunk in chunks:
        image_folders._decode_chunk(*chunk)


@pytest.fixture
def in_a_file(monkeypatch):
    """Any image folder is too large for the memory."""
    monkeypatch.setattr(image_folders, "resident_limit", lambda: 0)
    monkeypatch.setattr(image_folders, "CHUNK", CHUNK)


@pytest.fixture
def here(monkeypatch):
    """Images are decoded in this process."""
    monkeypatch.setattr(image_folders, "_decode_all", decode_here)


def make_birds(folder):
    """Noise of three classes, of other sizes and kinds of file each, and its data set."""
    random = np.random.default_rng(5)
    for part, count in (("train", 7), ("val", 4)):
        for name in ("auk", "bee-eater", "crow"):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                shape = [(30, 40, 3), (25, 18, 3), (18, 18), (50, 20, 3)][k % 4]
                image = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))
                image.save(folder / part / name / f"{k}.{('png', 'jpeg')[k % 2]}")
    return Data(name=f"folder:{folder}", image_size=16)


@pytest.fixture
def birds(tmp_path):
    return make_birds(tmp_path / "birds")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One data set in memory and in a file: spec, root, resident, streamed."""
    root = tmp_path_factory.mktemp("both")
    spec = make_birds(root / "birds")
    resident = load_dataset(spec, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_folders, "resident_limit", lambda: 0)
        patch.setattr(image_folders, "CHUNK", CHUNK)
        patch.setattr(image_folders, "_decode_all", decode_here)
        streamed = load_dataset(spec, root)
    return SimpleNamespace(spec=spec, root=root, resident=resident, streamed=streamed)


def folder_of(root):
    """The one folder of decoded images in a data root."""
    (folder,) = (root / "decoded").iterdir()
    return folder


def pixels(split):
    """The images of a split in a file, as a tensor."""
    return torch.from_numpy(np.stack([x.copy() for x in split.images.read(range(len(split)))]))


# --- the same as in memory ------------------------------------------------------------------------


def test_file_holds_every_image_resized_in_the_order_of_classes_and_names(both):
    for part, split in (("train", both.streamed.train), ("val", both.streamed.test)):
        paths = sorted((both.root / "birds" / part).glob("*/*"))
        expected = np.stack(
            [np.asarray(Image.open(p).convert("RGB").resize((18, 18), 2)) for p in paths]
        )
        raw = np.fromfile(split.images.path, np.uint8)
        assert np.array_equal(raw.reshape(-1, 3, 18, 18), expected.transpose(0, 3, 1, 2))
        assert split.images.shape == (len(paths), 3, 18, 18)
        names = [path.parent.name for path in paths]
        assert [("auk", "bee-eater", "crow")[label] for label in split.labels] == names


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train_images": 5, "test_images": 7},
        {"holdout": 0.3},
        {"holdout": 0.5, "train_images": 6, "test_images": 4},
    ],
)
def test_images_labels_and_statistics_are_those_of_the_set_in_memory(options, both, in_a_file):
    spec = both.spec.model_copy(update=options)
    streamed = load_dataset(spec, both.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_folders, "resident_limit", lambda: 10**9)
        resident = load_dataset(spec, both.root)
    for name in ("train", "test"):
        one, other = getattr(streamed, name), getattr(resident, name)
        assert isinstance(one.images, Stored)
        assert torch.equal(pixels(one), other.images) and torch.equal(one.labels, other.labels)
    assert torch.equal(streamed.mean, resident.mean) and torch.equal(streamed.std, resident.std)
    numbers = pixels(streamed.train).double() / 255
    assert torch.allclose(streamed.mean, numbers.mean((0, 2, 3)), rtol=1e-12, atol=0)
    assert torch.allclose(streamed.std, numbers.std((0, 2, 3), correction=0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 30])
def test_batches_are_those_of_the_set_in_memory(batch_size, both):
    """Also where there are more and fewer batches than are read ahead."""
    sides = [Batches(data.train, 16) for data in (both.streamed, both.resident)]
    draws = [torch.Generator().manual_seed(3) for _ in sides]
    for epoch in range(3):
        views = [
            side.random(draw) if epoch else side.centred()
            for side, draw in zip(sides, draws, strict=True)
        ]
        taken = [list(side.take(view, batch_size)) for side, view in zip(sides, views, strict=True)]
        assert [len(labels) for _, labels in taken[0]][:-1] == [batch_size] * (20 // batch_size)
        for (images, labels), (others, classes) in zip(*taken, strict=True):
            assert torch.equal(images, others) and torch.equal(labels, classes)


def test_training_comes_to_the_same_bits_as_in_memory(both, tmp_path):
    save_dataset(both.streamed, tmp_path / "data.pt")
    recipe = Recipe(epochs=2, batch_size=8, lr_decay_epochs=(1,))
    results, weights = [], []
    for data in (both.resident, open_dataset(tmp_path / "data.pt")):
        torch.manual_seed(0)
        model = build_model("resnet20", 3)
        result = asdict(Trainer(model, data, recipe).run(0.05, 1e-3, seed=4))
        results.append({k: v for k, v in result.items() if "second" not in k})
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert results[0] == results[1] and torch.equal(*weights)
    assert len(results[0]["curve"]["loss"]) == 2 and not results[0]["diverged"]


# --- decoded once ---------------------------------------------------------------------------------


def test_decoded_images_are_not_decoded_again(both, in_a_file, monkeypatch):
    def fail(*args, **options):
        raise AssertionError("nothing is left to decode")

    monkeypatch.setattr(image_folders, "_decode_all", fail)
    again = load_dataset(both.spec, both.root)
    assert torch.equal(pixels(again.train), both.resident.train.images)
    with pytest.raises(AssertionError, match="nothing is left"):
        load_dataset(both.spec.model_copy(update={"image_size": 8}), both.root)


# Decodes with one process, and is killed when it counts the third chunk.
KILLED = """
import os, signal, sys
from hpstudy.training import image_folders
from hpstudy.training.datasets import Split, load_dataset
from hpstudy.config.study import Data

class Killing(image_folders.tqdm):
    def update(self, count):
        super().update(count)
        if self.n >= 9:
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    image_folders.tqdm, image_folders.CHUNK = Killing, 4
    image_folders.resident_limit, image_folders.cores = lambda: 0, lambda: 1
    load_dataset(Data(name=f"folder:{sys.argv[1]}", image_size=16), sys.argv[2])
"""


@pytest.mark.slow
def test_killed_decoding_continues_after_the_finished_chunks(birds, in_a_file, here, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, str(script), birds.name.removeprefix("folder:"), str(tmp_path)],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = folder_of(tmp_path)
    finished = {name: (folder / f"{name}.done").read_bytes() for name in ("train", "test")}
    assert list(map(len, finished.values())) == [6, 3]
    assert sum(map(sum, finished.values())) >= 3
    # A mark of the test's own on all pixels: it stays on what is finished, and on nothing else.
    for name, count in (("train", 21), ("test", 12)):
        (folder / f"{name}.u8").write_bytes(bytes([77]) * (972 * count))
    data = load_dataset(birds, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_folders, "resident_limit", lambda: 10**9)
        resident = load_dataset(birds, tmp_path)
    for name, chunks in finished.items():
        found, expected = pixels(getattr(data, name)), getattr(resident, name).images
        for k, chunk in enumerate(chunks):
            part = slice(CHUNK * k, CHUNK * k + CHUNK)
            wanted = torch.full_like(expected[part], 77) if chunk else expected[part]
            assert torch.equal(found[part], wanted)
        assert set((folder / f"{name}.done").read_bytes()) == {1}


def test_file_that_was_cut_short_is_refused_and_decoded_anew(
    birds, in_a_file, here, tmp_path, refused
):
    data = load_dataset(birds, tmp_path)
    before = pixels(data.train)
    with data.train.images.path.open("r+b") as file:
        file.truncate(972 * 20)
    batches = Batches(data.train, 16)
    words = refused(lambda: list(batches.take(batches.centred(), 5)))
    assert "train.u8" in words and "cut short" in words
    assert torch.equal(pixels(load_dataset(birds, tmp_path).train), before)


# --- refused --------------------------------------------------------------------------------------


def test_disk_that_is_too_small_is_refused_before_work(
    birds, in_a_file, here, monkeypatch, tmp_path, refused
):
    disk = SimpleNamespace(free=33 * BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    root = tmp_path / "not" / "there"
    words = refused(load_dataset, birds, root)
    # 33 x 4044 bytes are 0.000124 GiB.
    assert "needs 0.000124 GiB" in words and "has 0.000124 GiB free" in words
    assert str(root / "decoded") in words and "HPSTUDY_DATA" in words
    assert not (tmp_path / "not").exists()
    disk.free += 1
    load_dataset(birds, root)
    # What is decoded needs no more room, and what is missing is all that does.
    disk.free = CHUNK * BYTES - 1
    load_dataset(birds, root)
    with (folder_of(root) / "train.done").open("r+b") as file:
        file.write(b"\0")
    assert "needs 1.51e-05 GiB" in refused(load_dataset, birds, root)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["no image", "half an image"])
def test_image_that_cannot_be_read_is_named(how, birds, in_a_file, tmp_path, refused, request):
    if how == "no image":
        request.getfixturevalue("here")
    path = tmp_path / "birds" / "train" / "crow" / "4.png"
    raw = path.read_bytes()
    path.write_bytes(b"hello" if how == "no image" else raw[: len(raw) // 2])
    words = refused(load_dataset, birds, tmp_path)
    assert str(path) in words and "cannot be read as an image" in words
    marks = (folder_of(tmp_path) / "train.done").read_bytes()
    # Training image 18, of chunk 4.
    assert len(marks) == 6 and not marks[4]


def test_data_root_that_cannot_be_written_is_named(birds, in_a_file, tmp_path, refused):
    root = tmp_path / "file"
    root.write_text("not a folder")
    words = refused(load_dataset, birds, root)
    assert str(root / "decoded") in words and "--data-root" in words


# --- shared, and read ahead -----------------------------------------------------------------------


def test_workers_read_the_file_and_are_sent_no_pixels(both, tmp_path):
    image = both.resident.train.images[2].numpy().tobytes()
    saved = {}
    for name in ("streamed", "resident"):
        save_dataset(getattr(both, name), tmp_path / name)
        saved[name] = (tmp_path / name).read_bytes()
    assert image in saved["resident"] and image not in saved["streamed"]
    data = open_dataset(tmp_path / "streamed")
    assert data.train.images.path == both.streamed.train.images.path
    assert torch.equal(pixels(data.train), both.resident.train.images)
    assert torch.equal(data.train.labels, both.resident.train.labels)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("batch")]


def test_a_few_batches_are_read_ahead_and_no_more(both, monkeypatch):
    read, whole = [], Stored.read
    monkeypatch.setattr(
        Stored, "read", lambda self, index: read.append(list(index)) or whole(self, index)
    )
    batches = Batches(both.streamed.train, 16)
    coming = batches.take(batches.centred(), 2)
    assert threads() == [] and read == []
    for number in range(3):
        next(coming)
        deadline = time.monotonic() + 20
        while len(read) < 1 + AHEAD + number and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert sorted(read) == [[2 * k, 2 * k + 1] for k in range(1 + AHEAD + number)]
    coming.close()
    assert threads() == [] and len(read) < 10


def test_threads_end_with_the_last_batch_and_with_one_that_fails(both, refused):
    batches = Batches(both.streamed.train, 16)
    assert len(list(batches.take(batches.centred(), 2))) == 11
    assert threads() == []
    gone = Stored(both.root / "gone.u8", 18, np.arange(21))
    batches = Batches(Split(gone, both.streamed.train.labels), 16)
    with pytest.raises(FileNotFoundError, match=r"gone\.u8"):
        list(batches.take(batches.centred(), 2))
    assert threads() == []
