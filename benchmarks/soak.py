"""Kill sweeps at random moments, and see whether anything is lost.

    python benchmarks/soak.py [--kills 50] [--seed 0] [--output book/measurements/soak.json]

A short study is swept again and again from an empty store. At a random moment of it, the command,
one of its workers or the kernel of its notebook is ended by SIGKILL, and the command is given
again, until the study is complete; then the table is compared with that of an undisturbed sweep.
First, one training with a checkpoint every fifth of a second is killed in the same way. About half
an hour on two cores.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import yaml
from common import machine, markdown

from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan

ROOT = Path(__file__).parents[1]
# Parts of a command line by which the processes that a command has started are told apart.
VICTIMS = {"sweep": "", "worker": "spawn_main", "kernel": "ipykernel_launcher"}
# Columns that tell when and how fast a run was, not what came out.
CLOCK = ["seconds", "images_per_second"]
STUDY = {
    "name": "soaked",
    "model": "resnet20",
    "data": {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 400, "test_images": 200},
    "recipe": {"epochs": 4, "batch_size": 50, "lr_decay_epochs": [2]},
    "prior": {"lr": 0.05, "weight_decay": 0.01},
    "grid": {"lr": {"points": 3, "step": 0.4}, "weight_decay": {"points": 2, "step": 0.4}},
    "variants": ["uniform-0.4", "nonuniform-0.4"],
    "replicates": {"seeds": [1], "random": 1},
}
LONGER = {
    "data": {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 4000},
    "recipe": {"epochs": 8, "batch_size": 50, "lr_decay_epochs": [4]},
}
# Trains the run at the prior, and prints what it came to.
TRAINING = """
import json, sys
from pathlib import Path
import torch
import hpstudy.training.checkpoint
from hpstudy.training.datasets import load_dataset
from hpstudy.sweep.plan import Plan
from hpstudy.storage.store import Store
from hpstudy.config.study import Study
from hpstudy.training.run import RunTrainer, prepare_process

hpstudy.training.checkpoint.CHECKPOINT_SECONDS = 0.2
prepare_process(torch.device("cpu"))
plan = Plan.open(Study.load(sys.argv[1]), Store.open(sys.argv[2]))
data, path = load_dataset(plan.study.data), Path(sys.argv[3])
print("begun", flush=True)
outcome = RunTrainer(data, torch.device("cpu")).train(plan.prior, True, None, path)
clock = ("seconds", "images_per_second")
print(json.dumps([{k: v for k, v in outcome.row.items() if k not in clock}, outcome.ranking]))
"""


class Soak:
    """A study that is killed again and again, in a folder laid out like a clone.

    Parameters
    ----------
    folder : Path
    seed : int
        Of the victims and the moments.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random = folder, random.Random(seed)
        for mark in ("notebooks/sweep.ipynb", "book/_toc.yml"):
            (folder / mark).parent.mkdir(parents=True)
            shutil.copy(ROOT / mark, folder / mark)
        self.params = folder / "soak.yaml"
        self.params.write_text(yaml.safe_dump(STUDY))
        self.killed: list[dict] = []
        began = time.monotonic()
        self.sweep(None)
        self.seconds, self.whole = time.monotonic() - began, self.table()

    def table(self) -> pd.DataFrame:
        """The published rows, without the clock."""
        path = self.folder / "runs" / "book" / "results" / "soaked.csv"
        return pd.read_csv(path, index_col="run_id").drop(columns=CLOCK)

    def plan(self) -> Plan:
        """What there is of the study by now."""
        return Plan.open(Study.load(self.params), Store.open(self.folder / "runs" / "store.sqlite"))

    def episode(self, kills: int) -> None:
        """Sweep the study from nothing, killing up to so many times; note what came of it."""
        shutil.rmtree(self.folder / "runs")
        notes: list[dict] = []
        while self.plan().missing():
            # A sweep that loses a worker goes on by itself, to the end of the episode.
            victim = self.random.choices(list(VICTIMS), (4, 1, 4))[0]
            victim = victim if len(notes) < kills else None
            notes += self.sweep(victim)
        # One that was killed with every run recorded may have published nothing yet.
        self.sweep(None)
        table = self.table()
        lost = len(self.whole.index.symmetric_difference(table.index))
        both = self.whole.index.intersection(table.index)
        differs = table.loc[both].compare(self.whole.loc[both])
        for note in notes:
            note["differences"] = lost + len(differs)
        self.killed += notes

    def sweep(self, victim: str | None) -> list[dict]:
        """Give the command once, and kill `victim` at a random moment; a note, if that was done."""
        plan = self.plan()
        missing, before = int(plan.counts()["missing"].sum()), plan.table()
        command = [sys.executable, "-c", "from hpstudy.cli import main; main()"]
        command += ["run", str(self.params), "--no-book"]
        if victim == "kernel":
            command = [sys.executable, "-m", "papermill", "notebooks/sweep.ipynb", "sweep.ipynb"]
            command += ["-p", "params", str(self.params), "--kernel", "python3"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder)}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        process = subprocess.Popen(command, cwd=self.folder, env=env, **pipes)
        killed, recorded = False, len(before)
        if victim is not None:
            # As it starts, or while it trains: after some more runs, and a part of the next one.
            more = self.random.randrange(5)
            while process.poll() is None and (
                not found(process, victim) or len(plan.store.recorded()) < len(before) + more
            ):
                time.sleep(0.02)
            time.sleep(self.random.uniform(0, 1.0 if more else self.seconds / 3))
            recorded = len(plan.store.recorded())
            killed = kill(process, victim, self.random)
        # Ends once no process of the sweep holds the pipe any more.
        said, _ = process.communicate(timeout=900)
        if process.returncode and not killed:
            raise SystemExit(f"a command that was not disturbed ended by itself:\n{said}")
        announced = re.search(r"soaked: (\d+) runs to train", said)
        again = abs(int(announced[1]) - missing) if announced else 0
        after = self.plan().table().set_index("run_id").loc[before["run_id"], CLOCK]
        again += int((after.values != before[CLOCK].values).any(axis=1).sum())
        return [{"victim": victim, "recorded": recorded, "again": again}] if killed else []


def found(process: subprocess.Popen, victim: str) -> list[int]:
    """Ids of what may be killed of a command: itself, or processes that it has started."""
    if process.poll() is not None:
        return []
    if victim == "sweep":
        return [process.pid]
    children = psutil.Process(process.pid).children(recursive=True)
    with suppress(psutil.Error):
        return [child.pid for child in children if VICTIMS[victim] in " ".join(child.cmdline())]
    return []


def kill(process: subprocess.Popen, victim: str, choose: random.Random) -> bool:
    """End the command or one of its processes; whether there was one."""
    pids = found(process, victim)
    if pids:
        os.kill(choose.choice(pids), signal.SIGKILL)
    return bool(pids)


def long_training(folder: Path, kills: int, choose: random.Random) -> list[dict]:
    """Train one run again and again, killing it at random moments; a note of each kill."""
    params, kept = folder / "long.yaml", folder / "long.pt"
    params.write_text(yaml.safe_dump(STUDY | LONGER))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINING, params, folder / "long.sqlite", kept]

    def begin() -> subprocess.Popen:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "begun\n"
        return process

    def whole() -> tuple[str, float]:
        began = time.monotonic()
        said, _ = begin().communicate()
        kept.unlink()
        return said, time.monotonic() - began

    (undisturbed, seconds), notes = whole(), []
    while len(notes) < kills:
        process = begin()
        time.sleep(choose.uniform(0, seconds / 4))
        if process.poll() is None:
            process.kill()
            notes.append({"victim": "long training", "recorded": 0, "again": 0})
        process.communicate()
    said, _ = whole()
    return [note | {"differences": int(said != undisturbed)} for note in notes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of sweeps")
    parser.add_argument("--long-kills", type=int, default=10, help="of one long training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file, as book/measurements/soak.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notes = long_training(Path(folder), given.long_kills, random.Random(given.seed))
        soak, rows = Soak(Path(folder), given.seed), summary(notes)
        while len(soak.killed) < given.kills:
            soak.episode(given.kills - len(soak.killed))
            rows = summary(soak.killed + notes)
            print(f"{len(soak.killed)} kills", file=sys.stderr, flush=True)
            if given.output:
                command = f"python benchmarks/soak.py --kills {len(soak.killed)}"
                said = {"command": command, "machine": machine(), "runs": len(soak.whole)}
                text = json.dumps(said | {"rows": rows}, indent=1) + "\n"
                given.output.write_text(text, encoding="utf-8")
    print(machine(), "\n")
    print(markdown(rows))
    if any(row["rows that differ"] or row["runs trained again"] for row in rows):
        raise SystemExit("something was lost, or trained twice")


def summary(notes: list[dict]) -> list[dict]:
    """A row for each kind of process that was killed."""
    return [
        {
            "killed": victim,
            "kills": len(some),
            "rows recorded by then": f"{some['recorded'].min()} to {some['recorded'].max()}",
            "rows that differ": int(some["differences"].sum()),
            "runs trained again": int(some["again"].sum()),
        }
        for victim, some in pd.DataFrame(notes).groupby("victim", sort=False)
    ]


if __name__ == "__main__":
    main()
