"""What `hpstudy check` says of files that are whole, and of each kind of damage, made by hand."""

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

from hpstudy.cli import main
from hpstudy.networks.pruning import filter_scores
from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.integrity import MOST_LINES, check_files, own_files
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.publish import publish_study
from hpstudy.training.early_stopping import StopReason

STUDY = {
    "model": "resnet20",
    "recipe.epochs": 3,
    "grid.weight_decay": [0.01, 0.02],
    "variants": ["uniform-0.3"],
}
VERDICT = StopReason(expected=40.0, deviation=2.0, needed=60.0)
PUBLISHED = Path(__file__).parents[2] / "book" / "results"


def ended(plan, spec, epochs=3, **changes):
    """What a training of the recipe's three epochs on 20 test images comes to."""
    curve = {
        "train_loss": [2.0, 1.5, 1.0][:epochs],
        "loss": [2.5, 1.75, 1.25][:epochs],
        "top1": [20.0, 55.0, 50.0][:epochs],
    }
    numbers = {"top1": 50.0, "loss": 1.25, "best_top1": 55.0, "best_epoch": 2, "train_loss": 1.0}
    cost = plan.network.cost
    size = {"macs": cost.macs(spec.widths), "params": cost.params(spec.widths)}
    return tiny.result(epochs=epochs, curve=curve, **numbers, **size) | changes


def sweep(path, **changes):
    """Plan of a study whose runs are recorded, though none has been trained."""
    plan = Plan(tiny.study(STUDY | changes), Store.open(path))
    scores = filter_scores(plan.network.model, plan.network.prunable)
    ranking = {"weights_sha256": "ab" * 32, "scores": scores}
    tiny.record(plan.store, plan.prior, ended(plan, plan.prior), ranking)
    plan.certify()
    for _, spec in plan.missing():
        tiny.record(plan.store, spec, ended(plan, spec))
    return plan


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    plan = sweep(folder / "store.sqlite")
    table = publish_study(plan, folder, "hpstudy run tiny.yaml", 1)
    early = plan.prior.model_copy(update={"seed": 1})
    tiny.stop(plan.store, early, ended(plan, early, epochs=1), 1.0, VERDICT)
    diverged = plan.prior.model_copy(update={"seed": 2})
    lost = {"train_loss": [math.nan], "loss": [math.nan], "top1": [10.0]}
    numbers = {"top1": 10.0, "best_top1": 10.0, "best_epoch": 1, "loss": math.nan}
    numbers |= {"train_loss": math.nan, "diverged": True, "curve": lost}
    tiny.record(plan.store, diverged, ended(plan, diverged, epochs=1, **numbers))
    plan.store.fail(plan.prior.model_copy(update={"seed": 3}), "its worker was killed")
    ids = SimpleNamespace(early=early.run_id, diverged=diverged.run_id, prior=plan.prior.run_id)
    return SimpleNamespace(folder=folder, plan=plan, table=table, ids=ids)


@pytest.fixture
def copy(made, tmp_path):
    """A copy to damage: its store, its table and its record."""
    names = ("store.sqlite", "tiny.csv", "tiny.json")
    for name in names[1:]:
        shutil.copy(made.folder / name, tmp_path)
    paths = [tmp_path / name for name in names]
    with sqlite3.connect(made.folder / names[0]) as database:
        database.execute("VACUUM INTO ?", (str(paths[0]),))
    database.close()
    with sqlite3.connect(paths[0]) as database:
        database.execute("PRAGMA journal_mode = WAL")
    database.close()
    return SimpleNamespace(**dict(zip(("store", "table", "record"), paths, strict=True)))


def lines(*paths):
    return [line for findings in check_files(paths) for line in findings.lines()]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what is whole --------------------------------------------------------------------------------


def test_a_whole_store_and_table_have_one_line_each_and_stay_as_they_were(copy):
    before = contents(copy.store.parent)
    sha256 = hashlib.sha256(copy.table.read_bytes()).hexdigest()
    # Two networks at four points; and one run more that diverged.
    assert lines(copy.table, copy.store) == [
        f"{copy.table}: whole, 8 rows, 0 stopped, 0 missing, 2 networks rebuilt, SHA-256 {sha256}",
        f"{copy.store}: whole, schema 3, 9 runs, 1 stopped, 1 failed, 1 ranking, 2 networks "
        "rebuilt",
    ]
    assert contents(copy.store.parent) == before


def test_a_trained_study_is_whole(swept, tmp_path):
    table = publish_study(swept.plan, tmp_path, "hpstudy run tiny.yaml", 1)
    assert [findings.faults for findings in check_files([swept.store.path, table])] == [[], []]


@pytest.mark.parametrize("name", ["quick-resnet56", "quick-mobilenetv2", "small-resnet20"])
def test_the_published_tables_are_whole(name):
    (findings,) = check_files([PUBLISHED / f"{name}.csv"])
    assert findings.faults == [] and findings.facts["networks_rebuilt"] == 3


def test_a_store_is_checked_while_another_process_writes_to_it(copy):
    writer = sqlite3.connect(copy.store, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET top1 = 1")
    assert "whole" in lines(copy.store)[0]
    writer.execute("COMMIT")
    assert "top1 is 1, but by its curve" in lines(copy.store)[0]
    writer.close()


def test_images_that_a_name_does_not_fix_are_told_by_the_fingerprint_of_the_record(copy, made):
    record = json.loads(copy.record.read_text())
    assert record["study"]["data"]["fingerprint"] is None
    record["study"]["data"] |= {"name": "folder:flowers", "fingerprint": "0123456789abcdef"}
    specs = [
        spec.model_copy(
            update={
                "data": spec.data.model_copy(update={"name": "folder"}),
                "fingerprint": "0123456789abcdef",
            }
        )
        for _, spec in [({}, made.plan.prior), *made.plan.runs()]
    ]
    rows = [row | {"dataset": "folder"} for row in read(copy.table)]
    for row in rows:
        (row["run_id"],) = [
            spec.run_id
            for spec in specs[1:]
            if all(getattr(spec, name) == float(row[name]) for name in ("lr", "weight_decay"))
            and (spec.widths is None) == (row["variant"] == "unpruned")
        ]
    certificate = record["certificates"]["uniform-0.3"]
    certificate["ranked"] = certificate["ranked"].replace(made.ids.prior, specs[0].run_id)
    write(copy, rows, record)
    assert "whole, 8 rows" in lines(copy.table)[0] and "unchecked" not in lines(copy.table)[0]
    del record["study"]["data"]["fingerprint"]
    write(copy, rows, record)
    assert (
        "ids unchecked, as its record has no fingerprint of folder:flowers"
        in (lines(copy.table)[0])
    )


# --- damaged stores -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", STORES)
def test_each_damage_to_a_store_is_named(what, copy, made):
    statement, expected = (
        text.replace("{prior}", made.ids.prior)
        .replace("{early}", made.ids.early)
        .replace("{diverged}", made.ids.diverged)
        for text in STORES[what]
    )
    with sqlite3.connect(copy.store) as database:
        assert database.execute(statement).rowcount != 0
    database.close()
    (line,) = lines(copy.store)
    assert expected in line


def test_a_page_that_is_overwritten_is_found_and_what_can_be_read_is_checked(copy):
    with sqlite3.connect(copy.store) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'rankings'"
        ((page,), (size,)) = (
            database.execute(text).fetchone() for text in (query, "PRAGMA page_size")
        )
        database.execute("UPDATE runs SET seconds = -1")
    database.close()
    content = bytearray(copy.store.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    copy.store.write_bytes(content)
    said = "\n".join(lines(copy.store))
    assert f"{copy.store}: SQLite finds it damaged: " in said
    assert "the table rankings cannot be read: database disk image is malformed" in said
    assert said.count("seconds is -1, but must be a number above 0") == 9


@pytest.mark.parametrize(
    "content, expected",
    [(b"", "is no store, for it has no tables"), (b"text " * 999, "file is not a database")],
)
def test_what_is_no_store_is_said(content, expected, tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    (line,) = lines(path)
    assert expected in line and path.read_bytes() == content


# --- schemas --------------------------------------------------------------------------------------

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


def test_a_store_of_schema_2_is_checked_as_it_is_then_migrated_with_all_its_rows(copy, tmp_path):
    path = tmp_path / "old.sqlite"
    database = sqlite3.connect(path)
    database.executescript(SCHEMA_2)
    database.execute("ATTACH ? AS new", (str(copy.store),))
    for name in ("runs", "stopped", "rankings", "arithmetics"):
        database.execute(f"INSERT INTO main.{name} SELECT * FROM new.{name}")
    database.commit()
    rows = database.execute("SELECT * FROM runs").fetchall()
    database.close()
    before = path.read_bytes()
    counted = "9 runs, 1 stopped, 0 failed, 1 ranking, 2 networks rebuilt"
    (line,) = lines(path)
    assert line == f"{path}: whole, schema 2, will be migrated when it is next used, {counted}"
    assert path.read_bytes() == before
    Store.open(path)
    database = sqlite3.connect(path)
    assert database.execute("SELECT * FROM runs").fetchall() == rows
    database.close()
    assert lines(path) == [f"{path}: whole, schema 3, {counted}"]


@pytest.mark.parametrize("version", [1, 4])
def test_a_store_of_another_schema_is_refused_by_name(version, copy):
    with sqlite3.connect(copy.store) as database:
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    reads = "this version of hpstudy reads schema 2 and schema 3"
    assert lines(copy.store) == [f"{copy.store} was written under schema {version}; {reads}"]


# --- damaged tables -------------------------------------------------------------------------------


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(copy, rows, record):
    with copy.table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    copy.record.write_text(json.dumps(record))


@pytest.mark.parametrize("what", TABLES)
def test_each_damage_to_a_table_or_record_is_named(what, copy):
    damage, expected = TABLES[what]
    rows, record = read(copy.table), json.loads(copy.record.read_text())
    damage(rows, record)
    write(copy, rows, record)
    found = lines(copy.table)
    assert "whole" not in found[0]
    assert [words for words in expected if not any(words in line for line in found)] == []


def test_a_table_cut_short_or_without_its_record_is_said(copy):
    content = copy.table.read_bytes()
    copy.table.write_bytes(content[:-1])
    assert lines(copy.table) == [f"{copy.table} is cut short: its last line has no end"]
    copy.table.write_bytes(content)
    copy.record.unlink()
    assert lines(copy.table) == [f"the table {copy.table} lacks its record tiny.json beside it"]


# --- tables against stores ------------------------------------------------------------------------


def test_other_channels_than_those_ranked_best_are_told_with_the_store_at_hand(copy):
    rows, record = read(copy.table), json.loads(copy.record.read_text())
    another_channel(rows, record)
    # Records of earlier versions have no ranking.
    del record["ranking"]
    write(copy, rows, record)
    assert "whole" in lines(copy.table)[0]
    _, line = lines(copy.store, copy.table)
    assert line == (
        f"{copy.table}: the certificate of uniform-0.3 keeps others than the channels ranked best "
        "of blocks.0.conv1"
    )


def test_a_row_that_differs_from_the_stores_is_told_with_the_store_at_hand(copy):
    rows, record = read(copy.table), json.loads(copy.record.read_text())
    rows[0]["images_per_second"] = "999.0"
    write(copy, rows, record)
    assert "whole" in lines(copy.table)[0]
    line, _ = lines(copy.table, copy.store)
    assert line == (
        f"{copy.table}: run {rows[0]['run_id']}: its results are others than in the store"
    )


# --- the command ----------------------------------------------------------------------------------


def test_many_faults_are_counted_and_the_first_are_printed(copy, made):
    specs = [made.plan.prior.model_copy(update={"seed": seed}) for seed in range(100, 130)]
    store = Store.open(copy.store)
    for spec in specs:
        tiny.record(store, spec, ended(made.plan, spec, top1=49.0))
    (findings,) = check_files([copy.store])
    assert len(findings.faults) == 30 == len(findings.as_json()["faults"])
    assert len(findings.lines()) == MOST_LINES + 1
    assert findings.lines()[-1] == f"{copy.store}: 10 more faults"


def test_ones_own_store_and_tables_are_checked_where_no_file_is_named(copy, tmp_path, refused):
    folder = tmp_path / "runs"
    assert "no store and no table" in refused(own_files, folder)
    (folder / "book" / "results").mkdir(parents=True)
    paths = [folder / "store.sqlite", folder / "book" / "results" / "tiny.csv"]
    shutil.copy(copy.store, paths[0])
    for path in (copy.table, copy.record):
        shutil.copy(path, paths[1].parent)
    assert own_files(folder) == paths


def test_the_command_ends_with_0_for_whole_files_and_with_1_for_others(copy, capsys, monkeypatch):
    def status(*arguments):
        monkeypatch.setattr(sys, "argv", ["hpstudy", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, capsys.readouterr().out

    assert status(copy.store) == (0, "\n".join(lines(copy.store)) + "\n")
    (content,) = json.loads(status(copy.table, "--json")[1])
    sha256 = hashlib.sha256(copy.table.read_bytes()).hexdigest()
    assert (content["whole"], content["sha256"], content["faults"]) == (True, sha256, [])
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
def test_what_cannot_be_checked_is_refused_before_anything_is(name, words, refused):
    assert refused(check_files, [Path(name)]) == words
