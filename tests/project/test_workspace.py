"""The folder of the user's runs, the plans opened there, and damaged tables in it."""

import json
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import yaml
from badcommands import PARAMETERS, make_clone
from badinput import command
from papermill.iorw import read_yaml_file

from hpstudy.config.study import Study
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import publish_study
from hpstudy.workspace import (
    NotebookSweep,
    SweepParameters,
    in_clone,
    open_notebook,
    open_plan,
    params_file,
    publish_results,
    runs_folder,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone with this one's params files; the working directory is one of its folders."""
    monkeypatch.chdir(tmp_path)
    make_clone()
    shutil.copytree(ROOT / "params", "params", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_runs_folder_is_at_the_root_of_the_clone_or_in_the_working_directory(
    clone, tmp_path_factory, monkeypatch
):
    assert in_clone() and runs_folder() == clone / "runs"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert not in_clone() and runs_folder() == Path("runs")


def test_plan_is_opened_against_the_users_store(clone):
    path = tiny.write_study(clone / "own.yaml")
    plan = open_plan(path, "uniform-0.2", "sets")
    assert isinstance(plan, Plan) and plan.study == tiny.study()
    assert plan.store.path == clone / "runs" / "store.sqlite" and plan.store.path.exists()
    assert plan.data_root == Path("sets")
    table = publish_results(plan, "hpstudy run own.yaml", 2)
    assert table == clone / "runs" / "book" / "results" / "tiny.csv"
    record = json.loads(table.with_suffix(".json").read_text())["record"]
    assert (record["command"], record["workers"]) == ("hpstudy run own.yaml", 2)


def test_parameters_are_those_of_the_sweep_notebook():
    notebook = json.loads((ROOT / "notebooks" / "sweep.ipynb").read_text(encoding="utf-8"))
    (source,) = (
        "".join(cell["source"])
        for cell in notebook["cells"]
        if "parameters" in cell["metadata"].get("tags", [])
    )
    variables = {}
    exec(source, variables)
    assert {name: variables.get(name) for name in SweepParameters.model_fields} == PARAMETERS
    known = variables.keys() - {"__builtins__", "__annotations__"}
    # A file of an earlier version may still say `racing: false`.
    study = Study.model_fields.keys() - {"racing"}
    assert known == SweepParameters.model_fields.keys() | study


def test_notebook_takes_a_file_that_says_there_is_no_race(clone, monkeypatch, refused):
    monkeypatch.setattr(
        "hpstudy.workspace.open_plan", lambda study, *_: SimpleNamespace(study=study)
    )
    opened = open_notebook(PARAMETERS | tiny.STUDY | {"racing": False})
    assert opened.plan.study == tiny.study()
    assert "racing was removed" in refused(open_notebook, PARAMETERS | {"racing": True})


@pytest.mark.parametrize("profile", ["quick", "thesis"])
def test_every_params_file_is_found_by_profile_and_model(profile, clone):
    for path in (ROOT / "params" / profile).iterdir():
        assert params_file(profile, path.stem) == clone / "params" / profile / path.name


@pytest.mark.slow
def test_notebook_opens_the_study_of_its_parameters(clone):
    opened = open_notebook(PARAMETERS | {"_private": 1, "In": [], "Out": {}, "Path": Path})
    assert opened.plan.study.name == "quick-resnet56" and opened.workers is None
    path = tiny.write_study(clone / "my study.yaml")
    opened = open_notebook(
        PARAMETERS | {"params": str(path), "pruning": "uniform-0.2", "workers": 1}
    )
    assert opened.plan.study == tiny.study() and opened.workers == 1
    assert opened.folders == ["runs/book/results"]


def test_notebook_names_the_command_that_executes_it(clone):
    assert open_notebook(PARAMETERS).command == (
        "papermill notebooks/sweep.ipynb runs/quick-resnet56.ipynb -f params/quick/resnet56.yaml"
    )
    assert NotebookSweep("cpu-resnet20", [], "uniform-0.2").command == (
        "papermill notebooks/sweep.ipynb runs/cpu-resnet20-uniform-0.2.ipynb "
        "-f params/cpu/resnet20.yaml -p pruning uniform-0.2"
    )
    assert " -f PARAMS.yaml" in NotebookSweep("mine", [], "all").command


@pytest.mark.parametrize("path", sorted(ROOT.glob("params/*/*.yaml")), ids=lambda path: path.stem)
def test_notebook_accepts_the_keys_of_a_params_file(path, clone, monkeypatch):
    """As `papermill notebooks/sweep.ipynb -f PARAMS.yaml` sets them."""
    monkeypatch.setattr(
        "hpstudy.workspace.open_plan", lambda study, *_: SimpleNamespace(study=study)
    )
    others = dict.fromkeys(Study.model_fields)
    opened = open_notebook(others | PARAMETERS | yaml.safe_load(path.read_text()))
    assert opened.plan.study == Study.load(path)


def test_notebook_reads_numbers_as_the_params_file_does(tmp_path, clone, monkeypatch, refused):
    """papermill reads YAML 1.1, to which 1e-4 is text."""
    monkeypatch.setattr(
        "hpstudy.workspace.open_plan", lambda study, *_: SimpleNamespace(study=study)
    )
    path = tiny.write_study(tmp_path / "tiny.yaml")
    text = path.read_text().replace("- 0.01\n  - 0.02", "- 1e-2\n  - 2E-2")
    path.write_text(text.replace("weight_decay: 0.01", "weight_decay: 1e-4"))
    values = read_yaml_file(str(path))
    assert values["prior"]["weight_decay"] == "1e-4" and values["grid"]["lr"] == ["1e-2", "2E-2"]
    study = open_notebook(PARAMETERS | values).plan.study
    assert study == Study.load(path) and study.prior.weight_decay == 1e-4
    path.write_text(text.replace("weight_decay: 0.01", "weight_decay: '0.01'"))
    said = refused(open_notebook, PARAMETERS | read_yaml_file(str(path)))
    assert said == f"parameters: {refused(Study.load, path).partition(': ')[2]}"
    assert "prior.weight_decay" in said and "'0.01'" in said


def test_misspelt_key_of_a_study_is_refused_with_the_nearest(clone, refused):
    values = yaml.safe_load((ROOT / "params/quick/resnet56.yaml").read_text())
    values["recpe"] = values.pop("recipe")
    said = refused(open_notebook, PARAMETERS | values)
    assert "'recpe' (did you mean 'recipe'?)" in said


def test_notebook_of_a_published_table_has_nothing_to_train(clone):
    opened = open_notebook(PARAMETERS | {"name": "cpu-resnet20", "results": ["book/results"]})
    assert (opened.name, opened.folders, opened.plan) == ("cpu-resnet20", ["book/results"], None)
    opened.train()
    assert not (clone / "runs").exists()


def test_notebook_outside_a_clone_is_refused_before_it_trains(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    path = tiny.write_study(tmp_path / "tiny.yaml")
    assert "no clone of hpstudy" in refused(open_notebook, PARAMETERS | {"params": str(path)})
    assert list(tmp_path.iterdir()) == [path]


def test_diverged_prior_is_refused_as_a_ranking(tmp_path, refused):
    store = Store.open(tmp_path / "store.sqlite")
    prior = Plan.open(tiny.study(), store).prior
    scores = {"blocks.0.conv1": [float("nan")] * 16}
    tiny.record(store, prior, tiny.result(), {"weights_sha256": "ab" * 32, "scores": scores})
    message = refused(Plan.open, tiny.study(), store)
    assert "diverged at its prior, lr 0.01 and weight_decay 0.01" in message


# --- damaged tables and records -------------------------------------------------------------------


@pytest.fixture
def user_table(recorded_study):
    """The user's table of the recorded study."""
    return publish_study(recorded_study, "runs/book/results", "hpstudy run tiny.yaml", 1)


def half(content):
    return content[: len(content) // 2]


def cut_at(mark):
    """Cut at the last occurrence, and end the line."""
    return lambda content: content[: content.rindex(mark)] + b"\n"


SHORT = "line 5 of runs/book/results/tiny.csv is cut short: it has no curve"
DAMAGE = {
    "cut within a line": ("csv", half, "tiny.csv is cut short: its last line has no end"),
    "cut within a curve": ("csv", cut_at(b"train_loss"), "is not a CSV file: EOF inside string"),
    "cut before a curve": ("csv", cut_at(b',"{'), SHORT),
    "empty": ("csv", lambda _: b"", "tiny.csv is cut short"),
    "zeros": ("csv", lambda content: bytes(len(content)), "tiny.csv is cut short"),
    "binary": ("csv", lambda _: bytes(range(256)), "tiny.csv is not text in UTF-8"),
    "another table": ("csv", lambda _: b"a,b\n1,2\n", "tiny.csv lacks the column 'variant'"),
    "a record cut short": ("json", half, "tiny.json is no JSON, or is cut short"),
    "an empty record": ("json", lambda _: b"", "tiny.json is no JSON, or is cut short"),
    "a binary record": ("json", lambda _: bytes(range(256)), "tiny.json is not text in UTF-8"),
    "a record without keys": ("json", lambda _: b"{}\n", "tiny.json lacks the key 'study'"),
    "a record without a count": (
        "json",
        lambda content: content.replace(b'"runs"', b'"trainings"'),
        "tiny.json is no record of a table: it lacks record.runs",
    ),
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_table_or_record_is_refused_and_not_changed(damage, user_table, refused):
    suffix, change, fault = DAMAGE[damage]
    path = user_table.with_suffix(f".{suffix}")
    path.write_bytes(change(path.read_bytes()))
    before = contents(user_table.parent)
    message = refused(open_plan, "tiny.yaml")
    assert fault in message and f"`hpstudy check {user_table}` names its faults" in message
    assert contents(user_table.parent) == before
    assert check_files([user_table])[0].faults


@pytest.mark.parametrize("arguments", ["run --no-book", "cost"])
def test_run_and_cost_refuse_a_damaged_table_before_they_open_a_store(arguments, user_table):
    user_table.write_bytes(half(user_table.read_bytes()))
    before = contents(user_table.parent)
    shutil.move("runs/store.sqlite", "moved.sqlite")
    assert "tiny.csv is cut short" in command(*arguments.split(), "tiny.yaml")
    assert contents(user_table.parent) == before
    assert not Path("runs", "store.sqlite").exists()


def delete_from_store(*run_ids):
    with sqlite3.connect("runs/store.sqlite") as database:
        for run_id in run_ids:
            database.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    database.close()


@pytest.mark.parametrize("left", [3, 0])
def test_table_with_fewer_lines_than_its_record_counts_is_refused(left, user_table, refused):
    lines = user_table.read_text().splitlines(keepends=True)
    user_table.write_text("".join(lines[: left + 1]))
    # The store has all runs, as after a kill between the writing of the record and of the table.
    assert not open_plan("tiny.yaml").missing()
    delete_from_store(*(line.partition(",")[0] for line in lines[left + 1 :]))
    before = contents(user_table.parent)
    message = refused(open_plan, "tiny.yaml")
    assert f"tiny.csv has {left} of the 4 runs that its record counts" in message
    assert contents(user_table.parent) == before


def test_missing_lines_of_variants_outside_the_plan_are_refused(user_table, refused):
    lines = user_table.read_text().splitlines(keepends=True)
    user_table.write_text("".join(lines[:4]))
    assert not open_plan("tiny.yaml", "unpruned").missing()
    delete_from_store(lines[4].partition(",")[0])
    assert "has 3 of the 4 runs" in refused(open_plan, "tiny.yaml", "unpruned")


def test_unreadable_table_is_refused(user_table, refused):
    user_table.unlink()
    # Even root cannot read a link to itself.
    user_table.symlink_to(user_table.name)
    message = refused(open_plan, "tiny.yaml")
    assert "tiny.csv' cannot be read: " in message and user_table.is_symlink()


def test_table_without_its_record_is_refused(user_table, refused):
    user_table.with_suffix(".json").unlink()
    assert "lacks its record tiny.json beside it" in refused(open_plan, "tiny.yaml")
    assert user_table.exists()


def test_study_opens_with_a_whole_table_and_without_one(user_table):
    assert not open_plan("tiny.yaml").missing()
    user_table.unlink()
    assert not open_plan("tiny.yaml").missing()
