"""A lost store is made again from the published table: what was trained is not trained again."""

import json
import shutil

import pandas as pd
import pytest
import tiny

from hpstudy.cli import main
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store, restore
from hpstudy.storage.tables import read_published
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import publish_study, sweep
from hpstudy.workspace import open_plan, publish_results


@pytest.fixture
def table(swept, tmp_path):
    return publish_study(swept.plan, tmp_path / "published", "hpstudy run tiny.yaml", 1)


def test_a_sweep_goes_on_from_a_restored_table(swept, table, tmp_path):
    store = Store.open(tmp_path / "again" / "store.sqlite")
    count = len(swept.plan.table())
    assert restore(table, store) == {
        "table": str(table),
        "runs": count,
        "known": 0,
        "left_out": 0,
    }
    plan = Plan.open(swept.plan.study, store)
    assert not plan.missing()
    again = publish_study(plan, tmp_path / "published-again", "hpstudy run tiny.yaml", 1)
    assert again.read_bytes() == table.read_bytes()
    assert [findings.faults for findings in check_files([store.path, again])] == [[], []]


def test_a_record_without_a_ranking_costs_one_training_more(swept, table, tmp_path):
    record = json.loads(table.with_suffix(".json").read_text())
    del record["ranking"]
    table.with_suffix(".json").write_text(json.dumps(record))
    store = Store.open(tmp_path / "store.sqlite")
    restore(table, store)
    plan = Plan.open(swept.plan.study, store)
    assert [job.variant for job in plan.missing()] == [DENSE] and plan.needs_ranking
    assert sweep(plan, workers=1) == 1
    assert not plan.missing()


def test_scores_that_do_not_choose_the_channels_are_found(swept, table):
    record = json.loads(table.with_suffix(".json").read_text())
    scores = record["ranking"]["scores"]
    scores[next(iter(scores))].reverse()
    table.with_suffix(".json").write_text(json.dumps(record))
    (found,) = check_files([table])
    assert any("says kept" in fault.words for fault in found.faults)


def test_runs_that_are_known_stay_as_they_were(swept, table, tmp_path):
    store = Store.open(tmp_path / "store.sqlite")
    restore(table, store)
    lines = table.read_text().splitlines()
    before = store.accuracies()
    said = restore(table, store)
    assert (said["runs"], said["known"]) == (0, len(lines) - 1)
    assert store.accuracies() == before == swept.store.accuracies()


def test_only_a_table_that_is_whole_is_restored(table, tmp_path):
    store = Store.open(tmp_path / "store.sqlite")
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
        restore(tmp_path / "nowhere.csv", store)


def test_the_command_says_what_it_restored(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(table.parent, "theirs")
    monkeypatch.setattr("sys.argv", ["hpstudy", "restore", "theirs/tiny.csv"])
    with pytest.raises(SystemExit) as end:
        main()
    count = len(table.read_text().splitlines()) - 1
    assert not end.value.code
    assert capsys.readouterr().out == f"theirs/tiny.csv: {count} runs restored, 0 known\n"
    assert len(Store.open(tmp_path / "runs" / "store.sqlite").recorded()) == count


def test_a_prior_that_was_a_grid_point_of_another_study_is_trained_for_its_ranking(tmp_path):
    store = Store.open(tmp_path / "store.sqlite")
    first = Plan.open(tiny.study({"prior.lr": 0.02, "variants": []}), store)
    assert sweep(first, workers=1) == 2
    second = Plan.open(tiny.study(), store)
    # The scores are those of the dense network at 0.01, which the first study only recorded.
    assert second.prior.run_id in store.recorded()
    assert sweep(second, workers=1) == 3
    assert not second.missing() and not second.needs_ranking


def test_a_lost_store_is_made_again_from_ones_own_table_before_that_is_written_anew(
    table, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "clone"
    shutil.copytree(table.parent, folder / "runs" / "book" / "results")
    monkeypatch.chdir(folder)
    plan = open_plan(tiny.write_study(folder / "tiny.yaml"))
    count = len(table.read_text().splitlines()) - 1
    assert f"tiny: {count} runs, which the store lacked, restored from" in capsys.readouterr().err
    assert not plan.missing()
    own = publish_results(plan, "hpstudy run tiny.yaml", 1)
    assert own.read_bytes() == table.read_bytes()


def test_a_table_that_the_store_lacks_and_that_is_not_whole_is_not_written_over(
    table, tmp_path, monkeypatch, refused
):
    folder = tmp_path / "clone"
    own = folder / "runs" / "book" / "results" / "tiny.csv"
    shutil.copytree(table.parent, own.parent)
    own.write_text(own.read_text().replace(",cpu,", ",,"))
    before = own.read_bytes()
    monkeypatch.chdir(folder)
    words = refused(open_plan, tiny.write_study(folder / "tiny.yaml"))
    assert "that would be lost" in words and "Move it elsewhere to go on without them" in words
    assert own.read_bytes() == before


def test_a_check_of_store_and_table_says_how_many_rows_no_store_has(swept, table, tmp_path):
    empty = Store.open(tmp_path / "store.sqlite").path
    count = len(table.read_text().splitlines()) - 1
    assert check_files([empty, table])[1].facts["in_no_store"] == count
    for paths in ([table], [swept.store.path, table]):
        assert "in_no_store" not in check_files(paths)[-1].facts


def test_tables_of_two_machines_with_a_variant_each_become_one(swept, table, tmp_path):
    there = Store.open(tmp_path / "there" / "store.sqlite")
    study = tiny.study({"variants": ["nonuniform-0.2"]})
    other = Plan.open(study, there)
    sweep(other, workers=1)
    theirs = publish_study(other, tmp_path / "there", "hpstudy run tiny.yaml", 1)
    store = Store.open(tmp_path / "store.sqlite")
    # The dense network was trained on both.
    assert restore(table, store)["known"] == 0 and restore(theirs, store)["known"] == 2
    whole = Plan.open(tiny.study({"variants": ["uniform-0.2", "nonuniform-0.2"]}), store)
    assert not whole.missing() and len(whole.table()) == 6


def test_runs_without_weight_decay_are_trained_published_checked_and_restored(tmp_path, refused):
    study = tiny.study({"grid.weight_decay": [0, 0.01], "variants": []})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    assert sweep(plan, workers=1) == 4
    path = publish_study(plan, tmp_path, "hpstudy run tiny.yaml", 1)
    runs = pd.read_csv(path)
    assert runs["weight_decay"].tolist() == [0, 0.01] * 2
    # Nothing but the decay differs, and after two steps already it does.
    assert runs["loss"].nunique() == 4
    assert [findings.faults for findings in check_files([plan.store.path, path])] == [[], []]
    again = Store.open(tmp_path / "again.sqlite")
    assert restore(path, again)["runs"] == 4 and not Plan.open(study, again).missing()
    for name, value in (("lr", "0.0"), ("weight_decay", "-0.01")):
        pd.read_csv(path, dtype=str).assign(**{name: value}).to_csv(path, index=False)
        words = refused(read_published, path)
        least = "a number from 1e-30 to 1e+30" + ", or 0" * (name == "weight_decay")
        assert words == f"line 2 of {path}: {name} is '{value}', but must be {least}."
        path = publish_study(plan, tmp_path, "hpstudy run tiny.yaml", 1)
