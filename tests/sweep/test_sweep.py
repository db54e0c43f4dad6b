"""A sweep trains all that is missing, once, with the same result however it is run."""

import json
import os

import pandas as pd
import pytest
import tiny
from simulated import Simulated, prepare, simulated_plan

import hpstudy.sweep.run
from hpstudy.networks.pruning_report import PruningReport
from hpstudy.storage.store import Store
from hpstudy.storage.tables import TABLE_COLUMNS
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import run_on, sweep
from hpstudy.training.run import ENVIRONMENT

# Columns of the clock.
CLOCK = ["seconds", "images_per_second"]


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


def test_pruned_network_is_ranked_on_the_dense_network_at_the_prior(swept):
    report = swept.plan.certificates["uniform-0.2"]
    ranking = swept.store.ranking(swept.plan.prior)
    assert swept.plan.prior.run_id in report["ranked"]
    assert report["weights_sha256"] == ranking["weights_sha256"]
    for layer, channels in report["kept"].items():
        values = ranking["scores"][layer]
        best = sorted(range(len(values)), key=values.__getitem__)[-len(channels) :]
        assert sorted(channels) == sorted(best)
    rebuilt = PruningReport(**report).rebuild()
    assert sum(parameter.numel() for parameter in rebuilt.parameters()) == report["params"]
    # Only the run at the prior keeps its scores.
    others = [spec for _, spec in swept.plan.runs() if spec != swept.plan.prior]
    assert [swept.store.ranking(spec) for spec in others] == [None] * 3


def test_second_sweep_trains_nothing(swept, monkeypatch, messages):
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


@pytest.mark.slow
def test_two_workers_in_another_order_give_the_same_bits(swept, tmp_path):
    plan = Backwards.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    assert sweep(plan, workers=2) == 4
    pd.testing.assert_frame_equal(
        plan.table().drop(columns=CLOCK), swept.table.drop(columns=CLOCK), check_exact=True
    )
    assert plan.certificates == swept.plan.certificates


@pytest.mark.slow
def test_sweep_publishes_while_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(hpstudy.sweep.run, "PUBLISH_SECONDS", 0)
    monkeypatch.setattr(hpstudy.sweep.run, "PUBLISH_RATIO", 0)
    plan = Plan.open(
        tiny.study({"model": "resnet20", "variants": []}), Store.open(tmp_path / "store.sqlite")
    )
    seen = []
    assert sweep(plan, workers=1, publish=lambda: seen.append(len(plan.table()))) == 2
    assert seen == [1, 2, 2]


def test_landscape_is_drawn_once_when_the_dense_grid_has_ended(tmp_path):
    plan = simulated_plan(tmp_path / "store.sqlite", **{"replicates": {"seeds": [1]}})
    prepare(plan)
    drawn = []
    run_on(Simulated(), plan, lambda: None, lambda: drawn.append(plan.table()))
    (table,) = drawn
    dense = table[table["variant"] == "unpruned"]
    assert len(dense) == 81 and set(dense["seed"]) == {0}
    # Pruned networks are trained coarse to fine beside it.
    assert 0 < (table["variant"] != "unpruned").sum() < 81


@pytest.mark.slow
def test_sweep_extends_the_grid(tmp_path, messages):
    """One point alone touches every end, and so does a second of the same accuracy."""
    lr = {"points": 1, "step": 0.3, "extend": 1}
    changes = {"model": "resnet20", "grid.lr": lr, "variants": [], "roi": [100.0]}
    plan = Plan.open(tiny.study(changes), Store.open(tmp_path / "store.sqlite"))
    assert sweep(plan, workers=1) == 3
    assert plan.table()["lr"].tolist() == [0.00501187, 0.01, 0.0199526]
    text = messages()
    assert "steps added to the grid of unpruned: 1 below on lr, 1 above on lr" in text
    assert "region of unpruned touches the last end of its grid: low lr and high lr" in text
    assert sweep(plan, workers=1) == 0
