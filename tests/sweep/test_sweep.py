"""A sweep: all that is missing is trained, once, and comes out the same however it is run."""

import json
import os
import re

import pandas as pd
import pytest
import tiny
import torch

import hpstudy.sweep.run
from hpstudy.config.study import Study
from hpstudy.networks.pruning_report import PruningReport
from hpstudy.storage.store import Store
from hpstudy.storage.tables import TABLE_COLUMNS
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import choose_precision, format_hours, format_price, price
from hpstudy.sweep.run import publish_study, sweep
from hpstudy.training.run import ENVIRONMENT

# Columns that tell when and how fast a run was, not what came out.
CLOCK = ["seconds", "images_per_second"]


def numbers(table):
    return table.drop(columns=CLOCK)


# --- one sweep ------------------------------------------------------------------------------------


def test_every_point_of_every_variant_is_trained_once(swept):
    assert swept.trained == 4
    assert list(swept.table.columns) == list(TABLE_COLUMNS)
    rows = swept.table[["variant", "lr", "weight_decay", "seed"]].values.tolist()
    assert rows == [
        ["unpruned", 0.01, 0.01, 0],
        ["unpruned", 0.02, 0.01, 0],
        ["uniform-0.2", 0.01, 0.01, 0],
        ["uniform-0.2", 0.02, 0.01, 0],
    ]
    assert len(swept.store.recorded()) == 4


def test_rows_hold_what_was_trained(swept):
    dense, pruned = swept.table.iloc[0], swept.table.iloc[2]
    # 8 x 8 images have a sixteenth of the positions of 32 x 32; the classifier has as many.
    assert dense["macs"] == (125_485_696 - 640) // 16 + 640
    assert dense["params"] == 853_018
    assert pruned["macs"] / dense["macs"] == pytest.approx(0.2, abs=1e-3)
    assert (dense["method"], dense["flops_ratio"]) == ("unpruned", 1.0)
    assert (pruned["method"], pruned["flops_ratio"]) == ("uniform", 0.2)
    for _, row in swept.table.iterrows():
        curve = json.loads(row["curve"])
        assert [len(curve[key]) for key in ("train_loss", "loss", "top1")] == [1, 1, 1]
        assert (curve["top1"], curve["loss"]) == ([row["top1"]], [row["loss"]])
        # 20 test images: accuracies are multiples of 5 %.
        assert row["top1"] % 5 == pytest.approx(0) and 0 <= row["top1"] <= 100
        assert row["epochs"] == 1 and row["seconds"] > 0 and row["device"] == "cpu"
    assert swept.table["loss"].nunique() == 4


def test_pruned_network_is_ranked_on_the_dense_one_trained_at_the_prior(swept):
    said = swept.plan.certificates["uniform-0.2"]
    ranking = swept.store.ranking(swept.plan.prior)
    assert swept.plan.prior.run_id in said["ranked"]
    assert said["weights_sha256"] == ranking["weights_sha256"]
    for layer, channels in said["kept"].items():
        values = ranking["scores"][layer]
        best = sorted(range(len(values)), key=values.__getitem__)[-len(channels) :]
        assert sorted(channels) == sorted(best)
    assert sum(p.numel() for p in PruningReport(**said).rebuild().parameters()) == said["params"]
    # Only the run at the prior keeps its scores.
    others = [spec for _, spec in swept.plan.runs() if spec != swept.plan.prior]
    assert [swept.store.ranking(spec) for spec in others] == [None] * 3


def test_a_second_sweep_trains_nothing(swept, monkeypatch, messages):
    def fail(*args):
        raise AssertionError("no worker is needed")

    monkeypatch.setattr(hpstudy.sweep.run, "open_executor", fail)
    assert sweep(swept.plan) == 0
    assert sweep(Plan.open(tiny.study(), Store.open(swept.store.path))) == 0
    assert "nothing to train" in messages()


def test_sweep_leaves_the_environment_as_it_was(swept):
    for name in set(ENVIRONMENT) - {"OMP_NUM_THREADS"}:
        assert name not in os.environ


class Backwards(Plan):
    """The runs in the opposite order, after the one that the ranking needs."""

    def missing(self):
        first, *others = super().missing() or [None]
        return [first, *reversed(others)] if first else []


def test_two_workers_in_another_order_give_the_same_bits(swept, tmp_path):
    plan = Backwards.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    assert sweep(plan, workers=2) == 4
    pd.testing.assert_frame_equal(numbers(plan.table()), numbers(swept.table), check_exact=True)
    assert plan.certificates == swept.plan.certificates


# --- ended early ----------------------------------------------------------------------------------


def test_a_sweep_publishes_what_is_there_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(hpstudy.sweep.run, "PUBLISH_SECONDS", 0)
    plan = Plan.open(tiny.study({"variants": []}), Store.open(tmp_path / "store.sqlite"))
    seen = []
    assert sweep(plan, workers=1, publish=lambda: seen.append(len(plan.table()))) == 2
    assert seen == [1, 2, 2]


def test_a_sweep_extends_the_grid_and_says_so(tmp_path, messages):
    """One point alone touches every end, and so does a second of the same accuracy."""
    lr = {"points": 1, "step": 0.3, "extend": 1}
    study = tiny.study({"grid.lr": lr, "variants": [], "roi": [100.0]})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    assert sweep(plan, workers=1) == 3
    assert plan.table()["lr"].tolist() == [0.00501187, 0.01, 0.0199526]
    said = messages()
    assert "lr of unpruned extended to 0.00501187 ... 0.0199526" in said
    assert "region of unpruned touches the last end of its grid: low lr and high lr" in said
    assert sweep(plan, workers=1) == 0


# --- refused before training ----------------------------------------------------------------------


@pytest.fixture
def no_workers(monkeypatch):
    def fail(*args, **options):
        raise AssertionError("training began")

    monkeypatch.setattr("hpstudy.sweep.executors.local.open_pool", fail)


def test_missing_data_are_refused_before_training(tmp_path, monkeypatch, no_workers, refused):
    def offline(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    store = Store.open(tmp_path / "store.sqlite")
    study = tiny.study({"data.name": "cifar10"})
    words = refused(sweep, Plan.open(study, store, tmp_path / "sets"), 1)
    assert "'cifar10'" in words and str(tmp_path / "sets") in words
    study = tiny.study({"data.name": f"folder:{tmp_path / 'flowers'}"})
    assert "flowers/train" in refused(Plan.open, study, store)
    assert store.recorded() == set()


@pytest.mark.parametrize("variant", ["uniform-0.02", "nonuniform-0.01"])
def test_pruning_out_of_reach_is_refused_before_training(variant, tmp_path, refused):
    study = tiny.study({"variants": ["uniform-0.6", variant]})
    words = refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))
    assert variant.rpartition("-")[2] in words and "out of reach" in words


def test_too_many_images_are_refused_before_training(tmp_path, refused):
    study = tiny.study({"data.train_images": 6001})
    assert "6001 training" in refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))


def test_a_last_batch_of_one_image_is_refused_before_training(tmp_path, refused):
    study = tiny.study({"data.train_images": 41})
    words = refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))
    assert "batch_size 20" in words and "41" in words


def test_no_workers_are_refused(tmp_path, no_workers, refused):
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    assert "workers must be 1 or more, not 0" in refused(sweep, plan, 0)
    words = refused(sweep, plan, 1, address="10.0.0.1:6379")
    assert "10.0.0.1:6379" in words and "executor ray" in words


# --- the arithmetic -------------------------------------------------------------------------------


def test_runs_of_one_study_share_a_family_and_no_other_has_it():
    family = tiny.spec().family
    for own in ({"lr": 0.2}, {"weight_decay": 0.2}, {"seed": 9}, {"widths": {"a": 1}}):
        assert tiny.spec(own).family == family
    assert tiny.spec({"arithmetic": "bfloat16"}).family == family
    for other in ({"model": "resnet20"}, {"recipe.epochs": 181}, {"data.image_size": 16}):
        assert tiny.spec(other).family != family


def test_the_first_sweep_decides_the_arithmetic_and_says_why(swept, messages, tmp_path):
    assert not swept.plan.undecided and swept.plan.precision == "float32"
    plan = Plan.open(
        tiny.study({"grid.lr": [0.01], "variants": []}), Store.open(tmp_path / "store.sqlite")
    )
    assert plan.undecided
    assert sweep(plan, workers=1) == 1
    assert "tiny: float32, without a trial" in messages()
    assert not plan.undecided
    assert {spec.arithmetic for _, spec in plan.runs()} == {"float32"}


def test_a_decided_study_keeps_its_arithmetic_wherever_it_goes_on(tmp_path, monkeypatch):
    store = Store.open(tmp_path / "store.sqlite")
    Plan.open(tiny.study(), store).decide("bfloat16-compiled")
    again = Plan.open(tiny.study({"seeds": [0, 1]}), store)
    again.decide("float32")
    assert {spec.arithmetic for _, spec in again.runs()} == {"bfloat16-compiled"}
    # A params file that names its arithmetic is another study.
    named = Plan.open(tiny.study({"arithmetic": "float32"}), store)
    assert named.precision == "float32" and not named.undecided


@pytest.mark.parametrize(
    "seconds, decided, gain",
    [
        ((10, 9.6, 9.7, 9.6), "float32", 1),
        ((10, 12, 9, 11), "float32-compiled", 10 / 9),
        ((10, 8, 7.7, 5), "bfloat16-compiled", 2),
        ((10, 8, 7.7, 7.9), "bfloat16", 1.25),
    ],
)
def test_long_work_takes_the_arithmetic_that_a_trial_finds_fastest(
    seconds, decided, gain, tmp_path, monkeypatch, messages
):
    """A more involved one must be five in a hundred faster than the simpler one before it."""
    names = ("float32", "bfloat16", "float32-compiled", "bfloat16-compiled")
    trial = dict(zip(names, seconds, strict=True))
    monkeypatch.setattr(
        "hpstudy.sweep.pricing.calibrated_seconds", lambda p, v, name, x: trial[name]
    )
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    priced = priced_at(hours=12.0)
    choose_precision(plan, None, priced)
    assert plan.precision == decided and not plan.undecided
    assert priced["hours"] == pytest.approx(12 / gain)
    said = messages()
    assert f"bfloat16 {10 / seconds[1]:.2f}" in said and f"tiny: {decided};" in said


def test_an_arithmetic_that_fails_in_the_trial_is_said_and_left_out(
    tmp_path, monkeypatch, messages
):
    def trial(plan, variant, arithmetic, *rest):
        if arithmetic.endswith("compiled"):
            raise RuntimeError("no working C++ compiler\nis here")
        return {"float32": 10.0, "bfloat16": 5.0}[arithmetic]

    monkeypatch.setattr("hpstudy.sweep.pricing.calibrated_seconds", trial)
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    choose_precision(plan, None, priced_at(hours=12.0))
    assert plan.precision == "bfloat16"
    assert "float32-compiled fails (RuntimeError: no working C++ compiler is here)" in messages()


def priced_at(hours):
    entry = {"missing": 10, "seconds_per_run": 360 * hours}
    return {"hours": hours, "workers": 1, "variants": {"unpruned": entry}}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what is to be missing")
def test_an_arithmetic_that_the_machine_lacks_is_refused_before_training(
    tmp_path, no_workers, refused
):
    plan = Plan.open(tiny.study({"arithmetic": "tf32"}), Store.open(tmp_path / "store.sqlite"))
    words = refused(sweep, plan, 1)
    assert "tf32" in words and "bfloat16" in words
    assert words == refused(price, plan)


# --- the price ------------------------------------------------------------------------------------


def test_price_counts_what_is_done_and_missing_per_variant(swept):
    wider = tiny.study(
        {
            "grid.lr": [0.005, 0.01, 0.02],
            "grid.weight_decay": [0.01, 0.1],
            "seeds": [0, 1],
            "variants": ["uniform-0.2", "nonuniform-0.2"],
        }
    )
    plan = Plan.open(wider, swept.store)
    counts = plan.counts()
    assert counts.index.tolist() == ["unpruned", "uniform-0.2", "nonuniform-0.2"]
    # 3 x 2 points and 2 seeds; 2 points of one seed are done, of the first two variants.
    assert counts.values.tolist() == [[12, 2, 0, 10], [12, 2, 0, 10], [12, 0, 0, 12]]
    assert len(plan.missing()) == 32
    said = price(plan, workers=1)
    entries = said["variants"]
    assert [entry["missing"] for entry in entries.values()] == [10, 10, 12]
    seconds = sum(entry["missing"] * entry["seconds_per_run"] for entry in entries.values())
    assert said["hours"] == pytest.approx(seconds / 3600)
    assert all(entry["source"] == "calibrated" for entry in entries.values())
    assert all(0 < entry["seconds_per_run"] < 600 for entry in entries.values())
    assert entries["unpruned"]["params"] == 853_018
    assert len(swept.store.recorded()) == 4
    words = format_price(said)
    assert re.search(r"missing runs +32\b", words) and "nonuniform-0.2" in words


def test_price_is_measured_where_three_runs_are_finished(swept, tmp_path):
    store = Store.open(tmp_path / "store.sqlite")
    plan = Plan.open(tiny.study({"seeds": [0, 1], "variants": []}), store)
    specs = [spec for _, spec in plan.runs()]
    for spec, seconds in zip(specs, (10.0, 90.0, 30.0), strict=False):
        tiny.record(store, spec, tiny.result(seconds=seconds))
    entry = price(plan, workers=1)["variants"]["unpruned"]
    assert (entry["total"], entry["done"], entry["missing"]) == (4, 3, 1)
    assert (entry["seconds_per_run"], entry["source"]) == (30.0, "measured")
    assert price(plan, workers=1)["hours"] == pytest.approx(30 / 3600)


@pytest.mark.parametrize("asked, used", [(None, 4), (2, 2), (10_000, 4)])
def test_workers_share_the_time_as_far_as_there_are_devices(asked, used, swept, monkeypatch):
    monkeypatch.setattr("hpstudy.sweep.executors.local.devices", lambda: ["cpu"] * 4)
    # Seconds per image of training and of evaluation, of which the studies have 40 and 20.
    measured = [(0.25, 0.5)] * used
    monkeypatch.setattr(
        "hpstudy.sweep.executors.local.Pool.calibrate", lambda pool, *arguments: measured
    )
    said = price(Plan.open(tiny.study({"seeds": [0, 1]}), swept.store), asked)
    assert (said["workers"], said["hours"]) == (used, pytest.approx(4 * 20 / used / 3600))


def test_price_of_a_complete_study_is_nothing(swept):
    said = price(swept.plan)
    assert said["hours"] == 0
    for variant, entry in said["variants"].items():
        seconds = swept.table.loc[swept.table["variant"] == variant, "seconds"]
        assert (entry["missing"], entry["source"]) == (0, "measured")
        assert entry["seconds_per_run"] == pytest.approx(seconds.mean())


@pytest.mark.parametrize(
    "hours, words", [(0.01, "36 s"), (0.5, "30.0 min"), (12, "12.0 h"), (72, "3.0 days")]
)
def test_durations_are_said_in_the_unit_that_suits_them(hours, words):
    assert format_hours(hours) == words


# --- parts of a study -----------------------------------------------------------------------------


def test_one_variant_is_planned_and_the_others_keep_their_rows(swept, tmp_path, refused):
    study = tiny.study({"variants": ["uniform-0.2", "nonuniform-0.2"]})
    part = Plan.open(study, swept.store, pruning="uniform-0.2")
    assert part.missing() == []
    assert part.table()["variant"].unique().tolist() == ["unpruned", "uniform-0.2"]
    other = Plan.open(study, swept.store, pruning="nonuniform-0.2")
    assert [job.variant for job in other.missing()] == ["nonuniform-0.2"] * 2
    extra = Plan.open(study, swept.store, pruning="uniform-0.6")
    # Published are the variants that have runs, and the one that was asked for.
    for plan, variants in (
        (part, ["uniform-0.2"]),
        (extra, ["uniform-0.2", "uniform-0.6"]),
        (other, ["uniform-0.2", "nonuniform-0.2"]),
    ):
        path = publish_study(plan, tmp_path, "hpstudy run", workers=1)
        table, record = pd.read_csv(path), json.loads(path.with_suffix(".json").read_text())
        assert table["run_id"].tolist() == swept.table["run_id"].tolist()
        assert record["study"]["variants"] == ["unpruned", *variants]
        assert list(record["certificates"]) == variants
    assert sum(record["record"]["missing"].values()) == 2
    assert "unifrom-0.2" in refused(Plan.open, study, swept.store, pruning="unifrom-0.2")


def test_a_prior_that_is_no_grid_point_is_trained_for_the_ranking_only(tmp_path):
    study = tiny.study({"prior.lr": 0.015})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    missing = plan.missing()
    assert missing[0].spec == plan.prior and plan.prior.lr == 0.015
    assert [job.spec.lr for job in missing] == [0.015, 0.02, 0.01]
    assert plan.prior.run_id not in {spec.run_id for _, spec in plan.runs()}


def test_a_dense_study_needs_no_ranking(tmp_path):
    plan = Plan.open(
        tiny.study({"variants": [], "prior.lr": 0.015}), Store.open(tmp_path / "store.sqlite")
    )
    assert not plan.needs_ranking
    assert [job.spec.lr for job in plan.missing()] == [0.02, 0.01]


def test_published_record_says_what_was_run_and_on_what(swept, tmp_path):
    path = publish_study(swept.plan, tmp_path, "hpstudy run tiny.yaml", workers=1)
    record = json.loads(path.with_suffix(".json").read_text())
    assert path.name == "tiny.csv" and len(pd.read_csv(path)) == 4
    assert Study.model_validate({**tiny.STUDY, "name": record["study"]["name"]}) == tiny.study()
    assert record["study"]["grid"] == {"lr": [0.01, 0.02], "weight_decay": [0.01]}
    assert (record["study"]["data"]["train"], record["study"]["data"]["test"]) == (40, 20)
    assert record["certificates"] == swept.plan.certificates
    said = record["record"]
    assert (said["command"], said["workers"]) == ("hpstudy run tiny.yaml", 1)
    assert (said["runs"], said["missing"], said["images"]) == (4, {}, 160)
    assert said["train_seconds"] == round(swept.table["seconds"].sum(), 1)
    assert said["device"] == "cpu" and said["torch"] and said["cores"] >= 1
