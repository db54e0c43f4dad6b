"""How long everything that is not training takes.

    python benchmarks/quick.py [--rounds 5]

Each case is a whole process, started anew and timed from outside, except for the explorer, whose
numbers for a moved slider are timed inside its kernel; `explorer.py` times its figure. The store
holds 100,000 rows of made-up runs, nine tenths of those that its study asks for; everything else is
what the repository carries.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import interleave, machine, markdown, median_spread

ROOT = Path(__file__).parents[1]
STUDY = """
name: large
model: resnet20
data: {name: fashion-mnist-8k, image_size: 8}
recipe: {epochs: 3, batch_size: 64, lr_decay_epochs: [2]}
prior: {lr: 0.1, weight_decay: 0.0001}
grid:
  lr: {points: 99, step: 0.02, extend: 1}
  weight_decay: {points: 101, step: 0.02, extend: 1}
variants: []
seeds: [%s]
arithmetic: float32
"""
MISSING = """
import sys, time
began = time.perf_counter()
from hpstudy.sweep.plan import Plan
from hpstudy.storage.store import Store
from hpstudy.config.study import Study
imported = time.perf_counter()
plan = Plan.open(Study.load(sys.argv[1]), Store.open(sys.argv[2]))
print(len(plan.missing()), time.perf_counter() - imported)
"""
EXPLORER = """
import time
from statistics import median
from hpstudy.report.explorer import Explorer
explorer = Explorer(["book/results"])
seconds = []
for number in range(20):
    began = time.perf_counter()
    explorer.panels.step = 10 + 2 * (number % 10)
    seconds.append(time.perf_counter() - began)
print(median(seconds))
"""


def process(*words: str) -> tuple[float, str]:
    """Wall time of a command at the root of the clone, and its last line."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    return seconds, (done.stdout.strip().splitlines() or [""])[-1]


def python(*words: str) -> tuple[float, str]:
    """The same of a Python command."""
    return process(sys.executable, *words)


def points_table(path: Path) -> None:
    """Write a table of 1,000 points: five networks on a grid of 20 x 10."""
    rows = ["variant,lr,weight_decay,seed,top1"]
    for k, name in enumerate(("unpruned", "a", "b", "c", "d")):
        for i in range(20):
            for j in range(10):
                top1 = 93 - k / 2 - 0.05 * (i + j - 14) ** 2 - 0.01 * (i - 10) ** 2
                rows.append(f"{name},{10 ** (i / 10 - 2):.6g},{10 ** (j / 5 - 4):.6g},0,{top1:.3f}")
    path.write_text("\n".join(rows) + "\n")


def large_store(params: Path, path: Path, rows: int) -> None:
    """Fill a store with the first `rows` runs of a study."""
    from hpstudy.config.study import Study
    from hpstudy.storage.database import RESULT_COLUMNS
    from hpstudy.storage.store import Store, _insert
    from hpstudy.sweep.plan import Plan

    store = Store.open(path)
    curve = {name: [1.0] * 10 for name in ("train_loss", "loss", "top1")}
    row = {**dict.fromkeys(RESULT_COLUMNS, 1.0), "diverged": False, "curve": curve}
    missing = Plan.open(Study.load(params), store).missing()[:rows]
    # One by one as a sweep adds them, but in one transaction: a sweep has minutes between them.
    with store.transaction(write=True) as database:
        for job in missing:
            _insert(database, "runs", job.spec, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    hpstudy = str(Path(sys.executable).with_name("hpstudy"))
    with tempfile.TemporaryDirectory() as folder:
        table, params, store = (Path(folder) / n for n in ("t.csv", "p.yaml", "s.sqlite"))
        points_table(table)
        params.write_text(STUDY % ", ".join(map(str, range(given.rows // 9_999 + 1))))
        large_store(params, store, given.rows)
        torchless = "import hpstudy, sys; print('torch' in sys.modules)"
        find = ("-c", MISSING, str(params), str(store))
        cases = {
            "import hpstudy": lambda: python("-c", torchless)[0],
            "hpstudy compare, 1,000 points": lambda: process(hpstudy, "compare", str(table))[0],
            "open a store of 100,000 rows and find what is missing": lambda: float(
                python(*find)[1].split()[1]
            ),
            "explorer, a moved slider": lambda: float(python("-c", EXPLORER)[1]),
            "hpstudy book: all pages of the published studies": lambda: process(hpstudy, "book")[0],
        }
        said = {"torch": python("-c", torchless)[1], "missing": python(*find)[1].split()[0]}
        measured = interleave(cases, given.rounds)
    targets = ("no torch", "2 s", "2 s", "0.1 s", "60 s a study")
    print(f"{machine()}; {given.rounds} rounds; torch imported: {said['torch']}, ", end="")
    print(f"{given.rows:,} rows, {int(said['missing']):,} runs missing\n")
    rows = [
        {"case": name, "target": target, "seconds": median_spread(values)}
        for (name, values), target in zip(measured.items(), targets, strict=True)
    ]
    print(markdown(rows))


if __name__ == "__main__":
    main()
