"""What rules of thumb lose, against a landscape of known shape."""

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.rules import RULES, loss_at, rule_losses
from hpstudy.analysis.study_analysis import StudyAnalysis

RATES, DECAYS = 10 ** np.linspace(-2.5, -0.5, 9), 10 ** np.linspace(-4, -2, 9)


@pytest.fixture(scope="module")
def analysis():
    """The best of both networks lies at a rate of 10^-1.5 and a decay of 10^-3."""
    generator = np.random.default_rng(0)
    rows = [
        (
            *(variant, lr, decay, 0),
            80 - 8 * (np.log10(lr) + 1.5) ** 2 - (np.log10(decay) + 3) ** 2
            + 0.02 * generator.normal(),
        )
        for variant in ("unpruned", "uniform-0.5")
        for lr in RATES
        for decay in DECAYS
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    return StudyAnalysis(landscapes(table))


@pytest.mark.parametrize("name", [name for name in RULES if name != "tenth"])
def test_loss_is_that_of_the_known_landscape_between_its_settings(analysis, name):
    best = analysis.landscapes["unpruned"].best_at
    rule = RULES[name]
    lr, decay = best["lr"] * rule.lr, best["weight_decay"] * rule.weight_decay
    true = 8 * (np.log10(lr) + 1.5) ** 2 + (np.log10(decay) + 3) ** 2
    loss = loss_at(analysis, "uniform-0.5", rule)
    assert loss.estimate == pytest.approx(true, abs=0.15)
    assert loss.at_least - 0.05 <= true <= loss.at_most + 0.05


def test_a_setting_beyond_the_grid_is_not_guessed(analysis):
    assert np.isnan(loss_at(analysis, "uniform-0.5", RULES["tenth"]._replace(lr=0.05)).estimate)


def test_every_network_has_every_rule_over_rate_and_decay_only(analysis, refused):
    found = rule_losses(analysis)
    assert {name: list(of) for name, of in found.items()} == {"uniform-0.5": list(RULES)}
    table = pd.DataFrame({"variant": "unpruned", "lr": RATES, "top1": 80.0, "seed": 0})
    alone = StudyAnalysis(landscapes(table, axes=("lr",)))
    assert "lie over lr. --columns" in refused(rule_losses, alone)
