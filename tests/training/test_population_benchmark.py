"""The GPU benchmark of populations, in Triton's interpreter: tables, and numbers that agree."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from populations import Small, network

from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.population.slots import Slots

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_programs")]


@pytest.fixture
def step(monkeypatch, capsys):
    """Rows of a step on the smallest network, by the columns of its table."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    gpu = importlib.import_module("gpu")
    for module in ("population_steps", "population_agree"):
        small = lambda *_: network(dtype=torch.float32)  # noqa: E731
        monkeypatch.setattr(importlib.import_module(module), "built", small)

    def step(name, *options):
        turns = ["--device", "cpu", "--smoke", "--seconds", "0.01", "--rounds", "1"]
        gpu.main([name, *turns, *map(str, options)])
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]

    return step


def test_every_kernel_of_a_step_is_timed(step):
    *rows, total = step("kernels", "--counts", 1)
    assert {row["kernel"] for row in rows} == {
        *("forward", "pool", "head", "backward_pool", "backward_images", "backward_kernel"),
        "update",
    }
    launches = sum(int(row["launches"]) for row in rows)
    assert int(total["launches"]) == launches and float(total["us a network"]) > 0


def test_numbers_agree_with_float64_and_with_no_neighbour(step):
    trainer, population, bits = step("agree")
    for row in (trainer, population):
        assert all(float(row[name]) < 1e-3 for name in row if name.startswith("gap"))
    assert bits["against"] == "alone: same bits: True"


def test_a_population_is_timed_beside_the_default_loop(step):
    rows = step("population", "--counts", 1)
    assert [row["way"] for row in rows] == ["default loop", "float32", "bfloat16-population"]
    assert rows[0]["x default loop"].startswith("1 ")


def test_a_recipe_goes_on_where_a_command_ended(step, tmp_path, monkeypatch):
    # Put back after the test.
    monkeypatch.setattr("hpstudy.training.checkpoint.CHECKPOINT_SECONDS", 300)
    monkeypatch.setattr("population_steps.CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr("population_steps.PrunableNetwork", lambda *_: Small())
    write, kept = Checkpoint.write, []

    def killed(*arguments):
        write(*arguments)
        kept.append(arguments)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", killed)
    output = tmp_path / "recipe.json"
    with pytest.raises(KeyboardInterrupt):
        step("recipe", "--epochs", 2, "--output", output)
    assert len([*tmp_path.glob("*.pt")]) == 2 and not output.exists()
    rows = step("recipe", "--epochs", 2, "--output", output)
    assert [(row["seed"], row["epochs"]) for row in rows] == [("0", "2"), ("1", "2")]
    assert [*tmp_path.iterdir()] == [output]
    written = json.loads(output.read_text())
    assert [row["seed"] for row in written["rows"]] == [0, 1]
    assert "--epochs 2" in written["command"]
    # What has ended is not trained again.
    monkeypatch.setattr(Slots, "epoch", None)
    assert step("recipe", "--epochs", 2, "--output", output) == rows
