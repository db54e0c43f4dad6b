"""Where a good region lies under another schedule: three rules, and how well each has held."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Interval, interval
from hpstudy.analysis.regions import roi
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_data import table_3_1, table_3_3, table_4_1
from hpstudy.config.study import DENSE

RULES = ("timescale", "share", "product")
"""What stays the same: the averaging time of the weights in epochs (Wang and Aitchison, 2024), that
time as a share of the schedule, or the product per image of a batch (thesis, equation 2.2)."""
# Region of Table 4.1, in percentage points.
_THESIS_ROI = 1.0


class Schedule(NamedTuple):
    """How long a network is trained, and in which steps."""

    images: int
    batch_size: int
    epochs: int
    momentum: float = 0.9

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(self.images / self.batch_size)

    @classmethod
    def of(cls, study: StudyResults) -> "Schedule":
        """Schedule of a published study."""
        recipe, data = study.record["study"]["recipe"], study.record["study"]["data"]
        return cls(data["train"], recipe["batch_size"], recipe["epochs"], recipe["momentum"])


def timescale(product: float, schedule: Schedule) -> float:
    """Epochs over which the weights average their updates, for a product lr x weight decay.

    (1 - mu) / (lr x weight_decay x steps of an epoch): Wang and Aitchison, How to set AdamW's
    weight decay as you scale model and dataset size, 2024, for SGD with momentum mu.
    """
    return (1 - schedule.momentum) / (product * schedule.steps)


def constant(rule: str, product: float, schedule: Schedule) -> float:
    """Log10 of what a rule takes to be the same under every schedule."""
    if rule == "product":
        return math.log10(product / (schedule.batch_size * (1 - schedule.momentum)))
    tau = timescale(product, schedule)
    return math.log10(tau / schedule.epochs if rule == "share" else tau)


def transferred(rule: str, product: float, old: Schedule, new: Schedule) -> float:
    """Product lr x weight decay that a rule expects under a new schedule."""
    change = constant(rule, product, new) - constant(rule, product, old)
    # The product raises what equation 2.2 keeps, and lowers a time.
    return float(product * 10 ** (-change if rule == "product" else change))


def region_centre(
    analysis: StudyAnalysis, variant: str, threshold: float, axes: tuple[int, ...] = (0, 1)
) -> Interval:
    """Log10 of the product of some axes at the centre of a network's good region, with its noise.

    By default that of lr x weight decay.
    """
    drawn = analysis.draws(variant)
    placed = analysis.landscapes[variant].placed
    if drawn is None:
        return Interval(math.nan, math.nan, math.nan)
    inside = roi(drawn[:, placed], threshold)
    logs = analysis.landscapes[variant].logs[placed][:, axes].sum(axis=1)
    return interval((inside @ logs) / inside.sum(axis=1))


def expected_prior(study: StudyResults, new: Schedule) -> tuple[float, float]:
    """Learning rate and weight decay at which a study's dense network would be good elsewhere.

    The learning rate is that at the centre of its good region, and the averaging time of the
    weights stays the same in epochs: of `RULES`, the one that has held best. NaN without a region.
    """
    where = study.analysis(), DENSE, max(study.thresholds)
    lr = 10 ** region_centre(*where, axes=(0,)).estimate
    product = 10 ** region_centre(*where).estimate
    return lr, transferred("timescale", product, Schedule.of(study), new) / lr


def timescales(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Centres of good regions of studies and of the thesis, a row a network.

    Returns
    -------
    DataFrame
        study, variant, schedule, product (log10 of lr x weight decay), low and high (its 95 %
        interval; NaN for the thesis), timescale (epochs), and a column for each of `RULES` but it.
    """
    rows = [
        (study.heading, name, Schedule.of(study), *region_centre(*where))
        for study in studies
        for name in study.landscapes()
        for where in [(study.analysis(), name, max(study.thresholds))]
    ]
    recipes, images = (table.set_index("model") for table in (table_3_3(), table_3_1()))
    for row in table_4_1().query("roi == @_THESIS_ROI").itertuples():
        recipe = recipes.loc[row.model]
        schedule = Schedule(
            int(images.loc[row.model, "train"]),
            *(int(recipe["batch_size"]), int(recipe["epochs"]), float(recipe["momentum"])),
        )
        product = row.lr + row.weight_decay
        rows.append((f"thesis: {row.model}", row.variant, schedule, product, np.nan, np.nan))
    columns = ["study", "variant", "schedule", "product", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns).dropna(subset="product")
    for rule in RULES:
        pairs = zip(frame["product"], frame["schedule"], strict=True)
        frame[f"constant_{rule}"] = [constant(rule, 10**one, of) for one, of in pairs]
    frame["timescale"] = 10 ** frame["constant_timescale"]
    return frame.reset_index(drop=True)


def spreads(frame: pd.DataFrame) -> dict[str, float]:
    """Standard deviation of each rule's constant over the dense networks, in decades."""
    dense = frame[frame["variant"] == DENSE]
    return {rule: float(dense[f"constant_{rule}"].std()) for rule in RULES}
