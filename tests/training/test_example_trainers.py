"""The examples of trainers, on a hundred images: a run of each network, and its curve."""

import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hpstudy import workspace
from hpstudy.sweep.run import sweep

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"fixed": {"images": 100, "epochs": 2}, "grid": {"lr": [0.001], "wd": [0.01]}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, packages", [("lightning", "lightning"), ("hf", "transformers accelerate")]
)
def test_example_trains_the_dense_and_the_pruned_network(name, packages, tmp_path, monkeypatch):
    for package in packages.split():
        pytest.importorskip(package, reason=f"to run it: pip install {packages}")
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    params = Path(f"{name}.yaml")
    params.write_text(yaml.safe_dump(yaml.safe_load(params.read_text()) | SMALL))
    plan = workspace.open_plan(params)
    sweep(plan, workers=2)
    assert plan.failures() == {}
    table = pd.read_csv(workspace.publish_results(plan, "hpstudy run", 2))
    assert table["variant"].tolist() == ["unpruned", "nonuniform-0.5"]
    assert table["epochs"].tolist() == [2, 2] and not table["diverged"].any()
    assert table[plan.metric].between(1, 100).all()
