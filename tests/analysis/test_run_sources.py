"""Sweeps read from where Optuna, Ray Tune, MLflow and W&B keep them, as these wrote the files."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.run_tables.tracker_logs import is_source, read_source


@pytest.mark.parametrize(
    "text, expected",
    [
        ("optuna:sqlite:///study.db#dense", True),
        ("wandb:wandb", True),
        ("runs.csv", False),
        ("dense.csv:top1=acc", False),
        ("sqlite:///study.db", False),
        ("ray", False),
    ],
)
def test_source_starts_with_the_name_of_a_tool(text, expected):
    assert is_source(text) is expected


@pytest.mark.parametrize("tool", ["optuna", "ray", "mlflow", "wandb"])
def test_missing_place_is_refused_with_the_nearest(tool, tmp_path, refused):
    (tmp_path / "results").mkdir()
    words = refused(read_source, f"{tool}:{tmp_path}/result")
    assert f"there is no '{tmp_path}/result' (did you mean '{tmp_path}/results'?)" in words
    assert "type for example" in refused(read_source, f"{tool}:")


@pytest.mark.parametrize(
    "tool, word", [("ray", "result.json"), ("mlflow", "no experiment"), ("wandb", "offline-run-*")]
)
def test_folder_without_runs_says_what_was_looked_for(tool, word, tmp_path, refused):
    assert word in refused(read_source, f"{tool}:{tmp_path}")


# --- Optuna ---------------------------------------------------------------------------------------


def sampled(trial):
    import optuna

    trial.suggest_categorical("weight_decay", [0.0, 1e-4])
    lr = trial.suggest_float("lr", 0.01, 1, log=True)
    trial.set_user_attr("seed", 3)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        return math.nan
    return math.inf if trial.number == 3 else lr


def swept(storage, *names, directions=("maximize",), objective=sampled):
    """Studies of five trials: completed, pruned, failed, infinite and one that still runs."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = []
    for name in names:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        study.optimize(objective, n_trials=4)
        study.ask()
        studies.append(study)
    return studies


@pytest.fixture(scope="module")
def optuna_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("optuna") / "my 50% study.db"
    return path, *swept(f"sqlite:///{path}", "dense", "pruned-0.5")


def exported(study):
    """The table as the study's own export has it."""
    text = study.trials_dataframe().to_csv(index=False)
    return [line.split(",") for line in text.splitlines()]


@pytest.mark.slow
def test_study_of_optuna_reads_as_its_own_export(optuna_file):
    path, study, _ = optuna_file
    before = path.read_bytes()
    for place in (f"sqlite:///{path}", f"sqlite:///{path}?timeout=9", path):
        table = read_source(f"optuna:{place}#dense")
        assert [list(table.columns), *table.to_numpy().tolist()] == exported(study)
    assert path.read_bytes() == before
    assert table["state"].tolist() == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "RUNNING"]
    assert table["value"].tolist() == [repr(study.trials[0].params["lr"]), "", "", "inf", ""]
    assert table.index[3] == "trial 3 of study 'dense'"


def test_journal_of_optuna_reads_as_its_own_export(tmp_path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = tmp_path / "journal.log"
    (study,) = swept(JournalStorage(JournalFileBackend(str(path))), "dense")
    table = read_source(f"optuna:{path}")
    assert [list(table.columns), *table.to_numpy().tolist()] == exported(study)


def test_two_objectives_of_optuna_are_two_columns(tmp_path):
    path = f"sqlite:///{tmp_path}/study.db"
    swept(path, "both", directions=["maximize", "minimize"], objective=lambda trial: (0.5, 7.0))
    table = read_source(f"optuna:{path}")
    assert table[["values_0", "values_1"]].iloc[0].tolist() == ["0.5", "7.0"]
    assert table.attrs["goals"] == {"values_0": "maximize", "values_1": "minimize"}


def test_direction_of_an_optuna_study_is_the_goal(tmp_path):
    path = f"sqlite:///{tmp_path}/study.db"
    swept(path, "dense", directions=["minimize"])
    read = read_runs(f"optuna:{path}#dense")
    assert (read.goal, read.metric) == ("minimize", "value")


def test_study_must_be_named_where_there_are_several(optuna_file, refused):
    place = f"optuna:{optuna_file[0]}"
    words = refused(read_source, place)
    assert "has dense, pruned-0.5; type for example" in words and f"'{place}#dense'" in words
    words = refused(read_source, f"{place}#pruned")
    assert "no study 'pruned'" in words and f"'{place}#pruned-0.5'" in words


def test_study_without_trials_is_no_table(tmp_path, refused):
    import optuna

    path = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=path, study_name="new")
    assert "'new' has no trials" in refused(read_source, f"optuna:{path}")


def test_damaged_storages_of_optuna_are_refused(optuna_file, tmp_path, refused):
    path = tmp_path / "damaged.db"
    content = optuna_file[0].read_bytes()
    # The first page with the names of the tables stays whole.
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert "malformed" in refused(read_source, f"optuna:{path}#dense")
    path.write_text("lr,top1\n0.1,93\n")
    assert "file is not a database" in refused(read_source, f"optuna:{path}")
    path.write_text('{"op_code": 0, "worker_id": \n{}\n')
    assert "trials_dataframe().to_csv" in refused(read_source, f"optuna:{path}")


def test_optuna_is_named_where_it_is_missing(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'hpstudy[optuna]'" in refused(read_source, "optuna:sqlite:///study.db")


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


# --- MLflow ---------------------------------------------------------------------------------------


def logged(mlflow):
    """A parent of two runs, of which one diverged, one that failed, and one that was deleted."""
    mlflow.set_experiment("sweep")
    with mlflow.start_run(run_name="parent"):
        for lr in (0.1, 0.3):
            with mlflow.start_run(nested=True):
                mlflow.log_params({"lr": lr, "sgd/decay": 1e-4})
                for step, top1 in ((2, 93.0), (1, 91.0)):
                    mlflow.log_metric("val/top1", math.nan if lr == 0.3 else top1, step=step)
                mlflow.log_metric("loss", 0.25 if lr == 0.1 else math.inf)
    with pytest.raises(RuntimeError), mlflow.start_run():
        raise RuntimeError("lost")
    with mlflow.start_run() as run:
        pass
    mlflow.delete_run(run.info.run_id)
    return mlflow.search_runs()


@pytest.fixture(scope="module", params=["folder", "database"])
def mlflow_store(request, tmp_path_factory):
    """Place of a store, and what MLflow itself finds in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("GIT_PYTHON_REFRESH", "quiet")
        patch.chdir(folder)
        import mlflow

        if request.param == "folder":
            place, uri = folder / "mlruns", (folder / "mlruns").as_uri()
        else:
            place, uri = folder / "mlflow.db", f"sqlite:///{folder}/mlflow.db"
        mlflow.set_tracking_uri(uri)
        return place, logged(mlflow)


def test_runs_of_mlflow_read_as_its_own_search(mlflow_store):
    place, found = mlflow_store
    table = read_source(f"mlflow:{place}")
    assert set(table.columns) == set(found.columns) and len(table) == len(found) == 4
    # A database holds the largest number in place of an infinity.
    expected = found.replace(sys.float_info.max, math.inf).set_index("run_id")
    ours = table.set_index("run_id")
    for run in expected.index:
        for column in expected.columns:
            value, cell = expected.loc[run, column], ours.loc[run, column]
            if pd.isna(value):
                assert cell in ("", "nan")
            else:
                assert cell == str(value), column


def test_metric_of_mlflow_is_that_of_the_last_step(mlflow_store):
    table = read_source(f"mlflow:{mlflow_store[0]}#sweep").set_index("params.lr")
    assert table.loc["0.1", ["metrics.val/top1", "metrics.loss"]].tolist() == ["93.0", "0.25"]
    assert table.loc["0.3", ["metrics.val/top1", "metrics.loss"]].tolist() == ["nan", "inf"]
    parents = table[table["tags.mlflow.runName"] == "parent"]
    assert parents["metrics.val/top1"].tolist() == [""]
    assert table.loc["0.1", "tags.mlflow.parentRunId"] == parents["run_id"].item()
    assert sorted(table["status"]) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]


def test_experiment_of_mlflow_is_named_with_the_nearest(mlflow_store, refused):
    place, _ = mlflow_store
    words = refused(read_source, f"mlflow:{place}#sweeps")
    assert "no experiment 'sweeps'" in words and f"'mlflow:{place}#sweep'" in words
    assert "'Default' has no runs" in refused(read_source, f"mlflow:{place}#Default")


def test_folder_above_a_store_of_mlflow_says_what_to_type(mlflow_store, refused):
    place, _ = mlflow_store
    assert f"type 'mlflow:{place}'" in refused(read_source, f"mlflow:{place.parent}")


def test_server_of_mlflow_is_asked_for_an_export(refused):
    assert "search_runs().to_csv" in refused(read_source, "mlflow:http://127.0.0.1:5000")


@pytest.mark.parametrize(
    "pattern, content, word",
    [
        ("*/*/meta.yaml", "", "lacks one of run_id, status"),
        ("*/*/meta.yaml", "a: [", "ParserError"),
        ("*/*/metrics/val/top1", "1709678749 93", "time value step"),
        ("*/*/metrics/val/top1", "", "time value step"),
    ],
)
@pytest.mark.parametrize("mlflow_store", ["folder"], indirect=True)
def test_damaged_file_of_mlflow_is_named(mlflow_store, tmp_path, refused, pattern, content, word):
    folder = Path(shutil.copytree(mlflow_store[0], tmp_path / "mlruns"))
    path = min(folder.glob(pattern))
    path.write_text(content)
    words = refused(read_source, f"mlflow:{folder}")
    assert words.startswith(f"{path} is damaged: ") and word in words and "restore" in words


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
