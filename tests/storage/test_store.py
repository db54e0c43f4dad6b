"""The runs table: nothing recorded is lost, changed or half written."""

import csv
import errno
import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

from hpstudy.config.runspec import SCHEMA
from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.store import Store
from hpstudy.storage.tables import TABLE_COLUMNS, write_table

DENSE = {"study": "tiny", "variant": "unpruned", "method": "unpruned", "flops_ratio": 1.0}
PRUNED = {"study": "tiny", "variant": "uniform-0.2", "method": "uniform", "flops_ratio": 0.2}


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "runs" / "store.sqlite")


# --- one process ----------------------------------------------------------------------------------


def test_recorded_run_comes_back_as_the_row_that_is_published(store):
    spec = tiny.spec({"lr": 0.0158489, "weight_decay": 1e-05, "seed": 3})
    result = tiny.result(top5=99.25, diverged=True)
    tiny.record(store, spec, result)
    table = store.frame([(PRUNED, spec)])
    assert tuple(table.columns) == TABLE_COLUMNS
    row = table.iloc[0].to_dict()
    expected = {
        **PRUNED,
        **result,
        "run_id": spec.run_id,
        "model": "resnet56",
        "dataset": "cifar10",
        "stopped": False,
        "lr": 0.0158489,
        "weight_decay": 1e-05,
        "seed": 3,
    }
    assert json.loads(row.pop("curve")) == expected.pop("curve")
    assert row == expected
    assert table["diverged"].dtype == bool


def test_recording_a_run_again_changes_nothing(store):
    tiny.record(store, tiny.spec(), tiny.result(top1=93.5))
    tiny.record(store, tiny.spec(), tiny.result(top1=10.0))
    table = store.frame([(DENSE, tiny.spec())])
    assert table["top1"].tolist() == [93.5]
    assert store.recorded() == {tiny.spec().run_id}


def test_run_that_an_earlier_version_stopped_has_no_row_and_is_trained_whole(store):
    verdict = {"expected": 80.0, "deviation": 1.0, "needed": 93.0}
    tiny.stop(store, tiny.spec(), tiny.result(epochs=1), verdict)
    assert store.recorded() == set() and store.frame([(DENSE, tiny.spec())]).empty
    tiny.record(store, tiny.spec(), tiny.result(top1=93.5))
    assert store.accuracies() == {tiny.spec().run_id: 93.5}


def test_scores_are_kept_with_the_run_that_they_were_taken_from(store):
    ranking = {"weights_sha256": "ab" * 32, "scores": {"blocks.0.conv1": [0.1, 1 / 3, 1e-300]}}
    tiny.record(store, tiny.spec(), tiny.result(), ranking)
    tiny.record(store, tiny.spec({"seed": 1}), tiny.result())
    assert store.ranking(tiny.spec()) == ranking
    assert store.ranking(tiny.spec({"seed": 1})) is None
    # A run that was recorded without its scores can be given them later.
    tiny.record(store, tiny.spec({"seed": 1}), tiny.result(top1=1.0), ranking)
    assert store.ranking(tiny.spec({"seed": 1})) == ranking
    assert store.frame([(DENSE, tiny.spec({"seed": 1}))])["top1"].tolist() == [93.5]


def test_a_run_and_its_scores_are_recorded_together_or_not_at_all(store):
    with pytest.raises(TypeError):
        tiny.record(store, tiny.spec(), tiny.result(), {"weights_sha256": "ab", "scores": object()})
    assert store.recorded() == set() and store.ranking(tiny.spec()) is None


def test_table_can_be_read_while_a_run_is_being_recorded(store):
    tiny.record(store, tiny.spec(), tiny.result())
    writer = sqlite3.connect(store.path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("DELETE FROM runs")
    assert store.recorded() == {tiny.spec().run_id}
    writer.execute("ROLLBACK")
    writer.close()


def test_table_is_sorted_by_variant_in_the_given_order_then_by_lr_decay_and_seed(store):
    specs = {
        (lr, decay, seed): tiny.spec({"lr": lr, "weight_decay": decay, "seed": seed})
        for lr in (0.2, 0.1)
        for decay in (2e-4, 1e-4)
        for seed in (1, 0)
    }
    pruned = [tiny.spec({"lr": lr, "widths": {"blocks.0.conv1": 3}}) for lr in (0.2, 0.1)]
    for spec in (*pruned, *specs.values()):
        tiny.record(store, spec, tiny.result())
    runs = [(PRUNED, spec) for spec in pruned] + [(DENSE, spec) for spec in specs.values()]
    table = store.frame(runs)
    assert table["variant"].tolist() == ["uniform-0.2"] * 2 + ["unpruned"] * 8
    assert table["lr"].tolist()[:2] == [0.1, 0.2]
    order = table.iloc[2:][["lr", "weight_decay", "seed"]].itertuples(index=False, name=None)
    assert list(order) == sorted(specs)


def test_runs_that_are_not_recorded_have_no_row(store):
    table = store.frame([(DENSE, tiny.spec())])
    assert table.empty and tuple(table.columns) == TABLE_COLUMNS


def test_losses_that_are_no_numbers_are_empty_in_the_table(store):
    curve = {"train_loss": [math.nan], "loss": [math.inf], "top1": [10.0]}
    result = tiny.result(loss=math.nan, train_loss=math.inf, diverged=True, curve=curve)
    tiny.record(store, tiny.spec(), result)
    row = store.frame([(DENSE, tiny.spec())]).iloc[0]
    assert pd.isna(row["loss"]) and not math.isfinite(row["train_loss"])
    assert row["diverged"] and row["top1"] == 93.5


# --- files that are no store ----------------------------------------------------------------------


def database(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_file_that_is_no_database_is_refused(tmp_path, refused):
    path = tmp_path / "store.sqlite"
    path.write_text("variant,lr\n" * 200)
    words = refused(Store.open, path)
    assert str(path) in words and "cannot be used as a store" in words
    assert path.read_text() == "variant,lr\n" * 200
    assert "cannot be used" in refused(Store.open, tmp_path)
    assert "cannot be used" in refused(Store.open, path / "below")


@pytest.mark.parametrize("version", [0, SCHEMA, 7])
def test_another_programs_database_is_refused_and_left_as_it_is(version, tmp_path, refused):
    path = tmp_path / "photos.sqlite"
    database(path, "CREATE TABLE photos (a)", f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    words = refused(Store.open, path)
    assert str(path) in words and "photos" in words
    assert path.read_bytes() == before


def test_store_of_another_schema_is_refused_with_both_numbers(store, refused):
    tiny.record(store, tiny.spec(), tiny.result())
    database(store.path, "PRAGMA user_version = 1")
    words = refused(Store.open, store.path)
    assert "schema 1;" in words and "schema 2 and schema 3" in words
    database(store.path, "PRAGMA user_version = 3")
    assert Store.open(store.path).recorded() == {tiny.spec().run_id}


def test_the_first_decision_on_the_arithmetic_of_a_study_stays(store):
    family = tiny.spec().family
    assert store.precision(family) is None
    assert store.decide_precision(family, "bfloat16-compiled") == "bfloat16-compiled"
    assert Store.open(store.path).decide_precision(family, "float32") == "bfloat16-compiled"
    assert store.precision(family) == "bfloat16-compiled"
    assert store.precision(tiny.spec({"model": "resnet20"}).family) is None


def test_damage_is_reported_in_one_sentence(store, tmp_path, refused):
    tiny.record(store, tiny.spec(), tiny.result())
    damaged = tmp_path / "damaged.sqlite"
    database(store.path, f"VACUUM INTO '{damaged}'")
    size = damaged.stat().st_size
    with damaged.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))
    assert "cannot be used as a store" in refused(lambda: Store.open(damaged).recorded())


def test_read_only_store_is_reported_in_one_sentence_and_stays_whole(store, refused):
    tiny.record(store, tiny.spec(), tiny.result())
    # SQLite reports a file that may not be written in the same words.
    store.connection.execute("PRAGMA query_only = ON")
    words = refused(tiny.record, store, tiny.spec({"seed": 5}), tiny.result())
    assert "read-only; make both writable" in words
    assert store.recorded() == {tiny.spec().run_id}


# --- several processes ----------------------------------------------------------------------------

# Adds runs of one seed, at one lr after the other, and prints each that is recorded.
WRITER = """
import sys, tiny
from hpstudy.storage.store import Store

store, seed, count = Store.open(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for k in range(count):
    curve = {"train_loss": [1.0] * 2000, "loss": [1.0], "top1": [1.0]}
    tiny.record(store, tiny.spec({"lr": (k + 1) / 1000, "seed": seed}), tiny.result(curve=curve),
              {"weights_sha256": "ab", "scores": {"blocks.0.conv1": [float(k)] * 2000}})
    print(k, flush=True)
"""


def writer(path, seed, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed), str(count)],
        env=tiny.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_processes_that_make_and_fill_one_store_at_once_lose_nothing(tmp_path):
    path = tmp_path / "runs" / "store.sqlite"
    writers = [writer(path, seed, 25) for seed in range(3)]
    assert [(len(w.communicate(timeout=60)[0].split()), w.returncode) for w in writers] == [
        (25, 0)
    ] * 3
    wanted = [tiny.spec({"lr": (k + 1) / 1000, "seed": s}) for k in range(25) for s in range(3)]
    assert Store.open(path).recorded() == {spec.run_id for spec in wanted}
    assert len(Store.open(path).recorded()) == 75


@pytest.mark.slow
def test_process_killed_while_it_writes_leaves_whole_rows(tmp_path):
    path = tmp_path / "store.sqlite"
    for seed in range(2):
        with writer(path, seed, 10_000) as process:
            said = [int(process.stdout.readline()) for _ in range(5)][-1]
            time.sleep(0.05 * seed)
            process.send_signal(signal.SIGKILL)
            said = max([said, *(int(line) for line in process.stdout.read().split())])
        store = Store.open(path)
        specs = [tiny.spec({"lr": (k + 1) / 1000, "seed": seed}) for k in range(said + 3)]
        found = store.frame((DENSE, spec) for spec in specs)
        # All that were printed as recorded, and at most one more.
        assert said + 1 <= len(found) <= said + 2
        assert found[list(RESULT_COLUMNS)].drop(columns="top5").notna().all(axis=None)
        assert {len(json.loads(curve)["train_loss"]) for curve in found["curve"]} == {2000}
        for k in range(len(found)):
            assert store.ranking(specs[k])["scores"] == {"blocks.0.conv1": [float(k)] * 2000}


# --- what is published ----------------------------------------------------------------------------


def test_same_table_is_published_as_the_same_bytes(store, tmp_path):
    specs = [tiny.spec({"lr": lr}) for lr in (0.1, 0.0158489)]
    for spec in specs:
        tiny.record(store, spec, tiny.result())
    record = {"study": {"name": "tiny"}, "certificates": {}}
    first = write_table(store.frame((DENSE, s) for s in specs), record, tmp_path / "a" / "results")
    second = write_table(store.frame((DENSE, s) for s in reversed(specs)), record, tmp_path / "b")
    assert first == tmp_path / "a" / "results" / "tiny.csv"
    assert first.read_bytes() == second.read_bytes()
    json_bytes = first.with_suffix(".json").read_bytes()
    assert json_bytes == second.with_suffix(".json").read_bytes()
    assert json.loads(json_bytes) == record
    assert b"\r" not in first.read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == ["tiny.csv", "tiny.json"]


def test_published_numbers_are_read_back_to_the_last_digit(store, tmp_path):
    spec = tiny.spec({"lr": 0.1 + 0.2, "weight_decay": 1 / 3})
    tiny.record(store, spec, tiny.result(top1=100 / 3, loss=1e-17))
    path = write_table(store.frame([(DENSE, spec)]), {"study": {"name": "tiny"}}, tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == TABLE_COLUMNS
    assert (float(row["lr"]), float(row["weight_decay"])) == (0.1 + 0.2, 1 / 3)
    assert (float(row["top1"]), float(row["loss"])) == (100 / 3, 1e-17)
    assert (row["top5"], row["diverged"]) == ("", "False")


def test_publishing_that_fails_leaves_the_table_that_was_there(
    store, tmp_path, monkeypatch, refused
):
    record = {"study": {"name": "tiny"}}
    path = write_table(store.frame([]), record, tmp_path)
    before = path.read_bytes()
    tiny.record(store, tiny.spec(), tiny.result())
    written = Path.write_text

    def disk_full(self, text, **options):
        if ".csv" not in self.name:
            return written(self, text, **options)
        written(self, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", disk_full)
    words = refused(write_table, store.frame([(DENSE, tiny.spec())]), record, tmp_path)
    assert words.startswith(f"{path} cannot be written (No space left on device); all runs are in")
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["runs", "tiny.csv", "tiny.json"]
