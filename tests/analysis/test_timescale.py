"""Good regions under other schedules, by hand and from published tables."""

import numpy as np
import pytest
from readme_table import STUDIES

from hpstudy.analysis.timescale import (
    RULES,
    Schedule,
    constant,
    expected_prior,
    region_centre,
    spreads,
    timescale,
    timescales,
    transferred,
)

CIFAR = Schedule(50_000, 128, 180)


def test_averaging_time_is_that_of_the_formula():
    # 0.1 / (0.1 x 5e-4 x 391 steps).
    assert CIFAR.steps == 391
    assert timescale(0.1 * 5e-4, CIFAR) == pytest.approx(0.1 / (5e-5 * 391))


def test_what_a_rule_keeps_is_the_same_after_the_transfer():
    new = Schedule(10_000, 64, 8)
    for rule in RULES:
        product = transferred(rule, 3e-5, CIFAR, new)
        assert constant(rule, product, new) == pytest.approx(constant(rule, 3e-5, CIFAR))
        assert transferred(rule, product, new, CIFAR) == pytest.approx(3e-5)


def test_rules_change_the_product_as_their_sources_say():
    twice = CIFAR._replace(batch_size=256)
    # Equation 2.2: the product grows with the batch. A time in epochs: with the fewer steps.
    assert transferred("product", 1e-5, CIFAR, twice) == pytest.approx(2e-5)
    assert transferred("timescale", 1e-5, CIFAR, twice) == pytest.approx(1e-5 * 391 / 196)
    long = CIFAR._replace(epochs=360)
    assert transferred("timescale", 1e-5, CIFAR, long) == pytest.approx(1e-5)
    assert transferred("product", 1e-5, CIFAR, long) == pytest.approx(1e-5)
    assert transferred("share", 1e-5, CIFAR, long) == pytest.approx(0.5e-5)


def test_a_prior_is_carried_to_another_schedule():
    study = STUDIES["cpu-resnet20"]
    old = Schedule.of(study)
    lr, weight_decay = expected_prior(study, old)
    centre = region_centre(study.analysis(), "unpruned", max(study.thresholds)).estimate
    assert np.log10(lr * weight_decay) == pytest.approx(centre)
    # Twice the images have twice the steps: half the weight decay averages as many epochs.
    again = expected_prior(study, old._replace(images=2 * old.images))
    assert again == pytest.approx((lr, weight_decay / 2), rel=0.01)


def test_table_has_the_thesis_and_the_studies():
    frame = timescales([STUDIES["cpu-resnet20"]])
    thesis = frame[frame["study"] == "thesis: resnet56"].set_index("variant")
    # Table 4.1: weight decay 10^-2.6 at a rate of 10^-2.0 or so, whose sum is exact.
    expected = 0.1 / (10 ** thesis.loc["unpruned", "product"] * 391)
    assert thesis.loc["unpruned", "timescale"] == pytest.approx(expected)
    own = frame[frame["study"] == STUDIES["cpu-resnet20"].heading]
    assert len(own) == 5 and (own["low"] < own["product"]).all()
    assert (own["product"] < own["high"]).all()
    dense = frame.loc[frame["variant"] == "unpruned", "constant_timescale"]
    assert len(dense) == 4 and spreads(frame)["timescale"] == pytest.approx(np.std(dense, ddof=1))
