"""Sweeps read from where Optuna and MLflow keep them, as these wrote the files."""

import math
import shutil
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
