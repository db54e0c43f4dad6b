"""The folder of the user's runs, and what the parameters of a notebook open."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import tiny

from hpstudy.cli import main
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import publish_study
from hpstudy.workspace import (
    ROOT_MARKS,
    SweepParameters,
    in_clone,
    open_notebook,
    open_plan,
    params_file,
    publish_results,
    runs_folder,
)

ROOT = Path(__file__).parents[2]

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


def test_runs_lie_at_the_root_of_the_clone_or_in_the_working_directory(
    clone, tmp_path_factory, monkeypatch
):
    assert in_clone() and runs_folder() == clone / "runs"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert not in_clone() and runs_folder() == Path("runs")


def test_plan_is_opened_against_the_users_store(clone):
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
    assert {name: set_there.get(name) for name in SweepParameters.model_fields} == GIVEN


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
        ({"modle": "resnet50"}, ["unknown key 'modle'", "did you mean 'model'?"]),
        ({"lr": 0.1}, ["unknown key 'lr'", *GIVEN]),
        ({"workers": "2"}, ["workers", "integer", "'2'"]),
        ({"workers": True}, ["workers", "integer", "True"]),
        ({"workers": -1}, ["workers", "-1"]),
        ({"model": None}, ["model", "string", "None"]),
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
    store = Store.open(tmp_path / "store.sqlite")
    prior = Plan.open(tiny.study(), store).prior
    scores = {"blocks.0.conv1": [float("nan")] * 16}
    tiny.record(store, prior, tiny.result(), {"weights_sha256": "ab" * 32, "scores": scores})
    words = refused(Plan.open, tiny.study(), store)
    assert "diverged at its prior, lr 0.01 and weight_decay 0.01" in words


# --- a damaged table or record of one's own -------------------------------------------------------


@pytest.fixture
def own(swept, tmp_path, monkeypatch):
    """One's own table of the tiny study, whose store has every run of it."""
    monkeypatch.chdir(tmp_path)
    tiny.write_study(tmp_path / "tiny.yaml")
    shutil.copytree(swept.store.path.parent, "runs")
    return publish_study(swept.plan, "runs/book/results", "hpstudy run tiny.yaml", 1)


def half(content):
    return content[: len(content) // 2]


def cut_at(mark):
    """Cut at the last such mark, with an end to the line that is left."""
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
    "a record of nothing": ("json", lambda _: b"{}\n", "tiny.json lacks the key 'study'"),
    "a record that counts nothing": (
        "json",
        lambda content: content.replace(b'"runs"', b'"trainings"'),
        "tiny.json is no record of a table: it lacks record.runs",
    ),
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_table_or_record_is_refused_and_stays_as_it_is(what, own, refused):
    kind, spoil, words = DAMAGE[what]
    path = own.with_suffix(f".{kind}")
    path.write_bytes(spoil(path.read_bytes()))
    before = contents(own.parent)
    said = refused(open_plan, "tiny.yaml")
    assert words in said and f"`hpstudy check {own}` names its faults" in said
    assert contents(own.parent) == before
    assert check_files([own])[0].faults


@pytest.mark.parametrize("command", [("run", "--no-book"), ("cost",)])
def test_run_and_cost_refuse_a_damaged_table_before_they_work(command, own, monkeypatch, capsys):
    own.write_bytes(half(own.read_bytes()))
    before = contents(own.parent)
    shutil.move("runs/store.sqlite", "elsewhere.sqlite")
    monkeypatch.setattr("sys.argv", ["hpstudy", *command, "tiny.yaml"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 2 and said.out == ""
    assert said.err.startswith("hpstudy: ") and said.err.count("\n") == 1
    assert "tiny.csv is cut short" in said.err
    assert contents(own.parent) == before
    assert not Path("runs", "store.sqlite").exists()


def forget(*run_ids):
    with sqlite3.connect("runs/store.sqlite") as database:
        for run_id in run_ids:
            database.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    database.close()


@pytest.mark.parametrize("left", [3, 0])
def test_missing_lines_are_noticed_by_the_record(left, own, refused):
    lines = own.read_text().splitlines(keepends=True)
    own.write_text("".join(lines[: left + 1]))
    # The store has them all: whoever was ended between record and table leaves such a pair.
    assert not open_plan("tiny.yaml").missing()
    forget(*(line.partition(",")[0] for line in lines[left + 1 :]))
    before = contents(own.parent)
    said = refused(open_plan, "tiny.yaml")
    assert f"tiny.csv has {left} of the 4 runs that its record counts" in said
    assert contents(own.parent) == before


def test_missing_lines_of_variants_outside_the_plan_are_noticed(own, refused):
    lines = own.read_text().splitlines(keepends=True)
    own.write_text("".join(lines[:4]))
    assert not open_plan("tiny.yaml", "unpruned").missing()
    forget(lines[4].partition(",")[0])
    assert "has 3 of the 4 runs" in refused(open_plan, "tiny.yaml", "unpruned")


def test_unreadable_table_is_refused(own, refused):
    own.unlink()
    # Whoever may read every file cannot read this one.
    own.symlink_to(own.name)
    said = refused(open_plan, "tiny.yaml")
    assert "tiny.csv' cannot be read: " in said and own.is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_table_without_permission_is_refused(own, refused):
    own.chmod(0)
    assert "tiny.csv' cannot be read: Permission denied" in refused(open_plan, "tiny.yaml")


def test_a_table_without_its_record_is_refused(own, refused):
    own.with_suffix(".json").unlink()
    assert "lacks its record tiny.json beside it" in refused(open_plan, "tiny.yaml")
    assert own.exists()


def test_sweep_continues_from_no_table_and_from_a_whole_one(own):
    assert not open_plan("tiny.yaml").missing()
    own.unlink()
    assert not open_plan("tiny.yaml").missing()
