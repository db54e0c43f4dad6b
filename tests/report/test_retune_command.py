"""The command `hpstudy retune`, on published tables."""

import io
import json

import pandas as pd
import pytest
from badinput import run_command
from readme_table import ROOT

TABLE = ROOT / "book" / "results" / "cpu-resnet20.csv"
AXES = ["lr", "weight_decay"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The dense network's runs, and all runs of a pruned one."""
    folder = tmp_path_factory.mktemp("tables")
    runs = pd.read_csv(TABLE)
    runs[runs["variant"] == "unpruned"].to_csv(folder / "dense.csv", index=False)
    return folder, runs[runs["variant"] == "nonuniform-0.2"]


def answered(*arguments):
    status, output, errors = run_command("retune", *arguments)
    assert status == 0, errors
    return output


def test_loop_of_a_table_ends_at_the_budget(tables):
    folder, runs = tables
    place, had = folder / "pruned.csv", runs.iloc[:0]
    arguments = [folder / "dense.csv"]
    for number in (0, 3, 6):
        said = answered(*arguments, "--batch", 3, "--budget", 9)
        asked = pd.read_csv(io.StringIO(said[said.index("lr,weight_decay,seed") :]))
        assert len(asked) == 3
        if number:
            assert f"Trainings so far: {number}." in said
        for _, row in asked.iterrows():
            near = (runs[AXES] / row[AXES].to_numpy() - 1).abs().max(axis=1) < 0.01
            left = runs[near & ~runs.index.isin(had.index)]
            had = pd.concat([had, left.iloc[:1]])
        had.to_csv(place, index=False)
        arguments = [folder / "dense.csv", place]
    if len(had) == 9:
        said = answered(*arguments, "--budget", 9)
        assert "The budget of 9 trainings is spent" in said and "Train next" not in said


def test_before_the_first_training_it_says_what_to_expect(tables):
    said = answered(tables[0] / "dense.csv")
    assert "Noise of a run: 2." in said and "measured and simulated pairs" in said
    assert said.rstrip().splitlines()[-1] == "0.0316228,0.00501187,0"


def test_settings_are_asked_for_under_the_names_of_the_table(tables, tmp_path):
    names = {"lr": "config/learning_rate", "weight_decay": "wd", "seed": "seed_number"}
    runs = pd.read_csv(tables[0] / "dense.csv").rename(columns=names)
    runs[[*names.values(), "top1"]].to_csv(tmp_path / "dense.csv", index=False)
    said = answered(tmp_path / "dense.csv", "--columns", "seed=seed_number")
    assert "\nconfig/learning_rate,wd,seed_number\n0.0316228,0.00501187,0\n" in said


def test_tables_that_look_mistaken_are_pointed_out(tables, tmp_path):
    folder, runs = tables
    few = runs[runs["seed"] == 0].iloc[:8]
    few.to_csv(tmp_path / "a.csv", index=False)
    pd.read_csv(folder / "dense.csv").to_csv(tmp_path / "b.csv", index=False)
    said = answered(tmp_path / "a.csv", tmp_path / "b.csv", "--dense", "nonuniform-0.2")
    assert "nonuniform-0.2 has 8 settings, and unpruned " in said
    assert "are the tables swapped?" in said
    few.assign(lr=few["lr"].mask(few.index == few.index[0], 40.0)).to_csv(
        tmp_path / "far.csv", index=False
    )
    said = answered(folder / "dense.csv", tmp_path / "far.csv")
    assert "was trained at 1 setting that the dense network lacks, such as 40, " in said
    assert "has a run at learning rate 40, far from the dense network's" in said


def test_one_table_of_several_networks_is_enough():
    said = json.loads(answered(TABLE, "--pruned", "nonuniform-0.2", "--json"))
    assert said["runs"] == 112 and said["done"] and said["next"] == []
    assert said["both"]["answer"] in ("keep", "inconclusive")
    assert set(said["axes"]) == set(AXES) and len(said["loss"]) == 3


def test_bad_input_is_refused(tables):
    dense = tables[0] / "dense.csv"
    for arguments, words in {
        (TABLE,): "say which network is to be retuned: --pruned with uniform-0.6",
        (TABLE, "--pruned", "uniform-0.5"): "uniform-0.6",
        (dense, "missing.csv"): "before the first training of the pruned network, give the dense",
        (dense, "--metric", "train_loss", "--goal", "minimize"): "add --tolerable",
    }.items():
        status, _, errors = run_command("retune", *arguments)
        assert status == 2 and words in errors
