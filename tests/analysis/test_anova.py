"""Shares of a landscape's variance by axis, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.anova import SHARES, shares, variance_shares
from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_analysis import StudyAnalysis


def test_sums_and_products_have_the_shares_that_algebra_gives():
    a, b = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 1.0])
    total = 2 * a[:, None] + 3 * b + a[:, None] * b
    # Variances 4 x 2/3, 9 x 1 and 2/3 x 1.
    parts = np.array([8 / 3, 9, 2 / 3])
    assert variance_shares(total[None])[0] == pytest.approx(parts / parts.sum())
    assert np.isnan(variance_shares(np.ones((1, 3, 2)))).all()


def test_the_steeper_axis_has_the_larger_share_and_cliffs_are_cut_off():
    rates, decays = 10 ** np.linspace(-2, -1, 5), 10 ** np.linspace(-4, -3, 5)
    generator = np.random.default_rng(0)
    rows = [
        ("unpruned", lr, decay, seed, 80 - 8 * (np.log10(lr) + 1.5) ** 2 + generator.normal() / 20)
        for lr in rates
        for decay in decays
        for seed in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    found = shares(StudyAnalysis(landscapes(table)), "unpruned", depth=5.0)
    assert list(found) == list(SHARES)
    assert found["first"].low > 0.9 and found["second"].high < 0.1
    cliff = table.assign(top1=table["top1"].where(table["weight_decay"] < 9e-4, 10.0))
    deep, cut = (
        shares(StudyAnalysis(landscapes(cliff)), "unpruned", depth=depth)["second"].estimate
        for depth in (100.0, 1.0)
    )
    assert deep > 0.9 > cut


def test_a_grid_with_a_hole_has_no_shares():
    rows = [
        ("unpruned", lr, decay, 80.0 + lr) for lr in (0.1, 0.2, 0.4) for decay in (1e-4, 1e-3, 1e-2)
    ]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "top1"])
    assert shares(StudyAnalysis(landscapes(table.iloc[1:])), "unpruned", 5.0) is None
    alone = table[table["weight_decay"] == 1e-3]
    assert shares(StudyAnalysis(landscapes(alone, axes=("lr",))), "unpruned", 5.0) is None
