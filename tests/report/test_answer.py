"""What the report says in words: it follows from the numbers, and changes when they change."""

import math

import numpy as np
import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis, best_row
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import TOLERABLE, trainings, verdict
from hpstudy.config.words import interval_text, list_text, loss_text, number_text, range_text
from hpstudy.errors import count
from hpstudy.report import answer, intervaltables
from hpstudy.report.verdicttables import tally, verdicts

STEPS = np.linspace(-1.0, 1.0, 9)


def landscape(variant, shift=0.0, top=90.0, noise=0.0, seeds=3, curvature=(6.0, 2.0)):
    """A quadratic landscape whose optimum lies `shift` decades up both axes."""
    random = np.random.default_rng(len(variant))
    rows = []
    for x in STEPS:
        for y in STEPS:
            u, v = (x + y) / math.sqrt(2) - shift * math.sqrt(2), (x - y) / math.sqrt(2)
            runs = top - curvature[0] * u**2 - curvature[1] * v**2
            runs += noise * random.standard_normal(seeds)
            rows.append(
                {
                    "lr": 10 ** (x - 1),
                    "weight_decay": 10 ** (y - 3),
                    "value": runs.mean(),
                    "std": runs.std(ddof=1) if seeds > 1 else math.nan,
                    "seeds": seeds,
                    "diverged": 0.0,
                    "stopped": 0.0,
                }
            )
    return Landscape(variant, "top1", pd.DataFrame(rows))


def analysis(**pruned):
    dense = landscape("unpruned", noise=0.05)
    return StudyAnalysis({"unpruned": dense, "uniform-0.6": landscape("uniform-0.6", **pruned)})


def study(model="resnet56", rows=None, name="synthetic", **record):
    table = synthetic.table(name, model) if rows is None else pd.DataFrame(rows)
    said = synthetic.record(name, model)
    said["study"] |= record
    return StudyResults(name, table, said)


# --- analysis -------------------------------------------------------------------------------------


def test_loss_at_the_kept_setting_is_the_distance_from_the_own_best():
    # 0.25 decades along both axes: the kept setting lies u = sqrt(2) / 4 from the optimum.
    one = analysis(shift=0.25, noise=0.05)
    measured, loss = one.keeping("uniform-0.6")
    assert measured == pytest.approx(6 * 2 * 0.25**2, abs=0.15)
    assert loss.low < 0.75 < loss.high and loss.high - loss.low < 0.3


def test_best_is_corrected_for_its_luck():
    one = StudyAnalysis({"unpruned": landscape("unpruned", noise=0.6, seeds=1)})
    best = one.best("unpruned")
    # The truth at the chosen setting, which is known here.
    row = best_row(one.landscapes["unpruned"])
    x, y = (math.log10(v) for v in one.landscapes["unpruned"].best_at.values())
    u, v = (x + 1 + y + 3) / math.sqrt(2), (x + 1 - y - 3) / math.sqrt(2)
    truth = 90 - 6 * u**2 - 2 * v**2
    assert best.measured == one.landscapes["unpruned"].points["value"].iloc[row]
    assert best.corrected.low <= truth <= best.corrected.high
    assert best.bias > 0 and abs(best.corrected.estimate - truth) < best.measured - truth


def test_points_belong_to_the_region_with_a_probability():
    one = analysis(noise=0.05)
    for name, landscape in one.landscapes.items():
        values, found = landscape.points["value"].to_numpy(), one.membership(name, 1.0)
        assert found.shape == (81,) and ((found >= 0) & (found <= 1)).all()
        assert (found[values > 89.5] > 0.99).all() and (found[values < 88.0] < 0.01).all()


def test_regret_begins_at_the_loss_and_ends_at_nothing():
    one = analysis(shift=0.25, noise=0.05)
    curves = one.regret("uniform-0.6")
    for curve in curves:
        assert curve.estimate[0] == pytest.approx(one.keeping("uniform-0.6")[1].estimate, abs=0.03)
        assert curve.estimate[-1] == pytest.approx(0) and (np.diff(curve.estimate) <= 1e-9).all()
    # On a landscape with one peak climbing finds it sooner than chance does.
    assert curves.local.estimate[6] < curves.random.estimate[6] / 2


def test_loss_of_a_network_without_a_value_at_the_optimum_is_read_off_its_surface():
    one = analysis(noise=0.05)
    points = one.landscapes["uniform-0.6"].points
    points.loc[best_row(one.landscapes["unpruned"]), "value"] = math.nan
    measured, loss = one.keeping("uniform-0.6")
    # Both optima lie at the centre: nothing is lost there.
    assert math.isnan(measured) and loss.high < 0.1 and one.regret("uniform-0.6") is None
    said = verdict(one, "uniform-0.6", 1.0)
    assert said.interpolated and said.both == "keep"
    assert trainings(one, "uniform-0.6") == {"random": {}, "local": {}}


def test_too_few_points_give_no_interval_and_no_error():
    few = landscape("unpruned").points.iloc[:4]
    one = StudyAnalysis({"unpruned": Landscape("unpruned", "top1", few)})
    assert one.draws("unpruned") is None and math.isnan(one.best("unpruned").bias)
    assert math.isnan(one.shape("unpruned", 1.0).length.estimate)
    assert np.isnan(one.membership("unpruned", 1.0)).all()


# --- verdicts -------------------------------------------------------------------------------------


def test_settings_are_kept_where_neither_shift_nor_loss_is_large():
    said = verdict(analysis(noise=0.05), "uniform-0.6", 1.0)
    assert [said.axes[axis].answer for axis in ("lr", "weight_decay")] == ["keep", "keep"]
    assert said.both == "keep" and said.loss.at_most <= TOLERABLE


def test_settings_are_tuned_again_where_the_whole_interval_lies_beyond_the_limit():
    one = analysis(shift=0.5, noise=0.05)
    said = verdict(one, "uniform-0.6", 1.0)
    # Moved half a decade up both axes, which loses 6 (0.5 sqrt 2)^2 = 3 points.
    for shift in said.axes.values():
        assert shift.answer == "retune" and shift.shift.low > 0.3
        assert shift.shift.low - 0.05 <= 0.5 <= shift.shift.high + 0.05
    assert said.both == "retune" and said.loss.at_least > TOLERABLE
    assert said.loss.estimate == pytest.approx(3.0, abs=0.2)
    # Half a decade is two steps of the grid away: climbing is there sooner than chance.
    found = trainings(one, "uniform-0.6")
    assert 1 < found["local"][0.5] < found["random"][0.5]


def test_a_loss_whose_bounds_hold_the_tolerable_one_is_inconclusive():
    said = verdict(analysis(shift=0.2, noise=1.5, seeds=1), "uniform-0.6", 1.0)
    assert said.loss.at_least <= TOLERABLE < said.loss.at_most and said.both == "inconclusive"


def test_settings_are_not_kept_where_the_own_best_lies_on_the_edge_of_the_grid():
    # Both optima lie beyond the corner, the pruned one further: what is lost there is not seen.
    pair = {
        "unpruned": landscape("unpruned", shift=1.2, noise=0.05),
        "uniform-0.6": landscape("uniform-0.6", shift=1.6, noise=0.05),
    }
    one = StudyAnalysis(pair)
    assert one.edge("uniform-0.6") > 0.9 and analysis(noise=0.05).edge("uniform-0.6") < 0.1
    said = verdict(one, "uniform-0.6", 1.0)
    assert said.loss.at_most <= TOLERABLE and said.both == "inconclusive"
    assert all(shift.at_end == ("unpruned", "uniform-0.6") for shift in said.axes.values())


def scattered(variant, seed):
    """A network tried at 60 settings of its own; the truth is the same bowl for all."""
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-1, 1, (2, 60))
    value = 90 - 4 * x**2 - 4 * y**2 + 0.1 * generator.standard_normal(60)
    points = pd.DataFrame({"lr": 10 ** (x - 1), "weight_decay": 10 ** (y - 3), "value": value})
    rest = {"std": math.nan, "seeds": 1, "diverged": 0.0, "stopped": 0.0}
    return Landscape(variant, "top1", points.assign(**rest).sort_values("lr", ignore_index=True))


def test_shift_of_networks_that_were_tried_at_settings_of_their_own_is_read_off_surfaces():
    one = StudyAnalysis({"unpruned": scattered("unpruned", 1), "uniform-0.6": scattered("b", 2)})
    moved = one.movement("uniform-0.6", 1.0)
    assert moved.n == 0 and moved.interpolated and math.isnan(moved.shift.measured)
    # The bowl is the same for both: its centre does not move.
    assert moved.shift.distance.low == 0.0 and moved.shift.distance.high < 0.3
    assert math.isfinite(one.shape("unpruned", 1.0).length.estimate)


def test_ellipse_has_no_interval_where_most_landscapes_without_noise_have_none():
    # Steep: a region of 0.3 points holds the optimum and few others.
    steep = landscape("unpruned", noise=0.05, curvature=(40.0, 40.0))
    shape = StudyAnalysis({"unpruned": steep}).shape("unpruned", 0.3)
    assert shape.fitted < 0.9 and math.isnan(shape.length.estimate)
    assert shape.n.estimate < 5


# --- phrases and tables ---------------------------------------------------------------------------


def rows(shift, wide=1.0):
    """A clear inverse band of both networks; the pruned one's lies `shift` decades up both axes."""
    return [
        {
            "variant": variant,
            "lr": float(f"{10 ** (x - 1):.6g}"),
            "weight_decay": float(f"{10 ** (y - 3):.6g}"),
            "seed": seed,
            "top1": 90 - 12 * (x + y - 2 * move) ** 2 - wide * (x - y) ** 2 + 0.02 * seed,
            "diverged": False,
        }
        for variant, move in (("unpruned", 0.0), ("uniform-0.6", shift))
        for x in STEPS
        for y in STEPS
        for seed in (-1, 1)
    ]


def test_verdicts_stand_by_network_then_by_study_then_over_all_studies():
    far = [row | {"variant": "nonuniform-0.6"} for row in rows(0.4) if row["variant"] != "unpruned"]
    two, one = study(rows=rows(0.0) + far, name="two"), study(rows=rows(0.0, 0.25), name="one")
    table = verdicts([two, one])
    keys = ["uniform-0.6", "nonuniform-0.6", "pooled, 2 of 2", "uniform-0.6", "pooled, 3 of 3"]
    assert table["variant"].tolist() == keys
    assert table["study"].tolist() == ["two", "two", "two", "one", "all"]
    still, moved, pooled, wide, every = table.itertuples()
    assert (still.lr_verdict, still.weight_decay_verdict, still.both) == ("keep", "keep", "keep")
    # Nine settings lie within 1 point along the band: |x - y| <= 1 in steps of a quarter decade.
    # The moved band is 0.4 decades away along both axes, and falls by 12 (x + y)^2.
    assert still.good_kept == "9 of 9" and moved.good_kept == "0 of 9"
    assert moved.lr_verdict == "retune" and moved.weight_decay_verdict == "retune"
    assert moved.both == "retune" and moved.loss_kept.at_least > 0.5
    # The band of the wide one reaches from corner to corner.
    assert wide.lr_verdict.endswith("*") and wide.weight_decay_verdict.endswith("*")
    assert pooled.lr_verdict == "inconclusive" and 0.0 < pooled.lr_shift.estimate < 0.4
    assert pooled.runs == len(two.table) and every.runs == len(two.table) + len(one.table)
    said = tally(table)
    assert said["table_networks"] == "3" and said["both_keep"] == "2"


def test_what_the_second_best_setting_would_have_cost_stands_beside_the_best():
    # Along the band the accuracy falls by (x - y) ** 2: by 0.25 at the best point's neighbours,
    # which are as far from the pruned network's best as from the unpruned one's.
    one = study(rows=rows(0.0))
    row = verdicts([one]).iloc[0]
    assert row["loss_second"].at_least - 0.05 <= 0.25 <= row["loss_second"].at_most + 0.05
    assert row["loss_kept"].estimate == pytest.approx(0.0, abs=0.05)
    assert one.analysis().keeping("uniform-0.6", rank=1)[0] == pytest.approx(0.25)


def test_a_loss_that_is_read_off_a_surface_is_marked():
    table = rows(0.0)
    for row in table:
        if row["variant"] != "unpruned" and (row["lr"], row["weight_decay"]) == (0.1, 0.001):
            row["top1"] = math.nan
    row = verdicts([study(rows=table)]).iloc[0]
    assert row["both"] == "keep~" and tally(verdicts([study(rows=table)]))["both_keep"] == "1"


def test_network_of_too_few_points_has_no_verdict_and_is_in_the_table():
    few = [row for row in rows(0.0) if row["lr"] == 0.1 and row["weight_decay"] < 1e-3]
    row = verdicts([study(rows=few)]).iloc[0]
    assert row["both"] == "inconclusive" and row["lr_verdict"].startswith("inconclusive")
    assert math.isnan(row["lr_shift"].estimate) and math.isnan(row["loss_kept"].estimate)


def test_what_the_unpruned_network_would_lose_is_what_is_taken_off():
    one = analysis(noise=0.3)
    off = one.uncertain_risk("uniform-0.6", 1.0)
    risks = one.extra_risk("uniform-0.6", 1.0) + off
    assert np.median(risks) == pytest.approx(one.risk("uniform-0.6", 1.0).mean.estimate)
    # A region that is not known costs more than the network's own, which is bounded.
    assert np.median(off) > one.risk("unpruned", 1.0).mean.estimate


def test_claims_are_held_against_the_studies_that_can_tell():
    still, moved = study(rows=rows(0.0)), study(name="other", rows=rows(0.4))
    elsewhere = study(
        name="elsewhere", rows=rows(0.0), data=still.record["study"]["data"] | {"name": "imagenet"}
    )
    once = study(name="once", rows=[row for row in rows(0.0) if row["seed"] == 1])
    told = answer.telling([still, once, elsewhere, moved])
    assert [one.name for one in told] == [still.name, "other"]


def test_first_page_shows_the_finished_studies_that_train_settings_several_times():
    known = study(name="known", rows=rows(0.0))
    once = study(name="once", rows=[row for row in rows(0.0) if row["seed"] == 1])
    unfinished = study(name="unfinished", rows=rows(0.4))
    unfinished.record["record"]["missing"] = {"unpruned": 7}
    every = [once, known, unfinished]
    assert answer.tabled(every) == [known] and answer.tabled([once]) == [once]
    said = answer.answer(every)["left_out"]
    assert "once and unfinished" in said and answer.answer([known])["left_out"] == ""


def test_first_page_answers_from_a_study_that_knows_its_noise_even_if_another_sees_more():
    known = study(name="known", rows=rows(0.4))
    once = [row for row in rows(0.0) if row["seed"] == 1]
    large = study(name="large", rows=once)
    large.record["study"]["recipe"]["epochs"] = 600
    assert known.replicated and not large.replicated
    assert answer.lead([large, known]) is known
    large.record["record"]["missing"] = {"unpruned": 7}
    said = answer.answer([large, known])
    assert "unfinished" in said["warning"]


def test_first_page_answers_from_the_study_that_sees_the_most_pixels():
    small = study(name="small", rows=rows(0.4))
    large = study(name="large", rows=rows(0.0))
    large.record["study"]["recipe"]["epochs"] = 60
    assert answer.lead([small, large]) is large
    said = answer.answer([small, large])
    assert "scaled-down" in said["warning"]
    # Table 4.2: from 60% Uniform MobileNetV2 to 20% Non-uniform ResNet-56.
    assert said["risk_pruned_thesis"] == "0.37 to 0.89" and said["runs"] == "648"


def test_unfinished_study_says_what_it_lacks():
    one = study(rows=rows(0.0))
    one.record["record"]["missing"] = {"unpruned": 97, "uniform-0.2": 98}
    for said in (answer.answer([one]), answer.facts(one)):
        assert "unfinished, with 97 of unpruned and 98 of uniform-0.2" in said["warning"]
    one.record["record"]["missing"] = {}
    assert "unfinished" not in answer.answer([one])["warning"]


def test_noise_is_said_to_come_from_replicates_only_where_there_are_any():
    several, single = study(rows=rows(0.0)), [row for row in rows(0.0) if row["seed"] == 1]
    assert "degrees of freedom" in answer.facts(several)["source"]
    assert "smoothness" in answer.facts(study(rows=single))["source"]


def test_strongest_are_those_that_keep_the_fewest_flops():
    kept = answer.strongest(study().landscapes())
    assert list(kept) == ["unpruned", "uniform-0.2", "nonuniform-0.2"]


def test_tables_of_intervals_hold_what_the_analysis_found():
    one = study(rows=rows(0.4))
    found = one.analysis()
    shapes = intervaltables.shapes([one])
    assert shapes["roi"].tolist() == [1.0, 0.5] * 2
    assert shapes["length_interval"].iloc[0] == found.shape("unpruned", 1.0).length
    moves = intervaltables.movements([one])
    assert moves["shift"].iloc[0] == found.movement("uniform-0.6", 1.0).shift.distance
    kept = intervaltables.keepings([one]).iloc[0]
    assert kept["loss_kept"] == found.lost("uniform-0.6") and kept["local_0.5"] > 0
    noise = intervaltables.bests_without_noise([one]).iloc[0]
    # Two runs 0.04 apart at each point: all of it is what the seed does to every setting.
    assert noise["replicates"] < 1e-3 and noise["degrees"] > 20
    risks = intervaltables.risks_without_noise([one])
    assert risks["mean_interval"].iloc[1].low > risks["mean_interval"].iloc[0].high


def test_best_epoch_and_top5_are_asked_the_same_questions():
    table = rows(0.4)
    for row in table:
        row |= {"best_top1": row["top1"] + 0.5, "top5": 99 - (90 - row["top1"]) / 10}
    found = intervaltables.by_metric(study(rows=table)).set_index(["metric", "variant"])
    last, best = found.loc["top-1 accuracy"], found.loc["top-1 accuracy of the best epoch"]
    assert best["best"].tolist() == pytest.approx((last["best"] + 0.5).tolist())
    assert best.loc["uniform-0.6", "loss"].estimate == pytest.approx(
        last.loc["uniform-0.6", "loss"].estimate, abs=0.05
    )
    fifth = found.loc["top-5 accuracy"].loc["uniform-0.6"]
    assert fifth["kept"] == pytest.approx(last.loc["uniform-0.6", "kept"] / 10)


def test_numbers_in_words():
    assert interval_text(Interval(0.1734, -0.001, 0.861)) == "0.17 (0.00 to 0.86)"
    assert interval_text(Interval(math.nan, 0, 0)) == "–" == number_text(math.nan)
    assert (
        loss_text(Loss(0.214, 0.0, 0.983)) == "0.21 (≤ 0.98)" and loss_text([math.nan] * 3) == "–"
    )
    assert loss_text(Loss(0.76, 0.31, 1.27)) == "0.76 (≥ 0.31, ≤ 1.27)"
    assert number_text(-1.234, 1) == "−1.2"
    assert range_text([0.5, 0.1]) == "0.10 to 0.50" and range_text([1.0]) == "1.00"
    assert range_text([]) == "an unknown number of"
    assert list_text(["a", "b", "c"]) == "a, b and c" and list_text(["a"]) == "a"
    assert count(1, "point") == "1 point" and count(1200, "point") == "1,200 points"


def test_what_pruning_gives_up_stands_beside_the_thesis_and_others():
    # Of the noise-free bowls the unpruned one's best is 90, the pruned one's 3 points lower.
    low = [row | {"top1": row["top1"] - 3 * (row["variant"] != "unpruned")} for row in rows(0.0)]
    ratios = {"unpruned": 1.0, "uniform-0.6": 0.6}
    one = study(rows=[row | {"flops_ratio": ratios[row["variant"]]} for row in low])
    table = intervaltables.given_up([one])
    assert list(table["flops_ratio"]) == sorted(table["flops_ratio"], reverse=True)
    own = table[table["source"] == f"{one.name}, uniform"].iloc[0]
    assert own["dense_top1"] - own["top1"] == pytest.approx(3)
    assert own["given_up"].low < 3 < own["given_up"].high
    assert own["given_up"].estimate == pytest.approx(3, abs=0.1)
    by = table.set_index(["source", "model", "flops_ratio"])["given_up"]
    # Section 4.1.1: 94.05 and 91.08; Wang et al., Table 6: 93.78 and 92.11.
    assert by["thesis, uniform", "resnet56", 0.2] == pytest.approx(2.97)
    assert by["Wang et al. (2023)", "resnet56", 0.28] == pytest.approx(1.67)
