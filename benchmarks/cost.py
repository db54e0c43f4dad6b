"""Predicted against actual duration of whole studies.

    python benchmarks/cost.py [PARAMS.yaml ...] [--rounds 1]

Each round prices a study as `hpstudy cost` does, from seconds of calibration, and then trains all
of it into a store of its own. Without arguments it takes the two quick studies, about six minutes.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from common import machine, markdown, median_spread

from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import price
from hpstudy.sweep.run import sweep

ROOT = Path(__file__).parents[1]
QUICK = [ROOT / "params" / "quick" / f"{model}.yaml" for model in ("resnet56", "mobilenetv2")]


def trial(params: Path, store: Path | None) -> tuple[float, float, float]:
    """Seconds that were predicted, that the prediction took, and that the sweep then took."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan.open(Study.load(params), Store.open(store or Path(folder) / "store.sqlite"))
        began = time.perf_counter()
        predicted = price(plan)["hours"] * 3600
        priced = time.perf_counter()
        sweep(plan)
        return predicted, priced - began, time.perf_counter() - priced


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("params", nargs="*", type=Path, default=QUICK)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--store", type=Path, help="keep the runs of the one round there")
    given = parser.parse_args()
    if given.store and given.rounds > 1:
        parser.error("a store keeps the runs of one round")
    rows = []
    for params in given.params:
        trials = [trial(params, given.store) for _ in range(given.rounds)]
        predicted, pricing, actual = (list(values) for values in zip(*trials, strict=True))
        rows.append(
            {
                "study": Study.load(params).name,
                "n": len(trials),
                "predicted (s)": median_spread(predicted),
                "pricing took (s)": median_spread(pricing),
                "actual (s)": median_spread(actual),
                "actual / predicted": f"{median(a / p for p, _, a in trials):.2f}",
            }
        )
    print(machine(), "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
