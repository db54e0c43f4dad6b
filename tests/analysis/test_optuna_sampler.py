"""Retuning as a sampler of Optuna."""

import numpy as np
import optuna
import pandas as pd
import pytest

from hpstudy import HpstudySampler, landscapes

optuna.logging.set_verbosity(optuna.logging.ERROR)
RATES, DECAYS = 10 ** np.linspace(-2.5, -0.5, 9), 10 ** np.linspace(-4, -2, 5)


def accuracy(lr, decay, centre=-1.5):
    return 80 - 8 * (np.log10(lr) - centre) ** 2 - (np.log10(decay) + 3) ** 2


@pytest.fixture(scope="module")
def dense():
    generator = np.random.default_rng(0)
    rows = [
        ("unpruned", lr, decay, 0, accuracy(lr, decay) + 0.15 * generator.normal())
        for lr in RATES
        for decay in DECAYS
    ]
    columns = ["variant", "lr", "weight_decay", "seed", "top1"]
    return landscapes(pd.DataFrame(rows, columns=columns))["unpruned"]


def trained(trial):
    lr = trial.suggest_float("lr", RATES[0], RATES[-1], log=True)
    decay = trial.suggest_float("weight_decay", DECAYS[0], DECAYS[-1], log=True)
    trial.suggest_int("batch", 1, 4)
    if lr > 0.25:
        raise optuna.TrialPruned
    return accuracy(lr, decay)


def test_a_study_ends_with_the_verdict_and_trains_settings_of_the_dense_network(dense):
    sampler = HpstudySampler(dense, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(trained, n_trials=40)
    answer = sampler.answer(study)
    assert answer.both.answer == "keep" and answer.done and len(study.trials) <= 20
    first = study.trials[0].params
    assert {axis: first[axis] for axis in dense.axes} == pytest.approx(dense_best(answer))
    assert all(np.isclose(trial.params["lr"], RATES).any() for trial in study.trials)
    # The last trial is the one that settles it.
    assert not sampler._answer(study, [(t, t.value) for t in study.trials[:-1]], 1).done
    settings = [(*trial.params.values(), trial.user_attrs["seed"]) for trial in study.trials]
    rates = [(lr, decay, seed) for lr, decay, _, seed in settings]
    assert len(set(rates)) == len(rates)


def dense_best(answer):
    return answer.kept


def test_the_other_direction_and_too_small_a_range_are_refused(dense, refused):
    study = optuna.create_study(sampler=HpstudySampler(dense))
    assert "direction='maximize'" in refused(study.optimize, trained, n_trials=1)
    study = optuna.create_study(direction="maximize", sampler=HpstudySampler(dense))

    def narrow(trial):
        return trial.suggest_float("lr", 1.0, 2.0)

    assert "suggest the whole range" in refused(study.optimize, narrow, n_trials=1)
    study = optuna.create_study(direction="maximize", sampler=HpstudySampler(dense))
    words = refused(study.optimize, lambda trial: trial.suggest_float("rate", 0, 1), n_trials=1)
    assert "no parameter lr; suggest lr and weight_decay" in words and "It has: rate" in words
