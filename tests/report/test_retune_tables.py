"""Tables of the page on retuning."""

import copy
from dataclasses import replace

import pytest
from readme_table import STUDIES

from hpstudy.report.notebook import measurement
from hpstudy.report.retune_tables import (
    calibration_data,
    headline,
    policy_table,
    regret_table,
    retuned_tables,
    rival_table,
)

ROW = {"question": "both", "simulated": False, "group": "all", "pairs": 50, "keep": 8}
ROW |= {"wrong_keep": 1, "retune": 10, "wrong_retune": 0, "clearly_wrong": 1}
ROW |= {"inconclusive": 0.64, "median": None, "most": 12}


def test_counts_and_missing_medians_are_shown():
    other = ROW | {"group": "noise 3 to 100", "simulated": True}
    own = {"pairs": 50, "given": 18, "wrong": 1, "clearly": 1, "open": "64 %"}
    fresh = own | {"pairs": 40}
    assert headline([other, ROW, ROW | {"group": "fresh", "pairs": 40}]) == {
        **own,
        **{f"fresh_{name}": of for name, of in fresh.items()},
    }
    table = policy_table([ROW, other], simulated=True)
    assert table.index.tolist() == [("both", "noise/loss 3 and more")]
    assert table["keep", "said"].tolist() == [8] and table["", "inconclusive"].tolist() == ["64 %"]
    assert table["trainings", "90 %"].tolist() == [12]


def test_ways_to_choose_stand_beside_each_other_by_noise():
    table = rival_table(measurement("retune_policies")["policies"])
    assert list(table.index)[0] == "retune" and len(table) == 9
    assert [name for name, _ in table.columns[::3]] == [
        "half answered",
        "inconclusive",
        "loss after ten",
    ]
    assert [noise for _, noise in table.columns[:3]] == ["0.3", "1", "2"]
    assert table.loc["retune", ("half answered", "1")] == 16


@pytest.mark.slow
def test_a_study_that_retunes_has_its_answers():
    study = STUDIES["cpu-resnet20"]
    assert retuned_tables(study) == {}
    record = copy.deepcopy(study.record)
    record["study"]["design"] = {"name": "retune", "batch": 2, "budget": 30}
    (table,) = retuned_tables(replace(study, record=record)).values()
    assert len(table) == 4 and table["trainings"].min() > 100
    words = table["both"].str.partition(" ")[0]
    assert words.isin(["keep", "retune", "inconclusive"]).all()


def test_the_measurements_that_ship_are_whole():
    measured = measurement("retune")
    row = headline(measured["verdicts"])
    assert row["pairs"] >= 150 and row["clearly"] <= row["given"] / 20
    assert set(calibration_data(measured["calibration"])["question"]) == {
        *("both", "learning rate", "weight decay")
    }
    table = regret_table(measured["regret"])
    assert table.notna().all(axis=None) and (table[30] <= table[0]).all()
