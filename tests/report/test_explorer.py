"""The explorer: what its kernel sends and answers, in a process and in a notebook."""

import io
import json
from datetime import UTC, datetime

import nbformat
import numpy as np
import pandas as pd
import pytest
import synthetic
from nbclient import NotebookClient

from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.study_results import read_study
from hpstudy.plots.interactive import interactive_data
from hpstudy.report.explorer import Explorer, file_name

# Each test makes an explorer of two studies.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    synthetic.write(folder, points=7, seeds=1)
    return folder


def shown(explorer):
    """Variants of the left and the right network in what the browser gets."""
    networks, panels = explorer.panels.runs["networks"], explorer.panels
    return networks[panels.left]["name"], networks[panels.right]["name"]


def test_numbers_follow_what_is_moved_in_the_browser(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    assert shown(explorer) == ("unpruned", "nonuniform-0.2")
    assert "points in the 0.5-ROI" in explorer.numbers.value
    names = [network["name"] for network in explorer.panels.runs["networks"]]
    explorer.panels.step = 18
    explorer.panels.right = names.index("uniform-0.6")
    landscape = explorer.source.landscapes("top1", ("lr", "weight_decay"))["uniform-0.6"]
    assert "Uniform, 60 %" in explorer.numbers.value
    assert "points in the 1.0-ROI" in explorer.numbers.value
    assert f">{len(landscape.roi(1.0))}</td>" in explorer.numbers.value
    explorer.panels.metric = "best_top1"
    assert f"{landscape.best + 0.1:.2f} %" in explorer.numbers.value
    # Diameters follow the multiple where a region is wide enough to have an ellipse.
    explorer.panels.step = 58
    before = explorer.numbers.value
    explorer.panels.multiple = 1.0
    assert explorer.numbers.value != before


def test_browser_gets_the_landscapes_of_the_study(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    results = read_study("synthetic-resnet56", [folder])
    data = json.loads(json.dumps(explorer.panels.runs))
    assert data == json.loads(json.dumps(interactive_data(results)))


def test_data_of_the_view_is_saved_under_a_harmless_name(folder, monkeypatch):
    explorer = Explorer([folder], "synthetic-resnet56")
    sent = []
    monkeypatch.setattr(explorer.panels, "send", sent.append)
    explorer.csv.click()
    (file,) = sent
    assert len(pd.read_csv(io.StringIO(file["text"]))) == 2 * 49
    assert file["name"] == "synthetic-resnet56-unpruned-nonuniform-0.2-top1-0.5-ROI.csv"
    for text, name in (("../../etc/x", "etc-x"), ("\u202e", "view"), ("x/0.5-ROI", "x-0.5-ROI")):
        assert file_name(text) == name


def test_another_study_keeps_a_network_that_it_has_too(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    names = [network["name"] for network in explorer.panels.runs["networks"]]
    explorer.panels.left = names.index("nonuniform-0.6")
    explorer.panels.right = names.index("uniform-0.2")
    explorer.study.value = "synthetic-mobilenetv2"
    # Its last network takes the place of one that it does not have.
    last = explorer.panels.runs["networks"][-1]["name"]
    assert shown(explorer) == ("nonuniform-0.6", last) and last != "uniform-0.2"
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
    data = explorer.panels.runs
    assert (shown(explorer), explorer.panels.metric) == (("dense", "half"), "val_loss")
    assert data["axes"][1]["labels"][0] == "0" and data["metrics"]["val_loss"]["sign"] == -1
    assert explorer.threshold < 1 and "%" not in explorer.numbers.value
    explorer.study.value = "own runs 2"
    assert explorer.axes.value == ("lr",) and len(explorer.panels.runs["axes"]) == 1
    explorer.study.value = "own runs"
    assert explorer.axes.value == ("lr", "weight_decay")
    assert len(explorer.panels.runs["axes"]) == 2


def test_absent_study_is_refused(folder, tmp_path, refused):
    assert "no study has been published" in refused(Explorer, [tmp_path])
    assert "did you mean 'synthetic-resnet56'" in refused(Explorer, [folder], "synthetic-resnt56")


def test_notebook_explores_in_a_live_kernel(tmp_path, monkeypatch):
    clone = synthetic.clone(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(synthetic.REPOSITORY))
    book = nbformat.read(clone / "notebooks" / "explore.ipynb", as_version=4)
    move = """
    before = explorer.numbers.value
    explorer.panels.step = 38
    print(len(explorer.panels.runs["networks"]), explorer.numbers.value != before)
    """
    book.cells.append(nbformat.v4.new_code_cell("\n".join(map(str.strip, move.splitlines()))))
    NotebookClient(
        book,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(clone / "notebooks")}},
    ).execute()
    assert book.cells[-1].outputs[0].text == "5 True\n"
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
    assert (explorer.study.value, shown(explorer)) == ("mine", ("unpruned", "thin"))
    assert "broken.csv" in explorer.messages.value
    explorer.study.value = "synthetic-resnet56"
    assert shown(explorer) == ("unpruned", "nonuniform-0.2")


def test_broken_published_table_does_not_take_the_others_away(tmp_path):
    synthetic.write(tmp_path, points=5, seeds=1, models=["resnet56"])
    (tmp_path / "broken.csv").write_text("no table")
    explorer = Explorer([tmp_path])
    assert list(explorer.sources) == ["synthetic-resnet56"]
    assert "broken" in explorer.messages.value
