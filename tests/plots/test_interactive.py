"""Data of interactive landscapes, by hand and against the analysis."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import sweeps
import synthetic
from handmade import HOSTILE, results, run, study

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk
from hpstudy.analysis.study_results import read_study
from hpstudy.errors import HpstudyError
from hpstudy.plots.interactive import THRESHOLDS, Sliders, interactive_data, interactive_html


@pytest.fixture(scope="module")
def published():
    return read_study("small-resnet20", [synthetic.REPOSITORY / "book" / "results"])


def test_every_network_lies_on_the_grid_points_of_all():
    data = interactive_data(study())
    assert [axis["title"] for axis in data["axes"]] == ["learning rate", "weight decay"]
    lr, weight_decay = data["axes"]
    assert lr["values"] == ["0.01", "0.03", "0.1"]
    assert weight_decay["places"] == [-4, -3, -3] and weight_decay["levels"] == [-4, -3]
    dense, other = data["networks"]
    assert (dense["name"], other["name"]) == ("unpruned", HOSTILE)
    assert dense["seeds"] == [1, 0, 2] and other["seeds"] == [0, 1, 1]
    top1 = dense["metrics"]["top1"]
    assert top1["value"] == [60, None, 70.5] and top1["best"] == 2
    assert top1["std"] == [None, None, pytest.approx(math.sqrt(0.5), rel=1e-5)]
    values = {name: metric["value"] for name, metric in other["metrics"].items()}
    assert values == {"top1": [None, 65, None], "best_top1": [None, 65.5, None]}
    assert dense["colour"] != other["colour"]
    assert other["diverged"] == [None, 0, 1]


def test_runs_carry_their_fields_and_curves_of_four_digits():
    dense, other = (network["runs"] for network in interactive_data(study())["networks"])
    assert dense["point"] == [0, 2, 2] and dense["seed"] == [0, 0, 1]
    assert dense["top1"] == [60, 70, 71] and dense["best_top1"] == [60.5, 70.5, 71.5]
    assert dense["seconds"] == [12.3457] * 3 and dense["best_epoch"] == [2, 2, 2]
    assert dense["curves"]["top1"][0] == [50.13, 70]
    assert dense["curves"]["train_loss"] == [[1.235, 0.5], [0.1, None], [1.235, 0.5]]
    assert other["point"] == [1, 2] and other["diverged"] == [0, 1]
    assert other["top1"] == [65, None] and other["loss"] == [0.9, None]


def test_colour_scales_span_the_better_half_of_all_values():
    values = [70.0, 71.0, 72.0, 73.0, 74.0]
    rows = [run("unpruned", 0.1, 10.0**-k, value) for k, value in enumerate(values, 1)]
    metric = interactive_data(results(rows))["metrics"]["top1"]
    assert metric["value"] == (72, 74) and metric["relative"] == (-2, 0)


def losses(axes=("lr", "weight_decay")):
    """Losses of one network, to be minimized, over 1 or 2 axes."""
    values = [[0.5, 0.4], [0.3, 0.9], [0.35, 0.6], [0.32, 0.6], [0.34, 0.8]]
    rows = sweeps.rows("unpruned", values, [0.01, 0.1, 1.0, 10.0, 100.0], [0.0, 1e-3])
    table = pd.DataFrame(rows).rename(columns={"top1": "val_loss"})
    if len(axes) == 1:
        table = table[table["weight_decay"] == 0.0]
    networks = landscapes(table, "val_loss", axes=axes, goal="minimize")
    return Sliders("losses", table, {"val_loss": networks}, 0.1)


def test_metric_to_be_minimized_keeps_its_unit_and_says_so():
    data = interactive_data(losses())
    scales, (network,) = data["metrics"]["val_loss"], data["networks"]
    numbers = network["metrics"]["val_loss"]
    assert (data["unit"], scales["title"], scales["sign"]) == ("", "val_loss", -1)
    assert numbers["value"] == [0.5, 0.4, 0.3, 0.9, 0.35, 0.6, 0.32, 0.6, 0.34, 0.8]
    # The better half of all values, whose median is 0.45.
    assert scales["value"] == pytest.approx((0.3, 0.45))
    assert scales["relative"] == pytest.approx((0, 0.15))
    assert numbers["best"] == 2 and data["thresholds"][data["start"]] == pytest.approx(0.1)
    # Points within 0.1 enter at the tenth step.
    inside = [k for k, step in enumerate(numbers["enters"]) if step is not None and step <= 9]
    assert inside == [1, 2, 4, 6, 8]


def test_landscape_over_one_axis_has_an_ellipse_along_it():
    data = interactive_data(losses(axes=("lr",)))
    (axis,), (network,) = data["axes"], data["networks"]
    assert axis["places"] == [-2, -1, 0, 1, 2] and axis["values"][0] == "0.01"
    # All five lie within 0.2: two deviations of the decades -2 to 2 are 2 sqrt(2.5).
    length, width, centre, *_ = network["metrics"]["val_loss"]["ellipse"][20]
    assert (length, width, centre) == pytest.approx((4 * math.sqrt(2.5), 0, 0), abs=1e-5)


def test_run_without_a_curve_has_an_empty_one():
    row = run("unpruned", 0.1, 1e-3, 70.0) | {"curve": math.nan}
    other = run("unpruned", 0.1, 1e-2, 71.0)
    (network,) = interactive_data(results([row, other]))["networks"]
    assert network["runs"]["curves"]["top1"] == [[], [50.13, 70]]


@pytest.mark.slow
def test_region_ellipse_and_risk_of_every_threshold_are_those_of_the_landscapes(published):
    data = interactive_data(published)
    for metric in published.metrics:
        every = published.landscapes(metric)
        for network in data["networks"]:
            numbers, landscape = network["metrics"][metric], every[network["name"]]
            assert numbers["best"] == landscape.best_row
            for step in range(0, len(THRESHOLDS), 14):
                threshold = THRESHOLDS[step]
                inside = [at is not None and at <= step for at in numbers["enters"]]
                assert inside == landscape.in_roi(threshold).tolist()
                loss = risk(every["unpruned"], landscape, threshold).mean
                assert numbers["risk"][step] == pytest.approx(loss, abs=1e-4)
                ellipse, shape = landscape.ellipse(threshold), numbers["ellipse"][step]
                if ellipse is None:
                    assert shape is None
                else:
                    expected = [ellipse.length, ellipse.width, *ellipse.centre, ellipse.angle]
                    assert shape == pytest.approx(expected, abs=1e-4)


def test_slider_begins_at_the_step_next_to_the_study_s_threshold(published):
    data = interactive_data(published)
    assert data["thresholds"][data["start"]] == pytest.approx(published.risk_threshold)
    assert (data["thresholds"][0], data["thresholds"][-1]) == (0.1, 5.0)


def test_names_from_the_table_do_not_become_markup():
    html = interactive_html(study())
    assert html.startswith('<div class="hpstudy-interactive">')
    assert "<img" not in html and html.count("</script>") == 1
    (text,) = html.split('<script type="application/json">')[1].split("</script></div>")[:1]
    assert json.loads(text)["networks"][1]["name"] == HOSTILE


@pytest.mark.slow
def test_page_of_a_study_as_large_as_the_thesis_s_stays_small():
    random = np.random.default_rng(3)
    curve = {name: list(100 * random.random(180)) for name in ("train_loss", "loss", "top1")}
    rows = [
        run(name, 10.0**lr, 10.0**decay, 90 * random.random(), curve=curve)
        for name in ("unpruned", "uniform-0.6", "uniform-0.2", "nonuniform-0.6", "nonuniform-0.2")
        for lr in range(9)
        for decay in range(9)
    ]
    assert len(rows) == 405
    assert len(interactive_html(results(rows))) < 2e6


def test_study_without_an_accuracy_is_refused_by_name():
    rows = [run("unpruned", 0.1, 1e-3, math.nan, diverged=True)]
    with pytest.raises(HpstudyError, match="'hand' has an accuracy"):
        interactive_data(results(rows))
