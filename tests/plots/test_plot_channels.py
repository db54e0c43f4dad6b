"""Channels kept by layer: what of a study's record is drawn."""

import pytest

from hpstudy.analysis.study_results import read_study
from hpstudy.plots import plot_channels


@pytest.fixture(scope="module")
def widths():
    return read_study("cpu-resnet20", ["book/results"]).widths


def test_widths_begin_with_the_dense_network_layer_by_layer(widths):
    assert list(widths)[0] == "unpruned"
    assert list(widths["unpruned"].values()) == [16] * 3 + [32] * 3 + [64] * 3
    assert widths["uniform-0.2"]["blocks.8.conv1"] == 13
    assert all(list(kept) == list(widths["unpruned"]) for kept in widths.values())


def test_each_layer_names_what_is_kept_of_what_there_was(widths):
    figure = plot_channels(widths, ["uniform-0.2", "nonuniform-0.2"])
    assert list(figure.data[0].text)[-1] == "13, 6 of 64"
    assert list(figure.layout.yaxis.ticktext)[-1] == "block 9"
    assert [bar.name for bar in figure.data] == ["Dense", "Uniform, 20 %", "Non-uniform, 20 %"]


def test_report_without_a_dense_network_is_drawn_by_itself():
    (bar,) = plot_channels({"mine": {"features.0": 5, "features.3": 1}}).data
    assert (list(bar.x), list(bar.text)) == ([5, 1], ["5", "1"])
