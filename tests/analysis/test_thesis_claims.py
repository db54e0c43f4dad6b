"""Claims of the thesis against landscapes of known shape, each by the network that it is of."""

import numpy as np
import pytest
from claimed import bowl, study
from scipy.stats import spearmanr

from hpstudy.analysis import thesis_claims
from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_claims import VERDICTS, decide, families, measure
from hpstudy.analysis.thesis_data import claims

pytestmark = pytest.mark.usefixtures("few_draws")

AGREES, DIFFERS, INCONCLUSIVE = VERDICTS
NAN = float("nan")


def asked(results):
    """Rows of `claims` that are asked of a study, with whom each is made of."""
    for claim in claims().itertuples():
        if of := thesis_claims.asked_of(f"{claim.models}", claim.asked, results.model):
            yield claim, of


def verdicts(results, words):
    """Variant -> verdict of the one claim with these words that is asked of a study."""
    (claim,) = [claim for claim, _ in asked(results) if words in claim.claim]
    return {
        measured.variant: decide(measured.value, claim.low, claim.high)
        for measured in measure(results, claim)
    }


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "limits", "expected"),
    [
        (-0.3, 0.3, (-0.3, 0.3), AGREES),
        (0.31, 0.5, (-0.3, 0.3), DIFFERS),
        (-0.5, -0.31, (-0.3, 0.3), DIFFERS),
        (0.0, 0.31, (-0.3, 0.3), INCONCLUSIVE),
        (0.01, 0.4, (0, NAN), AGREES),
        (-0.4, -0.01, (0, NAN), DIFFERS),
        (0.0, 0.4, (0, NAN), INCONCLUSIVE),
        (-0.4, -0.01, (NAN, 0), AGREES),
        (-0.4, 0.0, (NAN, 0), INCONCLUSIVE),
        (NAN, NAN, (-1, 1), INCONCLUSIVE),
        (NAN, NAN, (NAN, 1), INCONCLUSIVE),
    ],
)
def test_interval_decides_only_where_it_lies_wholly_on_one_side(low, high, limits, expected):
    assert decide(Interval((low + high) / 2, low, high), *limits) == expected


@pytest.mark.parametrize("claim", [*claims().itertuples()], ids=lambda claim: claim.measure)
def test_limits_stand_in_the_words_of_a_claim(claim):
    words = claim.claim.replace("Three quarters", "75").replace("Half", "50")
    limits = {f"{abs(x):g}" for x in (claim.low, claim.high) if np.isfinite(x)} - {"0"}
    assert limits <= set(words.split())


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
def test_claim_of_one_network_is_asked_of_this_network_only(words, model, others):
    (claim,) = [row for row in claims().itertuples() if words in row.claim]
    assert thesis_claims.asked_of(claim.models, claim.asked, model) is not None
    assert not any(thesis_claims.asked_of(claim.models, claim.asked, name) for name in others)


@pytest.mark.slow
def test_outlier_is_not_asked_of_a_resnet20_whose_variant_has_its_name():
    same = bowl(along=0.5)
    table = thesis_claims.agreement([study("resnet20", nonuniform_02=same)])
    assert not table["claim"].str.contains("outlier").any()
    shifts = table[table["claim"].str.contains("centre shifts")]
    assert set(shifts["of"]) == {"ResNet-56 (relative)"} and len(shifts) == 2


@pytest.mark.parametrize(
    ("model", "of"),
    [
        ("resnet56", "ResNet-56"),
        ("resnet20", "ResNet-56 (relative)"),
        ("mobilenetv2-shallow", "MobileNetV2 (relative)"),
        ("my-network", "MobileNetV2, ResNet-56, ResNet-50 (another network)"),
    ],
)
def test_claim_of_all_networks_is_asked_of_others_that_are_marked(model, of):
    assert thesis_claims.asked_of("mobilenetv2 resnet56 resnet50", "of all", model) == of


# --- section 4.1 ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lr", "weight_decay", "expected"),
    [
        (0.0, 0.0, (AGREES, AGREES)),
        (0.5, 0.0, (DIFFERS, AGREES)),
        (0.0, -0.5, (AGREES, DIFFERS)),
        (0.25, 0.25, (AGREES, AGREES)),
    ],
)
def test_two_hyperparameters_shift_separately(lr, weight_decay, expected):
    # Steep on both sides, so that the region ends within the grid.
    round_ = {"along": 5.0, "across": 5.0}
    moved = study(unpruned=bowl(**round_), uniform_06=bowl(lr, weight_decay, **round_))
    found = [verdicts(moved, f"The {axis} of") for axis in ("learning rate", "weight decay")]
    assert [one["uniform-0.6"] for one in found] == list(expected)


@pytest.mark.slow
def test_region_as_large_as_the_grid_has_no_place_of_its_own():
    # Both networks are best far apart, but all settings lie within 20 points of the best.
    wide = study(roi=(0.5, 20.0), uniform_06=bowl(0.75, -0.75))
    for words in ("The learning rate of", "The weight decay of", "length changes", "width changes"):
        assert verdicts(wide, words)["uniform-0.6"] == INCONCLUSIVE


@pytest.mark.slow
def test_settings_of_one_network_only_leave_a_shift_open():
    whole = study(uniform_06=bowl())
    cut = whole.table[(whole.table["variant"] != "unpruned") | (whole.table["weight_decay"] > 7e-4)]
    table = thesis_claims.agreement([StudyResults("cut", cut, whole.record)])
    (row,) = table[table["claim"].str.contains("weight decay of")].itertuples()
    assert row.lone > 0 and row.verdict == INCONCLUSIVE


@pytest.mark.slow
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


@pytest.mark.slow
def test_width_of_the_region():
    # Rows of settings along the band lie a quarter decade over the root of 2 apart: the region of
    # 1 point has one of them, or five.
    narrow, wide = bowl(along=1.0, across=40.0), bowl(along=1.0, across=6.0)
    for pruned, verdict in ((wide, DIFFERS), (narrow, AGREES)):
        found = study(unpruned=narrow, uniform_06=pruned)
        assert verdicts(found, "width changes") == {"uniform-0.6": verdict}


@pytest.mark.slow
def test_mobilenetv2_is_not_asked_whether_its_non_uniform_regions_keep_their_length():
    found = study("mobilenetv2-shallow", uniform_06=bowl(), nonuniform_06=bowl())
    assert set(verdicts(found, "length changes")) == {"uniform-0.6"}
    assert set(verdicts(found, "width changes")) == {"uniform-0.6", "nonuniform-0.6"}


@pytest.mark.slow
def test_shapes_are_alike_where_the_settings_have_one_order():
    other = bowl(0.5, 0.5)
    assert spearmanr(bowl(), other).statistic < 0.85
    found = study(uniform_06=bowl(top=80.0), uniform_02=other)
    assert verdicts(found, "keep their shape") == {"uniform-0.6": AGREES, "uniform-0.2": DIFFERS}


@pytest.mark.slow
def test_families_are_less_alike_than_the_networks_of_one():
    networks = {"unpruned": bowl(), "uniform_06": bowl()}
    one = study("resnet20", "one", **networks)
    same = study("mobilenetv2-shallow", "same", **networks)
    moved = dict.fromkeys(networks, bowl(0.5, 0.5))
    far = study("mobilenetv2-shallow", "far", **moved)
    assert families(one, far)[1].value.low > 0
    assert families(one, same)[1].value.low <= 0
    assert families(one, study("resnet56", "deeper", **networks)) is None
    table = thesis_claims.agreement([one, far])
    (row,) = table[table["study"] == "one and far"].itertuples()
    assert row.of == "ResNet-56 (relative) and MobileNetV2 (relative)" and row.verdict == AGREES


@pytest.mark.slow
def test_top5_is_asked_where_a_table_has_it():
    assert verdicts(study("resnet50", uniform_06=bowl()), "top-5") == {}
    # Top-5 accuracies whose order is that of the top-1 accuracies, or of another landscape.
    for other, verdict in ((bowl(), AGREES), (bowl(0.5, 0.5), DIFFERS)):
        whole = study("resnet50", uniform_06=bowl())
        both = whole.table.assign(top5=95 + (np.tile(np.repeat(other, 2), 2) - 90) / 10)
        found = verdicts(StudyResults("both", both, whole.record), "top-5")
        assert found == {"unpruned": verdict, "uniform-0.6": verdict}


@pytest.mark.slow
@pytest.mark.parametrize(("lower", "verdict"), [(0.0, AGREES), (2.0, DIFFERS), (-2.0, DIFFERS)])
def test_methods_cost_the_same_accuracy(lower, verdict):
    found = study(uniform_02=bowl(top=85.0), nonuniform_02=bowl(top=85.0 - lower))
    assert verdicts(found, "same accuracy") == {"nonuniform-0.2": verdict}


# --- section 4.2 ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_risk_is_more_after_pruning_and_bounded():
    still = study(uniform_06=bowl())
    moved = study(uniform_06=bowl(0.4, 0.4))
    assert verdicts(moved, "costs more")["uniform-0.6"] == AGREES
    assert verdicts(still, "costs more")["uniform-0.6"] != AGREES
    assert verdicts(still, "at most twice")["uniform-0.6"] == AGREES
    assert verdicts(moved, "at most twice")["uniform-0.6"] == DIFFERS


@pytest.mark.slow
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


@pytest.mark.slow
def test_risk_of_mobilenetv2_is_less_after_uniform_pruning():
    words, far = "after uniform than", bowl(0.4, 0.4)
    found = study("mobilenetv2", uniform_06=bowl(), nonuniform_06=far)
    assert verdicts(found, words) == {"nonuniform-0.6": AGREES}
    found = study("mobilenetv2", uniform_06=far, nonuniform_06=bowl())
    assert verdicts(found, words) == {"nonuniform-0.6": DIFFERS}


@pytest.mark.slow
def test_risk_depends_on_neither_the_ratio_nor_the_method():
    far = bowl(0.4, 0.4)
    found = study(uniform_06=bowl(), uniform_02=far, nonuniform_06=far, nonuniform_02=far)
    assert verdicts(found, "on the ratio") == {
        "uniform-0.2": DIFFERS,
        "nonuniform-0.2": AGREES,
    }
    assert verdicts(found, "on the method") == {
        "nonuniform-0.6": DIFFERS,
        "nonuniform-0.2": AGREES,
    }


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_counts_are_those_of_the_rows():
    table = thesis_claims.agreement(
        [study(uniform_06=bowl()), study(name="other", uniform_06=bowl(0.5, 0.5))]
    )
    counts = thesis_claims.by_claim(table)
    assert list(counts) == ["section", "claim", "of", *VERDICTS]
    assert counts[list(VERDICTS)].sum().to_dict() == table["verdict"].value_counts().to_dict()
    assert counts["claim"].tolist() == table["claim"].drop_duplicates().tolist()
