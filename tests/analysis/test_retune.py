"""Retuning: what to train next, and verdicts after few trainings."""

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import retune_task
from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.pruned_landscape import Draws
from hpstudy.analysis.pruned_prior import Prior
from hpstudy.analysis.retune import limits, replay, retune
from hpstudy.analysis.retune_task import Task

RATES, DECAYS = 10 ** np.linspace(-2.5, -0.5, 9), 10 ** np.linspace(-4, -2, 5)
COLUMNS = ["variant", "lr", "weight_decay", "seed", "top1"]


def accuracy(lr, decay, centre=-1.5):
    return 80 - 8 * (np.log10(lr) - centre) ** 2 - (np.log10(decay) + 3) ** 2


def table(variant, settings, centre=-1.5, noise=0.15):
    generator = np.random.default_rng(1)
    rows = [
        (variant, lr, decay, seed, accuracy(lr, decay, centre) + noise * generator.normal())
        for lr, decay, seed in settings
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


DENSE = table("unpruned", [(lr, decay, 0) for lr in RATES for decay in DECAYS])


def asked(pruned, **options):
    found = landscapes(pd.concat([DENSE, pruned]) if len(pruned) else DENSE)
    return retune(found["unpruned"], found.get("pruned"), **options)


def trained(centre, **options):
    """Answer after training what is asked for, and the runs."""
    settings = []
    while True:
        runs = table("pruned", settings, centre)
        result = asked(runs, **options)
        if result.done:
            return result, runs
        settings += [(of["lr"], of["weight_decay"], of["seed"]) for of in result.next]


def test_first_comes_the_dense_setting():
    result = asked(table("pruned", []))
    assert result.runs == 0 and result.both.answer == "inconclusive" and not result.done
    assert result.next == [result.kept | {"seed": 0}]
    assert np.log10(result.kept["lr"]) == pytest.approx(-1.5)
    assert np.log10(result.kept["weight_decay"]) == pytest.approx(-3, abs=0.51)


def test_an_unmoved_optimum_is_kept_and_a_moved_one_retuned():
    kept, runs = trained(-1.5)
    assert kept.both.answer == "keep" and len(runs) <= 15 and kept.next == []
    assert kept.loss[0] >= 0 and kept.loss[1] < 0.5
    moved, runs = trained(-0.9)
    assert moved.both.answer == "retune" and len(runs) <= 20
    assert accuracy(0.1, 1e-3, -0.9) - accuracy(**names(moved.setting), centre=-0.9) < 0.5
    # The loss of the kept setting is 8 x 0.36 and what its weight decay loses.
    assert moved.loss[0] < 80 - accuracy(**names(moved.kept), centre=-0.9) < moved.loss[2]
    assert moved.axes["weight_decay"].probability > moved.axes["lr"].probability


def names(setting):
    return {"lr": setting["lr"], "decay": setting["weight_decay"]}


def test_a_landscape_of_another_kind_is_not_trusted():
    rows = [(lr, decay, 0) for lr in RATES for decay in DECAYS]
    same = table("pruned", rows)
    upside_down = same.assign(top1=150 - same["top1"])
    assert asked(same, budget=60).distrust < 0.05 < 0.95 < asked(upside_down, budget=60).distrust


def test_a_replay_takes_each_run_once_and_ends_with_an_answer():
    rows = [(lr, decay, seed) for lr in RATES for decay in DECAYS for seed in (0, 1)]
    found = landscapes(pd.concat([DENSE, table("pruned", rows)]))
    steps = replay(found["unpruned"], found["pruned"])
    assert [step.runs for step in steps] == list(range(len(steps)))
    assert steps[-1].done and steps[-1].both.answer == "keep"
    last = steps[-1].settings
    assert last["runs"].sum() == steps[-1].runs and last["runs"].max() <= 2
    assert last["good"].between(0, 1).all() and (last["loss"] >= 0).all()
    assert last["loss"].min() == pytest.approx(steps[-1].regret)


def test_a_replay_ends_where_no_run_is_left(refused):
    few = table("pruned", [(RATES[4], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)])
    found = landscapes(pd.concat([DENSE, few]))
    steps = replay(found["unpruned"], found["pruned"])
    assert len(steps) == 2 or steps[-1].runs <= 2
    means = landscapes(pd.concat([DENSE, few]).assign(std=0.1, runs=1))
    assert "no single runs" in refused(replay, means["unpruned"], means["pruned"])


def test_the_same_tables_have_the_same_answer():
    runs = table("pruned", [(RATES[4], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)])
    one, other = (asked(runs)._asdict() for _ in range(2))
    assert one.pop("settings").equals(other.pop("settings")) and one == other


def test_batches_spread_and_seeds_are_new():
    runs = table("pruned", [(RATES[4], DECAYS[2], 0)])
    result = asked(runs, batch=4)
    assert len(result.next) == 4
    had = {(RATES[4], DECAYS[2], 0)} | {
        (of["lr"], of["weight_decay"], of["seed"]) for of in result.next
    }
    assert len(had) == 5
    assert len(asked(runs, batch=4, budget=3).next) == 2


def test_it_says_what_an_answer_waits_for():
    settings = [(RATES[4], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)]
    assert asked(table("pruned", settings)).waits == "trainings"
    # Four settings of either network, none of them twice.
    settings += [(RATES[3], DECAYS[2], 0), (RATES[4], DECAYS[1], 0)]
    assert asked(table("pruned", settings)).waits == "replicate"
    answer, _ = trained(-1.5)
    assert answer.waits in ("", "batch")
    # A batch as large as all runs leaves the look before it without any.
    runs = table("pruned", [*settings, (RATES[4], DECAYS[2], 1)] + [(RATES[2], DECAYS[2], 0)])
    found = asked(runs, batch=6)
    low, high = limits("both")
    decisive = not low < found.both.probability < high
    assert (found.waits == "batch") >= (decisive and found.both.answer == "inconclusive")


def test_a_budget_that_is_spent_ends_it_without_a_guess():
    runs = table("pruned", [(RATES[4], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)])
    result = asked(runs, budget=2)
    assert result.done and result.next == [] and result.both.answer == "inconclusive"


def test_runs_that_diverge_count_as_the_worst_there_is():
    settings = [(RATES[4], DECAYS[2], 0), (RATES[3], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)]
    runs = table("pruned", settings)
    lost = table("pruned", [(RATES[8], DECAYS[4], 0)]).assign(top1=np.nan)
    result = asked(pd.concat([runs, lost]))
    assert result.runs == 4
    assert result.setting["lr"] < RATES[7]
    found = landscapes(pd.concat([DENSE, runs, lost]))
    task = Task.of(found["unpruned"], found["pruned"], Prior.vague())
    assert task.runs.values.min() == DENSE["top1"].min() < runs["top1"].min()


def test_a_setting_at_which_a_run_diverged_is_not_asked_for_again():
    first = [(RATES[4], DECAYS[2], 0)]
    lost = table("pruned", first).assign(top1=np.nan)
    result = asked(lost)
    assert result.runs == 1
    assert result.next[0]["lr"] != RATES[4] or result.next[0]["seed"] == 1
    both = pd.concat([table("pruned", [(RATES[4], DECAYS[2], 1), (RATES[4], DECAYS[2], 2)]), lost])
    elsewhere = table("pruned", [(RATES[3], DECAYS[2], 0), (RATES[3], DECAYS[1], 0)])
    result = asked(pd.concat([both, elsewhere]))
    # A setting at which one of three runs diverges is no good one.
    assert result.runs == 5 and result.both.probability < asked(elsewhere).both.probability


def test_replicates_show_what_seeds_share():
    rows = [(lr, decay, seed) for lr in RATES[3:6] for decay in DECAYS[1:4] for seed in (0, 1, 2)]
    runs = table("pruned", rows)
    shaken = runs.assign(top1=runs["top1"] + 2.0 * (runs["seed"] - 1))
    found = landscapes(pd.concat([DENSE, shaken]))
    task = Task.of(found["unpruned"], found["pruned"], Prior.vague())
    # The effects are -2, 0 and 2: their variance is 4, the prior's share of it small.
    assert task.landscape.shared(task.runs) == pytest.approx(4.0 * 18 / 20, rel=0.15)
    calm = landscapes(pd.concat([DENSE, runs]))
    task = Task.of(calm["unpruned"], calm["pruned"], Prior.vague())
    assert task.landscape.shared(task.runs) < 0.05


def test_means_without_seeds_are_read():
    rows = table("pruned", [(RATES[4], DECAYS[2], 0), (RATES[5], DECAYS[2], 0)])
    means = pd.concat([DENSE, rows]).assign(std=0.15, runs=3).drop(columns="seed")
    found = landscapes(means)
    assert retune(found["unpruned"], found["pruned"]).runs == 6


def test_settings_that_the_dense_network_never_had_take_part():
    result = asked(table("pruned", [(0.033, 0.0011, 0), (0.05, 0.002, 0)]))
    assert result.runs == 2 and len(result.next) == 1


def test_any_setting_can_be_the_one_to_keep(refused):
    result = asked(table("pruned", []), kept=(RATES[2], DECAYS[1]))
    assert result.kept == {"lr": RATES[2], "weight_decay": DECAYS[1]}
    assert result.next == [result.kept | {"seed": 0}]
    words = refused(asked, table("pruned", []), kept=(RATES[2] * 1.2, DECAYS[1]))
    assert f"the nearest is {RATES[2]:g}, {DECAYS[1]:g}" in words
    assert "a value above 0 of lr and weight_decay" in refused(asked, DENSE, kept=(0.1,))


def test_one_axis_is_enough():
    rows = [("unpruned", lr, 0, accuracy(lr, 1e-3)) for lr in RATES]
    rows += [("pruned", lr, 0, accuracy(lr, 1e-3)) for lr in RATES[3:7]]
    found = landscapes(pd.DataFrame(rows, columns=["variant", "lr", "seed", "top1"]), axes=("lr",))
    result = retune(found["unpruned"], found["pruned"])
    assert list(result.axes) == ["lr"] and result.both.probability > 0.5


def test_what_a_training_would_show_is_worth_most_where_it_settles_the_verdict():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((800, 3))
    draws = Draws(values, np.full(values.shape, 1e-6))
    tolerated = values[None, :, 1] > np.median(values[:, 1])
    found = retune_task._entropies(draws, tolerated, generator)
    # Entropy of a coin, and of an answer that bins of 1/1000 and 999/1000 leave.
    assert found[[0, 2]] == pytest.approx(np.log(2), abs=0.02) and found[1] < 0.01


def test_a_batch_takes_what_explains_the_rest():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((4000, 4))
    values[:, 2] = values[:, 1] + 0.01 * generator.standard_normal(4000)
    draws = Draws(values, np.full(values.shape, 0.1))
    targets = values[:, [1]] + 0.5 * values[:, [3]]
    # The third says what the second did; the fourth is what is left.
    assert retune_task._spread(draws, targets, 1, 2) == [1, 3]


@pytest.mark.parametrize("options", [{"tolerable": 0.0}, {"batch": 0}, {"budget": 0}])
def test_numbers_out_of_range_are_refused(options, refused):
    assert "a batch and a budget of 1 or more" in refused(asked, table("pruned", []), **options)


def test_too_few_settings_are_refused(refused):
    few = landscapes(DENSE.iloc[:5])["unpruned"]
    assert "has 5 settings with a value above 0" in refused(retune, few)
    assert "different axes" in refused(
        retune, landscapes(DENSE)["unpruned"], landscapes(DENSE, axes=("lr",))["unpruned"]
    )
