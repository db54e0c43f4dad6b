"""Sweeps read from the logs of Ray Tune and W&B, as these wrote the files."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hpstudy.analysis.run_tables.tracker_logs import read_source

# --- Ray Tune -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray_results(tmp_path_factory):
    """Folder of an experiment of three trials, of which two fail, and Ray's own data frames."""
    folder = tmp_path_factory.mktemp("ray")
    # A process that imports jsonschema, as those of Ray do, would build a parser for seconds.
    (folder / "rfc3987_syntax.py").write_text("raise ImportError('is not needed')\n")
    here = Path(__file__).parents[1] / "support"
    path = os.pathsep.join(map(str, (folder, here, here.parents[1])))
    words = [sys.executable, str(here / "ray_sweep.py"), str(folder)]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder / "sweep", pd.read_pickle(folder / "frame.pickle")


def test_reports_of_ray_tune_read_as_in_its_own_frames(ray_results):
    folder, frame = ray_results
    table = read_source(f"ray:{folder}")
    reports = table[table["training_iteration"] != ""]
    assert set(table.columns) == {*frame.columns, "status"}
    for column in ("trial_id", "training_iteration", "val/top1", "config/lr", "config/sgd/decay"):
        assert reports[column].tolist() == [str(value) for value in frame[column]], column
    assert reports["status"].tolist() == ["TERMINATED", "TERMINATED", "ERROR"]
    assert reports["loss"].tolist() == ["nan"] * 3 and reports["gap"].tolist() == ["inf"] * 3
    assert table.index[1] == f"iteration 2 of trial {frame['trial_id'][1]}"


def test_trial_of_ray_tune_that_reported_nothing_is_a_row_with_its_setting(ray_results):
    table = read_source(f"ray:{ray_results[0]}")
    (row,) = table[table["training_iteration"] == ""].to_dict("records")
    assert row["config/lr"] == "10" and row["config/sgd/decay"] == "0.0001"
    assert row["status"] == "ERROR" and row["val/top1"] == ""


def test_other_folders_of_ray_tune_say_which_one_to_type(ray_results, refused):
    folder, _ = ray_results
    assert f"type 'ray:{folder}'" in refused(read_source, f"ray:{folder.parent}")
    trial = next(folder.glob("*/result.json")).parent
    assert f"type 'ray:{folder}'" in refused(read_source, f"ray:{trial}")


def test_tables_of_ray_tune_serve_where_its_json_lines_are_gone(ray_results, tmp_path):
    folder = Path(shutil.copytree(ray_results[0], tmp_path / "sweep"))
    expected = read_source(f"ray:{folder}")
    for path in [*folder.glob("*/result.json"), *folder.glob("experiment_state-*.json")]:
        path.unlink()
    table = read_source(f"ray:{folder}")
    assert "status" not in table
    for column in ("trial_id", "training_iteration", "val/top1", "config/lr"):
        assert table[column].tolist() == expected[column].tolist()[: len(table)]
    assert len(table) == 3


def test_line_of_ray_tune_that_is_cut_off_is_named(ray_results, tmp_path, refused):
    folder = Path(shutil.copytree(ray_results[0], tmp_path / "sweep"))
    path = min(folder.glob("*_00000_*/result.json"))
    path.write_text(path.read_text()[:-40])
    words = refused(read_source, f"ray:{folder}")
    assert words.startswith(f"line 2 of {path}") and "remove the line" in words
    (path,) = folder.glob("experiment_state-*.json")
    path.write_text(path.read_text()[:-40])
    assert refused(read_source, f"ray:{folder}").startswith(f"{path} is damaged")


# --- Weights & Biases -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wandb_folder(tmp_path_factory):
    """Offline runs: finished, failed, and killed before its end was written."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        import wandb

        settings = wandb.Settings(console="off", x_disable_stats=True)
        for name, code in (("brisk-sun", 0), ("calm-sea", 1), ("dry-leaf", 0)):
            run = wandb.init(
                project="sweep",
                id=name.replace("-", ""),
                name=name,
                group="resnet20",
                tags=["first", "cifar"],
                config={"lr": 0.1, "optimizer": {"name": "sgd", "nesterov": True}, "State": "CA"},
                dir=folder,
                settings=settings,
            )
            run.define_metric("val/best", summary="max")
            for top1 in (91.25, 93.5, 92.0):
                run.log({"val": {"top1": top1}, "val/best": top1, "loss": math.nan, "lr": 0.01})
            # Longer than a block of the file.
            run.log({"note": "x" * 70_000, "gap": math.inf})
            run.config.update({"weight_decay": 1e-4})
            run.finish(exit_code=code)
        # Another process writes the files, and may still do so.
        wandb.teardown()
    (path,) = folder.glob("wandb/offline-run-*/run-dryleaf.wandb")
    path.write_bytes(path.read_bytes()[:-60])
    return folder / "wandb"


def test_offline_runs_of_wandb_read_as_its_export_names_them(wandb_folder):
    table = read_source(f"wandb:{wandb_folder}")
    assert table["ID"].tolist() == ["brisksun", "calmsea", "dryleaf"]
    assert table["Name"].tolist() == ["brisk-sun", "calm-sea", "dry-leaf"]
    assert table["State"].tolist() == ["finished", "failed", "crashed"]
    assert table.index.tolist() == ["run brisksun", "run calmsea", "run dryleaf"]
    expected = {
        "Group": "resnet20",
        "Tags": "first, cifar",
        "lr": "0.1",
        "summary.lr": "0.01",
        "config.State": "CA",
        "optimizer.name": "sgd",
        "optimizer.nesterov": "True",
        "weight_decay": "0.0001",
        "val.top1": "92",
        "val/best.max": "93.5",
        "loss": "nan",
        "gap": "inf",
        "note": "x" * 70_000,
        "_step": "3",
    }
    for column, cell in expected.items():
        assert table[column].tolist() == [cell] * 3, column
    assert not [column for column in table if column.startswith("_wandb")]


def test_run_of_wandb_that_was_started_again_is_one_run_with_its_last_end(wandb_folder, tmp_path):
    (failed,) = wandb_folder.glob("offline-run-*/run-calmsea.wandb")
    folder = Path(shutil.copytree(wandb_folder, tmp_path / "wandb"))
    for name, moment in (("brisksun", "20000101_000000"), ("dryleaf", "29991231_000000")):
        (folder / f"run-{moment}-{name}").mkdir()
        shutil.copy(failed, folder / f"run-{moment}-{name}" / f"run-{name}.wandb")
    table = read_source(f"wandb:{folder}").set_index("ID")
    assert table["State"].to_dict() == {
        "brisksun": "finished",
        "calmsea": "failed",
        "dryleaf": "failed",
    }


def test_folder_above_that_of_wandb_says_what_to_type(wandb_folder, refused):
    words = refused(read_source, f"wandb:{wandb_folder.parent}")
    assert f"type 'wandb:{wandb_folder}'" in words


def test_damaged_files_of_wandb_are_named(wandb_folder, tmp_path, refused):
    folder = Path(shutil.copytree(wandb_folder, tmp_path / "wandb"))
    (path,) = folder.glob("offline-run-*/run-calmsea.wandb")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    words = refused(read_source, f"wandb:{folder}")
    assert words.startswith(f"{path} is damaged at byte") and "move its folder" in words
    path.write_text(json.dumps({"lr": 0.1}))
    assert "is no file of W&B" in refused(read_source, f"wandb:{folder}")
    path.unlink()
    assert "holds no run-*.wandb file" in refused(read_source, f"wandb:{folder}")
