"""What the runs of a plan have measured, as landscapes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.config.grid import AXES

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan, PlannedRun


def measured(
    plan: "AnyPlan", runs: Iterable["PlannedRun"], values: Mapping[str, float]
) -> dict[str, Landscape]:
    """Landscapes of some runs by variant, the first run's first.

    `values` are the plan's (`AnyPlan.values`). A run without one has ended without a result.
    """
    sign = -1 if plan.goal == "minimize" else 1
    rows = [
        (variant, point.lr, point.weight_decay, seed, sign * values.get(id_, np.nan), id_ in values)
        for variant, id_, point, seed in runs
    ]
    names = ["variant", "lr", "weight_decay", "seed", plan.metric, "stopped"]
    named = dict(zip(AXES, plan.axes, strict=False))
    table = pd.DataFrame(rows, columns=names).rename(columns=named)
    table["stopped"] = ~table["stopped"]
    best = {"maximize": 100.0, "minimize": 0.0}[plan.goal] if plan.percent else None
    return landscapes(table, plan.metric, rows[0][0], plan.axes, plan.goal, best)
