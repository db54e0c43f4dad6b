"""Where one's own runs lie, and what a notebook's parameters open."""

import json
import shutil
from pathlib import Path

import pytest
import tiny

from hpstudy.plan import Plan
from hpstudy.results import ROOT_MARKS
from hpstudy.store import Store
from hpstudy.workspace import (
    PARAMETERS,
    in_clone,
    open_notebook,
    open_plan,
    params_file,
    publish_results,
    runs_folder,
)

ROOT = Path(__file__).parents[1]

# As the cell of parameters sets them.
GIVEN = {
    "model": "resnet56",
    "profile": "quick",
    "pruning": "all",
    "params": "",
    "data_root": "",
    "workers": 0,
}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the marks of a clone and its params, from within one of its folders."""
    for mark in ROOT_MARKS:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mark).touch()
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir((tmp_path / ROOT_MARKS[0]).parent)
    return tmp_path


def test_runs_lie_at_the_root_of_the_clone_or_where_one_is(clone, tmp_path_factory, monkeypatch):
    assert in_clone() and runs_folder() == clone / "runs"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert not in_clone() and runs_folder() == Path("runs")


def test_plan_is_opened_against_ones_own_store(clone):
    path = tiny.write_study(clone / "mine.yaml")
    plan = open_plan(path, "uniform-0.2", "sets")
    assert isinstance(plan, Plan) and plan.study == tiny.study()
    assert plan.store.path == clone / "runs" / "store.sqlite" and plan.store.path.exists()
    assert plan.data_root == Path("sets")
    table = publish_results(plan, "hpstudy run mine.yaml", 2)
    assert table == clone / "runs" / "book" / "results" / "tiny.csv"
    record = json.loads(table.with_suffix(".json").read_text())["record"]
    assert (record["command"], record["workers"]) == ("hpstudy run mine.yaml", 2)


def test_parameters_are_those_of_the_sweep_notebook():
    notebook = json.loads((ROOT / "notebooks" / "sweep.ipynb").read_text(encoding="utf-8"))
    (cell,) = (c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    set_there = {}
    exec("".join(cell["source"]), set_there)
    assert {name: set_there.get(name) for name in PARAMETERS} == GIVEN
    assert {name: type(value) for name, value in GIVEN.items()} == PARAMETERS


@pytest.mark.parametrize("profile", ["quick", "thesis"])
def test_params_file_of_every_profile_and_model_is_found(profile, clone):
    for path in (ROOT / "params" / profile).iterdir():
        assert params_file(profile, path.stem) == clone / "params" / profile / path.name


def test_unknown_profile_and_model_are_refused_with_the_nearest(clone, refused):
    assert "did you mean 'quick'?" in refused(params_file, "quik", "resnet56")
    words = refused(params_file, "quick", "resnt56")
    assert "did you mean 'resnet56'?" in words and "mobilenetv2" in words


def test_notebook_opens_the_study_that_its_parameters_name(clone):
    opened = open_notebook(GIVEN | {"_private": 1, "In": [], "Out": {}, "Path": Path})
    assert opened.plan.study.name == "quick-resnet56" and opened.workers is None
    assert opened.command.startswith("papermill notebooks/sweep.ipynb -p model resnet56")
    mine = tiny.write_study(clone / "my study.yaml")
    opened = open_notebook(GIVEN | {"params": str(mine), "pruning": "uniform-0.2", "workers": 1})
    assert opened.plan.study == tiny.study() and opened.workers == 1
    assert "-p pruning uniform-0.2" in opened.command and "-p workers 1" in opened.command
    assert f"-p params '{mine}'" in opened.command


@pytest.mark.parametrize(
    "changes, fragments",
    [
        ({"modle": "resnet50"}, ["unknown parameter 'modle'", "did you mean 'model'?"]),
        ({"lr": 0.1}, ["unknown parameter 'lr'", *PARAMETERS]),
        ({"workers": "2"}, ["workers", "int", "'2'"]),
        ({"workers": True}, ["workers", "int", "True"]),
        ({"workers": -1}, ["workers", "-1"]),
        ({"model": None}, ["model", "str", "None"]),
        ({"model": "resnt56"}, ["did you mean 'resnet56'?"]),
        ({"profile": "thesys"}, ["did you mean 'thesis'?"]),
        ({"pruning": "unifrom-0.2"}, ["did you mean 'uniform-0.2'?"]),
        ({"params": "params/quick/resnt56.yaml"}, ["no params file"]),
    ],
)
def test_notebook_refuses_parameters_by_name_before_it_works(changes, fragments, clone, refused):
    words = refused(open_notebook, GIVEN | changes)
    assert [fragment for fragment in fragments if fragment not in words] == []


def test_a_prior_that_diverged_ranks_no_filters(tmp_path, refused):
    store = Store(tmp_path / "store.sqlite")
    prior = Plan(tiny.study(), store).prior
    scores = {"blocks.0.conv1": [float("nan")] * 16}
    tiny.record(store, prior, tiny.result(), {"weights_sha256": "ab" * 32, "scores": scores})
    words = refused(Plan, tiny.study(), store)
    assert "diverged at its prior, lr 0.01 and weight_decay 0.01" in words
