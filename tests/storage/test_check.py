"""`hpstudy check` on whole files, and on each kind of damage, made by hand."""

import csv
import hashlib
import json
import math
import shutil
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
from damage import STORES, TABLES, another_channel
from recorded import ended, recorded_plan

from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.findings import MOST_LINES
from hpstudy.storage.integrity import check_files, own_files
from hpstudy.storage.store import Store
from hpstudy.sweep.run import publish_study

PUBLISHED = Path(__file__).parents[2] / "book" / "results"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study whose runs are recorded, though none has been trained; one run of each ending."""
    folder = tmp_path_factory.mktemp("made")
    plan = recorded_plan(folder / "store.sqlite")
    publish_study(plan, folder, "hpstudy run tiny.yaml", 1)
    early, diverged, failed = (plan.prior.model_copy(update={"seed": n}) for n in (1, 2, 3))
    reason = {"expected": 40.0, "deviation": 2.0, "needed": 60.0}
    tiny.stop(plan.store, early, ended(plan, early, epochs=1), reason)
    lost = {"train_loss": [math.nan], "loss": [math.nan], "top1": [10.0]}
    numbers = {"top1": 10.0, "best_top1": 10.0, "best_epoch": 1, "loss": math.nan}
    numbers |= {"train_loss": math.nan, "diverged": True, "curve": lost}
    tiny.record(plan.store, diverged, ended(plan, diverged, epochs=1, **numbers))
    plan.store.fail(failed, "its worker was killed")
    ids = {"early": early.run_id, "diverged": diverged.run_id, "prior": plan.prior.run_id}
    return SimpleNamespace(folder=folder, plan=plan, ids=ids)


@pytest.fixture
def copy(made, tmp_path):
    """A copy to damage: its store, its table and its record."""
    names = ("store.sqlite", "tiny.csv", "tiny.json")
    for name in names[1:]:
        shutil.copy(made.folder / name, tmp_path)
    paths = [tmp_path / name for name in names]
    query(made.folder / names[0], "VACUUM INTO ?", str(paths[0]))
    query(paths[0], "PRAGMA journal_mode = WAL")
    return SimpleNamespace(**dict(zip(("store", "table", "record"), paths, strict=True)))


def query(path, statement, *values):
    """Rows of a statement, and the number of rows that it changed."""
    with sqlite3.connect(path) as database:
        cursor = database.execute(statement, values)
        result = cursor.fetchall(), cursor.rowcount
    database.close()
    return result


def lines(*paths):
    return [line for findings in check_files(paths) for line in findings.lines()]


def read(copy):
    with copy.table.open(newline="") as file:
        return list(csv.DictReader(file)), json.loads(copy.record.read_text())


def write(copy, rows, record):
    with copy.table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    copy.record.write_text(json.dumps(record))


# --- whole files ----------------------------------------------------------------------------------


def test_whole_files_have_one_line_each_and_do_not_change(copy):
    folder = copy.store.parent
    before = {path: path.read_bytes() for path in folder.iterdir()}
    table, store = check_files([copy.table, copy.store])
    # Two networks at four points; and one more run, which diverged.
    assert store.facts == {
        "schema": 3,
        "runs": 9,
        "stopped": 1,
        "failed": 1,
        "rankings": 1,
        "networks_rebuilt": 2,
    }
    assert table.facts == {
        "rows": 8,
        "stopped": 0,
        "missing": 0,
        "networks_rebuilt": 2,
        "sha256": hashlib.sha256(copy.table.read_bytes()).hexdigest(),
    }
    assert [len(findings.lines()) for findings in (table, store)] == [1, 1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.slow
# Records with a ranking of the filters, and without.
@pytest.mark.parametrize("name, networks", [("gpu-resnet56", 2), ("small-resnet20", 3)])
def test_published_tables_are_whole(name, networks):
    (findings,) = check_files([PUBLISHED / f"{name}.csv"])
    assert findings.faults == [] and findings.facts["networks_rebuilt"] == networks


def test_store_is_checked_while_another_process_writes_to_it(copy):
    writer = sqlite3.connect(copy.store, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET top1 = 1")
    assert "whole" in lines(copy.store)[0]
    writer.execute("COMMIT")
    assert "top1 is 1.0, but must be 50.0" in lines(copy.store)[0]
    writer.close()


def test_images_of_a_folder_are_identified_by_the_fingerprint_in_the_record(copy, made):
    rows, record = read(copy)
    images = {"name": "folder:flowers", "fingerprint": "0123456789abcdef"}
    record["study"]["data"] |= images
    data = made.plan.study.data.model_copy(update={"name": "folder"})
    update = {"data": data, "fingerprint": images["fingerprint"]}
    specs = {spec.run_id: spec for _, spec in made.plan.runs()}
    for row in rows:
        spec = specs[row["run_id"]].model_copy(update=update)
        row |= {"dataset": "folder", "run_id": spec.run_id}
    prior = made.plan.prior
    certificate = record["certificates"]["uniform-0.3"]
    own = prior.model_copy(update=update).run_id
    certificate["ranked"] = certificate["ranked"].replace(prior.run_id, own)
    write(copy, rows, record)
    (findings,) = check_files([copy.table])
    assert findings.faults == [] and "note" not in findings.facts
    del record["study"]["data"]["fingerprint"], record["ranking"]
    write(copy, rows, record)
    (findings,) = check_files([copy.table])
    assert findings.faults == [] and "no fingerprint of folder:flowers" in findings.facts["note"]


# --- damaged stores -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", STORES)
def test_damage_to_a_store_is_named(what, copy, made):
    statement, expected = STORES[what]
    for name, run_id in made.ids.items():
        statement, expected = (
            text.replace(f"{{{name}}}", run_id) for text in (statement, expected)
        )
    assert query(copy.store, statement)[1] != 0
    (line,) = lines(copy.store)
    assert expected in line


def test_overwritten_page_is_found_and_the_readable_tables_are_checked(copy):
    ((page,),), _ = query(copy.store, "SELECT rootpage FROM sqlite_master WHERE name = 'rankings'")
    ((size,),), _ = query(copy.store, "PRAGMA page_size")
    query(copy.store, "UPDATE runs SET seconds = -1")
    content = bytearray(copy.store.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    copy.store.write_bytes(content)
    text = "\n".join(lines(copy.store))
    assert f"{copy.store}: SQLite finds it damaged: " in text
    assert "the table rankings cannot be read: database disk image is malformed" in text
    assert text.count("seconds is -1: Input should be greater than 0") == 9


@pytest.mark.parametrize(
    "content, expected",
    [(b"", "is no store, for it has no tables"), (b"text " * 999, "file is not a database")],
)
def test_file_that_is_no_store_is_refused(content, expected, tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    (line,) = lines(path)
    assert expected in line and path.read_bytes() == content


# As hpstudy 0.1 made them.
SCHEMA_2 = f"""
CREATE TABLE runs (run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, {", ".join(RESULT_COLUMNS)});
CREATE TABLE stopped (
    run_id TEXT PRIMARY KEY, spec TEXT NOT NULL, {", ".join(RESULT_COLUMNS)},
    threshold REAL NOT NULL, verdict TEXT NOT NULL
);
CREATE TABLE rankings (
    run_id TEXT PRIMARY KEY, weights_sha256 TEXT NOT NULL, scores TEXT NOT NULL
);
CREATE TABLE arithmetics (family TEXT PRIMARY KEY, arithmetic TEXT NOT NULL);
PRAGMA user_version = 2;
"""


def test_store_of_schema_2_is_checked_unchanged_then_migrated_with_all_rows(copy, tmp_path):
    path = tmp_path / "old.sqlite"
    database = sqlite3.connect(path)
    database.executescript(SCHEMA_2)
    database.execute("ATTACH ? AS new", (str(copy.store),))
    for name in ("runs", "stopped", "rankings", "arithmetics"):
        database.execute(f"INSERT INTO main.{name} SELECT * FROM new.{name}")
    database.commit()
    database.close()
    rows, before = query(path, "SELECT * FROM runs"), path.read_bytes()
    (old,) = check_files([path])
    assert old.faults == [] and (old.facts["schema"], old.facts["runs"]) == (2, 9)
    assert path.read_bytes() == before
    Store.open(path)
    assert query(path, "SELECT * FROM runs") == rows
    (new,) = check_files([path])
    assert new.facts == {name: old.facts[name] for name in new.facts} | {"schema": 3}


@pytest.mark.parametrize("version", [1, 4])
def test_store_of_an_unknown_schema_is_refused_by_its_number(version, copy):
    query(copy.store, f"PRAGMA user_version = {version}")
    (line,) = lines(copy.store)
    assert f"schema {version};" in line and "schema 2 and schema 3" in line


# --- damaged tables -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("what", TABLES)
def test_damage_to_a_table_or_record_is_named(what, copy):
    damage, expected = TABLES[what]
    rows, record = read(copy)
    damage(rows, record)
    write(copy, rows, record)
    (findings,) = check_files([copy.table])
    assert findings.faults
    assert [
        words for words in expected if not any(words in line for line in findings.lines())
    ] == []


def test_table_that_is_cut_short_or_lacks_its_record_is_named(copy):
    content = copy.table.read_bytes()
    copy.table.write_bytes(content[:-1])
    assert lines(copy.table) == [f"{copy.table} is cut short: its last line has no end"]
    copy.table.write_bytes(content)
    copy.record.unlink()
    assert lines(copy.table) == [f"the table {copy.table} lacks its record tiny.json beside it"]


def test_channels_that_the_ranking_does_not_choose_are_found_with_the_store(copy):
    rows, record = read(copy)
    another_channel(rows, record)
    # Records of earlier versions have no ranking.
    del record["ranking"]
    write(copy, rows, record)
    assert "whole" in lines(copy.table)[0]
    _, line = lines(copy.store, copy.table)
    assert line.startswith(f"{copy.table}: the certificate of uniform-0.3 says kept ")


def test_row_that_differs_from_the_store_is_found(copy):
    rows, record = read(copy)
    rows[0]["images_per_second"] = "999.0"
    write(copy, rows, record)
    assert "whole" in lines(copy.table)[0]
    line, _ = lines(copy.table, copy.store)
    assert line == f"{copy.table}: run {rows[0]['run_id']}: its results differ from the store's"


# --- the command ----------------------------------------------------------------------------------


def test_all_faults_are_counted_and_the_first_are_printed(copy, made):
    store = Store.open(copy.store)
    for seed in range(100, 130):
        spec = made.plan.prior.model_copy(update={"seed": seed})
        tiny.record(store, spec, ended(made.plan, spec, top1=49.0))
    (findings,) = check_files([copy.store])
    assert len(findings.faults) == 30 == len(findings.as_json()["faults"])
    assert len(findings.lines()) == MOST_LINES + 1
    assert findings.lines()[-1] == f"{copy.store}: 10 more faults"


def test_own_store_and_tables_are_checked_by_default(copy, tmp_path, refused):
    folder = tmp_path / "runs"
    assert "no store and no table" in refused(own_files, folder)
    (folder / "book" / "results").mkdir(parents=True)
    paths = [folder / "store.sqlite", folder / "book" / "results" / "tiny.csv"]
    for path, own in ((copy.store, paths[0]), (copy.table, paths[1])):
        shutil.copy(path, own)
    assert own_files(folder) == paths


def test_command_ends_with_0_for_whole_files_and_with_1_for_others(copy, capsys, monkeypatch):
    from hpstudy.cli import main

    def status(*arguments):
        monkeypatch.setattr(sys, "argv", ["hpstudy", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, capsys.readouterr().out

    whole = status(copy.store)
    assert whole[0] == 0 and whole[1].startswith("whole  schema 3, runs 9")
    (content,) = json.loads(status(copy.table, "--json")[1])
    assert list(content) == [
        *("path", "whole", "rows", "stopped", "missing", "networks_rebuilt", "sha256", "faults")
    ]
    assert content["whole"] and content["faults"] == []
    copy.store.write_bytes(b"")
    assert status(copy.store) == (1, f"{copy.store} is no store, for it has no tables\n")
    (content,) = json.loads(status(copy.store, "--json")[1])
    assert [fault["run"] for fault in content["faults"]] == [""] and not content["whole"]


@pytest.mark.parametrize(
    "name, words",
    [
        ("gone.csv", "there is no file gone.csv."),
        ("tiny.json", "tiny.json is neither a store (.sqlite) nor a table (.csv)."),
    ],
)
def test_path_that_cannot_be_checked_is_refused(name, words, refused):
    assert refused(check_files, [Path(name)]) == words
