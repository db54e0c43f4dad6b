"""Bad data folders, weights and stores (`badinput.Case`)."""

import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from badinput import Case, nothing, write

# --- data folders ---------------------------------------------------------------------------------


ROSE = Path("flowers", "train", "rose")


def _images() -> None:
    from PIL import Image

    for part in ("train", "val"):
        for name in ("aster", "rose"):
            Path("flowers", part, name).mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(Path("flowers", part, name, "0.png"))


def data(what: str, damage: Callable[[], object], sentence: str, **spec: Any) -> Case:
    """Case of a damaged folder of images."""
    spec = {"name": "folder:flowers", "image_size": 8} | spec

    def make() -> None:
        _images()
        damage()

    def act() -> None:
        from hpstudy.config.study import Data
        from hpstudy.training.datasets import load_dataset

        load_dataset(Data(**spec), Path())

    return Case("data folder", what, make, act, sentence)


def _half() -> None:
    from PIL import Image

    Image.effect_noise((64, 64), 50).save(ROSE / "0.png")
    raw = (ROSE / "0.png").read_bytes()
    (ROSE / "0.png").write_bytes(raw[: len(raw) // 2])


def _huge() -> None:
    # The header says 30,000 x 30,000 pixels, which would fill the memory.
    raw = (ROSE / "0.png").read_bytes()
    head = raw[12:16] + (30_000).to_bytes(4, "big") * 2 + raw[24:29]
    (ROSE / "0.png").write_bytes(raw[:12] + head + crc32(head).to_bytes(4, "big") + raw[33:])


LAYOUT = (
    "a folder with one folder of images per class (torchvision's ImageFolder layout); without test "
    "images, set holdout to a share of the training images, as 0.2."
)

DATA = [
    data(
        "an unknown data set",
        nothing,
        "unknown data set 'cifar11' (did you mean 'cifar10'?); valid: fashion-mnist-8k, "
        "fashion-mnist, cifar10, cifar100, imagenet, folder:PATH, torchvision:NAME, "
        "package.module:factory.",
        name="cifar11",
    ),
    data(
        "a missing folder",
        partial(shutil.rmtree, "flowers", ignore_errors=True),
        "data set 'folder:flowers': there is no folder flowers.",
    ),
    data(
        "no test folder",
        lambda: Path("flowers", "val").rename("flowers/valid"),
        f"data set 'folder:flowers' needs flowers/val, {LAYOUT}",
    ),
    data(
        "one class",
        lambda: ROSE.rename("rose"),
        "flowers/train holds 1 class folder; a classifier needs two or more.",
    ),
    data(
        "a class in one part only",
        lambda: ROSE.rename("flowers/train/tulip"),
        "the class 'rose' is in only one of flowers/train and flowers/val.",
    ),
    data(
        "a class without images",
        lambda: (ROSE / "0.png").unlink(),
        "flowers/train/rose holds no JPEG, PNG or WebP image.",
    ),
    data(
        "text for an image",
        lambda: (ROSE / "0.png").write_text("hello"),
        "flowers/train/rose/0.png cannot be read as an image.",
    ),
    data(
        "an empty file for an image",
        lambda: (ROSE / "0.png").write_bytes(b""),
        "flowers/train/rose/0.png cannot be read as an image.",
    ),
    data("half an image", _half, "flowers/train/rose/0.png cannot be read as an image."),
    data(
        "an image with a header of 900 million pixels",
        _huge,
        "flowers/train/rose/0.png cannot be read as an image.",
    ),
    data(
        "a folder for an image",
        lambda: (ROSE / "1.png").mkdir(),
        "flowers/train/rose/1.png cannot be read as an image: Is a directory.",
    ),
    data(
        "more images than the set has",
        nothing,
        "100 training images are asked for; the set has 2.",
        train_images=100,
    ),
    data(
        "a held-out share of less than one image",
        nothing,
        "0 held-out images are asked for; the set has 2.",
        holdout=0.1,
    ),
    data(
        "an image size that does not divide the pixels",
        nothing,
        "image_size 12 does not divide the 32 pixels of 'fashion-mnist-8k'; valid: 8, 16, 32.",
        name="fashion-mnist-8k",
        image_size=12,
    ),
]

# --- weights --------------------------------------------------------------------------------------


def weights(what: str, save: Callable[[Any], object], sentence: str) -> Case:
    """Case of a file for `hpstudy prune resnet20 --weights`; `save` takes the state dict."""

    def make() -> None:
        from hpstudy.networks.models import build_model

        save(build_model("resnet20").state_dict())

    def act() -> None:
        from hpstudy.networks import prune
        from hpstudy.networks.models import zeros

        prune("resnet20", zeros(8), weights="dense.pt")

    return Case("weights", what, make, act, sentence)


def _save(change: Callable[[Any], object]) -> Callable[[Any], None]:
    import torch

    return lambda state: torch.save(change(state), "dense.pt")


def _cut(state: Any) -> None:
    _save(dict)(state)
    raw = Path("dense.pt").read_bytes()
    Path("dense.pt").write_bytes(raw[: len(raw) // 2])


class _Command:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


def _nan(state: Any) -> Any:
    state["fc.weight"][0, 0] = float("nan")
    return state


def _wide(state: Any) -> Any:
    wide = {"fc.weight": state["fc.weight"].repeat(10, 1), "fc.bias": state["fc.bias"].repeat(10)}
    return state | wide


WRITE = "write it by torch.save(model.state_dict(), path)."
UNSAFE = (
    "dense.pt is no file of tensors alone, but holds posix.mkdir, which could run commands; "
    f"{WRITE}"
)
NONE = "dense.pt holds no state dict, neither alone nor as state_dict, model_state_dict, model, net"
TAKES = (
    "`hpstudy prune resnet20` takes the weights of "
    "hpstudy.networks.models.build_model('resnet20'), under its names or under those of "
    "torchvision and common public code."
)
CUT = "dense.pt is no file of torch.save, or is cut short."

WEIGHTS = [
    weights("no file", lambda _: None, "there is no file 'dense.pt'."),
    weights("half a file", _cut, CUT),
    weights("an empty file", lambda _: write("dense.pt", b""), CUT),
    weights(
        "a pickle that runs a command",
        lambda _: write("dense.pt", pickle.dumps(_Command(), protocol=2)),
        UNSAFE,
    ),
    weights("tensors and a command", _save(lambda state: state | {"x": _Command()}), UNSAFE),
    weights("a list", _save(list), f"{NONE}; {WRITE}"),
    weights(
        "a checkpoint without weights",
        _save(lambda state: {"epoch": 3, "optimizer": {}}),
        f"{NONE}, but 'epoch', 'optimizer'; {WRITE}",
    ),
    weights(
        "two networks' weights",
        _save(lambda state: {"model": state, "net": state}),
        "dense.pt holds the state dicts 'model' and 'net'; write one of them alone by torch.save.",
    ),
    weights(
        "weights of another network",
        _save(lambda state: {key: state[key] for key in state if not key.startswith("blocks.8.")}),
        "dense.pt does not fit resnet20 with 10 classes: it lacks 'blocks.8.conv1.weight', "
        f"'blocks.8.bn1.weight', 'blocks.8.bn1.bias' and 7 more; {TAKES}",
    ),
    weights(
        "a convolution in a shortcut",
        _save(lambda state: state | {"blocks.3.shortcut.0.weight": state["conv1.weight"]}),
        "dense.pt does not fit resnet20 with 10 classes: the network has no "
        f"'blocks.3.shortcut.0.weight'; {TAKES}",
    ),
    weights(
        "weights for 100 classes",
        _save(_wide),
        "dense.pt does not fit resnet20 with 10 classes: 'fc.weight' is (100, 64) instead of "
        "(10, 64), 'fc.bias' is (100,) instead of (10,); it fits `hpstudy prune resnet20 "
        "--classes 100`.",
    ),
    weights(
        "weights of NaN", _save(_nan), "dense.pt has values in 'fc.weight' that are not finite."
    ),
]

# --- stores ---------------------------------------------------------------------------------------


def store(what: str, make: Callable[[], object], sentence: str) -> Case:
    """Case of a file in place of a store."""

    def act() -> None:
        from hpstudy.storage.store import Store

        Store.open("store.sqlite").recorded()

    return Case("store", what, make, act, f"store.sqlite {sentence}")


def _database(*statements: str) -> None:
    with sqlite3.connect("store.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def _half_store() -> None:
    _database("CREATE TABLE runs (x)", *["INSERT INTO runs VALUES (randomblob(4000))"] * 9)
    raw = Path("store.sqlite").read_bytes()
    Path("store.sqlite").write_bytes(raw[:5000])


STORES = [
    store(
        "text",
        partial(write, "store.sqlite", "hello" * 1000),
        "cannot be used as a store: file is not a database.",
    ),
    store(
        "a folder",
        lambda: Path("store.sqlite").mkdir(),
        "cannot be used as a store: unable to open database file.",
    ),
    store(
        "another program's database",
        lambda: _database("CREATE TABLE songs (title)"),
        "is another program's database, not a store of hpstudy (tables: songs).",
    ),
    store(
        "a store of schema 1",
        lambda: _database("CREATE TABLE runs (x)", "PRAGMA user_version = 1"),
        "was written under schema 1; this version of hpstudy reads schema 2 and schema 3.",
    ),
    store(
        "half a store", _half_store, "cannot be used as a store: database disk image is malformed."
    ),
]
