"""Records, pruned networks, costs and measurements as tables."""

import math
import subprocess

import pytest
import synthetic

from hpstudy.analysis.study_results import StudyResults, read_results
from hpstudy.report.notebook import measurement
from hpstudy.report.record_tables import (
    certificate_table,
    grid_point_cost_table,
    level_set_table,
    programme_cost_table,
    provenance_table,
    published_table,
)
from hpstudy.report.tables import cost_table

PROGRAMME = [
    {
        "device": "cpu",
        "workers": 2,
        "environment": {"processor": "made up"},
        "studies": {
            "resnet56": {
                "arithmetic": "float32",
                "images": 9_000_000,
                "variants": {
                    "unpruned": {"runs": 81, "macs": 125_485_696, "seconds_per_run": 36_000.0},
                    "uniform-0.6": {"runs": 81, "macs": 75_291_418, "seconds_per_run": 18_000.0},
                },
            }
        },
    }
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    synthetic.write(folder, points=3, seeds=2, models=["resnet56"])
    return folder


@pytest.fixture(scope="module")
def study(folder):
    (study,) = read_results([folder]).values()
    return study


def test_cost_of_a_study_is_that_of_its_runs(study):
    frame = cost_table([study])
    # 3 x 3 settings and two seeds of nine seconds.
    assert set(frame["runs"]) == {18} and set(frame["seconds a run"]) == {9.0}
    assert frame["minutes in all"].sum() == pytest.approx(90 * 9 / 60)
    macs = study.table.groupby("variant", sort=False)["macs"].first() / 1e6
    assert frame["million MACs"].tolist() == macs.tolist() and len(frame) == 5


def test_cost_of_some_networks_is_theirs_only(study):
    frame = cost_table([study], ["unpruned", "uniform-0.2"])
    titles = frame.index.get_level_values("variant").tolist()
    assert titles == ["Dense", "Uniform, 20 %"]


def test_stopped_run_costs_minutes_but_is_no_whole_run(study):
    table = study.table.copy()
    table.loc[:9, ["top1", "epochs", "seconds"]] = [math.nan, 1, 2.0]
    dense = cost_table([StudyResults(study.name, table, study.record)]).iloc[0]
    assert (dense["runs"], dense["seconds a run"]) == (18, 9.0)
    assert dense["minutes in all"] == pytest.approx((8 * 9 + 10 * 2) / 60)


def test_workers_share_a_machine():
    frame = grid_point_cost_table(PROGRAMME)
    assert frame["hours"].tolist() == [5.0, 2.5]
    # 2 x 3 x 125,485,696 operations for each of 9,000,000 images at 989 TFLOP/s are 6.85 s.
    assert frame["H100, arithmetic alone (s)"].iloc[0] == pytest.approx(6.852, abs=0.001)
    assert frame["thesis (hours)"].iloc[0] == 2 and math.isnan(frame["thesis (hours)"].iloc[1])


def test_machines_share_the_programme_until_each_has_one_run():
    (row,) = programme_cost_table(PROGRAMME).to_dict("records")
    days = 81 * (36_000 + 18_000) / 2 / 86_400
    assert row["runs"] == 162
    assert (row["days on 1"], row["days on 8"]) == (pytest.approx(days), pytest.approx(days / 8))
    # 64 machines of two workers would end sooner than the longest of the runs.
    assert row["days on 64"] == pytest.approx(max(days / 64, 36_000 / 86_400))
    assert row["thesis (days on one)"] == pytest.approx(162 * 2 / 24)


def test_record_is_shown_key_by_key(study):
    facts = provenance_table([study])[study.name]
    assert facts["torch_pruning"] == "1.6.1" and facts["seeds"] == "0, 1"
    assert facts["torch"] == study.record["record"]["torch"]
    assert facts["grid.lr"].count(", ") == 2


def test_published_table_comes_with_its_hours_and_checksum(study, folder):
    (row,) = published_table([study]).to_dict("records")
    assert (row["runs"], row["device"], row["hours"]) == (90, "cpu", pytest.approx(0.225))
    command = ["sha256sum", folder / f"{study.name}.csv"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert row["SHA-256"] == printed.split()[0]


def test_pruned_networks_come_with_their_ratios_and_widths(study):
    row = certificate_table([study]).loc[study.name, "Uniform, 20 %"]
    assert (row["target"], row["its channels"]) == (0.2, 3)


def test_a_level_set_is_shown_for_the_grids_that_gain():
    table = level_set_table(measurement("level_set")["published"])
    assert len(table) == 13 and table["settings"].min() == 48
    assert table.loc[("cpu-resnet20", "Uniform, 60 %"), "missed"] == "1 of 6"
