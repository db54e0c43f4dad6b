"""Output, errors and exit status of the commands; test_badinput.py holds the refusals."""

import json
import math
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import entry_points
from pathlib import Path

import pandas as pd
import pytest
import tiny
import torch
from badinput import run_command
from recorded import STUDY, ended
from simulated import Simulated

import hpstudy
from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.training.state import RunOutcome


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Commands run in an empty folder outside any clone."""
    monkeypatch.chdir(tmp_path)


# --- refusals -------------------------------------------------------------------------------------

PRUNE = ("--flops-ratio", "0.6", "--method", "uniform")


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
def test_usage_error_names_the_option_and_has_status_2(arguments, fragment):
    status, output, errors = run_command(*arguments)
    assert (status, output) == (2, "")
    assert fragment in errors.lower() and "Traceback" not in errors


@pytest.mark.slow
def test_installed_command_refuses_in_one_line_without_a_traceback(tmp_path):
    code = "from hpstudy.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "compare", "gone.csv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "20"},
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "there is no file 'gone.csv'" in done.stderr
    (script,) = entry_points(group="console_scripts", name="hpstudy")
    assert script.value == "hpstudy.cli:main"


def test_stopped_run_has_status_130_and_a_message_how_to_resume(recorded_study, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("hpstudy.sweep.run.sweep", stop)
    status, output, errors = run_command("run", "tiny.yaml", "--no-book")
    assert (status, output) == (130, "")
    assert "finished runs are recorded" in errors and "Traceback" not in errors


LONG_COMMAND = """
import time
from hpstudy import cli

@cli.app.command()
def long():
    print("started", flush=True)
    time.sleep(60)

cli.main()
"""


@pytest.mark.slow
def test_sigterm_stops_a_command_as_ctrl_c_does():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", LONG_COMMAND, "long"], **pipes)
    assert process.stdout.readline() == "started\n"
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "finished runs are recorded" in errors and "Traceback" not in errors


def test_version_is_that_of_the_package():
    assert run_command("--version") == (0, f"{hpstudy.__version__}\n", "")


@pytest.mark.parametrize("command", ["run", "cost", "prune", "compare", "check", "book"])
def test_every_command_has_help(command):
    status, output, _ = run_command(command, "--help")
    assert status == 0 and "Usage" in output and "--" in output


# --- cost and run ---------------------------------------------------------------------------------


class ValidResults(Simulated):
    """An executor without training whose results can be restored."""

    def __init__(self, plan):
        super().__init__()
        self.plan = plan

    def wait(self, seconds):
        jobs, self.running = self.running, []
        return [(job, RunOutcome(ended(self.plan, job.spec), None)) for job in jobs]


@pytest.fixture
def without_training(monkeypatch):
    """`hpstudy run` and `hpstudy cost` train nothing."""

    def open_executor(plan, *options, **more):
        return nullcontext(ValidResults(plan))

    monkeypatch.setattr("hpstudy.sweep.run.open_executor", open_executor)
    monkeypatch.setattr("hpstudy.sweep.pricing.open_executor", open_executor)


def test_cost_prices_each_variant_and_trains_nothing(recorded_study, without_training, tmp_path):
    changes = {"grid.weight_decay": [0.01], "grid.lr": [0.01, 0.02, 0.04]}
    tiny.write_study(tmp_path / "tiny.yaml", STUDY | changes)
    status, output, _ = run_command("cost", "tiny.yaml", "--json")
    price = json.loads(output)
    assert status == 0
    assert set(price) == {
        "study",
        "variants",
        "hours",
        "workers",
        "device",
        "arithmetic",
        "grid_to_come",
        "replicates_to_come",
        "trainings_to_come",
    }
    assert list(price["variants"]) == ["unpruned", "uniform-0.3"]
    for entry in price["variants"].values():
        assert (entry["total"], entry["done"], entry["missing"]) == (3, 2, 1)
        assert entry["seconds_per_run"] > 0 and entry["source"] == "calibrated"
    assert len(Store.open(tmp_path / "runs" / "store.sqlite").recorded()) == 4
    status, output, _ = run_command("cost", "tiny.yaml")
    assert status == 0 and "s a run" in output and "uniform-0.3" in output


@pytest.mark.slow
def test_run_of_a_finished_study_trains_nothing_and_publishes_its_table(recorded_study, tmp_path):
    status, output, errors = run_command("run", "tiny.yaml", "--no-book", "--json")
    (result,) = json.loads(output)["studies"]
    assert status == 0
    counts = {"trained": 0, "runs": 4, "missing": 0, "failed": 0}
    report = "runs/book/results/tiny.html"
    assert result == {"study": "tiny", **counts, "table": result["table"], "report": report}
    assert (tmp_path / report).is_file()
    assert "nothing to train" in errors and "Traceback" not in errors
    table = tmp_path / "runs" / "book" / "results" / "tiny.csv"
    assert os.path.samefile(result["table"], table)
    assert pd.read_csv(table)["run_id"].tolist() == recorded_study.table()["run_id"].tolist()
    record = json.loads(table.with_suffix(".json").read_text())
    assert record["record"]["command"] == "hpstudy run tiny.yaml --no-book --json"
    before = table.read_bytes()
    for options in ((), ("--pruning", "unpruned")):
        assert run_command("run", "tiny.yaml", "--no-book", *options)[0] == 0
        assert table.read_bytes() == before


def test_all_params_files_are_checked_before_training_begins(tmp_path, monkeypatch):
    def fail(*arguments):
        raise AssertionError("training began")

    monkeypatch.setattr("hpstudy.sweep.run.sweep", fail)
    good = tiny.write_study(tmp_path / "good.yaml")
    bad = tiny.write_study(tmp_path / "bad.yaml", {"modle": 1})
    status, _, errors = run_command("run", good, bad, "--no-book")
    assert status == 2 and "bad.yaml" in errors


def test_count_of_one_run_has_a_singular_noun(without_training, tmp_path):
    changes = {"grid.lr": [0.01], "grid.weight_decay": [0.01], "variants": []}
    tiny.write_study(tmp_path / "tiny.yaml", STUDY | changes)
    table, store = tmp_path / "runs/book/results/tiny.csv", tmp_path / "runs/store.sqlite"
    commands = [run_command("run", "tiny.yaml", "--no-book")]
    store.unlink()
    commands += [run_command("cost", "tiny.yaml")]
    for path in store.parent.glob("store.sqlite*"):
        path.unlink()
    commands += [run_command("restore", table)]
    text = "".join(output + errors for _, output, errors in commands)
    assert [status for status, *_ in commands] == [0] * 3
    for part in (
        "tiny: 1 run, about",
        "tiny: 1 run trained",
        "tiny: 0 missing, table",
        "tiny: 1 run, which the store lacked, restored from",
        "1 run restored",
    ):
        assert part in text, part
    assert re.findall(r"(?<![\w.,])1 [a-z]+ ?[a-z]+s\b|\w\(s\)", text) == []


# --- prune ----------------------------------------------------------------------------------------


def test_pruning_report_rebuilds_the_network(tmp_path):
    path = tmp_path / "report.json"
    arguments = ("prune", "resnet20", *PRUNE, "--image-size", "8", "--classes", "3")
    status, output, _ = run_command(*arguments, "--json", "--output", path)
    report = json.loads(output)
    assert status == 0 and json.loads(path.read_text()) == report
    assert Study.model_fields.keys() >= {"model", "criterion"} <= report.keys()
    assert (report["model"], report["arguments"]) == ("resnet20", {"classes": 3})
    assert report["inputs"] == [[[1, 3, 8, 8], "float32"]]
    assert report["achieved"] == pytest.approx(0.6, abs=5e-3)
    small = hpstudy.rebuild(report)
    assert sum(weights.numel() for weights in small.parameters()) == report["params"]
    assert small(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    status, text, _ = run_command(*arguments)
    assert status == 0 and f"{report['macs']:,} of {report['macs_dense']:,}" in text
    assert report["weights_sha256"] in text


@pytest.mark.slow  # the exporter takes seconds
def test_pruned_network_is_measured_and_written_as_onnx(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "networks")
    folder = tmp_path / "small"
    arguments = ("prune", "nets:chain", "--flops-ratio", "0.6014", "--method", "uniform")
    arguments += ("--arguments", '{"width": 128}', "--image-size", "8", "--latency", "--onnx")
    status, text, _ = run_command(*arguments, "--output", folder)
    assert status == 0
    assert {path.name for path in folder.iterdir()} == {"report.json", "weights.pt", "model.onnx"}
    report = json.loads((folder / "report.json").read_text())
    for runtime in ("onnxruntime", "torch"):
        pruned = report["latency"][runtime]["pruned"]
        assert pruned["low"] <= pruned["ratio"] <= pruned["high"]
        assert re.search(rf"latency, {runtime} +{pruned['ratio']:.3f} \(", text)
    assert report["latency"]["processor"] in text and "batches of any size" in text
    hpstudy.rebuild(folder / "report.json", folder / "weights.pt", "nets:chain")


def test_same_command_gives_the_same_pruning_report():
    arguments = ("prune", "resnet20", "--flops-ratio", "0.2", "--method", "nonuniform", "--json")
    first = run_command(*arguments, "--image-size", "8")
    torch.rand(5)
    assert run_command(*arguments, "--image-size", "8") == first
    l1 = run_command(*arguments, "--image-size", "8", "--criterion", "l1")
    assert json.loads(l1[1])["removed"] != json.loads(first[1])["removed"]


# --- compare --------------------------------------------------------------------------------------


def test_comparison_as_json_holds_landscapes_and_risks(tmp_path):
    table = tmp_path / "runs.csv"
    rows = ["variant,lr,weight_decay,seed,top1"]
    # Accuracies fall by 0.3 points a step from the dense best, and the pruned best is elsewhere.
    for step, lr in enumerate((0.01, 0.1, 1.0)):
        rows.append(f"unpruned,{lr},0.0001,0,{94 - 0.3 * step}")
        rows.append(f"thin,{lr},0.0001,0,{90 + 0.3 * step}")
    table.write_text("\n".join(rows) + "\n")
    status, output, _ = run_command("compare", table, "--json")
    result = json.loads(output)
    assert status == 0 and set(result) >= {"landscapes", "risk"}
    assert list(result["landscapes"]) == list(result["risk"]) == ["unpruned", "thin"]
    # The dense 0.5-ROI is the first two points; the pruned network loses 0.6 and 0.3 there.
    assert result["risk"]["thin"]["n"] == 2
    assert result["risk"]["thin"]["mean"] == pytest.approx(0.45)
    assert result["risk"]["thin"]["std"] == pytest.approx(0.15)
    assert result["risk"]["unpruned"]["mean"] == pytest.approx(0.15)
    status, text, _ = run_command("compare", table, "--full")
    assert status == 0 and "thin" in text and "0.45" in text
    fractions = tmp_path / "fractions.csv"
    runs = pd.read_csv(table)
    runs.assign(top1=runs["top1"] / 100).to_csv(fractions, index=False)
    _, output, _ = run_command("compare", fractions, "--json", "--percent")
    assert math.isclose(json.loads(output)["risk"]["thin"]["mean"], 0.45, rel_tol=1e-9)
