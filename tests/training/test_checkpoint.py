"""An interrupted training resumes to the same bits; unusable checkpoints are refused."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from interrupted import ALL, CPU, DATA, PLAN, Killed, dropping, ended, equal
from test_decoded_images import decode_here, make_birds
from test_step import warmed
from test_trainer import recipe, small_network

import hpstudy.training.checkpoint
import hpstudy.training.image_folders
from hpstudy.training.checkpoint import Checkpoint, discard
from hpstudy.training.datasets import load_dataset
from hpstudy.training.run import RunTrainer
from hpstudy.training.trainer import Trainer


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(hpstudy.training.checkpoint, "CHECKPOINT_SECONDS", 0)
    # Syncing a disk takes time, and no power fails here.
    monkeypatch.setattr(os, "fsync", lambda number: None)


# --- interrupted and resumed ----------------------------------------------------------------------


@pytest.mark.slow
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

    def places():
        parts = trainer._values()
        return [t.data_ptr() for part in parts if part != "random" for t in parts[part].values()]

    before = places()
    values, state = Checkpoint(path, "this-run", CPU).resume(trainer._values())
    trainer._restore(values)
    assert state.steps == 1
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
    monkeypatch.setattr(hpstudy.training.image_folders, "_decode_all", decode_here)
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


def run(path=None):
    """A run's outcome without its clock, of a process that has trained nothing before."""
    images = {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 40, "test_images": 20}
    plan = PLAN.model_dump() | {"lr_decay_epochs": [2]}
    spec = tiny.spec({"model": "resnet20", "data": images, "recipe": plan, "lr": 0.05})
    row, *rest = RunTrainer(load_dataset(spec.data), CPU).train(spec, True, path)
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


# --- short trainings ------------------------------------------------------------------------------


def test_training_of_less_than_five_minutes_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.undo()
    assert hpstudy.training.checkpoint.CHECKPOINT_SECONDS == 300
    ended(path=tmp_path / "folder" / "kept.pt")
    assert list(tmp_path.iterdir()) == []


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
