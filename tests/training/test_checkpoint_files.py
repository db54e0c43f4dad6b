"""Checkpoint files that cannot be resumed: named, refused, never executed."""

import ast
import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from interrupted import ended, equal
from test_trainer import small_network

import hpstudy


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def hashed(payload):
    return hashlib.sha256(payload).digest() + payload


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def content(data):
    return torch.load(io.BytesIO(data[32:]), weights_only=True)


def with_part(data, part, **changes):
    kept = content(data)
    return hashed(saved(kept | {part: kept[part] | changes}))


OF_CODE = "it holds something else than tensors and plain values"
DAMAGED = "it is damaged, cut short or no checkpoint"
NO_PROGRESS = "its progress of the training is not valid"
MISFIT = "its tensors are not those of this network and recipe"
BAD = {
    "empty": (lambda data, trap: b"", DAMAGED),
    "words": (lambda data, trap: b"top1: 93\n" * 99, DAMAGED),
    "cut short by a byte": (lambda data, trap: data[:-1], DAMAGED),
    "cut short within its hash": (lambda data, trap: data[:20], DAMAGED),
    "a bit of a weight": (lambda data, trap: data[:3000] + flipped(data[3000:]), DAMAGED),
    "a bit of its hash": (lambda data, trap: flipped(data), DAMAGED),
    "what torch saves, without a hash": (lambda data, trap: data[32:], DAMAGED),
    "a pickle with code": (lambda data, trap: hashed(pickle.dumps(Code(trap), 2)), OF_CODE),
    "a checkpoint with code": (
        lambda data, trap: hashed(saved(content(data) | {"run": Code(trap)})),
        OF_CODE,
    ),
    "words with their hash": (lambda data, trap: hashed(b"top1: 93"), OF_CODE),
    "a list": (lambda data, trap: hashed(saved([1, 2])), "it is no checkpoint"),
    "a state dict": (
        lambda data, trap: hashed(saved(content(data)["state"]["model"])),
        "it is no checkpoint",
    ),
    "another run": (
        lambda data, trap: hashed(saved(content(data) | {"run": "that\nrun"})),
        r"its run is 'that\nrun', not 'this-run'",
    ),
    "another torch": (
        lambda data, trap: hashed(saved(content(data) | {"torch": "1.13.1"})),
        f"its torch is '1.13.1', not '{torch.__version__}'",
    ),
    "another kind of device": (
        lambda data, trap: hashed(saved(content(data) | {"device": "cuda"})),
        "its device is 'cuda', not 'cpu'",
    ),
    "no steps": (lambda data, trap: with_part(data, "course", steps=None), NO_PROGRESS),
    "steps below zero": (lambda data, trap: with_part(data, "course", steps=-1), NO_PROGRESS),
    "more than is known": (lambda data, trap: with_part(data, "course", more=1), NO_PROGRESS),
    "a generator of one number": (
        lambda data, trap: with_part(data, "course", order=torch.zeros(1)),
        NO_PROGRESS,
    ),
    "another network": (
        lambda data, trap: with_part(
            data, "state", model=small_network(torch.float32, 11).state_dict()
        ),
        MISFIT,
    ),
    "another precision": (
        lambda data, trap: with_part(data, "state", model=small_network().state_dict()),
        MISFIT,
    ),
    "no momentum": (lambda data, trap: with_part(data, "state", momentum={}), MISFIT),
    "a number for its tensors": (
        lambda data, trap: hashed(saved(content(data) | {"state": 1})),
        MISFIT,
    ),
}


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("fault", BAD)
def test_unusable_file_is_named_and_the_training_restarts(fault, kept, tmp_path, capsys):
    path, trap = tmp_path / "kept.pt", tmp_path / "executed"
    make, reason = BAD[fault]
    path.write_bytes(make(kept[0], trap))
    assert equal(ended(path=path), kept[1], clock=False)
    words = f"checkpoint {path} is not used, the training restarts: {reason}.\n"
    assert capsys.readouterr().err == words
    assert not trap.exists()


def test_the_same_file_undamaged_is_resumed(kept, tmp_path, capsys, steps):
    path = tmp_path / "kept.pt"
    path.write_bytes(hashed(saved(content(kept[0]))))
    assert equal(ended(path=path, seed=1), kept[1], clock=False)
    assert steps["_train_step"] == 9 - 5 and capsys.readouterr().err == ""


def test_torch_loads_tensors_and_plain_values_only():
    loads = [
        (path.name, {word.arg: ast.unparse(word.value) for word in node.keywords})
        for path in sorted(Path(hpstudy.__path__[0]).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert {name for name, _ in loads} >= {"checkpoint.py", "images.py", "weights.py"}
    assert [name for name, words in loads if words.get("weights_only") != "True"] == []
