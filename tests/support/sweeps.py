"""Tables of simulated runs whose truth is known: parabolas in log10 of one or two axes."""

from itertools import product

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_analysis import StudyAnalysis

AXES = ("lr", "weight_decay")


def grid(**more):
    """Table of each combination of settings and further columns, with an accuracy.

    The best setting is (0.03, 1e-4) for everything else, at 90.
    """
    values = {"lr": (0.01, 0.03, 0.1), "weight_decay": (1e-5, 1e-4, 1e-3), **more}
    table = pd.DataFrame(list(product(*values.values())), columns=list(values))
    away = np.log10(table["lr"] / 0.03) ** 2 + np.log10(table["weight_decay"] / 1e-4) ** 2
    return table.assign(acc=(90 - 2 * away).round(3))


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


def parabola(logs, centre=0.0, steep=3.0, top=90.0):
    """True values: `steep` points lost at one decade from the centre."""
    return top - steep * ((logs - centre) ** 2).sum(axis=1)


def sweep(variant, logs, truth, sigma, generator, seeds=1, shared=0.0):
    """Runs of one network: noise of deviation `sigma`, and `shared` of an effect of each seed."""
    rows = []
    for seed in range(seeds):
        values = truth + shared * generator.standard_normal()
        values = values + sigma * generator.standard_normal(len(logs))
        rows += [(variant, *10**at, seed, value) for at, value in zip(logs, values, strict=True)]
    return pd.DataFrame(rows, columns=["variant", *AXES[: logs.shape[1]], "seed", "top1"])


def analysed(*tables, **options):
    """Analysis of the networks of some tables, the first of which is the dense one."""
    table = pd.concat(tables)
    options = {"axes": tuple(axis for axis in AXES if axis in table), **options}
    return StudyAnalysis(landscapes(table, dense=table["variant"].iloc[0], **options))


def notes(runs):
    """All that is noted on how tables were read."""
    return " ".join(runs.notes)


def read(table, dense="unpruned", metric="top1", goal="maximize", percent=True):
    """Runs as the reader would return them."""
    axes = tuple(axis for axis in table.columns if axis not in ("variant", "seed", metric))
    return RunTable(table, dense, axes, metric, goal, percent, [])
