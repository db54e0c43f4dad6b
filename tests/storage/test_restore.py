"""A lost store is made again from the published table: no recorded run is trained again."""

import json
import shutil

import pandas as pd
import pytest
import tiny
from recorded import STUDY, recorded_plan

from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store, restore
from hpstudy.storage.tables import read_published
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import publish_study
from hpstudy.workspace import open_plan, publish_results

COMMAND = "hpstudy run tiny.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return recorded_plan(tmp_path_factory.mktemp("made") / "store.sqlite")


@pytest.fixture
def table(made, tmp_path):
    return publish_study(made, tmp_path / "published", COMMAND, 1)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "again" / "store.sqlite")


def test_sweep_continues_from_a_restored_table(made, table, store, tmp_path):
    assert restore(table, store) == {"table": str(table), "runs": 8, "known": 0, "left_out": 0}
    plan = Plan.open(made.study, store)
    assert not plan.missing()
    again = publish_study(plan, tmp_path / "published-again", COMMAND, 1)
    assert again.read_bytes() == table.read_bytes()
    assert [findings.faults for findings in check_files([store.path, again])] == [[], []]


def change(table, part):
    """Change the record of a table in place."""
    path = table.with_suffix(".json")
    record = json.loads(path.read_text())
    part(record)
    path.write_text(json.dumps(record))


def test_record_without_a_ranking_costs_one_more_training(made, table, store):
    change(table, lambda record: record.pop("ranking"))
    restore(table, store)
    plan = Plan.open(made.study, store)
    assert [job.variant for job in plan.missing()] == [DENSE] and plan.needs_ranking


def test_scores_that_do_not_choose_the_channels_are_found(table):
    change(table, lambda record: next(iter(record["ranking"]["scores"].values())).reverse())
    (findings,) = check_files([table])
    assert any("says kept" in fault.words for fault in findings.faults)


def test_known_runs_do_not_change(made, table, store):
    restore(table, store)
    before = store.accuracies()
    again = restore(table, store)
    assert (again["runs"], again["known"]) == (0, 8)
    assert store.accuracies() == before == made.store.accuracies()


def test_only_a_whole_table_is_restored(table, store):
    text = table.read_text()
    run_id = text.splitlines()[1].partition(",")[0]
    table.write_text(text.replace(run_id, "0" * 16))
    with pytest.raises(HpstudyError, match=r"have the id [0-9a-f]{16}; only a table that is whole"):
        restore(table, store)
    assert not store.recorded()
    table.with_suffix(".json").unlink()
    with pytest.raises(HpstudyError, match="lacks its record tiny.json beside it"):
        restore(table, store)
    with pytest.raises(HpstudyError, match=r"there is no table .*nowhere\.csv"):
        restore(table.with_name("nowhere.csv"), store)


def test_command_counts_the_restored_runs(table, tmp_path, monkeypatch, capsys):
    from hpstudy.cli import main

    monkeypatch.chdir(tmp_path)
    shutil.copytree(table.parent, "theirs")
    monkeypatch.setattr("sys.argv", ["hpstudy", "restore", "theirs/tiny.csv"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert capsys.readouterr().out.split() == "theirs/tiny.csv 8 runs restored 0 known".split()
    assert len(Store.open(tmp_path / "runs" / "store.sqlite").recorded()) == 8


@pytest.mark.slow
def test_prior_that_another_study_trained_without_scores_is_trained_for_its_ranking(store):
    first = Plan.open(tiny.study({"prior.lr": 0.02, "variants": []}), store)
    for job in first.missing():
        tiny.record(store, job.spec, tiny.result())
    second = Plan.open(tiny.study(), store)
    assert second.prior.run_id in store.recorded()
    assert second.needs_ranking and second.missing()[0].run_id == second.prior.run_id


def own_clone(table, folder, monkeypatch):
    """Folder of a user whose table of the study lies beside an absent store."""
    shutil.copytree(table.parent, folder / "runs" / "book" / "results")
    monkeypatch.chdir(folder)
    return tiny.write_study(folder / "tiny.yaml", STUDY)


def test_lost_store_is_made_again_from_the_users_table(table, tmp_path, monkeypatch, caplog):
    params = own_clone(table, tmp_path / "clone", monkeypatch)
    with caplog.at_level("INFO"):
        plan = open_plan(params)
    assert "8 runs" in caplog.text and "restored from" in caplog.text
    assert not plan.missing()
    own = publish_results(plan, COMMAND, 1)
    assert own.read_bytes() == table.read_bytes()


def test_damaged_table_whose_runs_the_store_lacks_is_not_overwritten(
    table, tmp_path, monkeypatch, refused
):
    params = own_clone(table, tmp_path / "clone", monkeypatch)
    own = tmp_path / "clone" / "runs" / "book" / "results" / "tiny.csv"
    own.write_text(own.read_text().replace(",cpu,", ",,"))
    before = own.read_bytes()
    words = refused(open_plan, params)
    assert "that would be lost" in words and "Move it elsewhere to go on without them" in words
    assert own.read_bytes() == before


def test_rows_that_no_store_has_are_counted(made, table, store):
    assert check_files([store.path, table])[1].facts["in_no_store"] == 8
    for paths in ([table], [made.store.path, table]):
        assert "in_no_store" not in check_files(paths)[-1].facts


@pytest.mark.slow
def test_tables_of_two_machines_with_a_variant_each_become_one(table, store, tmp_path):
    variant = {"variants": ["nonuniform-0.3"]}
    other = recorded_plan(tmp_path / "there" / "store.sqlite", **variant)
    theirs = publish_study(other, tmp_path / "there", COMMAND, 1)
    # The dense network was trained on both.
    assert restore(table, store)["known"] == 0 and restore(theirs, store)["known"] == 4
    study = tiny.study(STUDY | {"variants": ["uniform-0.3", "nonuniform-0.3"]})
    whole = Plan.open(study, store)
    assert not whole.missing() and len(whole.table()) == 12


def test_runs_without_weight_decay_are_published_checked_and_restored(store, tmp_path, refused):
    changes = {"grid.weight_decay": [0, 0.01], "variants": []}
    plan = recorded_plan(tmp_path / "store.sqlite", **changes)
    path = publish_study(plan, tmp_path, COMMAND, 1)
    assert pd.read_csv(path)["weight_decay"].tolist() == [0, 0.01] * 2
    assert [findings.faults for findings in check_files([plan.store.path, path])] == [[], []]
    assert restore(path, store)["runs"] == 4 and not Plan.open(plan.study, store).missing()
    for name, value in (("lr", "0.0"), ("weight_decay", "-0.01")):
        pd.read_csv(path, dtype=str).assign(**{name: value}).to_csv(path, index=False)
        words = refused(read_published, path)
        least = "a number from 1e-30 to 1e+30" + (", or 0" if name == "weight_decay" else "")
        assert words == f"line 2 of {path}: {name} is '{value}', but must be {least}."
        path = publish_study(plan, tmp_path, COMMAND, 1)
