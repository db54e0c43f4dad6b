"""Titles of variants, axes, regions and metrics, and the colour of each network."""

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.landscape import Landscape
from hpstudy.config.study import DENSE
from hpstudy.storage.tables import METRIC_TITLES

AXIS_TITLES = {"lr": "learning rate"}
METHOD_TITLES = {"uniform": "Uniform", "nonuniform": "Non-uniform"}
# Colours of networks on white; the book's script has those on black. Of one method the network with
# the fewest FLOPs comes first.
DENSE_COLOUR = "#2b3340"
METHOD_COLOURS = {"uniform": ("#00806a", "#8c8f1a"), "nonuniform": ("#983a8d", "#c96fbd")}
OTHER_COLOURS = ("#a6761d", "#56b4e9", "#d55e00", "#3a86c8", "#999999", "#e69f00")


def variant_title(name: str) -> str:
    """Title of a variant: "Uniform, 60 % FLOPs" for uniform-0.6; other names stay."""
    if name == DENSE:
        return "Dense"
    match = re.fullmatch(rf"({'|'.join(METHOD_TITLES)})-(0\.[0-9]+)", name)
    if match is None:
        return name
    return f"{METHOD_TITLES[match[1]]}, {100 * float(match[2]):.3g} % FLOPs"


def short_title(name: str) -> str:
    """Title of a variant where there is little room: "Uniform, 60 %"."""
    return variant_title(name).removesuffix(" FLOPs")


def variant_colours(variants: Iterable[str]) -> dict[str, str]:
    """Colour of each network of a table, the same in all its figures; the dense one's is first."""
    names = sorted(dict.fromkeys(variants), key=lambda name: name != DENSE)
    found = {DENSE: DENSE_COLOUR}
    left = {method: list(colours) for method, colours in METHOD_COLOURS.items()}
    for name in sorted(names):
        method = name.partition("-")[0]
        if name not in found and left.get(method):
            found[name] = left[method].pop(0)
    others = [name for name in names if name not in found]
    found |= zip(others, itertools.cycle(OTHER_COLOURS), strict=False)
    return {name: found[name] for name in names}


def axis_title(axis: str) -> str:
    """Title of a hyperparameter: "learning rate" for lr, "batch size" for batch_size."""
    return AXIS_TITLES.get(axis, axis.replace("_", " "))


def roi_title(threshold: float) -> str:
    """Title of a region of interest, as the thesis writes it: "0.5-ROI", "1.0-ROI"."""
    tenths = math.isclose(round(threshold, 1), threshold, rel_tol=1e-9)
    return f"{threshold:.1f}-ROI" if tenths else f"{threshold:g}-ROI"


def setting_text(value: float) -> str:
    """Learning rate or weight decay in the fewest characters: 0.0032, 0.1, 1e-05."""
    return f"{value:.3g}"


def factor_text(shift: Interval) -> str:
    """Shift in decades as a factor with its interval: "×0.89 (0.71 to 1.1)"; or a dash."""
    if not math.isfinite(shift.estimate):
        return "–"
    estimate, low, high = (f"{10**decades:#.2g}".removesuffix(".") for decades in shift)
    return f"×{estimate} ({low} to {high})"


@dataclass(frozen=True)
class Metric:
    """Metric, a column of a table, which writes its levels; `sign` is -1 where less is better.

    Accuracies are in `percent`; other metrics are written without a unit.
    """

    name: str
    sign: int = 1
    percent: bool = True

    @property
    def title(self) -> str:
        """Title of the metric."""
        return METRIC_TITLES.get(self.name, self.name)

    @property
    def headed(self) -> str:
        """Title with the unit: "top-1 accuracy (%)", "val_loss"."""
        return f"{self.title} (%)" if self.percent else self.title

    def from_best(self, best: str) -> str:
        """Title of distances from a best: "top-1 accuracy, points from the own best"."""
        return f"{self.title}, points from {best}" if self.percent else f"{self.title} from {best}"

    def text(self, level: float) -> str:
        """Level or distance: two decimals in percent, otherwise four significant digits."""
        if not math.isfinite(level):
            return "–"
        text = f"{round(level, 2) + 0.0:.2f}" if self.percent else f"{level + 0.0:.4g}"
        return text.replace("-", "−")

    def level(self, level: float) -> str:
        """Level with its unit: "93.10 %", "0.2134"."""
        return f"{self.text(level)} %" if self.percent else self.text(level)

    def interval(self, value: Interval) -> str:
        """Estimate and interval of a level or a distance: "0.17 (0.00 to 0.86)"; or a dash."""
        estimate, low, high = (self.text(level) for level in value)
        return f"{estimate} ({low} to {high})" if math.isfinite(value.estimate) else "–"

    def loss(self, value: Loss) -> str:
        """Loss with its bounds: "0.21 (≤ 0.99)", "0.76 (≥ 0.31, ≤ 1.27)"; or a dash."""
        estimate, low, high = (self.text(level) for level in value)
        if not math.isfinite(value.estimate):
            return "–"
        return f"{estimate} (≥ {low}, ≤ {high})" if value.at_least > 0 else f"{estimate} (≤ {high})"


TOP1 = Metric("top1")


def metric_of(landscape: Landscape) -> Metric:
    """Metric of a landscape."""
    return Metric(landscape.metric, landscape.sign, landscape.percent)
