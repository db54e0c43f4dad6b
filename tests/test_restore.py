"""A lost store is made again from the published table: what was trained is not trained again."""

import shutil

import pytest
import tiny

from hpstudy.check import check_files
from hpstudy.cli import main
from hpstudy.errors import HpstudyError
from hpstudy.plan import Plan
from hpstudy.publishing import publish_study
from hpstudy.restore import restore
from hpstudy.store import Store
from hpstudy.study import DENSE
from hpstudy.sweep import sweep


@pytest.fixture
def table(swept, tmp_path):
    return publish_study(swept.plan, tmp_path / "published", "hpstudy run tiny.yaml", 1)


def test_a_sweep_goes_on_from_a_restored_table(swept, table, tmp_path):
    store = Store(tmp_path / "again" / "store.sqlite")
    count = len(swept.plan.table())
    assert restore(table, store) == {
        "table": str(table),
        "runs": count,
        "known": 0,
        "left_out": 0,
    }
    plan = Plan(swept.plan.study, store)
    # The scores of its filters were lost with the store.
    assert [variant for variant, _ in plan.missing()] == [DENSE] and plan.needs_ranking
    assert sweep(plan, workers=1) == 1
    assert not plan.missing()
    again = publish_study(plan, tmp_path / "published-again", "hpstudy run tiny.yaml", 1)
    assert again.read_bytes() == table.read_bytes()
    assert [findings.faults for findings in check_files([store.path, again])] == [[], []]


def test_runs_that_are_known_stay_as_they_were(swept, table, tmp_path):
    store = Store(tmp_path / "store.sqlite")
    restore(table, store)
    lines = table.read_text().splitlines()
    before = store.accuracies()
    said = restore(table, store)
    assert (said["runs"], said["known"]) == (0, len(lines) - 1)
    assert store.accuracies() == before == swept.store.accuracies()


def test_only_a_table_that_is_whole_is_restored(table, tmp_path):
    store = Store(tmp_path / "store.sqlite")
    text = table.read_text()
    run_id = text.splitlines()[1].partition(",")[0]
    table.write_text(text.replace(run_id, "0" * 16))
    with pytest.raises(HpstudyError, match=r"has the id [0-9a-f]{16}; only a table that is whole"):
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
    assert len(Store(tmp_path / "runs" / "store.sqlite").recorded()) == count


def test_a_prior_that_was_a_grid_point_of_another_study_is_trained_for_its_ranking(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    first = Plan(tiny.study({"prior.lr": 0.02, "variants": []}), store)
    assert sweep(first, workers=1) == 2
    second = Plan(tiny.study(), store)
    # The scores are those of the dense network at 0.01, which the first study only recorded.
    assert second.prior.run_id in store.recorded()
    assert sweep(second, workers=1) == 3
    assert not second.missing() and not second.needs_ranking
