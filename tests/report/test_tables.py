"""Tables of studies, and tables of the thesis with this book's numbers in the same row."""

import math

import numpy as np
import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.study_results import StudyResults
from hpstudy.report import tables, thesis_tables

STEPS = np.linspace(-1.0, 1.0, 9)
OWN, THESIS = "This book", "Thesis"


def study(rows=None, name="synthetic", **changes):
    table = synthetic.table(name, "resnet56") if rows is None else pd.DataFrame(rows)
    record = synthetic.record(name, "resnet56")
    record["study"] |= changes
    return StudyResults(name, table, record)


def point(variant, lr, weight_decay, top1, seed=0):
    return {
        "variant": variant,
        "lr": lr,
        "weight_decay": weight_decay,
        "seed": seed,
        "top1": top1,
        "diverged": False,
        "macs": 7_900_000,
        "params": 853_018,
    }


def bands(shift, wide=1.0):
    """A clear inverse band of two networks; the pruned one's lies `shift` decades up both axes."""
    return [
        point(
            variant,
            float(f"{10 ** (x - 1):.6g}"),
            float(f"{10 ** (y - 3):.6g}"),
            90 - 12 * (x + y - 2 * move) ** 2 - wide * (x - y) ** 2 + 0.02 * seed,
            seed,
        )
        for variant, move in (("unpruned", 0.0), ("uniform-0.6", shift))
        for x in STEPS
        for y in STEPS
        for seed in (-1, 1)
    ]


@pytest.mark.slow
def test_variance_of_an_inverse_band_lies_in_both_axes_together():
    (dense, _) = tables.variance_table([study(bands(0.2))]).to_dict("records")
    assert dense["both together"].low > 0.3
    assert sum(share.estimate for share in dense.values()) == pytest.approx(1, abs=0.02)


# --- verdicts and analyses ------------------------------------------------------------------------


@pytest.mark.slow
def test_verdicts_are_pooled_by_study_then_over_all_studies():
    far = [
        row | {"variant": "nonuniform-0.6"} for row in bands(0.4) if row["variant"] != "unpruned"
    ]
    two = study(rows=bands(0.0) + far, name="two")
    one = study(rows=bands(0.0, 0.25), name="one", model="resnet20")
    table = tables.pooled_table([two, one])
    assert table.index.tolist() == [two.heading, one.heading, "all"]
    assert table["networks", "with shifts"].tolist() == ["2 of 2", "0 of 1", "3 of 3"]
    pooled, alone, every = (row for _, row in table.iterrows())
    # One network stays and one moves by 0.4 decades along both axes.
    assert pooled["learning rate", "verdict"] == "inconclusive"
    assert 1.0 < factor(pooled["learning rate", "shift"]) < 10**0.4
    assert alone["learning rate", "verdict"] is None and alone["learning rate", "shift"] == "–"
    assert math.isnan(alone["loss", "points"].estimate)
    assert 1.0 < factor(every["weight decay", "shift"]) < factor(pooled["weight decay", "shift"])


def factor(text):
    return float(text.removeprefix("×").split()[0])


def test_network_of_too_few_points_is_in_the_tables():
    few = [row for row in bands(0.0) if row["lr"] == 0.1 and row["weight_decay"] < 1e-3]
    one = study(rows=few)
    assert tables.shift_table([one]).empty and len(thesis_tables.best_table([one])) == 2


def test_decisive_studies_are_finished_replicated_and_large():
    known = study(name="known", rows=bands(0.0))
    once = study(name="once", rows=[row for row in bands(0.0) if row["seed"] == 1])
    unfinished = study(name="unfinished", rows=bands(0.4))
    unfinished.record["record"]["missing"] = {"unpruned": 7}
    small = study(name="small", rows=[row for row in bands(0.0) if row["lr"] > 0.1])
    assert tables.decisive([once, known, unfinished, small]) == [known]
    assert tables.decisive([once]) == [once]


@pytest.mark.slow
def test_tables_hold_what_the_analysis_found():
    one = study(rows=bands(0.4))
    analysis = one.analysis()
    key = (one.heading, "Uniform, 60 %")
    regions = tables.region_table([one])
    assert (
        regions.index.get_level_values(tables.WITHIN).tolist()
        == [
            "1",
            "0.5",
        ]
        * 2
    )
    assert regions["length"].iloc[0] == analysis.shape("unpruned", 1.0).length
    shifts = tables.shift_table([one])
    assert shifts["shift of centre"].iloc[0] == analysis.shift("uniform-0.6", 1.0).shift_interval
    kept = tables.transfer_regret_table([one]).loc[key]
    assert kept["loss of keeping", "without noise"] == analysis.transfer_regret("uniform-0.6")
    assert kept[tables.SEARCHES["local"], "≤\N{NO-BREAK SPACE}0.5"] > 0
    noise = tables.noise_table(one).iloc[0]
    assert noise["without noise"] == analysis.best("unpruned")
    # Two runs 0.04 apart at each point: all of it is what the seed does to every setting.
    assert noise["SD of replicates"] < 1e-3 and noise[tables.DEGREES] > 20
    dense, pruned = thesis_tables.risk_table([one])[OWN, "mean without noise"]
    assert pruned.at_least > dense.at_most


@pytest.mark.slow
def test_other_accuracies_have_a_transfer_regret_of_their_own():
    rows = [row | {"top5": 99 - (90 - row["top1"]) / 10} for row in bands(0.4)]
    one = study(rows=rows)
    (first,) = tables.transfer_regret_table([one])["loss of keeping", "measured"]
    (fifth,) = tables.transfer_regret_table([one], "top5")["loss of keeping", "measured"]
    assert fifth == pytest.approx(first / 10)


def test_grid_counts_its_warnings_and_the_table_names_them():
    edge = study(rows=[point("unpruned", lr, 1e-4, 70 + lr) for lr in (0.1, 0.2, 0.3)])
    grid, warnings = tables.grid_table(edge).iloc[0], tables.warning_table(edge)
    assert grid["best on edge"] and grid["warnings"] == len(warnings)
    assert warnings["settings to add"].max() > 0
    # The best of three learning rates is the largest.
    assert any("the highest learning rate (0.3)" in text for text in warnings["warning"])
    inside = tables.grid_table(study())
    assert not inside["best on edge"].any() and inside["missing"].tolist() == [0] * 5
    # One point of 49 diverges for both seeds.
    assert inside["diverged"].tolist() == [2] * 5


# --- beside the thesis ----------------------------------------------------------------------------


def test_ellipses_stand_beside_those_of_table_4_1():
    table = thesis_tables.ellipse_table([study()])
    row = table.xs(("Non-uniform, 20 %", "0.5-ROI"), level=("variant", "region")).iloc[0]
    assert row[THESIS].tolist() == ["ResNet-56", 4.76, 0.58, -3.3, -1.2]
    assert len(table) == 10


def test_ellipse_of_too_few_points_is_blank_but_counted():
    rows = [point("unpruned", 0.1, weight_decay, 80.0) for weight_decay in (1e-4, 1e-3, 1e-2)]
    row = thesis_tables.ellipse_table([study(rows=rows)])[OWN].iloc[-1]
    assert row["settings"] == 3 and math.isnan(row["length"])


def test_risks_stand_beside_those_of_table_4_2():
    # The dense 0.5-ROI is one point, at which the pruned network falls 2 of 80 points short.
    rows = [
        point("unpruned", 0.1, 1e-4, 90.0),
        point("unpruned", 0.1, 1e-3, 85.0),
        point("uniform-0.6", 0.1, 1e-4, 78.0),
        point("uniform-0.6", 0.1, 1e-3, 80.0),
    ]
    row = thesis_tables.risk_table([study(rows=rows)]).iloc[1]
    assert row[OWN].tolist()[:-1] == [1, 2.0, 0.0, 2.5, 0.0]
    assert row[THESIS, "mean"] == 0.622 and row[THESIS, "SD"] == 0.428


def test_risk_over_another_region_stands_above_that_of_the_thesis():
    rows = [point("unpruned", 0.1, 1e-4, 90.0), point("unpruned", 0.1, 1e-3, 88.5)]
    one = study(rows=rows, roi=[2.0, 4.0])
    own, thesis = (row for _, row in thesis_tables.risk_table([one]).iterrows())
    assert own[OWN, "mean"] == 0.75 and math.isnan(own[THESIS, "mean"])
    assert thesis[OWN, "mean"] == 0.0 and thesis[THESIS, "mean"] == 0.271
    regions = thesis_tables.ellipse_table([one]).index.get_level_values("region")
    assert set(regions) == {"0.5-ROI", "1.0-ROI", "2.0-ROI", "4.0-ROI"}


def test_network_that_the_thesis_lacks_stands_beside_the_deeper_one_of_its_family():
    rows = [point("uniform-0.6", 0.1, 1e-4, 50.0), point("unpruned", 0.1, 1e-4, 51.0)]
    # Tables 3.2 and 3.4, and section 4.1.1.
    best = thesis_tables.best_table([study(rows, model="resnet20")])
    assert best[THESIS, "network"].tolist() == ["ResNet-56"] * 2
    assert best[THESIS, "top-1 (%)"].tolist() == [94.05, 93.52]
    shallow = study(rows, model="mobilenetv2-shallow")
    prior = thesis_tables.prior_table([shallow])[THESIS].iloc[0]
    assert (prior["network"], prior["top-1 (%)"]) == ("MobileNetV2", 94.73)
    size = thesis_tables.size_table([shallow], {})
    assert size[THESIS, "parameters (M)"].tolist() == [2.2]


def test_variant_that_the_thesis_lacks_keeps_its_row():
    rows = [point(name, 0.1, 1e-4, 80.0) for name in ("unpruned", "uniform-0.3")]
    row = thesis_tables.risk_table([study(rows=rows)]).iloc[1]
    assert row[OWN, "mean"] == 0 and math.isnan(row[THESIS, "mean"])


def test_prior_accuracy_is_the_mean_over_seeds_at_the_prior():
    lrs, weight_decays = synthetic.grid()
    rows = [
        point("unpruned", lrs[3], weight_decays[3], 78.0, seed=0),
        point("unpruned", lrs[3], weight_decays[3], 79.0, seed=1),
        point("unpruned", lrs[2], weight_decays[3], 90.0),
    ]
    row = thesis_tables.prior_table([study(rows=rows)]).iloc[0]
    assert (row[OWN, "top-1 (%)"], row[OWN, "seeds"], row[THESIS, "top-1 (%)"]) == (78.5, 2, 93.34)
    absent = thesis_tables.prior_table([study(rows=rows[2:])])
    assert math.isnan(absent[OWN, "top-1 (%)"].iloc[0])


def test_flops_are_twice_the_macs_at_both_image_sizes():
    sizes = {"image_size": 32, "params": 853_018}
    sizes |= {"macs": 125_485_696, "macs_torch_pruning": 126_550_666}
    full, own = (
        row for _, row in thesis_tables.size_table([study()], {"resnet56": sizes}).iterrows()
    )
    assert full[OWN, "FLOPs (M)"] == 250.971392 and own[OWN, "FLOPs (M)"] == 15.8
    # Table 3.2 prints 2.5e8 for both counters.
    assert full[THESIS, "FLOPs (M)"] == 250
    assert full[OWN, "by torch-pruning (M)"] == pytest.approx(253, abs=0.5)


@pytest.mark.slow
def test_accuracy_lost_to_pruning_stands_beside_the_thesis_and_others():
    # Of the noise-free bowls the unpruned one's best is 90, the pruned one's 3 points lower.
    rows = [row | {"top1": row["top1"] - 3 * (row["variant"] != "unpruned")} for row in bands(0.0)]
    one = study(rows=rows)
    table = thesis_tables.pruned_accuracy_table([one])
    assert table["FLOPs left (%)"].is_monotonic_decreasing
    own = table[table["network"] == one.heading].iloc[0]
    assert own["dense (%)"] - own["pruned (%)"] == pytest.approx(3)
    assert own["points lost"].low < 3 < own["points lost"].high
    # Section 4.1.1: 94.05 and 91.08; Wang et al., Table 6: 93.78 and 92.11.
    lost = table.set_index(["source", "network"]).sort_index(kind="stable")["points lost"]
    assert lost["thesis, Uniform, 20 %", "ResNet-56"].item() == pytest.approx(2.97)
    assert lost["Wang et al. (2023)", "ResNet-56"].tolist()[2] == pytest.approx(1.67)


def test_claims_name_their_networks_and_numbers():
    agreements = pd.DataFrame(
        [
            [
                "4.1.2",
                "A claim.",
                "ResNet-56",
                "s",
                "uniform-0.6",
                "unpruned",
                1.0,
                None,
                0,
                "agrees",
            ]
        ],
        columns="section claim of study variant against roi value lone verdict".split(),
    )
    row = thesis_tables.claim_table(agreements).loc["A claim."]
    assert row["networks"] == "Uniform, 60 % less Dense" and row["region"] == "1.0-ROI"
