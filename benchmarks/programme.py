"""Price the thesis's whole programme on this machine, for the book's page of costs.

    python benchmarks/programme.py [--output book/measurements/programme.json]

As a sweep would: steps of every network by all workers at once, after a trial of the arithmetics.
Nothing is trained. A few minutes; an entry of the same machine is replaced, others stay.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from common import markdown

from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.sweep.executors.local import open_pool, worker_count
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import price_on
from hpstudy.sweep.trial import choose_fastest
from hpstudy.training.device import environment

ROOT = Path(__file__).parents[1]


def measure(workers: int) -> dict:
    """Entry of this machine."""
    studies = {}
    for model in ("resnet56", "mobilenetv2", "resnet50"):
        with tempfile.TemporaryDirectory() as folder, open_pool(workers) as pool:
            study = Study.load(ROOT / "params" / "thesis" / f"{model}.yaml")
            plan = Plan.open(study, Store.open(Path(folder) / "store.sqlite"))
            priced = price_on(pool, plan)
            choose_fastest(plan, pool, priced)
            studies[model] = {
                "arithmetic": plan.precision,
                "images": plan.size.train * study.recipe.epochs,
                "variants": {
                    name: {
                        "runs": one["total"],
                        "macs": one["macs"],
                        "seconds_per_run": round(one["seconds_per_run"], 1),
                    }
                    for name, one in priced["variants"].items()
                },
            }
    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "workers": workers,
        "environment": environment(),
        "studies": studies,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "book/measurements/programme.json")
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    entry = measure(worker_count(given.workers))
    others = json.loads(given.output.read_text()) if given.output.is_file() else []
    same = [(entry["device"], entry["environment"]["processor"])]
    kept = [o for o in others if (o["device"], o["environment"]["processor"]) not in same]
    given.output.write_text(json.dumps([*kept, entry], indent=1) + "\n")
    print(f"{entry['device']}, {entry['environment']['processor']}", file=sys.stderr)
    rows = [
        {"network": model, "variant": name, "arithmetic": study["arithmetic"], **one}
        for model, study in entry["studies"].items()
        for name, one in study["variants"].items()
    ]
    print(markdown(rows))


if __name__ == "__main__":
    main()
