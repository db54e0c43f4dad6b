"""The page of costs: what was paid, and what the thesis's programme would take."""

import math

import pytest
import synthetic

from hpstudy.analysis.study_results import read_programme, read_results
from hpstudy.report.costtables import (
    costs,
    grid_point_costs,
    programme_costs,
    study_costs,
    unmeasured,
)

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
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    synthetic.write(folder, points=3, seeds=2, models=["resnet56"])
    return list(read_results([folder]).values())


def test_costs_of_a_study_are_those_of_its_runs(studies):
    frame = study_costs(studies)
    assert frame["variant"].tolist() == list(synthetic.VARIANTS["resnet56"])
    # 3 x 3 points and two seeds of nine seconds; five epochs of 2,000 images.
    assert set(frame["runs"]) == {18} and set(frame["images"]) == {10_000}
    assert set(frame["seconds"]) == {9.0} and frame["hours"].sum() == pytest.approx(90 * 9 / 3600)
    assert costs(studies) == {"runs": "90", "hours": "0.2"}


def test_a_stopped_run_is_paid_for_but_is_no_measure_of_a_whole_one(studies):
    (study,) = studies
    table = study.table.copy()
    table.loc[0, ["top1", "epochs", "seconds"]] = [math.nan, 1, 2.0]
    frame = study_costs([type(study)(study.name, table, study.record)])
    dense = frame.iloc[0]
    assert (dense["runs"], dense["fastest"], dense["images"]) == (18, 9.0, 10_000)
    assert dense["hours"] == pytest.approx((17 * 9 + 2) / 3600)


def test_a_grid_point_on_a_machine_is_shared_by_its_workers():
    frame = grid_point_costs(PROGRAMME)
    assert frame["hours"].tolist() == [5.0, 2.5]
    assert frame["machine"].tolist() == ["2 cores of made up"] * 2
    # 2 x 3 x 125,485,696 operations for each of 9,000,000 images at 989 TFLOP/s are 6.85 s.
    assert frame["floor_hours"][0] * 3600 == pytest.approx(6.852, abs=0.001)
    assert frame["published_hours"][0] == 2 and math.isnan(frame["published_hours"][1])


def test_machines_share_the_programme_until_each_has_one_run():
    (row,) = programme_costs(PROGRAMME).to_dict("records")
    days = 81 * (36_000 + 18_000) / 2 / 86_400
    assert row["runs"] == 162
    assert (row["days_on_1"], row["days_on_8"]) == (pytest.approx(days), pytest.approx(days / 8))
    # 64 machines of two workers would be done sooner than the longest of the runs.
    assert row["days_on_64"] == pytest.approx(max(days / 64, 36_000 / 86_400))
    assert row["published_days"] == pytest.approx(162 * 2 / 24)


def test_what_no_gpu_has_measured_is_said():
    assert "not been priced on a GPU" in unmeasured(PROGRAMME)
    assert unmeasured([*PROGRAMME, {**PROGRAMME[0], "device": "NVIDIA H100"}]) == ""
    assert programme_costs([]).empty and grid_point_costs([]).empty


def test_the_programme_of_the_last_folder_that_has_one_is_read(tmp_path):
    folders = [tmp_path / "results", tmp_path / "none" / "results"]
    assert read_programme(folders) == []
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "programme.json").write_text("[1]")
    assert read_programme(folders) == [1]
