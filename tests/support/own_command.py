"""A folder with one's own training script, whose accuracy is a known surface, and a params file."""

import shlex
import sys
from pathlib import Path

import yaml

# The optimum of the dense network is at lr 0.1 and decay 1e-3; that of others at half the rate.
SCRIPT = """
import argparse, json, math, sys
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("lr", "wd"):
    parser.add_argument(f"--{name}", type=float)
for name in ("seed", "variant", "out", "note"):
    parser.add_argument(f"--{name}", default="0")
args = parser.parse_args()
with open("trained.txt", "a") as file:
    print(args.lr, args.wd, args.seed, args.variant, file=file)
best = 0.1 if args.variant == "unpruned" else 0.05
loss = 4 * math.log2(args.lr / best) ** 2
loss += 0 if args.wd is None else 2 * math.log10(args.wd / 1e-3) ** 2
for epoch in (2, 1, 0):
    print(json.dumps({"epoch": 3 - epoch, "val_acc": 90 - loss - 10 * epoch, "loss": loss + epoch}))
"""


def write(folder, script=SCRIPT, **changes):
    """Write `train.py` and `own.yaml` to a folder; the params file. None removes a key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(script)
    values = study() | changes
    given = {key: value for key, value in values.items() if value is not None}
    path = Path(folder) / "own.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


def study():
    """Keys of the params file."""
    return {
        "name": "own",
        "command": f"{shlex.quote(sys.executable)} train.py "
        "--lr {lr} --wd {wd} --seed {seed} --variant {variant} --out {out}",
        "metric": {"from": "json", "key": "val_acc"},
        "prior": {"lr": 0.1, "wd": 1e-3},
        "grid": {"lr": [0.025, 0.05, 0.1, 0.2], "wd": {"points": 3, "step": 1.0}},
        "variants": ["nonuniform-0.5"],
        "roi": [1.0],
    }


def trained(folder):
    """Runs that the script has trained so far, a line each."""
    path = Path(folder) / "trained.txt"
    return path.read_text().splitlines() if path.exists() else []
