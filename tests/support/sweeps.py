"""Tables of simulated runs with a known optimum: parabolas in log10 of one or two axes."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_analysis import StudyAnalysis

AXES = ("lr", "weight_decay")


def grid(**more):
    """Table of all combinations of settings and further columns; the best is 90 at (0.03, 1e-4)."""
    values = {"lr": (0.01, 0.03, 0.1), "weight_decay": (1e-5, 1e-4, 1e-3), **more}
    table = pd.DataFrame(list(product(*values.values())), columns=list(values))
    distance = np.log10(table["lr"] / 0.03) ** 2 + np.log10(table["weight_decay"] / 1e-4) ** 2
    return table.assign(acc=(90 - 2 * distance).round(3))


def rows(variant, values, lrs, weight_decays, diverged=()):
    """Rows of a table, one run a setting; `values` has a row for each lr, and None for no run."""
    return [
        {
            "variant": variant,
            "lr": lr,
            "weight_decay": weight_decay,
            "seed": 0,
            "top1": values[i][j],
            "diverged": (lr, weight_decay) in diverged,
        }
        for i, lr in enumerate(lrs)
        for j, weight_decay in enumerate(weight_decays)
        if values[i][j] is not None
    ]


def save(table, path):
    """Write a table as CSV; its path."""
    table.to_csv(path, index=False)
    return path


def square(points, half=1.0):
    """log10 of a square grid around 0, of shape (points squared, 2)."""
    ticks = np.linspace(-half, half, points)
    return np.array(list(product(ticks, ticks)))


def scattered(points, generator, axes=2, half=1.0):
    """log10 of a random search, of shape (points, axes)."""
    return generator.uniform(-half, half, (points, axes))


def parabola(logs, centre=0.0, loss=3.0, top=90.0):
    """True values, which fall by `loss` points at one decade from the centre."""
    return top - loss * ((logs - centre) ** 2).sum(axis=1)


def sweep(variant, logs, truth, sigma, generator, seeds=1, shared=0.0):
    """Runs of one network: noise of deviation `sigma`, and of deviation `shared` per seed."""
    rows = []
    for seed in range(seeds):
        values = truth + shared * generator.standard_normal()
        values = values + sigma * generator.standard_normal(len(logs))
        settings = zip(10**logs, values, strict=True)
        rows += [(variant, *setting, seed, value) for setting, value in settings]
    return pd.DataFrame(rows, columns=["variant", *AXES[: logs.shape[1]], "seed", "top1"])


def analysed(*tables, **options):
    """Analysis of the networks of these tables, the dense one first."""
    table = pd.concat(tables)
    options = {"axes": tuple(axis for axis in AXES if axis in table), **options}
    return StudyAnalysis(landscapes(table, dense=table["variant"].iloc[0], **options))


def notes(runs):
    """Text of all notes on how tables were read."""
    return " ".join(runs.notes)


def read(table, dense="unpruned", metric="top1", goal="maximize", percent=True):
    """Runs as the reader returns them."""
    axes = tuple(axis for axis in table.columns if axis not in ("variant", "seed", metric))
    return RunTable(table, dense, axes, metric, goal, percent, [])


def only(entry, names):
    """Entry with these keys alone: the format may grow, but what was in it stays."""
    return {name: entry[name] for name in names}


def assert_close(one, other):
    """The same keys and words, and numbers that are alike but for what other draws would make."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for x, y in zip(one, other, strict=True):
            assert_close(x, y)
    elif isinstance(one, float):
        # Rounding in the last bit turns axes of equal length, and so makes draws others.
        assert one == pytest.approx(other, rel=0.03, abs=0.03)
    else:
        assert one == other
