"""What a level-set design trains of a sweep, and what it changes in the results of the whole grid.

    python benchmarks/level_set.py [--simulations 36] [--output book/measurements/level_set.json]

Tuned on simulated pairs of networks, whose dense one misleads in half of them, and judged on the
published tables, of which the first seed has one run a setting. The tables were looked at too when
the rule and the starts were chosen. `images` are those trained, `same`
the settings whose membership of the region of interest is that of the whole grid, `lost` the share
of its 1.0-ROI that is skipped, and `centre` how far the centre of the 1.0-ROI moves, over half of
the 95 % interval that the whole grid gives it (the larger of the two axes). `races` are the same
figures of the races that hpstudy had before, alone and within the design, measured at the commit
that they name: they stay in the file.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import machine, markdown
from coverage import FAMILIES

from hpstudy.analysis import level_set
from hpstudy.analysis.intervals import interval
from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.level_set import next_settings
from hpstudy.analysis.pruned_prior import Prior, fitted
from hpstudy.analysis.regions import fit_ellipses, roi
from hpstudy.analysis.risk import risk
from hpstudy.analysis.surrogate import Surrogate

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
THRESHOLD, BATCH = 1.0, 4
AXES = ["lr", "weight_decay"]
DENSE = "unpruned"

# --- simulated pairs ------------------------------------------------------------------------------

GRIDS = {
    "9 x 9": (np.linspace(-1, 1, 9), np.linspace(-1.2, 1.2, 9)),
    "6 x 8": (np.linspace(-0.75, 0.75, 6), np.linspace(-1.05, 1.05, 8)),
}
NOISES = (0.2, 0.5, 0.9)
# How the dense landscape relates to the pruned one: decades between them, or not at all.
RELATIONS: dict[str, tuple[float, float]] = {
    "near": (0.0, 0.25),
    "shifted": (0.25, 0.5),
    "far": (0.5, 0.9),
    "other": (math.nan, math.nan),
}
# Points that a cliff lies below the best, and the deepest value of all: chance.
_CLIFF, _DEEPEST = 55.0, 60.0


def _steepness(generator: np.random.Generator) -> tuple[float, float]:
    steep = math.exp(generator.uniform(math.log(1.5), math.log(25)))
    return steep, steep * generator.uniform(0.08, 0.6)


def _surface(kind: int, scales: tuple[float, float], away: np.ndarray) -> np.ndarray:
    """Points lost at decades from the optimum: three bands, an upright valley, and a cliff."""
    x, y = away.T
    across, along = (x + y) / math.sqrt(2), (x - y) / math.sqrt(2)
    if kind == 3:
        lost = scales[0] * x**2 + scales[1] * y**2
    else:
        lost = FAMILIES[kind % len(FAMILIES)](*scales)(across, along)
    if kind == 4:
        lost = np.where(across > 0.7, _CLIFF, lost)
    return _DEEPEST * (1 - np.exp(-lost / _DEEPEST))


def simulated(number: int, grid: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table of two simulated networks, with a run a setting; half of the cliffs diverge."""
    generator = np.random.default_rng([number, len(GRIDS[grid][0])])
    logs = np.array(list(product(*GRIDS[grid])))
    # Every kind meets every noise and every relation within 60 numbers.
    kind, noise, name = number % 5, NOISES[number % 3], list(RELATIONS)[number % 4]
    scales, centre = _steepness(generator), generator.uniform(-0.5, 0.5, 2)
    other = kind, tuple(x * generator.uniform(0.7, 1.4) for x in scales), centre
    turn = generator.uniform(0, 2 * np.pi)
    moved = generator.uniform(*RELATIONS[name]) if name != "other" else 0.0
    other = *other[:2], centre + moved * np.array([math.cos(turn), math.sin(turn)])
    if name == "other":
        kinds = (kind + 3) % 5, _steepness(generator), generator.uniform(-0.7, 0.7, 2)
        other = kinds
    parts = []
    for variant, top, (own, steep, at) in (
        (DENSE, 80.0, (kind, scales, centre)),
        ("pruned", 77.0, other),
    ):
        lost = _surface(own, steep, logs - at)
        scatter = noise * 10 ** (0.2 * logs[:, 0]) * generator.standard_normal(len(logs))
        table = pd.DataFrame(10**logs, columns=AXES).assign(variant=variant, seed=0)
        table["value"] = np.where(lost < 35, top - lost + scatter, 10.0)
        if number % 2:
            table.loc[lost >= 35, "value"] = math.nan
        parts.append(table)
    return pd.concat(parts, ignore_index=True), {"noise": noise, "dense": name}


# --- a design on a table of runs ------------------------------------------------------------------


def read(path: Path) -> pd.DataFrame:
    """Runs of the first seed of a published study, with their curves."""
    table = pd.read_csv(path)
    table = table[table["seed"] == table["seed"].min()].reset_index(drop=True)
    return table.assign(curve=table["curve"].map(json.loads), value=table["top1"])


def landscape(one: pd.DataFrame) -> Landscape | None:
    """Landscape of one network's runs; None without any."""
    if one.empty:
        return None
    variant, columns = str(one["variant"].iloc[0]), ["variant", *AXES, "seed", "value"]
    return landscapes(one[columns], "value", variant, goal="maximize", ceiling=100.0)[variant]


def design(
    one: pd.DataFrame, dense: Landscape | None = None, batch: int = BATCH
) -> tuple[list[int], float]:
    """Index of the runs that are trained, and seconds of the longest call; a run a setting."""
    grid = list(zip(one["lr"], one["weight_decay"], strict=True))
    index = dict(zip(grid, one.index, strict=True))
    trained: list[int] = []
    longest = 0.0
    while True:
        begin = time.perf_counter()
        asked = next_settings(landscape(one.loc[trained]), grid, THRESHOLD, batch, dense)
        longest = max(longest, time.perf_counter() - begin)
        if not asked:
            return trained, longest
        trained += [index[setting] for setting in asked]


def epochs(one: pd.DataFrame) -> int:
    """Epochs of all runs; without curves a run has one."""
    return sum(len(curve["train_loss"]) for curve in one["curve"]) if "curve" in one else len(one)


# --- what changed ---------------------------------------------------------------------------------


def score(
    one: pd.DataFrame, trained: list[int], dense: tuple[Landscape, Landscape]
) -> dict[str, Any]:
    """Figures of a design; `dense` are the dense network's landscapes, whole and designed."""
    some = one.loc[trained]
    whole, found = landscape(one), landscape(some)
    images = epochs(some) / epochs(one)
    row: dict[str, Any] = {"runs": len(some) / len(one), "images": images}
    left = np.full(len(whole.values), math.nan)
    left[whole.keys.get_indexer(found.keys)] = found.values
    for width in (0.5, 1.0):
        before, after = roi(whole.values, width), roi(left, width)
        row[f"same {width}"] = float((before == after).mean())
    row["lost"], row["ROI"] = float((before & ~after).sum() / before.sum()), int(before.sum())
    risks = [risk(*pair, 0.5).mean for pair in zip(dense, (whole, found), strict=True)]
    row["d_mean"] = abs(risks[0] - risks[1])
    row["moved"], row["centre"] = centre_moved(whole, found)
    return row


def centre_moved(whole: Landscape, found: Landscape) -> tuple[float, float]:
    """Decades that the centre's estimate moves, and the move over half of the whole's interval."""
    shapes = []
    for one in (whole, found):
        draws = Surrogate(one).draws(2000)
        shape = fit_ellipses(one.logs, roi(draws, THRESHOLD))
        shapes.append((interval(shape.first), interval(shape.second)))
    moves = [after.estimate - before.estimate for before, after in zip(*shapes, strict=True)]
    halves = [(before.high - before.low) / 2 for before in shapes[0]]
    ratios = [abs(move) / max(half, 1e-9) for move, half in zip(moves, halves, strict=True)]
    return math.hypot(*moves), max(ratios)


def pair_rows(table: pd.DataFrame) -> Iterator[dict]:
    """Row of figures for each network of a table of one seed, the dense one first."""
    whole = found = None
    for variant, one in table.groupby("variant", sort=False):
        one = one.reset_index(drop=True)
        trained, longest = design(one, found)
        if variant == DENSE:
            whole, found = landscape(one), landscape(one.loc[trained])
        figures = score(one, trained, (whole, found))
        yield {"network": variant, "n": len(one), **figures, "seconds": longest}


# --- the reports ----------------------------------------------------------------------------------

# Share of the region that may be missed, and the prior of a pruned network.
RULES = {
    "0.05": (0.05, Prior.vague()),
    "0.1": (0.1, Prior.vague()),
    "0.2": (0.2, Prior.vague()),
    "0.1, fitted prior": (0.1, Prior.of(fitted()["prior"])),
}


def simulations(number: int) -> pd.DataFrame:
    """Row for each rule, simulated pair and network; half of the pairs on either grid."""
    rows = []
    for rule, (missed, prior) in RULES.items():
        level_set.MISSED, level_set._PRIOR = missed, prior
        for k in range(number):
            table, said = simulated(k, list(GRIDS)[k * len(GRIDS) // number])
            rows += [{"rule": rule, **said, **row} for row in pair_rows(table)]
    level_set.MISSED, level_set._PRIOR = RULES["0.1"]
    return pd.DataFrame(rows)


def simulated_summary(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Means over the simulated landscapes, and the share of them that meet each target."""
    rows = rows.assign(dense=rows["dense"].where(rows["network"] != DENSE, "–"))
    result = []
    for (rule, network, dense), some in rows.groupby(["rule", "network", "dense"], sort=False):
        cells = {"rule": rule, "network": network, "dense": dense, "landscapes": len(some)}
        for name in ("runs", "same 1.0", "same 0.5", "lost"):
            cells[name] = f"{some[name].mean():.1%}"
        cells["same >= 95 %"] = f"{(some[['same 1.0', 'same 0.5']].min(axis=1) >= 0.95).mean():.0%}"
        cells["d_mean <= 0.05"] = f"{(some['d_mean'] <= 0.05).mean():.0%}"
        cells["centre <= 1"] = f"{(some['centre'] <= 1).sum() / some['centre'].notna().sum():.0%}"
        cells["longest call, s"] = f"{some['seconds'].max():.2f}"
        result.append(cells)
    return result


def published() -> list[dict[str, Any]]:
    """Row for each network of the published tables."""
    paths = sorted(RESULTS.glob("*.csv"))
    return [{"table": path.stem, **row} for path in paths for row in pair_rows(read(path))]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row in the form that suits its columns."""
    shares = ("runs", "images", "same 0.5", "same 1.0", "lost")
    cells = {name: f"{x:.0%}" if name in shares else x for name, x in row.items()}
    digits = {name: f"{row[name]:.2f}" for name in ("d_mean", "moved", "centre", "seconds")}
    return cells | digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=36, help="simulated pairs; 0 for none")
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    print(machine(), "\n")
    tables = published()
    print(markdown([shown(row) for row in tables]), "\n", flush=True)
    summary = simulated_summary(simulations(given.simulations)) if given.simulations else []
    if summary:
        print(markdown(summary))
    if given.output:
        command = f"python benchmarks/level_set.py --simulations {given.simulations}"
        said = {"command": f"{command} --output {given.output}", "machine": machine()}
        said |= {"threshold": THRESHOLD, "batch": BATCH, "missed": level_set.MISSED}
        said |= {"published": tables, "simulated": summary}
        if given.output.is_file():
            said["races"] = json.loads(given.output.read_text(encoding="utf-8"))["races"]
        given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
