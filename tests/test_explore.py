"""The explorer: its widgets move figure and numbers, in a process and in a live kernel."""

import nbformat
import pytest
import synthetic
from nbclient import NotebookClient

from hpstudy.explore import Explorer


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
    assert moved == {"roi-0"}
    assert explorer.numbers.value != numbers


def test_numbers_are_those_of_the_chosen_networks_at_the_threshold(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    explorer.threshold.value = 2.0
    region = explorer.results.landscapes()["nonuniform-0.2"].roi(2.0)
    explorer.right.value = "nonuniform-0.2"
    row = explorer.numbers.value.split("<tr>")[-1]
    assert "Non-uniform, 20 %" in row
    assert f'<td class="number">{len(region)}</td>' in row


def test_choosing_another_network_redraws_its_panel_only(folder):
    explorer = Explorer([folder])
    before = drawn(explorer)[1]
    explorer.right.value = "uniform-0.6"
    after = drawn(explorer)[1]
    assert before[0] == after[0]
    assert "Uniform, 60 %" in "".join(after) and "Uniform, 60 %" not in "".join(before)


def test_metric_changes_the_scale(folder):
    explorer = Explorer([folder])
    before = explorer.figure.layout.coloraxis.cmax
    explorer.metric.value = "best_top1"
    assert explorer.figure.layout.coloraxis.cmax == pytest.approx(before + 0.1)
    assert "best epoch" in explorer.figure.layout.coloraxis.colorbar.title.text
    assert "top5" not in [value for _, value in explorer.metric.options]


def test_colours_can_be_distances_from_each_own_best(folder):
    explorer = Explorer([folder])
    explorer.relative.value = True
    assert explorer.figure.layout.coloraxis.cmax == 0
    assert max(explorer.figure.data[1].marker.color) == 0


def test_another_study_offers_its_own_networks(folder):
    explorer = Explorer([folder], "synthetic-resnet56")
    explorer.left.value = "nonuniform-0.6"
    explorer.study.value = "synthetic-mobilenetv2"
    offered = [value for _, value in explorer.right.options]
    assert "uniform-0.4" in offered and "uniform-0.2" not in offered
    # A network that both have stays chosen.
    assert explorer.left.value == "nonuniform-0.6"
    assert "MobileNetV2" in explorer.numbers.value


def test_what_is_not_there_is_refused(folder, tmp_path, refused):
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
