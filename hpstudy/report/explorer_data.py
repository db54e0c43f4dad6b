"""What the explorer can show: published studies, and tables of one's own."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes, setting_keys
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_results import METRIC_TITLES, StudyResults, read_results
from hpstudy.config.grid import AXES
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.plots._axes import Plane
from hpstudy.plots.labels import axis_title, setting_text
from hpstudy.storage.tables import TABLE_COLUMNS

# In percentage points; of other metrics a quarter of the slider.
LARGEST_THRESHOLD, USUAL_THRESHOLD = 5.0, 0.5


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class OwnRuns:
    """A table of one's own, with what the explorer asks of a study.

    Attributes
    ----------
    name : str
        Of the table.
    runs : RunTable
        As `hpstudy.analysis.run_tables.read_runs` returns it.
    """

    name: str
    runs: RunTable

    @property
    def label(self) -> str:
        """What the caption says of the runs."""
        return f"{self.name}, {count(len(self.runs.table), 'row')}"

    @property
    def table(self) -> pd.DataFrame:
        """Rows of the table; no run of it has a learning curve."""
        return self.runs.table.assign(curve=None)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric, alone."""
        return (self.runs.metric,)


def studies_of(sources: Iterable[str | Path | RunTable]) -> dict[str, StudyResults | OwnRuns]:
    """Studies by name: of all folders of published tables, and tables of one's own.

    Raises
    ------
    HpstudyError
        If there are none.
    """
    sources = list(sources)
    own = [one for one in sources if isinstance(one, RunTable)]
    folders = [str(one) for one in sources if not isinstance(one, RunTable)]
    names = ["own runs", *(f"own runs {number}" for number in range(2, len(own) + 1))]
    found = {name: OwnRuns(name, runs) for name, runs in zip(names, own, strict=False)}
    found |= read_results(folders)
    if not found:
        raise HpstudyError(f"no study has been published yet in {', '.join(folders)}.")
    return found


def axes_of(study: StudyResults | OwnRuns) -> list[str]:
    """Hyperparameters that can be axes."""
    return list(study.runs.axes) if isinstance(study, OwnRuns) else hyperparameters(study.table)


def dense_of(study: StudyResults | OwnRuns) -> str:
    """Variant of the dense network."""
    return study.runs.dense if isinstance(study, OwnRuns) else DENSE


def threshold_of(study: StudyResults | OwnRuns) -> tuple[float, float]:
    """Threshold to begin with, and the largest one, in the metric's unit."""
    if not isinstance(study, OwnRuns):
        return study.risk_threshold, LARGEST_THRESHOLD
    if study.runs.percent and study.runs.goal == "maximize":
        return USUAL_THRESHOLD, LARGEST_THRESHOLD
    one = landscapes_of(study, study.runs.metric, study.runs.axes)[study.runs.dense]
    spread = one.best - float(one.points["value"].median())
    # A round number, so that the slider's steps are.
    largest = float(f"{spread:.1g}") if math.isfinite(spread) and spread > 0 else 1.0
    return largest / 4, largest


# A moved slider asks for the same ones again and again.
@lru_cache(maxsize=32)
def landscapes_of(
    study: StudyResults | OwnRuns, metric: str, axes: tuple[str, ...]
) -> dict[str, Landscape]:
    """Landscapes of a study's networks, the dense one first."""
    if not isinstance(study, OwnRuns):
        return landscapes(study.table, metric, axes=axes)
    runs = study.runs
    best = (100.0 if runs.percent else None) if runs.goal == "maximize" else None
    return landscapes(runs.table, metric, runs.dense, axes, runs.goal, best)


def point_options(
    shown: Iterable[Landscape], axes: tuple[str, ...]
) -> list[tuple[str, tuple[float, ...]]]:
    """Title and values of every setting of some landscapes."""
    found = {
        at for one in shown for at in one.points[list(axes)].itertuples(index=False, name=None)
    }
    names = [axis_title(axis) for axis in axes]
    return [
        (", ".join(f"{name} {setting_text(x)}" for name, x in zip(names, at, strict=True)), at)
        for at in sorted(found)
    ]


def setting_at(
    plane: Plane, settings: Iterable[tuple[float, ...]], place: tuple[float, float]
) -> tuple[float, ...] | None:
    """Setting that is drawn at a place, across and up, of a plane; None where there is none."""
    for at in settings:
        drawn = [plane.across.places(at[-1])]
        # Over one axis the place up is a level.
        drawn += [plane.up.places(at[0])] if plane.up else []
        if np.allclose(drawn, place[: len(drawn)], rtol=1e-8, atol=0.0):
            return at
    return None


def hyperparameters(table: pd.DataFrame) -> list[str]:
    """Columns of a published table that can be an axis of a landscape.

    Parameters
    ----------
    table : DataFrame
        One row per run.

    Returns
    -------
    list of str
        Learning rate and weight decay, and columns that this package does not write itself: of
        finite numbers that are 0 or more, at least two different ones.

    Raises
    ------
    HpstudyError
        If there is none.
    """
    names = [name for name in AXES if name in table]
    names += [name for name in table if name not in (*TABLE_COLUMNS, *METRIC_TITLES)]
    found = [name for name in names if _is_axis(table[name])]
    if not found:
        raise HpstudyError(
            "a landscape needs a hyperparameter with two values; the table has none."
        )
    return found


def _is_axis(values: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    numbers = values.to_numpy(float)
    return bool((np.isfinite(numbers) & (numbers >= 0)).all() and setting_keys(values).nunique() > 1)
