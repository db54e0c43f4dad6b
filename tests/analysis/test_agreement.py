"""Claims of the thesis are held against landscapes of known shape, each by the network it is of."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy.stats import spearmanr

from hpstudy.analysis import agreement
from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.region_claims import REGION_CLAIMS, families
from hpstudy.analysis.risk_claims import RISK_CLAIMS
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_claims import (
    AGREES,
    DIFFERS,
    INCONCLUSIVE,
    above,
    both_methods,
    within,
)

STEPS = np.linspace(-1.0, 1.0, 9)
X, Y = (side.ravel() for side in np.meshgrid(STEPS, STEPS, indexing="ij"))


def bowl(lr=0.0, weight_decay=0.0, along=2.0, across=8.0, top=90.0):
    """Accuracies over the grid: an inverse band, whose middle lies so many decades from it."""
    x, y = X - lr, Y - weight_decay
    return top - across * (x + y) ** 2 / 2 - along * (x - y) ** 2 / 2


def study(model="resnet56", name="study", scatter=0.02, roi=(0.5, 1.0), **surfaces):
    """Two runs a setting, `scatter` above and below the surface of each network."""
    surfaces = {"unpruned": bowl()} | {key.replace("_", "-"): one for key, one in surfaces.items()}
    return _study(
        model, name, scatter, roi, tuple((key, *one.tolist()) for key, one in surfaces.items())
    )


@cache
def _study(model, name, scatter, roi, surfaces):
    rows = [
        {
            "variant": variant.replace("0", "0.", 1),
            "lr": float(f"{10 ** (x - 1):.6g}"),
            "weight_decay": float(f"{10 ** (y - 3):.6g}"),
            "seed": seed,
            "top1": value + scatter * seed * (-1) ** (row % 2),
            "diverged": False,
        }
        for variant, *values in surfaces
        for row, (x, y, value) in enumerate(zip(X, Y, values, strict=True))
        for seed in (-1, 1)
    ]
    record = synthetic.record(name, "resnet56")
    record["study"] |= {"roi": list(roi), "model": model}
    return StudyResults(name, pd.DataFrame(rows), record)


def claim(words):
    """The one claim that has these words."""
    (found,) = [one for one in (*REGION_CLAIMS, *RISK_CLAIMS) if words in one.text]
    return found


def verdicts(results, words):
    """Variant -> verdict of that claim."""
    return {one.variant: one.verdict for one in claim(words).ask(results)}


# --- rules ----------------------------------------------------------------------------------------


def test_an_interval_decides_only_where_it_lies_wholly_on_one_side():
    assert within(Interval(0.1, -0.3, 0.3), -0.3, 0.3) == AGREES
    assert within(Interval(0.4, 0.31, 0.5), -0.3, 0.3) == DIFFERS
    assert within(Interval(-0.4, -0.5, -0.31), -0.3, 0.3) == DIFFERS
    assert within(Interval(0.2, 0.0, 0.31), -0.3, 0.3) == INCONCLUSIVE
    assert above(Interval(0.2, 0.01, 0.4), 0) == AGREES
    assert above(Interval(-0.2, -0.4, -0.01), 0) == DIFFERS
    assert above(Interval(0.2, 0.0, 0.4), 0) == INCONCLUSIVE
    unknown = Interval(*[float("nan")] * 3)
    assert within(unknown, -1, 1) == above(unknown, 0) == INCONCLUSIVE


def test_methods_are_compared_at_the_same_ratio():
    names = ["uniform-0.6", "uniform-0.2", "nonuniform-0.2", "mine", "nonuniform-0.4"]
    assert list(both_methods(names)) == [
        ("Non-uniform less uniform, 20 %", "uniform-0.2", "nonuniform-0.2")
    ]


# --- whose claim it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "model", "others"),
    [
        ("outlier", "resnet56", ("resnet20", "mobilenetv2", "resnet50", "my-network")),
        ("on the method", "resnet56", ("resnet20", "mobilenetv2", "resnet50", "my-network")),
        ("shortens", "mobilenetv2", ("mobilenetv2-shallow", "resnet56", "my-network")),
        ("after uniform than", "mobilenetv2", ("mobilenetv2-shallow", "resnet56", "my-network")),
    ],
)
def test_a_claim_of_one_network_is_asked_of_this_network_only(words, model, others):
    assert claim(words).of(model) is not None
    assert [claim(words).of(other) for other in others] == [None] * len(others)


def test_the_outlier_is_not_asked_of_a_resnet20_whose_variant_has_its_name():
    same = bowl(along=0.5)
    found = agreement.agreement([study("resnet20", nonuniform_02=same)])
    assert not found["claim"].str.contains("outlier").any()
    shifts = found[found["claim"].str.contains("centre shifts")]
    assert set(shifts["of"]) == {"ResNet-56 (relative)"} and len(shifts) == 2


@pytest.mark.parametrize(
    ("model", "of"),
    [
        ("resnet56", "ResNet-56"),
        ("resnet20", "ResNet-56 (relative)"),
        ("mobilenetv2-shallow", "MobileNetV2 (relative)"),
        ("my-network", "MobileNetV2, ResNet-56 and ResNet-50 (another network)"),
    ],
)
def test_a_claim_of_all_networks_is_asked_of_others_that_are_marked(model, of):
    assert claim("The learning rate of").of(model) == of


# --- section 4.1 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lr", "weight_decay", "expected"),
    [
        (0.0, 0.0, (AGREES, AGREES)),
        (0.5, 0.0, (DIFFERS, AGREES)),
        (0.0, -0.5, (AGREES, DIFFERS)),
        (0.25, 0.25, (AGREES, AGREES)),
    ],
)
def test_the_two_hyperparameters_shift_separately(lr, weight_decay, expected):
    # Steep on both sides, so that the region ends within the grid.
    round_ = {"along": 5.0, "across": 5.0}
    moved = study(unpruned=bowl(**round_), uniform_06=bowl(lr, weight_decay, **round_))
    found = [verdicts(moved, f"The {axis} of") for axis in ("learning rate", "weight decay")]
    assert [one["uniform-0.6"] for one in found] == list(expected)


def test_a_region_as_large_as_the_grid_has_no_place_of_its_own():
    # Both networks are best far apart, but all settings lie within 20 points of the best.
    wide = study(roi=(0.5, 20.0), uniform_06=bowl(0.75, -0.75))
    for words in ("The learning rate of", "The weight decay of", "length changes", "width changes"):
        assert verdicts(wide, words)["uniform-0.6"] == INCONCLUSIVE


def test_settings_of_one_network_only_leave_a_shift_open():
    whole = study(uniform_06=bowl())
    cut = whole.table[(whole.table["variant"] != "unpruned") | (whole.table["weight_decay"] > 7e-4)]
    (said,) = claim("The weight decay of").ask(StudyResults("cut", cut, whole.record))
    assert said.verdict == INCONCLUSIVE and "lone settings" in said.because


@pytest.mark.parametrize(
    ("model", "variant", "words", "longer", "same", "shorter"),
    [
        ("resnet56", "nonuniform_02", "the outlier", AGREES, INCONCLUSIVE, DIFFERS),
        ("mobilenetv2", "nonuniform_06", "shortens", DIFFERS, INCONCLUSIVE, AGREES),
        ("resnet56", "uniform_06", "length changes", DIFFERS, AGREES, DIFFERS),
    ],
)
def test_length_of_the_region(model, variant, words, longer, same, shorter):
    for expected, dense, pruned in ((longer, 2, 0.5), (same, 2, 2), (shorter, 0.5, 4)):
        surfaces = {"unpruned": bowl(along=dense), variant: bowl(along=pruned)}
        assert list(verdicts(study(model, **surfaces), words).values()) == [expected]


def test_width_of_the_region():
    # Rows of settings along the band lie a quarter decade over the root of 2 apart: the region of
    # 1 point has one of them, or five.
    narrow, wide = bowl(along=1.0, across=40.0), bowl(along=1.0, across=6.0)
    for pruned, verdict in ((wide, DIFFERS), (narrow, AGREES)):
        found = study(unpruned=narrow, uniform_06=pruned)
        assert verdicts(found, "width changes") == {"uniform-0.6": verdict}


def test_mobilenetv2_is_not_asked_whether_its_non_uniform_regions_keep_their_length():
    found = study("mobilenetv2-shallow", uniform_06=bowl(), nonuniform_06=bowl())
    assert set(verdicts(found, "length changes")) == {"uniform-0.6"}
    assert set(verdicts(found, "width changes")) == {"uniform-0.6", "nonuniform-0.6"}


def test_shapes_are_alike_where_the_settings_have_one_order():
    other = bowl(0.5, 0.5)
    assert spearmanr(bowl(), other).statistic < 0.85
    found = study(uniform_06=bowl(top=80.0), uniform_02=other)
    assert verdicts(found, "keep their shape") == {"uniform-0.6": AGREES, "uniform-0.2": DIFFERS}


def test_families_are_less_alike_than_the_networks_of_one():
    networks = {"unpruned": bowl(), "uniform_06": bowl()}
    one = study("resnet20", "one", **networks)
    same = study("mobilenetv2-shallow", "same", **networks)
    moved = dict.fromkeys(networks, bowl(0.5, 0.5))
    far = study("mobilenetv2-shallow", "far", **moved)
    assert families(one, far)[1].verdict == AGREES
    assert families(one, same)[1].verdict == INCONCLUSIVE
    assert families(one, study("resnet56", "deeper", **networks)) is None
    (row,) = agreement.agreement([one, far]).query("study == 'one and far'").to_dict("records")
    assert row["of"] == "ResNet-56 (relative) and MobileNetV2 (relative)"


def test_top5_is_asked_where_a_table_has_it():
    assert verdicts(study(uniform_06=bowl()), "top-5") == {}
    # Top-5 accuracies whose order is that of the top-1 accuracies, or of another landscape.
    for other, verdict in ((bowl(), AGREES), (bowl(0.5, 0.5), DIFFERS)):
        whole = study(uniform_06=bowl())
        both = whole.table.assign(top5=95 + (np.tile(np.repeat(other, 2), 2) - 90) / 10)
        found = verdicts(StudyResults("both", both, whole.record), "top-5")
        assert found == {"unpruned": verdict, "uniform-0.6": verdict}


@pytest.mark.parametrize(("lower", "verdict"), [(0.0, AGREES), (2.0, DIFFERS), (-2.0, DIFFERS)])
def test_methods_cost_the_same_accuracy(lower, verdict):
    found = study(uniform_02=bowl(top=85.0), nonuniform_02=bowl(top=85.0 - lower))
    assert verdicts(found, "same accuracy") == {"Non-uniform less uniform, 20 %": verdict}


# --- section 4.2 ----------------------------------------------------------------------------------


def test_risk_is_more_after_pruning_and_bounded():
    still = study(uniform_06=bowl())
    moved = study(uniform_06=bowl(0.4, 0.4))
    assert verdicts(moved, "costs more")["uniform-0.6"] == AGREES
    assert verdicts(still, "costs more")["uniform-0.6"] != AGREES
    assert verdicts(still, "at most twice")["uniform-0.6"] == AGREES
    assert verdicts(moved, "at most twice")["uniform-0.6"] == DIFFERS


def test_relative_risk_lies_between_the_thesis_values():
    near = bowl() >= 90 - 0.5
    for other, low, high, verdict in (
        (bowl(), 0, 0.0035, DIFFERS),
        (bowl(0.25, 0.0), 0.0045, 0.0115, AGREES),
        (bowl(0.5, 0.5), 0.013, 1, DIFFERS),
    ):
        # The risk of the surfaces themselves, by equation 3.6.
        assert low <= ((other.max() - other[near]) / other.max()).mean() <= high
        found = verdicts(study(uniform_06=other), "relative risk")
        assert found == {"uniform-0.6": verdict}


def test_risk_of_mobilenetv2_is_less_after_uniform_pruning():
    words, far = "after uniform than", bowl(0.4, 0.4)
    found = study("mobilenetv2", uniform_06=bowl(), nonuniform_06=far)
    assert verdicts(found, words) == {"Non-uniform less uniform, 60 %": AGREES}
    found = study("mobilenetv2", uniform_06=far, nonuniform_06=bowl())
    assert verdicts(found, words) == {"Non-uniform less uniform, 60 %": DIFFERS}


def test_risk_depends_on_neither_the_ratio_nor_the_method():
    far = bowl(0.4, 0.4)
    found = study(uniform_06=bowl(), uniform_02=far, nonuniform_06=far, nonuniform_02=far)
    assert verdicts(found, "on the ratio") == {
        "Uniform, 20 % less 60 %": DIFFERS,
        "Non-uniform, 20 % less 60 %": AGREES,
    }
    assert verdicts(found, "on the method") == {
        "Non-uniform less uniform, 60 %": DIFFERS,
        "Non-uniform less uniform, 20 %": AGREES,
    }


# --- tables ---------------------------------------------------------------------------------------


def test_the_tables_count_what_was_found():
    studies = [study(uniform_06=bowl()), study(name="other", uniform_06=bowl(0.5, 0.5))]
    found, counted = agreement.agreement(studies), agreement.by_claim(studies)
    assert list(counted) == ["claim", "section", "of", AGREES, DIFFERS, INCONCLUSIVE]
    assert counted[[AGREES, DIFFERS, INCONCLUSIVE]].to_numpy().sum() == len(found)
    assert counted["claim"].tolist() == found["claim"].drop_duplicates().tolist()
    totals = found["verdict"].value_counts()
    assert agreement.summary(studies) == (
        f"agrees in {totals[AGREES]} cases, differs in {totals[DIFFERS]} and is inconclusive in "
        f"{totals[INCONCLUSIVE]}"
    )
    number = r"[−\d.]+ \([−\d.]+ to [−\d.]+\)|–"
    assert all(re.fullmatch(number, cell) for cell in found["because"])
