"""Whether rows of a published table come out the same when they are trained again here.

    python benchmarks/rerun.py TABLE.csv [--rows 3] [--seed 0] [--data-root FOLDER]

Rows are drawn at random and trained as a sweep does. Equal are those of which every result is,
the whole learning curve included; the clock, the device and torch's version are not results.
"""

import argparse
import json
import random
from pathlib import Path

from common import machine, markdown

from hpstudy.alive import scratch_folder
from hpstudy.data import load_dataset
from hpstudy.executor import Job
from hpstudy.pool import open_pool, worker_count
from hpstudy.tablecheck import TableCheck
from hpstudy.worker import save_dataset

RESULTS = ("top1", "top5", "loss", "best_top1", "best_epoch", "train_loss", "epochs", "curve")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root")
    given = parser.parse_args()
    checked = TableCheck(given.table)
    whole = {row["run_id"]: row for row in checked.rows if not row["stopped"]}
    chosen = random.Random(given.seed).sample(sorted(whole), min(given.rows, len(whole)))
    jobs = [Job(checked.spec(whole[run_id])) for run_id in chosen]
    again = {}
    with scratch_folder() as folder:
        save_dataset(load_dataset(checked.study.data, given.data_root), folder / "data.pt")
        with open_pool(worker_count(None), folder / "data.pt") as pool:
            while len(again) < len(chosen):
                while jobs and pool.start(jobs[0]):
                    jobs.pop(0)
                for ended in pool.wait(1.0):
                    if ended.failure:
                        raise SystemExit(f"{ended.job.spec.run_id}: {ended.failure.reason}")
                    again[ended.job.spec.run_id] = ended.outcome.row
    rows = []
    for run_id in chosen:
        row, new = whole[run_id] | {"curve": json.loads(whole[run_id]["curve"])}, again[run_id]
        rows.append(
            {name: row[name] for name in ("run_id", "variant", "lr", "weight_decay", "seed")}
            | {
                "top-1, %, published": f"{row['top1']:.2f}",
                "again": f"{new['top1']:.2f}",
                "all results equal": "yes" if all(row[x] == new[x] for x in RESULTS) else "no",
            }
        )
    print(machine(), "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
