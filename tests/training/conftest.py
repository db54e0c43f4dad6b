"""Trainings that are killed at a checkpoint."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest


@pytest.fixture
def steps(monkeypatch):
    """Counts of training steps, which take a second by the clock, and evaluation steps (ten)."""
    import hpstudy.training.state
    from hpstudy.training.checkpoint import Checkpoint
    from hpstudy.training.trainer import Trainer

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
    """Kill the training once it has written the n-th checkpoint."""
    from interrupted import Killed

    from hpstudy.training.checkpoint import Checkpoint

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


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Bytes of a checkpoint in the second epoch, and the result of the undisturbed training."""
    from interrupted import Killed, ended

    import hpstudy.training.checkpoint
    from hpstudy.training.checkpoint import Checkpoint

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


@pytest.fixture
def small_programs(monkeypatch):
    """Programs of two images, so that a batch of three needs two of them; the interpreter is slow.

    It checks integers for overflow, which takes as long as all else.
    """
    from triton.runtime import interpreter

    from hpstudy.training.population import memory, steps

    for module in (memory, steps):
        monkeypatch.setattr(module, "CHUNK", 2)
        monkeypatch.setattr(module, "WEIGHT_CHUNKS", {1: 2, 2: 3, 4: 2})
    options = replace(interpreter.interpreter_builder.options, sanitize_overflow=False)
    monkeypatch.setattr(interpreter.interpreter_builder, "options", options)
