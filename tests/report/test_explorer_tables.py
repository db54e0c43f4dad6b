"""Tables of the explorer: numbers of two networks, and the data of its view."""

import math

import numpy as np
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.report.explorer_tables import (
    hyperparameters,
    network_table,
    pair_table,
    read_upload,
    view_table,
)
from hpstudy.report.notebook import html_table


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


@pytest.fixture(scope="module")
def analysis(study):
    networks = study.landscapes()
    return StudyAnalysis({"left": networks["unpruned"], "right": networks["uniform-0.2"]})


def test_numbers_are_those_of_the_two_landscapes(analysis):
    left, right = analysis.landscapes.values()
    table = network_table(analysis, 2.0, 1.0)
    assert list(table) == ["Dense", "Uniform, 20 % FLOPs"]
    assert list(table.loc["best"]) == [f"{left.best:.2f} %", f"{right.best:.2f} %"]
    inside = [int((one.points["value"] >= one.best - 2.0 - 1e-9).sum()) for one in (left, right)]
    assert list(table.loc["points in the 2.0-ROI"]) == inside
    shape = analysis.shape("left", 2.0)
    # The table's ellipses reach one deviation, and those of the analysis two.
    length = table.loc["ellipse length in decades, without noise", "Dense"]
    assert list(length) == pytest.approx([end / 2 for end in shape.length])
    assert table.loc["points in the 2.0-ROI, without noise", "Dense"] == shape.n
    lost = table.loc["mean risk at the left network's region"].iloc[1]
    assert lost.startswith(f"{risk(left, right, 2.0).mean:.2f}")


def test_comparison_is_that_of_the_two_landscapes(analysis):
    centre = "distance of the ellipses' centres, decades"
    cells = pair_table(analysis, 0.0, 2.0)["right − left"]
    assert cells["settings that both have"] == 49 and math.isnan(cells[centre])
    landscapes = analysis.landscapes.values()
    centres = [np.log10(one.roi(2.0)[["lr", "weight_decay"]]).mean() for one in landscapes]
    cells = pair_table(analysis, 2.0, 2.0)["right − left"]
    assert cells[centre] == pytest.approx(np.linalg.norm(centres[0] - centres[1]))


def test_names_from_a_table_never_become_markup(study):
    table = study.table.replace({"variant": {"uniform-0.2": "<img src=x>"}})
    networks = landscapes(table)
    analysis = StudyAnalysis({"left": networks["unpruned"], "right": networks["<img src=x>"]})
    html = html_table(network_table(analysis, 1.0, 2.0))
    assert "<img" not in html and "&lt;img" in html


def test_axes_are_hyperparameters_with_several_values(study, refused):
    table = study.table.assign(momentum=0.9, batch_size=np.arange(len(study.table)) % 2 * 64 + 64)
    table["decay"] = np.arange(len(table))
    table["offset"] = np.arange(len(table)) - 1.0
    # Momentum has one value, and a number below zero is no hyperparameter.
    assert hyperparameters(table) == ["lr", "weight_decay", "batch_size", "decay"]
    assert hyperparameters(table[["variant", "lr", "top1"]]) == ["lr"]
    assert "needs a hyperparameter" in refused(hyperparameters, table[["variant", "top1"]])


def test_view_has_a_row_for_each_point_of_each_side(analysis):
    left, right = analysis.landscapes.values()
    table = view_table(left, right, 1.0)
    assert table["side"].value_counts().to_dict() == {"left": 49, "right": 49}
    keyed = table.set_index(["side", "lr", "weight_decay"])
    for at, row in keyed.loc["right"].iterrows():
        dense = keyed.loc[("left", *at)]
        apart = (row["value"] - right.best) - (dense["value"] - left.best)
        assert row["difference"] == pytest.approx(apart)
    assert keyed.loc["left"]["difference"].isna().all()
    assert keyed.loc["right"]["in_region"].sum() == len(right.roi(1.0))


def test_view_of_a_minimized_metric_is_in_its_own_unit(study):
    table = study.table.assign(error=100 - study.table["top1"])
    networks = landscapes(table, "error", goal="minimize")
    left, right = networks["unpruned"], networks["uniform-0.2"]
    rows = view_table(left, right, 4.0)
    assert rows["value"].min() == pytest.approx(min(-left.best, -right.best))
    assert rows["from_best"].min() == 0 and rows.loc[rows["in_region"], "from_best"].max() <= 4
    cells = network_table(StudyAnalysis({"left": left, "right": right}), 4.0, 2.0)
    assert cells.loc["best"].iloc[0] == f"{-left.best:.4g}"


def test_uploaded_table_is_named_without_its_path_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = synthetic.table("mine", "resnet56").drop(columns="study")
    name, _ = read_upload("../../<b>evil.csv", table.to_csv(index=False).encode())
    assert name == "b-evil" and list(tmp_path.iterdir()) == []
    with pytest.raises(HpstudyError, match="no.csv"):
        read_upload("no.csv", b"a,b\n1,2\n")
