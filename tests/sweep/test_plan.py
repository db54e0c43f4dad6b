"""Plans: what is refused before training, parts of a study, and what is published."""

import json

import pandas as pd
import pytest
import tiny
import torch

from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import price
from hpstudy.sweep.run import publish_study, sweep

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
    sentence = refused(sweep, Plan.open(study, store, tmp_path / "sets"), 1)
    assert "'cifar10'" in sentence and str(tmp_path / "sets") in sentence
    study = tiny.study({"data.name": f"folder:{tmp_path / 'flowers'}"})
    assert "there is no folder" in refused(Plan.open, study, store)
    assert store.recorded() == set()


@pytest.mark.parametrize("variant", ["uniform-0.02", "nonuniform-0.01"])
def test_pruning_out_of_reach_is_refused_before_training(variant, tmp_path, refused):
    study = tiny.study({"variants": ["uniform-0.6", variant]})
    sentence = refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))
    assert variant.rpartition("-")[2] in sentence and "out of reach" in sentence


def test_too_many_images_are_refused_before_training(tmp_path, refused):
    study = tiny.study({"data.train_images": 6001})
    assert "6001 training" in refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))


def test_last_batch_of_one_image_is_refused_before_training(tmp_path, refused):
    study = tiny.study({"data.train_images": 41})
    sentence = refused(Plan.open, study, Store.open(tmp_path / "store.sqlite"))
    assert "batch_size 20" in sentence and "41" in sentence


def test_workers_below_1_and_an_address_without_ray_are_refused(tmp_path, no_workers, refused):
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    assert "workers must be 1 or more, not 0" in refused(sweep, plan, 0)
    sentence = refused(sweep, plan, 1, address="10.0.0.1:6379")
    assert "10.0.0.1:6379" in sentence and "executor ray" in sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("arithmetic", ["tf32", POPULATION])
def test_precision_that_the_machine_lacks_is_refused_before_training(
    arithmetic, tmp_path, no_workers, refused
):
    study = tiny.study({"arithmetic": arithmetic, "data.image_size": 16})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    sentence = refused(sweep, plan, 1)
    assert arithmetic in sentence and "bfloat16-compiled" in sentence
    assert sentence == refused(price, plan)


# --- parts of a study -----------------------------------------------------------------------------


def test_runs_of_one_study_share_a_family():
    family = tiny.spec().family
    for own in ({"lr": 0.2}, {"weight_decay": 0.2}, {"seed": 9}, {"widths": {"a": 1}}):
        assert tiny.spec(own).family == family
    assert tiny.spec({"arithmetic": "bfloat16"}).family == family
    for other in ({"model": "resnet20"}, {"recipe.epochs": 181}, {"data.image_size": 16}):
        assert tiny.spec(other).family != family


def test_variants_outside_the_plan_keep_their_rows(swept, tmp_path, refused):
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


def test_prior_outside_the_grid_is_trained_for_the_ranking_only(tmp_path):
    study = tiny.study({"prior.lr": 0.015})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    missing = plan.missing()
    assert missing[0].spec == plan.prior and plan.prior.lr == 0.015
    assert [job.spec.lr for job in missing] == [0.015, 0.02, 0.01]
    assert plan.prior.run_id not in {spec.run_id for _, spec in plan.runs()}


def test_dense_study_needs_no_ranking(tmp_path):
    plan = Plan.open(
        tiny.study({"variants": [], "prior.lr": 0.015}), Store.open(tmp_path / "store.sqlite")
    )
    assert not plan.needs_ranking
    assert [job.spec.lr for job in plan.missing()] == [0.02, 0.01]


def test_published_record_describes_the_study_and_the_machine(swept, tmp_path):
    path = publish_study(swept.plan, tmp_path, "hpstudy run tiny.yaml", workers=1)
    record = json.loads(path.with_suffix(".json").read_text())
    assert path.name == "tiny.csv" and len(pd.read_csv(path)) == 4
    assert Study.model_validate({**tiny.STUDY, "name": record["study"]["name"]}) == tiny.study()
    assert record["study"]["grid"] == {"lr": [0.01, 0.02], "weight_decay": [0.01]}
    assert (record["study"]["data"]["train"], record["study"]["data"]["test"]) == (40, 20)
    assert record["certificates"] == swept.plan.certificates
    facts = record["record"]
    assert (facts["command"], facts["workers"]) == ("hpstudy run tiny.yaml", 1)
    assert (facts["runs"], facts["missing"], facts["images"]) == (4, {}, 160)
    assert facts["train_seconds"] == round(swept.table["seconds"].sum(), 1)
    assert facts["device"] == "cpu" and facts["torch"] and facts["cores"] >= 1
