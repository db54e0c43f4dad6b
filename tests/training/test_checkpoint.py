"""An interrupted training resumes to the same bits; unusable checkpoints are refused."""

import ast
import hashlib
import io
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from test_image_cache import decode_here, make_birds
from test_step import warmed
from test_trainer import recipe, same, small_network, weights
from torch import nn

import hpstudy.training.checkpoint
import hpstudy.training.image_cache
import hpstudy.training.image_folders
import hpstudy.training.state
from hpstudy.training.checkpoint import Checkpoint, discard
from hpstudy.training.datasets import load_dataset
from hpstudy.training.early_stopping import Race
from hpstudy.training.run import RunTrainer
from hpstudy.training.trainer import Trainer

CPU = torch.device("cpu")
DATA = tiny.random_images(train=45, test=30)
# Three steps and one evaluation an epoch; the learning rate falls after the second.
PLAN = recipe(epochs=3, batch_size=20, lr_decay=0.2, lr_decay_epochs=(2,))
# After every one of these, and once more when all is over.
ALL = range(1, 3 * 4 + 2)


class Killed(BaseException):
    """What nothing of the package may catch."""


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(hpstudy.training.checkpoint, "CHECKPOINT_SECONDS", 0)
    # No power fails here, and a disk takes its time.
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.fixture
def steps(monkeypatch):
    """How often there was a training step, which takes a second, and an evaluation step (ten)."""
    taken = Counter()

    def counted(name, function):
        def step(*args):
            taken[name] += 1
            return function(*args)

        return step

    for name in ("_train_step", "_evaluation_step"):
        monkeypatch.setattr(Trainer, name, counted(name, getattr(Trainer, name)))
    clock = SimpleNamespace(
        perf_counter=lambda: (
            taken["_train_step"] + 10 * taken["_evaluation_step"] + 1000 * taken["written"]
        )
    )
    monkeypatch.setattr(hpstudy.training.state, "time", clock)
    monkeypatch.setattr(Checkpoint, "write", counted("written", Checkpoint.write))
    return taken


@pytest.fixture
def kill(monkeypatch):
    """Let the n-th writing of a checkpoint be the last thing that happens."""
    write = Checkpoint.write

    def kill(last):
        written = []

        def writing(*args):
            write(*args)
            written.append(args)
            if len(written) == last:
                raise Killed

        monkeypatch.setattr(Checkpoint, "write", writing)

    return kill


def dropping():
    """A network that draws from torch's generator at every training step."""
    return nn.Sequential(*small_network(torch.float32), nn.Dropout(0.5))


def plain():
    return small_network(torch.float32)


def ended(network=plain, path=None, stop=None, seed=0, data=DATA, plan=PLAN, lr=0.05, **options):
    """Result and weights of a training in a state as a new process has it.

    Another `seed` means other initial weights and another generator, on which a resumed training
    must not depend.
    """
    torch.manual_seed(seed)
    model = network()
    for parameter in model.parameters():
        parameter.data += 0.01 * seed
    trainer = Trainer(model, data, plan, **options)
    torch.manual_seed(seed)
    kept = path and Checkpoint(path, "this-run", CPU)
    result = trainer.run(lr, 0.01, 3, stop, kept)
    return asdict(result), weights(trainer.model)


def equal(one, other, clock=True):
    if not clock:
        one, other = (
            ({k: v for k, v in row.items() if "second" not in k}, end) for row, end in (one, other)
        )
    return one[0] == other[0] and same(one[1], other[1])


# --- interrupted and resumed ----------------------------------------------------------------------


# After a first step, a last step, an evaluation, within an epoch, and at the end.
@pytest.mark.parametrize("place", [1, 3, 4, 10, 13])
def test_interrupted_training_resumes_to_the_same_bits(place, tmp_path, steps, kill):
    path = tmp_path / "kept.pt"
    undisturbed = ended(dropping)
    # What was trained counts, over both parts, and writing does not: 9 steps and 3 evaluations.
    assert undisturbed[0]["seconds"] == 39 and undisturbed[0]["images_per_second"] == 3 * 45 / 9
    steps.clear()
    kill(place)
    with pytest.raises(Killed):
        ended(dropping, path)
    kill(None)
    assert equal(ended(dropping, path, seed=1), undisturbed)
    # No step is taken twice; when all was over, none is taken at all.
    assert steps["_train_step"] == 9 and steps["_evaluation_step"] == 3


def test_training_killed_after_each_step_resumes_to_the_same_bits(tmp_path, kill):
    path = tmp_path / "kept.pt"
    for life in ALL:
        kill(1)
        with pytest.raises(Killed):
            ended(dropping, path, seed=life - 1)
    kill(None)
    assert equal(ended(dropping, path, seed=50), ended(dropping), clock=False)


@pytest.mark.parametrize("options, before", [({}, 0), ({"capture": warmed}, 2 * 3)])
def test_steps_since_the_last_checkpoint_are_taken_again(
    options, before, tmp_path, steps, monkeypatch
):
    path = tmp_path / "kept.pt"
    undisturbed = ended(**options)
    steps.clear()
    step = Trainer._train_step

    def lost(*args):
        if steps["_train_step"] == before + 8:
            raise Killed
        return step(*args)

    # Kept within the second epoch, killed within the third.
    monkeypatch.setattr(Checkpoint, "due", lambda _: steps["_train_step"] == before + 4)
    monkeypatch.setattr(Trainer, "_train_step", lost)
    with pytest.raises(Killed):
        ended(path=path, **options)
    monkeypatch.setattr(Trainer, "_train_step", step)
    steps.clear()
    assert equal(ended(path=path, seed=1, **options), undisturbed, clock=False)
    assert steps["_train_step"] == before + 9 - 4


def test_resuming_keeps_the_tensors_that_a_recorded_step_uses(tmp_path, kill):
    path = tmp_path / "kept.pt"
    kill(5)
    with pytest.raises(Killed):
        ended(path=path)
    trainer = Trainer(small_network(torch.float32), DATA, PLAN, capture=warmed)
    tensors = trainer._tensors

    def places():
        parts = tensors.read()
        return [t.data_ptr() for part in parts if part != "random" for t in parts[part].values()]

    before = places()
    assert Checkpoint(path, "this-run", CPU).resume(tensors).steps == 1
    # Weights and buffers of the network, momentum of its parameters, totals and the first loss.
    assert places() == before and len(before) == 14 + 8 + 2


def test_interrupted_training_ends_with_a_loss_that_is_not_finite(tmp_path, steps, kill):
    path, plan = tmp_path / "kept.pt", recipe(epochs=9, batch_size=20, momentum=0.0)
    undisturbed, _ = ended(plan=plan, lr=1e30)
    epochs = undisturbed["epochs"]
    assert undisturbed["diverged"] and epochs < 9
    steps.clear()
    for place in (2, 1, 1):
        kill(place)
        with pytest.raises(Killed):
            ended(path=path, plan=plan, lr=1e30)
    kill(None)
    # NaN is not equal to itself, but looks like it.
    assert repr(ended(path=path, plan=plan, lr=1e30, seed=1)[0]) == repr(undisturbed)
    assert steps["_train_step"] == 3 * epochs


def test_training_on_images_in_a_file_resumes(tmp_path, kill, monkeypatch):
    monkeypatch.setattr(hpstudy.training.image_folders, "resident_limit", lambda: 0)
    monkeypatch.setattr(hpstudy.training.image_cache, "_decode_all", decode_here)
    data = load_dataset(make_birds(tmp_path / "birds"), tmp_path)
    plan, path = recipe(epochs=2, batch_size=8), tmp_path / "kept.pt"

    def three():
        return small_network(torch.float32, classes=3)

    undisturbed = ended(three, data=data, plan=plan)
    for place in (2, 5):
        kill(place)
        with pytest.raises(Killed):
            ended(three, path, data=data, plan=plan)
        kill(None)
        assert equal(ended(three, path, data=data, plan=plan, seed=1), undisturbed, clock=False)
        discard(path)


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [3, 4, 8, 9])
def test_race_is_asked_once_after_each_epoch(place, tmp_path, kill):
    path, asked = tmp_path / "kept.pt", []

    def after_two(curve):
        asked.append(len(curve["top1"]))
        return len(curve["top1"]) == 2

    undisturbed = ended(stop=after_two)
    assert asked == [1, 2]
    asked.clear()
    kill(place)
    with pytest.raises(Killed):
        ended(path=path, stop=after_two)
    kill(None)
    assert equal(ended(path=path, stop=after_two, seed=1), undisturbed, clock=False)
    # A training that was over is asked once more, for the reason.
    assert asked == ([1, 2, 2] if place == 9 else [1, 2])


def test_training_that_a_race_stopped_resumes_without_the_race(tmp_path):
    path = tmp_path / "kept.pt"
    assert ended(path=path, stop=lambda curve: True)[0]["epochs"] == 1
    assert equal(ended(path=path, seed=1), ended(), clock=False)


# --- runs -----------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys, tiny, torch
from pathlib import Path
import hpstudy.training.checkpoint
sys.path.insert(0, sys.argv[2])
from test_checkpoint import run

synced = os.fsync
count = 0

def killed(number):
    global count
    synced(number)
    # Two a checkpoint, of its file and of its folder: the third is written, but replaces nothing.
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = killed
hpstudy.training.checkpoint.CHECKPOINT_SECONDS = 0
run(Path(sys.argv[1]))
"""


def run(path=None, race=None):
    """A run's outcome without its clock, of a process that has trained nothing before."""
    images = {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 40, "test_images": 20}
    plan = PLAN.model_dump() | {"lr_decay_epochs": [2]}
    spec = tiny.spec({"model": "resnet20", "data": images, "recipe": plan, "lr": 0.05})
    row, *rest = RunTrainer(load_dataset(spec.data), CPU).train(spec, True, race, path)
    return {key: value for key, value in row.items() if "second" not in key}, *rest


@pytest.mark.slow
def test_run_killed_by_the_system_while_writing_ends_with_the_same_row_and_ranking(
    tmp_path, capsys
):
    script, path = tmp_path / "killed.py", tmp_path / "folder" / "kept.pt"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(Path(__file__).parent)],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    part = path.with_name("kept.pt.part")
    assert path.exists() and part.exists()
    undisturbed = run()
    assert undisturbed[1]["scores"] and run(path) == undisturbed
    assert capsys.readouterr().err == ""
    assert path.exists() and not part.exists()
    part.touch()
    discard(path)
    assert list(path.parent.iterdir()) == []
    discard(path)


def test_stop_reason_is_found_again_after_the_end(tmp_path, kill, capsys):
    path = tmp_path / "kept.pt"
    # Runs at this point end the better, the lower their loss; at this one's they end at ten.
    losses = [0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 2.3, 3.0]
    race = Race(
        tuple((0.05, 0.0001 * 1.1**k) for k in range(8)),
        tuple((loss,) for loss in losses),
        tuple(95.0 - 30 * loss for loss in losses),
        1.0,
    )
    undisturbed = run(race=race)
    assert undisturbed[2].needed == 91.0 and undisturbed[0]["epochs"] < 3
    # After two steps and an evaluation of each epoch, and once more when it was over.
    kill(3 * undisturbed[0]["epochs"] + 1)
    with pytest.raises(Killed):
        run(path, race)
    kill(None)
    assert run(path, race) == undisturbed and capsys.readouterr().err == ""


# --- short trainings ------------------------------------------------------------------------------


def test_training_of_less_than_five_minutes_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.undo()
    assert hpstudy.training.checkpoint.CHECKPOINT_SECONDS == 300
    ended(path=tmp_path / "folder" / "kept.pt")
    assert list(tmp_path.iterdir()) == []


# --- files that are refused -----------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Bytes of a checkpoint in the second epoch, and what its training comes to undisturbed."""
    path = tmp_path_factory.mktemp("kept") / "kept.pt"
    with pytest.MonkeyPatch.context() as patch:
        write, count = Checkpoint.write, []

        def killed(*args):
            write(*args)
            count.append(1)
            if len(count) == 6:
                raise Killed

        patch.setattr(hpstudy.training.checkpoint, "CHECKPOINT_SECONDS", 0)
        patch.setattr(Checkpoint, "write", killed)
        with pytest.raises(Killed):
            ended(path=path)
    return path.read_bytes(), ended()


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


# --- files that cannot be written -----------------------------------------------------------------


def test_folder_in_place_of_the_file_ends_no_training(kept, tmp_path, capsys):
    path = tmp_path / "kept.pt"
    path.mkdir()
    assert equal(ended(path=path), kept[1], clock=False)
    refused, unwritten = capsys.readouterr().err.splitlines()
    assert refused.endswith("restarts: it cannot be read (Is a directory).")
    assert unwritten.startswith(f"checkpoint {path} cannot be written (Is a directory): ")
    assert list(tmp_path.iterdir()) == [path]


def test_file_in_place_of_the_folder_ends_no_training(kept, tmp_path, capsys):
    (tmp_path / "folder").touch()
    assert equal(ended(path=tmp_path / "folder" / "kept.pt"), kept[1], clock=False)
    (words,) = capsys.readouterr().err.splitlines()
    assert "cannot be written (File exists)" in words
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_full_disk_ends_no_training_and_keeps_the_last_checkpoint(kept, tmp_path, capsys):
    path = tmp_path / "kept.pt"
    path.write_bytes(kept[0])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk on which half of a checkpoint has room.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept[0]) // 2, limits[1]))
    try:
        found = ended(path=path, seed=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert equal(found, kept[1], clock=False)
    (words,) = capsys.readouterr().err.splitlines()
    assert f"checkpoint {path} cannot be written (File too large)" in words
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == kept[0]


# --- the package ----------------------------------------------------------------------------------


def test_torch_loads_tensors_and_plain_values_only():
    loads = [
        (path.name, {word.arg: ast.unparse(word.value) for word in node.keywords})
        for path in sorted(Path(hpstudy.__path__[0]).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert {name for name, _ in loads} >= {"checkpoint.py", "local.py", "weights.py"}
    assert [name for name, words in loads if words.get("weights_only") != "True"] == []
