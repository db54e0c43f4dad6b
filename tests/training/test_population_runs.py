"""Runs of a population enter, resume and leave as if nobody were beside them."""

from functools import cache, partial

import pytest
import torch
from populations import PLAN, Small, images

import hpstudy.training.population.slots
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Data
from hpstudy.training.population.slots import GroupTrainer, Slots, calibrate_group
from hpstudy.training.run import RunTrainer

pytestmark = pytest.mark.usefixtures("small_programs")


# --- runs -----------------------------------------------------------------------------------------


def run(**fields):
    return RunSpec(
        model="resnet20",
        data=Data(name="cifar10", image_size=8),
        arithmetic="bfloat16-population",
        **{"lr": 0.1, "weight_decay": 1e-3, "seed": 0, "recipe": PLAN, **fields},
    )


@cache
def alone(spec):
    """Outcome of a run that nobody is beside."""
    trained = slots(1)
    trained.enter(spec, rank_filters=True)
    return ended(trained, 2)[spec.run_id]


FIRST, SECOND = run(), run(seed=1, lr=0.05)


def slots(number):
    return Slots(Small(), None, images(), PLAN, number, torch.float32)


def ended(trained, expected):
    """Outcomes of all runs in the slots, whose number of epochs is known."""
    found = {}
    for _ in range(expected):
        found |= trained.epoch()
    return found


def outcome_values(outcome):
    skipped = ("seconds", "images_per_second")
    return {key: value for key, value in outcome.row.items() if key not in skipped}


def test_runs_enter_and_leave_as_others_go_on():
    both = slots(2)
    both.enter(FIRST)
    assert both.epoch() == {} and both.free == 1
    both.enter(SECOND, rank_filters=True)
    assert both.epoch().keys() == {FIRST.run_id} and both.free == 1
    found = both.epoch()[SECOND.run_id]
    assert outcome_values(found) == outcome_values(alone(SECOND))
    assert found.ranking == alone(SECOND).ranking and both.free == 2
    assert both.epoch() == {}


def test_a_killed_run_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("hpstudy.training.checkpoint.CHECKPOINT_SECONDS", 0)
    path = tmp_path / "run.pt"
    killed = slots(2)
    killed.enter(FIRST)
    killed.enter(SECOND, checkpoint=path)
    killed.epoch()
    for epochs in ("the last one", "none"):
        # The file holds the end of the training until its outcome is recorded.
        resumed = slots(1)
        resumed.enter(SECOND, checkpoint=path)
        found = resumed.epoch()[SECOND.run_id]
        assert outcome_values(found) == outcome_values(alone(SECOND)), epochs


def test_a_run_that_diverges_leaves_its_slot():
    wild, both = run(lr=1e30), slots(2)
    both.enter(wild)
    both.enter(SECOND)
    found = both.epoch()
    assert found.keys() == {wild.run_id} and found[wild.run_id].row["diverged"]
    assert outcome_values(both.epoch()[SECOND.run_id]) == outcome_values(alone(SECOND))


# --- worker ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_groups_follow_one_another_with_the_results_of_the_trainer(monkeypatch):
    float32 = partial(Slots, storage=torch.float32)
    monkeypatch.setattr(hpstudy.training.population.slots, "Slots", float32)
    device, plan = torch.device("cpu"), PLAN.model_copy(update={"epochs": 1})
    plan = plan.model_copy(update={"lr_decay_epochs": ()})
    grouped, single = GroupTrainer(images(), device, 1), RunTrainer(images(), device)
    widths = {f"blocks.{number}.conv1": 10 + number for number in range(9)}
    for given in (None, widths):
        spec = run(recipe=plan, widths=given)
        grouped.enter(spec, rank_filters=given is None)
        found = grouped.epoch()[spec.run_id]
        arithmetic = {"arithmetic": "float32"}
        expected = single.train(spec.model_copy(update=arithmetic), rank_filters=given is None)
        for key in ("loss", "train_loss", "macs", "params", "top1"):
            assert found.row[key] == pytest.approx(expected.row[key], rel=1e-3), key
        if given is None:
            for layer, scores in expected.ranking["scores"].items():
                assert found.ranking["scores"][layer] == pytest.approx(scores, rel=1e-3)


def test_calibration_measures_both_phases(monkeypatch):
    monkeypatch.setattr(hpstudy.training.population.slots, "network_of", lambda *_: Small())
    monkeypatch.setattr(hpstudy.training.population.slots, "PrunableNetwork", Small)
    float32 = partial(Slots, storage=torch.float32)
    monkeypatch.setattr(hpstudy.training.population.slots, "Slots", float32)
    plan = PLAN.model_copy(update={"batch_size": 2})
    measured = calibrate_group(torch.device("cpu"), run(recipe=plan), 10, (2, 2), 0.0, 1)
    assert all(0 < seconds < 60 for seconds in measured)
