"""The command line: what it prints, and how it refuses."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points

import pandas as pd
import pytest
import tiny
import torch

import hpstudy
from hpstudy.cli import main
from hpstudy.config.study import Study
from hpstudy.networks.pruning_report import PruningReport
from hpstudy.storage.store import Store


@pytest.fixture
def hpstudy_command(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder outside any clone: (status, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hpstudy", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def studied(swept, tmp_path):
    """The swept study's params file, in a folder that holds its store."""
    (tmp_path / "runs").mkdir()
    for path in swept.store.path.parent.iterdir():
        shutil.copy(path, tmp_path / "runs" / path.name)
    return tiny.write_study(tmp_path / "tiny.yaml")


# --- refusals -------------------------------------------------------------------------------------

PRUNE = ("--flops-ratio", "0.6", "--method", "uniform")
REFUSED = [
    (("cost", "tiny.yml"), ["no params file at tiny.yml"]),
    (("run", "tiny.yml"), ["no params file at tiny.yml"]),
    (("run", "tiny.yaml", "--pruning", "unifrom-0.2"), ["did you mean 'uniform-0.2'?"]),
    (("prune", "resnt56", *PRUNE), ["'resnt56'", "did you mean 'resnet56'?"]),
    (("prune", "resnet56", *PRUNE[:3], "unifrom"), ["'unifrom'", "did you mean 'uniform'?"]),
    (("prune", "resnet56", *PRUNE, "--criterion", "l2"), ["'l2'", "l1-normalised"]),
    (("prune", "resnet56", "--flops-ratio", "0.01", *PRUNE[2:]), ["0.01", "0.0401 to 1.0"]),
    (("prune", "resnet56", "--flops-ratio", "nan", *PRUNE[2:]), ["nan", "out of reach"]),
    (("prune", "resnet56", *PRUNE, "--classes", "1"), ["at least 2 classes, not 1"]),
    (("prune", "resnet56", *PRUNE, "--image-size", "7"), ["7 pixels", "8 to 224"]),
    (("prune", "resnet56", *PRUNE, "--weights", "gone.pt"), ["gone.pt"]),
    (("prune", "resnet56", *PRUNE, "--output", "gone/x.json"), ["gone/x.json"]),
    (("prune", "resnet56", *PRUNE, "--output", "."), ["--output must name a file"]),
    (("compare", "gone.csv"), ["gone.csv"]),
]


@pytest.mark.parametrize("arguments, fragments", REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_refusal_is_one_line_on_standard_error_with_status_2(
    arguments, fragments, hpstudy_command, tmp_path
):
    tiny.write_study(tmp_path / "tiny.yaml", {"variants": ["uniform-0.2", "nonuniform-0.2"]})
    status, output, errors = hpstudy_command(*arguments)
    assert (status, output) == (2, "")
    assert errors.startswith("hpstudy: ") and errors.count("\n") == 1
    assert [fragment for fragment in fragments if fragment not in errors] == []
    assert not (tmp_path / "runs" / "book").exists()


@pytest.mark.parametrize(
    "arguments, fragment",
    [
        (("prun",), "prune"),
        (("run",), "params"),
        (("prune", "resnet56", "--flops-ratio", "most"), "--flops-ratio"),
        (("prune", "resnet56", "--flops-ratio", "0.6"), "--method"),
        (("run", "tiny.yaml", "--workers", "0"), "--workers"),
        (("cost", "tiny.yaml", "--jsn"), "--json"),
    ],
)
def test_misused_command_is_explained_with_status_2(arguments, fragment, hpstudy_command):
    status, output, errors = hpstudy_command(*arguments)
    assert (status, output) == (2, "")
    assert fragment in errors and "Traceback" not in errors


def test_installed_command_refuses_in_one_line_without_a_traceback(tmp_path):
    code = "from hpstudy.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "prune", "resnt56", *PRUNE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "20"},
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "did you mean 'resnet56'?" in done.stderr
    (script,) = entry_points(group="console_scripts", name="hpstudy")
    assert script.value == "hpstudy.cli:main"


def test_stopping_says_how_to_go_on(hpstudy_command, studied, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("hpstudy.sweep.run.sweep", stop)
    status, output, errors = hpstudy_command("run", studied, "--no-book")
    assert (status, output) == (130, "")
    assert "finished runs are recorded" in errors and "Traceback" not in errors


# A command that takes long.
LONG = """
import time
from hpstudy import cli

@cli.app.command()
def long():
    print("begun", flush=True)
    time.sleep(60)

cli.main()
"""


def test_the_signal_of_batch_systems_stops_a_command_as_ctrl_c_does():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", LONG, "long"], **pipes)
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "finished runs are recorded" in errors and "Traceback" not in errors


def test_version_is_the_packages(hpstudy_command):
    assert hpstudy_command("--version") == (0, f"{hpstudy.__version__}\n", "")


@pytest.mark.parametrize("command", ["run", "cost", "prune", "compare", "check", "book"])
def test_every_command_has_help(command, hpstudy_command):
    status, output, _ = hpstudy_command(command, "--help")
    assert status == 0 and "Usage" in output and "--" in output


# --- cost and run ---------------------------------------------------------------------------------


def test_cost_is_given_per_variant_and_trains_nothing(hpstudy_command, studied, tmp_path):
    tiny.write_study(studied, {"grid.lr": [0.01, 0.02, 0.04]})
    status, output, _ = hpstudy_command("cost", studied, "--json", "--workers", "1")
    said = json.loads(output)
    assert status == 0
    assert set(said) == {
        "study",
        "variants",
        "hours",
        "workers",
        "device",
        "arithmetic",
        "grid_to_come",
        "replicates_to_come",
    }
    assert list(said["variants"]) == ["unpruned", "uniform-0.2"]
    for entry in said["variants"].values():
        assert (entry["total"], entry["done"], entry["missing"]) == (3, 2, 1)
        assert entry["seconds_per_run"] > 0 and entry["source"] == "calibrated"
    assert len(Store.open(tmp_path / "runs" / "store.sqlite").recorded()) == 4
    status, output, _ = hpstudy_command("cost", studied)
    assert status == 0 and "seconds_per_run" in output and "uniform-0.2" in output


def test_run_of_a_finished_study_trains_nothing_and_publishes_its_table(
    hpstudy_command, studied, swept, tmp_path
):
    status, output, errors = hpstudy_command("run", studied, "--no-book", "--json")
    (said,) = json.loads(output)["studies"]
    assert status == 0
    assert (said["study"], said["trained"], said["runs"], said["missing"]) == ("tiny", 0, 4, 0)
    assert "nothing to train" in errors and "Traceback" not in errors
    table = tmp_path / "runs" / "book" / "results" / "tiny.csv"
    assert os.path.samefile(said["table"], table)
    assert pd.read_csv(table)["run_id"].tolist() == swept.table["run_id"].tolist()
    record = json.loads(table.with_suffix(".json").read_text())
    assert record["record"]["command"] == f"hpstudy run {studied} --no-book --json"
    first = table.read_bytes()
    hpstudy_command("run", studied, "--no-book")
    assert table.read_bytes() == first


def test_run_of_one_variant_leaves_the_rows_of_the_others(hpstudy_command, studied, tmp_path):
    hpstudy_command("run", studied, "--no-book")
    table = tmp_path / "runs" / "book" / "results" / "tiny.csv"
    first = table.read_bytes()
    status, _, _ = hpstudy_command("run", studied, "--no-book", "--pruning", "unpruned")
    assert status == 0 and table.read_bytes() == first


def test_all_files_are_checked_before_the_first_is_trained(hpstudy_command, tmp_path, monkeypatch):
    def fail(*arguments):
        raise AssertionError("training began")

    monkeypatch.setattr("hpstudy.sweep.run.sweep", fail)
    good = tiny.write_study(tmp_path / "good.yaml")
    bad = tiny.write_study(tmp_path / "bad.yaml", {"modle": 1})
    status, _, errors = hpstudy_command("run", good, bad, "--no-book")
    assert status == 2 and "bad.yaml" in errors


def test_one_run_has_a_singular_noun(hpstudy_command, tmp_path):
    """Trained, checked, restored, lacking from the store: never "1 runs"."""
    changes = {"grid.lr": [0.01], "variants": [], "model": "resnet20"}
    params = tiny.write_study(tmp_path / "tiny.yaml", changes)
    table, store = tmp_path / "runs/book/results/tiny.csv", tmp_path / "runs/store.sqlite"
    said = [hpstudy_command("run", params, "--no-book", "--workers", "1")]
    said += [hpstudy_command("check")]
    store.unlink()
    said += [hpstudy_command("cost", params, "--workers", "1")]
    for file in store.parent.glob("store.sqlite*"):
        file.unlink()
    said += [hpstudy_command("restore", table)]
    words = "".join(output + errors for _, output, errors in said)
    assert [status for status, *_ in said] == [0] * 4
    for part in (
        "tiny: 1 run, about",
        "tiny: 1 run trained, 0 missing",
        "tiny: 1 run, which the store lacked, restored from",
        "tiny.csv  1 run restored  0 known",
    ):
        assert part in words, part
    assert re.findall(r"(?<![\w.,])1 [a-z]+ ?[a-z]+s\b|\w\(s\)", words) == []


# --- prune ----------------------------------------------------------------------------------------


def test_pruning_prints_a_certificate_that_rebuilds_the_network(hpstudy_command, tmp_path):
    path = tmp_path / "certificate.json"
    arguments = ("prune", "resnet56", *PRUNE, "--image-size", "8", "--classes", "3")
    status, output, _ = hpstudy_command(*arguments, "--json", "--output", path)
    said = json.loads(output)
    assert status == 0 and json.loads(path.read_text()) == said
    assert Study.model_fields.keys() >= {"model", "criterion"} <= said.keys()
    assert (said["model"], said["classes"], said["image_size"]) == ("resnet56", 3, 8)
    assert said["achieved"] == pytest.approx(0.6, abs=1e-3)
    small = PruningReport(**said).rebuild()
    assert sum(weights.numel() for weights in small.parameters()) == said["params"]
    assert small(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    status, words, _ = hpstudy_command(*arguments)
    assert status == 0 and f"{said['macs']:,} of {said['macs_dense']:,}" in words
    assert said["weights_sha256"] in words


def test_same_command_gives_the_same_certificate(hpstudy_command):
    arguments = ("prune", "resnet56", "--flops-ratio", "0.2", "--method", "nonuniform", "--json")
    first = hpstudy_command(*arguments, "--image-size", "8")
    torch.rand(5)
    assert hpstudy_command(*arguments, "--image-size", "8") == first
    raw = hpstudy_command(*arguments, "--image-size", "8", "--criterion", "l1")
    assert json.loads(raw[1])["kept"] != json.loads(first[1])["kept"]


# --- compare --------------------------------------------------------------------------------------


def test_comparison_as_json_holds_landscapes_and_risks(hpstudy_command, tmp_path):
    table = tmp_path / "runs.csv"
    rows = ["variant,lr,weight_decay,seed,top1"]
    # Accuracies fall by 0.3 points a step from the dense best, and the pruned best is elsewhere.
    for k, lr in enumerate((0.01, 0.1, 1.0)):
        rows.append(f"unpruned,{lr},0.0001,0,{94 - 0.3 * k}")
        rows.append(f"thin,{lr},0.0001,0,{90 + 0.3 * k}")
    table.write_text("\n".join(rows) + "\n")
    status, output, _ = hpstudy_command("compare", table, "--json")
    said = json.loads(output)
    assert status == 0 and set(said) >= {"landscapes", "risk"}
    assert list(said["landscapes"]) == list(said["risk"]) == ["unpruned", "thin"]
    # The dense 0.5-ROI is the first two points; the pruned network loses 0.6 and 0.3 there.
    assert said["risk"]["thin"]["n"] == 2
    assert said["risk"]["thin"]["mean"] == pytest.approx(0.45)
    assert said["risk"]["thin"]["std"] == pytest.approx(0.15)
    assert said["risk"]["unpruned"]["mean"] == pytest.approx(0.15)
    status, words, _ = hpstudy_command("compare", table)
    assert status == 0 and "thin" in words and "0.45" in words
    share = tmp_path / "share.csv"
    frame = pd.read_csv(table)
    frame.assign(top1=frame["top1"] / 100).to_csv(share, index=False)
    status, output, _ = hpstudy_command("compare", share, "--json", "--percent")
    assert math.isclose(json.loads(output)["risk"]["thin"]["mean"], 0.45, rel_tol=1e-9)
