"""Whether rows of published tables come out the same when they are trained again here.

    python benchmarks/rerun.py TABLE.csv ... [--rows 3] [--seed 0] [--data-root FOLDER]
        [--output FILE.json]

From each table rows are drawn at random and trained as a sweep does. Equal are those of which every
result is, the whole learning curve included; the clock, the device and torch's version are none.
"""

import argparse
import json
import random
import shlex
from pathlib import Path
from typing import Any

from common import machine, markdown

from hpstudy.storage.findings import CheckedTable
from hpstudy.storage.integrity import check_table
from hpstudy.sweep.executors import Failure, Job
from hpstudy.sweep.executors.local import open_pool, worker_count
from hpstudy.training.datasets import load_dataset

RESULTS = ("top1", "top5", "loss", "best_top1", "best_epoch", "train_loss", "epochs", "curve")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root")
    parser.add_argument("--output", type=Path, help="JSON file, as book/measurements/reruns.json")
    given = parser.parse_args()
    rows = []
    for table in given.tables:
        rows += rerun(check_table(table), given.rows, given.seed, given.data_root)
    print(machine(), "\n")
    print(markdown(rows))
    if given.output:
        # As another machine would give it: where this one keeps its data sets says nothing there.
        words = [
            *given.tables,
            "--rows",
            given.rows,
            "--seed",
            given.seed,
            "--output",
            given.output,
        ]
        command = f"python benchmarks/rerun.py {shlex.join(map(str, words))}"
        said = {"command": command, "machine": machine(), "rows": rows}
        given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def rerun(
    checked: CheckedTable, number: int, seed: int, data_root: str | None
) -> list[dict[str, Any]]:
    """So many rows of one table beside what the same runs come to now."""
    whole = {row["run_id"]: row for row in checked.rows if not row["stopped"]}
    chosen = random.Random(seed).sample(sorted(whole), min(number, len(whole)))
    jobs = [Job("", run_id, checked.spec(whole[run_id])) for run_id in chosen]
    again = {}
    data = load_dataset(checked.record.study.data, data_root)
    with open_pool(worker_count(None), data) as pool:
        while len(again) < len(chosen):
            while jobs and pool.start(jobs[0]):
                jobs.pop(0)
            for job, end in pool.wait(1.0):
                if isinstance(end, Failure):
                    raise SystemExit(f"{job.run_id}: {end.reason}")
                again[job.run_id] = end.row
    rows = []
    for run_id in chosen:
        row, new = whole[run_id] | {"curve": json.loads(whole[run_id]["curve"])}, again[run_id]
        names = ("study", "run_id", "variant", "lr", "weight_decay", "seed", "top1")
        equal = all(row[name] == new[name] for name in RESULTS)
        rows.append(
            {name: row[name] for name in names}
            | {"again": new["top1"], "equal": "yes" if equal else "no"}
        )
    return rows


if __name__ == "__main__":
    main()
