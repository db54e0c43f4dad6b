"""Readers of randomly damaged files either read them or refuse them in one sentence.

Every run makes the same damage. More of it: HPSTUDY_FUZZ_ROUNDS=10000 pytest
tests/project/test_fuzz.py.
"""

import os
import random
from pathlib import Path

import pytest
import synthetic
import tiny
import torch
from PIL import Image

from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.study_results import read_results
from hpstudy.config.study import DENSE, Study
from hpstudy.errors import HpstudyError
from hpstudy.networks.models import ResNetCifar
from hpstudy.networks.weights import read_weights
from hpstudy.storage.store import Store
from hpstudy.training import image_folders
from hpstudy.training.image_folders import decode_once, read_image

ROUNDS = int(os.environ.get("HPSTUDY_FUZZ_ROUNDS", "30"))
# Text with a meaning in YAML, CSV or JSON, or for a terminal.
FRAGMENTS = (
    *(bytes([byte]) for byte in b"\0\xff\"',\n\r\t{[]~#"),
    *(b": ", b"- ", b"&a ", b"*a", b"!!x ", b"<b>", b"=1+1", b"../", "\u202e".encode()),
    *(b"nan", b"inf", b"NaN", b"Infinity", b"1e999", b"9" * 400, b"-1", b"0", b"0x10", b"1:30"),
    *(b"true", b"null"),
)


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Content with one to four changes."""
    for _ in range(generator.randint(1, 4)):
        start = generator.randint(0, len(content))
        end = min(start + generator.choice((1, 1, 8, 100, 10_000)), len(content))
        part = generator.choice(
            (
                b"",
                generator.randbytes(end - start),
                content[start:end] * 2,
                generator.choice(FRAGMENTS),
                content[start:end] + generator.choice(FRAGMENTS),
            )
        )
        content = content[:start] + part + content[end:]
        if generator.random() < 0.1:
            content = content[: generator.randint(0, len(content))]
    return content


def assert_read_or_refused(path: Path, read, refuses: bool = True) -> None:
    """Damage a file in many ways and read it; with `refuses`, some reads are refused, else none."""
    whole = path.read_bytes()
    read()
    refused = 0
    for seed in range(ROUNDS):
        path.write_bytes(damaged(whole, random.Random(f"{path.name} {seed}")))
        try:
            read()
        except HpstudyError as error:
            assert str(error).isprintable()
            refused += 1
    assert bool(refused) == refuses
    path.write_bytes(whole)


def test_params_file(tmp_path):
    path = tiny.write_study(tmp_path / "study.yaml")
    assert_read_or_refused(path, lambda: Study.load(path))


def test_table_of_runs(tmp_path):
    path = tmp_path / "runs.csv"
    synthetic.table("x", "resnet56", 3, 1).to_csv(path, index=False)
    assert_read_or_refused(path, lambda: read_runs(path))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "json"])
def test_published_results(ending, tmp_path):
    (name,) = synthetic.write(tmp_path, 3, 1, ["resnet56"])

    def read():
        for results in read_results([tmp_path]).values():
            results.landscapes()

    assert_read_or_refused(tmp_path / f"{name}.{ending}", read)


def test_store(tmp_path):
    path = tmp_path / "store.sqlite"
    store, specs = Store.open(path), [tiny.spec({"seed": seed}) for seed in range(9)]
    labels = {"study": "tiny", "variant": DENSE, "method": DENSE, "flops_ratio": 1.0}
    for spec in specs:
        tiny.record(store, spec, tiny.result(), {"weights_sha256": "ab", "scores": {"a": [0.5]}})
    del store
    assert [*tmp_path.iterdir()] == [path]

    def read():
        store = Store.open(path)
        store.recorded(), store.ranking(specs[0])
        store.frame((labels, spec) for spec in specs)

    assert_read_or_refused(path, read)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_image(ending, tmp_path):
    path = tmp_path / f"image.{ending}"
    Image.effect_noise((32, 32), 50).convert("RGB").save(path)
    assert_read_or_refused(path, lambda: read_image(path, 8))


@pytest.mark.parametrize("ending", ["u8", "counts", "done"])
def test_decoded_images(ending, tmp_path, monkeypatch):
    # In this process: a pool would take seconds a round.
    def decode(chunks, workers, bar):
        for chunk in chunks:
            image_folders._decode_chunk(*chunk)

    monkeypatch.setattr(image_folders, "_decode_all", decode)
    image = tmp_path / "image.png"
    Image.effect_noise((32, 32), 50).convert("RGB").save(image)

    def read():
        (stored,) = decode_once({"train": [image] * 5}, 8, tmp_path / "decoded", 1).values()
        assert len(list(stored.read(stored.rows))) == 5
        assert stored.counts().shape == (3, 256)

    read()
    path = tmp_path / "decoded" / f"train.{ending}"
    assert_read_or_refused(path, read, refuses=False)
    # A file of another length is decoded again.
    path.write_bytes(path.read_bytes()[1:])
    read()


def test_weights(tmp_path):
    path, dense = tmp_path / "dense.pt", ResNetCifar(1, 2)
    torch.save({"net": dense.state_dict()}, path)
    assert_read_or_refused(path, lambda: read_weights(path, "resnet8", dense))
