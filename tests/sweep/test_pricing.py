"""The price of a study, and the precision that a trial finds fastest."""

import pytest
import tiny
from simulated import Simulated

from hpstudy.report.terminal import lines_of, price_tables
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import CalibrationError
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import format_hours, price
from hpstudy.sweep.run import sweep
from hpstudy.sweep.trial import choose_fastest

# --- precision ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_first_sweep_fixes_the_precision(swept, messages, tmp_path):
    assert not swept.plan.undecided and swept.plan.precision == "float32"
    plan = Plan.open(
        tiny.study({"model": "resnet20", "grid.lr": [0.01], "variants": []}),
        Store.open(tmp_path / "store.sqlite"),
    )
    assert plan.undecided
    assert sweep(plan, workers=1) == 1
    assert "tiny: float32, without a trial" in messages()
    assert not plan.undecided
    assert {spec.arithmetic for _, spec in plan.runs()} == {"float32"}


def test_study_keeps_its_precision(tmp_path, monkeypatch):
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
def test_long_work_takes_the_fastest_precision_of_a_trial(
    seconds, decided, gain, tmp_path, monkeypatch, messages
):
    """A precision must be 5 % faster than the simpler one before it."""
    names = ("float32", "bfloat16", "float32-compiled", "bfloat16-compiled")
    trial = dict(zip(names, seconds, strict=True))
    monkeypatch.setattr("hpstudy.sweep.trial.calibrated_seconds", lambda p, v, name, x: trial[name])
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    priced = priced_at(hours=12.0)
    choose_fastest(plan, Simulated(), priced)
    assert plan.precision == decided and not plan.undecided
    assert priced["hours"] == pytest.approx(12 / gain)
    said = messages()
    assert f"bfloat16 {10 / seconds[1]:.2f}" in said and f"tiny: {decided};" in said


def test_precision_that_fails_in_the_trial_is_left_out(tmp_path, monkeypatch, messages):
    def trial(plan, variant, arithmetic, *rest):
        if arithmetic.endswith("compiled"):
            raise CalibrationError("no working C++ compiler")
        return {"float32": 10.0, "bfloat16": 5.0}[arithmetic]

    monkeypatch.setattr("hpstudy.sweep.trial.calibrated_seconds", trial)
    plan = Plan.open(tiny.study(), Store.open(tmp_path / "store.sqlite"))
    choose_fastest(plan, Simulated(), priced_at(hours=12.0))
    assert plan.precision == "bfloat16"
    assert "float32-compiled fails (no working C++ compiler.)" in messages()


def priced_at(hours):
    entry = {"missing": 10, "seconds_per_run": 360 * hours}
    return {"hours": hours, "workers": 1, "variants": {"unpruned": entry}}


# --- price ----------------------------------------------------------------------------------------


def test_price_counts_done_and_missing_runs_per_variant(swept):
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
    priced = price(plan, workers=1)
    entries = priced["variants"]
    assert [entry["missing"] for entry in entries.values()] == [10, 10, 12]
    seconds = sum(entry["missing"] * entry["seconds_per_run"] for entry in entries.values())
    assert priced["hours"] == pytest.approx(seconds / 3600)
    assert all(entry["source"] == "calibrated" for entry in entries.values())
    assert all(0 < entry["seconds_per_run"] < 600 for entry in entries.values())
    assert entries["unpruned"]["params"] == 853_018
    assert len(swept.store.recorded()) == 4
    networks, _, totals = (
        " ".join(" ".join(lines_of(part)).split()) for part in price_tables(priced)
    )
    assert "nonuniform-0.2 12 0 0 12 " in networks and "missing 32 runs" in totals


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
def test_workers_share_the_time_up_to_one_per_core(asked, used, swept, monkeypatch):
    monkeypatch.setattr("hpstudy.sweep.executors.local.devices", lambda: ["cpu"] * 4)
    # Seconds per image of training and of evaluation, of which the studies have 40 and 20.
    measured = [(0.25, 0.5)] * used
    monkeypatch.setattr(
        "hpstudy.sweep.executors.local.Pool.calibrate", lambda pool, *arguments: measured
    )
    priced = price(Plan.open(tiny.study({"seeds": [0, 1]}), swept.store), asked)
    assert (priced["workers"], priced["hours"]) == (used, pytest.approx(4 * 20 / used / 3600))


def test_price_of_a_complete_study_is_nothing(swept):
    priced = price(swept.plan)
    assert priced["hours"] == 0
    for variant, entry in priced["variants"].items():
        seconds = swept.table.loc[swept.table["variant"] == variant, "seconds"]
        assert (entry["missing"], entry["source"]) == (0, "measured")
        assert entry["seconds_per_run"] == pytest.approx(seconds.mean())


@pytest.mark.parametrize(
    "hours, words", [(0.01, "36.0 s"), (0.5, "30.0 min"), (12, "12.0 h"), (72, "3.0 days")]
)
def test_durations_have_a_suitable_unit(hours, words):
    assert format_hours(hours) == words
