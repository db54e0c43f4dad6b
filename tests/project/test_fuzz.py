"""Whatever has happened to a file, its reader says so in a sentence, or reads it.

Files that are good are spoilt at random, always in the same way; HPSTUDY_FUZZ_ROUNDS=10000 pytest
tests/project/test_fuzz.py spoils each of them ten thousand times, in other ways too.
"""

import os
import random
from pathlib import Path

import pytest
import synthetic
import tiny
from PIL import Image

from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.study_results import read_results
from hpstudy.config.study import DENSE, Study
from hpstudy.errors import HpstudyError
from hpstudy.storage.store import Store
from hpstudy.training import image_folders
from hpstudy.training.image_folders import decode_once, read_image

ROUNDS = int(os.environ.get("HPSTUDY_FUZZ_ROUNDS", "30"))
# What readers trip over more often than over any byte.
WORDS = (
    *(bytes([byte]) for byte in b"\0\xff\"',\n\r\t{[]~#"),
    *(b": ", b"- ", b"&a ", b"*a", b"!!x ", b"<b>", b"=1+1", b"../", "\u202e".encode()),
    *(b"nan", b"inf", b"NaN", b"Infinity", b"1e999", b"9" * 400, b"-1", b"0", b"0x10", b"1:30"),
    *(b"true", b"null"),
)


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Content with one to four changes."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(content))
        end = min(start + chance.choice((1, 1, 8, 100, 10_000)), len(content))
        part = chance.choice(
            (
                b"",
                chance.randbytes(end - start),
                content[start:end] * 2,
                chance.choice(WORDS),
                content[start:end] + chance.choice(WORDS),
            )
        )
        content = content[:start] + part + content[end:]
        if chance.random() < 0.1:
            content = content[: chance.randint(0, len(content))]
    return content


def assert_survives(path: Path, read, refuses: bool = True) -> None:
    """Spoil a file again and again, and read it; some of it must be refused, or none of it."""
    good = path.read_bytes()
    read()
    refused = 0
    for number in range(ROUNDS):
        path.write_bytes(spoilt(good, random.Random(f"{path.name} {number}")))
        try:
            read()
        except HpstudyError as error:
            assert str(error).isprintable()
            refused += 1
    assert bool(refused) == refuses
    path.write_bytes(good)


def test_params_file(tmp_path):
    path = tiny.write_study(tmp_path / "study.yaml")
    assert_survives(path, lambda: Study.load(path))


def test_table_of_runs(tmp_path):
    path = tmp_path / "runs.csv"
    synthetic.table("x", "resnet56", 3, 1).to_csv(path, index=False)
    assert_survives(path, lambda: read_runs(path))


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_published_results(ending, tmp_path):
    (name,) = synthetic.write(tmp_path, 3, 1, ["resnet56"])

    def read():
        for one in read_results([tmp_path]).values():
            one.landscapes()

    assert_survives(tmp_path / f"{name}.{ending}", read)


def test_store(tmp_path):
    path = tmp_path / "store.sqlite"
    store, specs = Store.open(path), [tiny.spec({"seed": seed}) for seed in range(9)]
    labels = {"study": "tiny", "variant": DENSE, "method": DENSE, "flops_ratio": 1.0}
    for spec in specs:
        tiny.record(store, spec, tiny.result(), {"weights_sha256": "ab", "scores": {"a": [0.5]}})
    del store
    for beside in ("-wal", "-shm"):
        assert not path.with_name(path.name + beside).exists()

    def read():
        store = Store.open(path)
        store.recorded(), store.ranking(specs[0])
        store.curves(spec.run_id for spec in specs)
        store.frame((labels, spec) for spec in specs)

    assert_survives(path, read)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_image(ending, tmp_path):
    path = tmp_path / f"image.{ending}"
    Image.effect_noise((32, 32), 50).convert("RGB").save(path)
    assert_survives(path, lambda: read_image(path, 8))


@pytest.mark.parametrize("ending", ["u8", "counts", "done"])
def test_decoded_images(ending, tmp_path, monkeypatch):
    # In this process: a pool would take seconds a round.
    monkeypatch.setattr("hpstudy.training.image_folders._decode_all", in_line)
    image = tmp_path / "image.png"
    Image.effect_noise((32, 32), 50).convert("RGB").save(image)

    def read():
        (stored,) = decode_once({"train": [image] * 5}, 8, tmp_path / "decoded", 1).values()
        assert len(list(stored.read(stored.rows))) == 5
        assert stored.counts().shape == (3, 256)

    read()
    path = tmp_path / "decoded" / f"train.{ending}"
    assert_survives(path, read, refuses=False)
    # Decoded anew where its length is another.
    path.write_bytes(path.read_bytes()[1:])
    read()


def in_line(chunks, workers, bar):
    """Decode as `hpstudy.training.image_folders` does, without a pool of processes."""
    for chunk in chunks:
        image_folders._decode_chunk(*chunk)


def test_weights(tmp_path):
    import torch

    from hpstudy.networks.models import ResNetCifar
    from hpstudy.networks.weights import read_weights

    path, dense = tmp_path / "dense.pt", ResNetCifar(1, 2)
    torch.save({"net": dense.state_dict()}, path)
    assert_survives(path, lambda: read_weights(path, "resnet8", dense))
