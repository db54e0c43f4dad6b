"""Studies whose runs one's own command trains: plan, runs, failures, table and report."""

import json
import os
import signal
import subprocess
import sys
import time

import own_command
import pandas as pd
import pytest
from badinput import run_command

from hpstudy import workspace
from hpstudy.analysis.comparison import Comparison
from hpstudy.analysis.run_tables import read_runs
from hpstudy.report.html_report import write_study_report
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store, restore
from hpstudy.sweep.pricing import price
from hpstudy.sweep.run import sweep

RUN = "from hpstudy.cli import main; main()"


def train(params, workers=1):
    """Plan of the study after its missing runs, and its published table."""
    plan = workspace.open_plan(params)
    sweep(plan, workers)
    return plan, workspace.publish_results(plan, "hpstudy run own.yaml", workers)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with a blank in its name, which is the working directory."""
    folder = tmp_path / "my project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The study, trained once: folder, plan and table."""
    folder = tmp_path_factory.mktemp("own") / "my project"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan, table = train(own_command.write(folder), workers=2)
        yield folder, plan, folder / table


def test_every_setting_of_every_network_is_trained_once_and_published(trained):
    folder, plan, path = trained
    assert len(own_command.trained(folder)) == 24 == len(set(own_command.trained(folder)))
    table = pd.read_csv(path)
    assert list(table.groupby("variant").size()) == [12, 12]
    best = table.loc[table.groupby("variant")["val_acc"].idxmax()].set_index("variant")
    assert best["lr"].to_dict() == {"unpruned": 0.1, "nonuniform-0.5": 0.05}
    assert (best["val_acc"] == 90).all() and (best["wd"] == 1e-3).all()
    assert json.loads(table["curve"][0])["value"][-1] == table["val_acc"][0]
    assert not plan.missing() and sweep(plan) == 0


def test_the_verdict_of_the_published_table_finds_the_shift(trained):
    _, plan, path = trained
    runs = read_runs(path, axes=plan.axes, metric=plan.metric, goal=plan.goal)
    row = Comparison.of(runs, 1.0).verdicts[0]
    # The rate is halved: 10 ** -0.3.
    assert row.axes["lr"].shift.estimate == pytest.approx(-0.301, abs=0.02)
    assert row.axes["wd"].shift.estimate == pytest.approx(0, abs=0.02)
    report = write_study_report(plan, path)
    assert "val_acc" in report.read_text() and report.suffix == ".html"


def test_store_and_table_are_whole_and_the_table_restores_the_store(trained, tmp_path):
    folder, plan, path = trained
    found = check_files([plan.store.path, path])
    assert [file.faults for file in found] == [[], []]
    other = Store.open(tmp_path / "store.sqlite")
    assert restore(path, other)["runs"] == 24
    assert other.accuracies() == plan.store.accuracies()


@pytest.mark.parametrize(
    "old,new", [("0.05", "0.06"), (",90.0,", ",91.0,"), ("own,nonuni", "o,nonuni")]
)
def test_a_changed_cell_is_found(trained, tmp_path, old, new):
    _, _, path = trained
    for suffix in (".csv", ".json"):
        text = path.with_suffix(suffix).read_text()
        (tmp_path / f"own{suffix}").write_text(text.replace(old, new) if suffix == ".csv" else text)
    assert check_files([tmp_path / "own.csv"])[0].faults


def test_a_price_is_known_from_the_first_runs_on(trained, folder):
    priced = price(trained[1])
    assert priced["hours"] == 0 and priced["variants"]["unpruned"]["source"] == "measured"
    new = price(workspace.open_plan(own_command.write(folder)))
    assert new["hours"] is None and new["variants"]["unpruned"]["seconds_per_run"] is None


def test_words_reach_the_command_as_they_are(folder):
    note = "a 'quoted' $(touch pwned) {value; *"
    script = own_command.SCRIPT.replace("loss = 4", f"assert args.note == {note!r}; loss = 4")
    command = own_command.study()["command"] + " --note {note}"
    params = own_command.write(
        folder,
        script,
        command=command,
        fixed={"note": note},
        variants=[],
        grid={"lr": [0.1], "wd": [0.001]},
    )
    plan, _ = train(params)
    assert plan.store.failures() == {} and len(plan.store.recorded()) == 1
    assert not (folder / "pwned").exists()


def test_a_killed_sweep_loses_only_what_was_in_progress(folder):
    script = own_command.SCRIPT.replace("for epoch", "import time; time.sleep(0.3)\nfor epoch")
    params = own_command.write(folder, script, variants=[])
    command = [sys.executable, "-c", RUN, "run", str(params), "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(own_command.trained(folder)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    recorded = Store.open("runs/store.sqlite").recorded()
    assert recorded
    before = len(own_command.trained(folder))
    time.sleep(1)
    # No command outlives its sweep.
    assert len(own_command.trained(folder)) <= before + 1
    before = len(own_command.trained(folder))
    plan, _ = train(params)
    assert not plan.missing() and recorded <= plan.store.recorded()
    assert len(own_command.trained(folder)) - before <= 12 - len(recorded)


def test_failures_are_named_kept_and_tried_again_on_request(folder, caplog):
    script = own_command.SCRIPT.replace(
        "for epoch",
        """if args.lr == 0.2:
    raise MemoryError("CUDA out of memory")
if args.lr == 0.05:
    print("nothing to see"); sys.exit(0)
if args.lr == 0.025:
    import time; time.sleep(60)
for epoch""",
    )
    lrs = [0.1, 0.12, 0.2, 0.05, 0.025]
    params = own_command.write(
        folder, script, grid={"lr": lrs, "wd": [0.001]}, variants=[], timeout=1.0
    )
    plan, table = train(params)
    reasons = " ".join(plan.failures().values())
    assert "it ran out of memory" in reasons and "MemoryError: CUDA out of memory" in reasons
    assert "its output has no JSON object with the key 'val_acc'" in reasons
    assert "it took longer than its timeout of 1 s" in reasons and "log.txt" in reasons
    assert len(pd.read_csv(table)) == 2 and len(plan.failures()) == 3
    plan.retry_failed()
    assert len(plan.missing()) == 3


def test_fractions_that_are_called_percent_are_warned_of(folder, caplog):
    script = own_command.SCRIPT.replace("90 - loss", "0.9 - loss / 1000").replace(
        "- 10 *", "- 0.1 *"
    )
    train(own_command.write(folder, script, variants=[]))
    assert "if it is from 0 to 1, say `unit: fraction`" in caplog.text


def test_a_sweep_whose_runs_all_fail_is_refused_with_the_reason(folder):
    grid = {"lr": [0.1], "wd": [0.001]}
    own_command.write(folder, "raise SystemExit(3)\n", grid=grid, variants=[])
    status, _, errors = run_command("run", "own.yaml", "--workers", 1)
    assert status == 2 and "every run that was tried has failed" in errors
    assert "verdict:" not in errors
    status, output, _ = run_command("cost", "own.yaml")
    assert status == 0 and "nan" not in output


def test_a_loss_that_is_no_number_is_a_run_that_diverged(folder):
    script = own_command.SCRIPT.replace("loss = 4", "loss = math.nan if args.lr > 0.15 else 4")
    metric = {"from": "json", "key": "loss", "goal": "minimize", "unit": "nats"}
    params = own_command.write(folder, script, metric=metric, variants=[])
    plan, table = train(params)
    frame = pd.read_csv(table)
    assert set(frame.loc[frame["diverged"], "lr"]) == {0.2}
    assert frame.loc[frame["diverged"], "loss"].isna().all()
    assert check_files([plan.store.path, folder / table])[0].faults == []


def test_a_grid_grows_towards_less_of_a_loss(folder):
    metric = {"from": "json", "key": "loss", "goal": "minimize", "unit": "nats"}
    grid = {"lr": {"points": 3, "step": 0.30103, "extend": 3}}
    command = own_command.study()["command"].replace(" --wd {wd}", "")
    changes = {"metric": metric, "grid": grid, "command": command, "prior": {"lr": 0.4}}
    plan, table = train(own_command.write(folder, variants=[], **changes))
    # From 0.2, 0.4, 0.8 down to the optimum at 0.1, and one further.
    assert pd.read_csv(table)["lr"].min() == pytest.approx(0.05, rel=1e-3)
    assert "wd" not in pd.read_csv(table)


def test_another_metric_of_finished_runs_is_read_without_training(folder):
    params = own_command.write(folder, variants=[], metric={"from": "json", "key": "acc"})
    with pytest.raises(
        ValueError, match="no JSON object with the key 'acc'.*it has epoch, val_acc"
    ):
        train(params)
    before = own_command.trained(folder)
    plan, _ = train(own_command.write(folder, variants=[]))
    assert len(own_command.trained(folder)) == 12 and before and not plan.missing()


def test_a_changed_script_makes_other_runs(folder):
    first = workspace.open_plan(own_command.write(folder)).prior.run_id
    again = workspace.open_plan(own_command.write(folder)).prior.run_id
    changed = own_command.SCRIPT.replace("4 *", "5 *")
    other = workspace.open_plan(own_command.write(folder, changed)).prior.run_id
    assert first == again != other


def test_a_pruned_network_reaches_the_command_as_report_and_weights(folder):
    (folder / "made_here.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()]\n"
        "    layers += [nn.Conv2d(64, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]\n"
        "    return nn.Sequential(*layers, nn.Linear(16, 3))\n"
    )
    script = (
        "import sys, torch, hpstudy, made_here\n"
        "torch.manual_seed(0)\n"
        "net = hpstudy.rebuild(sys.argv[1], factory=made_here.make)\n"
        "torch.save(net.state_dict(), sys.argv[2] + '/weights.pt')\n"
        "print('accuracy', sum(p.numel() for p in net.parameters()) / 1000 + float(sys.argv[3]))\n"
    )
    plan, table = train(
        own_command.write(
            folder,
            script,
            command="python train.py {report} {out} {lr}",
            metric={"from": "pattern", "key": "acc", "pattern": "accuracy ([0-9.]+)"},
            model="made_here:make",
            input_shape=[3, 12, 12],
            weights="{out}/weights.pt",
            grid={"lr": [0.1]},
            prior={"lr": 0.1},
            variants=["uniform-0.5"],
            tolerance=0.02,
        )
    )
    frame = pd.read_csv(table).set_index("variant")
    # The command has seen the parameters that the table says.
    assert (frame["acc"] == frame["params"] / 1000 + 0.1).all()
    dense, pruned = frame["macs"]["unpruned"], frame["macs"]["uniform-0.5"]
    assert pruned / dense == pytest.approx(0.5, abs=0.02)
    weights = next((folder / "runs" / "networks").glob("uniform*/weights.pt"))
    assert weights.is_file()
    assert check_files([plan.store.path, folder / table])[1].faults == []


def test_fixed_values_have_any_name_and_the_metric_none_of_another_column(folder):
    command = own_command.study()["command"] + " --note {epochs}"
    params = own_command.write(folder, command=command, fixed={"epochs": 3})
    assert "3" in workspace.open_plan(params).missing()[0].call.words
    for key in ("seconds", "seed"):
        with pytest.raises(ValueError, match=f"metric must have another key than '{key}'"):
            workspace.open_plan(own_command.write(folder, metric={"from": "json", "key": key}))
