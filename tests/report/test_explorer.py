"""The explorer: its widgets move figure and numbers, in a process and in a live kernel."""

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import synthetic
from nbclient import NotebookClient

from hpstudy.analysis.run_tables import read_runs
from hpstudy.report.explorer import Explorer, file_name

# Each test makes an explorer of two studies.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    synthetic.write(folder, points=7, seeds=1)
    return folder


def drawn(explorer):
    """What the figure shows: positions of every trace, and all titles."""
    places = [(tuple(trace.x or ()), tuple(trace.y or ())) for trace in explorer.figure.data]
    return places, [note.text for note in explorer.figure.layout.annotations]


def test_slider_moves_the_ellipses_and_the_numbers_but_not_the_points(folder):
    explorer = Explorer([folder])
    before, numbers = drawn(explorer)[0], explorer.numbers.value
    explorer.threshold.value = 3.0
    after = drawn(explorer)[0]
    moved = {
        explorer.figure.data[n].legendgroup for n, pair in enumerate(before) if pair != after[n]
    }
    assert moved == {"roi-0", "ellipse-0", "ellipse-1"}
    assert explorer.numbers.value != numbers and "3.0-ROI" in explorer.numbers.value


def test_multiple_scales_the_ellipses(folder):
    explorer = Explorer([folder])
    explorer.threshold.value = 3.0
    line = next(trace for trace in explorer.figure.data if trace.legendgroup == "roi-0")
    before = np.log10(line.x)
    explorer.multiple.value = 1.0
    assert np.ptp(np.log10(line.x)) == pytest.approx(np.ptp(before) / 2, rel=1e-3)


def test_numbers_are_those_of_the_chosen_networks_at_the_threshold(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    explorer.threshold.value = 2.0
    region = explorer.source.landscapes("top1", ("lr", "weight_decay"))["nonuniform-0.2"].roi(2.0)
    explorer.right.value = "nonuniform-0.2"
    assert "Non-uniform, 20 %" in explorer.numbers.value
    assert f">{len(region)}</td>" in explorer.numbers.value


def test_choosing_another_network_redraws_its_panel_and_the_difference(folder):
    explorer = Explorer([folder])
    before = drawn(explorer)[1]
    explorer.right.value = "uniform-0.6"
    after = drawn(explorer)[1]
    assert before[0] == after[0]
    assert "Uniform, 60 %" in after[1] and "Uniform, 60 % − Dense" in after[2]
    assert "Uniform, 60 %" not in "".join(before)


def test_metric_changes_the_scale(folder):
    explorer = Explorer([folder])
    explorer.relative.value = False
    before = explorer.figure.layout.coloraxis.cmax
    explorer.metric.value = "best_top1"
    assert explorer.figure.layout.coloraxis.cmax == pytest.approx(before + 0.1)
    assert "top5" not in [value for _, value in explorer.metric.options]


def test_colours_can_be_distances_from_each_own_best_or_values(folder):
    explorer = Explorer([folder])
    assert explorer.figure.layout.coloraxis.cmax == max(explorer.figure.data[1].marker.color) == 0
    explorer.relative.value = False
    best = explorer.shown()["left"].best
    assert max(explorer.figure.data[1].marker.color) == pytest.approx(best)


def test_chosen_point_shows_a_line_for_each_of_its_runs(folder):
    explorer = Explorer([folder])
    assert not explorer._curves_box.children
    at = explorer.shown()["left"].best_at
    explorer.point.value = (at["lr"], at["weight_decay"])
    assert len(explorer.curves.data) == 2 * 3
    runs = explorer.source.table
    row = runs[(runs["variant"] == "unpruned") & (runs["top1"] == runs["top1"].max())].iloc[0]
    assert explorer.curves.data[0].y == tuple(json.loads(row["curve"])["top1"])
    explorer.right.value = "unpruned"
    assert len(explorer.curves.data) == 3
    explorer.point.value = ()
    assert not explorer._curves_box.children


def test_click_on_a_point_chooses_it(folder):
    explorer = Explorer([folder])
    measured = explorer.figure.data[1]
    explorer._click(measured, SimpleNamespace(xs=[measured.x[3]], ys=[measured.y[3]]), None)
    assert explorer.point.value == (measured.y[3], measured.x[3])


@pytest.mark.parametrize(("width", "columns"), [(1000, 3), (600, 2), (360, 1)])
def test_panels_wrap_where_the_page_is_narrow(folder, width, columns):
    explorer = Explorer([folder])
    explorer.page.width = width
    assert explorer.figure.layout.grid.columns == columns
    assert explorer.figure.layout.width == width


def test_data_of_the_view_is_saved_under_a_harmless_name(folder, monkeypatch):
    explorer = Explorer([folder], "synthetic-resnet56")
    sent = []
    monkeypatch.setattr(explorer.page, "send", sent.append)
    explorer.csv.click()
    (file,) = sent
    assert len(pd.read_csv(io.StringIO(file["text"]))) == 2 * 49
    assert file["name"] == "synthetic-resnet56-unpruned-nonuniform-0.2-top1-0.5-ROI.csv"
    for text, name in (("../../etc/x", "etc-x"), ("\u202e", "view"), ("x/0.5-ROI", "x-0.5-ROI")):
        assert file_name(text) == name


def test_another_study_offers_its_own_networks(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    explorer.left.value = "nonuniform-0.6"
    explorer.study.value = "synthetic-mobilenetv2"
    offered = [value for _, value in explorer.right.options]
    assert "uniform-0.4" in offered and "uniform-0.2" not in offered
    # A network that both have stays chosen.
    assert explorer.left.value == "nonuniform-0.6"
    assert "MobileNetV2" in explorer.caption.value


@pytest.fixture
def own(tmp_path):
    """Tables of a user: losses with a weight decay of 0, and of learning rates alone."""
    losses = [
        (model, lr, decay, round(0.4 + 0.1 * np.log10(lr / best) ** 2 + 10 * decay, 4))
        for model, best in (("dense", 0.1), ("half", 0.2))
        for lr in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
        for decay in (0.0, 1e-4, 1e-3)
    ]
    table = pd.DataFrame(losses, columns=["model", "lr", "weight_decay", "val_loss"])
    table.to_csv(tmp_path / "two.csv", index=False)
    one = table[table["weight_decay"] == 0].drop(columns="weight_decay")
    one.to_csv(tmp_path / "one.csv", index=False)
    return [read_runs(tmp_path / name, goal="minimize") for name in ("two.csv", "one.csv")]


def test_tables_of_a_user_are_explored_with_zeros_and_over_one_axis(own):
    explorer = Explorer(own)
    assert (explorer.left.value, explorer.metric.value) == ("dense", "val_loss")
    points = explorer.figure.data[1]
    assert explorer.figure.layout.xaxis.ticktext[0] == "0"
    explorer._click(points, SimpleNamespace(xs=[points.x[0]], ys=[points.y[0]]), None)
    assert explorer.point.value == (0.001, 0.0)
    explorer.relative.value = False
    assert explorer.figure.layout.coloraxis.cmin == 0.4
    assert explorer.threshold.max < 1 and "%" not in explorer.numbers.value
    explorer.study.value = "own runs 2"
    assert explorer.axes.value == ("lr",)
    points = next(trace for trace in explorer.figure.data if trace.hoverinfo == "text")
    explorer._click(points, SimpleNamespace(xs=[points.x[2]], ys=[points.y[2]]), None)
    assert explorer.point.value == (0.01,)
    explorer.study.value = "own runs"
    assert explorer.axes.value == ("lr", "weight_decay")
    assert explorer.figure.data[0].type == "contour"


def test_absent_study_is_refused(folder, tmp_path, refused):
    assert "no study has been published" in refused(Explorer, [tmp_path])
    assert "did you mean 'synthetic-resnet56'" in refused(Explorer, [folder], "synthetic-resnt56")


def test_notebook_explores_in_a_live_kernel(tmp_path, monkeypatch):
    clone = synthetic.clone(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(synthetic.REPOSITORY))
    book = nbformat.read(clone / "notebooks" / "explore.ipynb", as_version=4)
    move = """
    before = [trace.x for trace in explorer.figure.data], explorer.numbers.value
    explorer.threshold.value = 4.0
    after = [trace.x for trace in explorer.figure.data], explorer.numbers.value
    print(type(explorer.figure).__name__, before[0] != after[0], before[1] != after[1])
    """
    book.cells.append(nbformat.v4.new_code_cell("\n".join(map(str.strip, move.splitlines()))))
    NotebookClient(
        book,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(clone / "notebooks")}},
    ).execute()
    assert book.cells[-1].outputs[0].text == "FigureWidget True True\n"
    view = [o for c in book.cells for o in c.get("outputs", []) if "data" in o]
    assert any("application/vnd.jupyter.widget-view+json" in output.data for output in view)


def test_uploaded_table_is_shown_and_a_broken_one_leaves_a_message(folder):
    explorer = Explorer([folder])
    text = "variant,lr,weight_decay,top1\n" + "".join(
        f"{name},{lr},{decay},{90 - lr}\n"
        for name in ("unpruned", "thin")
        for lr in (0.01, 0.1)
        for decay in (1e-4, 1e-3)
    )
    explorer.upload.value = [
        {"name": name, "type": "text/csv", "size": len(body), "content": body.encode()}
        | {"last_modified": datetime.now(UTC)}
        for name, body in (("mine.csv", text), ("broken.csv", "lr\nfast\n"))
    ]
    assert (explorer.study.value, explorer.right.value) == ("mine", "thin")
    assert "broken.csv" in explorer.messages.value
    explorer.study.value = "synthetic-resnet56"
    assert explorer.right.value == "nonuniform-0.2"


def test_broken_published_table_does_not_take_the_others_away(tmp_path):
    synthetic.write(tmp_path, points=5, seeds=1, models=["resnet56"])
    (tmp_path / "broken.csv").write_text("no table")
    explorer = Explorer([tmp_path])
    assert list(explorer.sources) == ["synthetic-resnet56"]
    assert "broken" in explorer.messages.value
