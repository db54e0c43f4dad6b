"""Landscapes of an inverse band, whose surface is known."""

import math
from itertools import product

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape


def decades(points, step=0.25):
    """log10 of a square grid around 0, of shape (points squared, 2)."""
    ticks = step * (np.arange(points) - (points - 1) / 2)
    return np.array(list(product(ticks, ticks)))


def measured(logs, values, seeds=1, std=math.nan):
    columns = {"lr": 10 ** logs[:, 0], "weight_decay": 10 ** logs[:, 1], "value": values}
    points = pd.DataFrame(columns).assign(std=std, seeds=seeds, diverged=0.0, stopped=0.0)
    return Landscape("unpruned", "top1", points)


def ridge(logs, top=90.0):
    """Inverse band: steep across it, flat along it."""
    return top - 4 * (logs.sum(axis=1)) ** 2 - 0.8 * (logs[:, 0] - logs[:, 1]) ** 2


def repeated(sigma, seeds, seed, points=7):
    """Band measured `seeds` times at every point."""
    logs = decades(points)
    runs = ridge(logs) + sigma * np.random.default_rng(seed).standard_normal((seeds, len(logs)))
    std = runs.std(axis=0, ddof=1) if seeds > 1 else math.nan
    return measured(logs, runs.mean(axis=0), seeds, std)
