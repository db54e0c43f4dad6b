"""Claims of the thesis: which networks each is made of, and what decides it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.analysis.thesis_tables import RELATIVES
from hpstudy.config.words import interval_text, list_text

AGREES, DIFFERS, INCONCLUSIVE = "agrees", "differs", "inconclusive"

EVERY = ("mobilenetv2", "resnet56", "resnet50")
"""Networks of the thesis, in its order."""


class Answer(NamedTuple):
    """What one study says about a claim.

    Attributes
    ----------
    variant : str
        Network that the claim is held against, or in words the two that are compared.
    roi : float
        Threshold of the region of interest, in percentage points; NaN where there is none.
    verdict : str
        `AGREES`, `DIFFERS` or `INCONCLUSIVE`.
    because : str
        The number that decides, with its 95 % interval.
    """

    variant: str
    roi: float
    verdict: str
    because: str


class Claim(NamedTuple):
    """One claim of the thesis.

    Attributes
    ----------
    text : str
        What it says, with the limit and the unit of the number that decides.
    section : str
        Where the thesis says it.
    ask : callable
        Results of a study -> answers, one a network or a pair of networks.
    models : tuple of str
        Networks that the thesis makes it of.
    alone : bool
        Whether it is asked of these networks only. Other claims are made of every network of the
        thesis, and are asked of others too.
    """

    text: str
    section: str
    ask: Callable[[StudyResults], Iterator[Answer]]
    models: tuple[str, ...] = EVERY
    alone: bool = False

    def of(self, model: str) -> str | None:
        """Network that the claim is made of, and how `model` is related to it.

        Returns
        -------
        str or None
            "ResNet-56" for this network itself, "ResNet-56 (relative)" for a shallower one of its
            family, "MobileNetV2, ResNet-56 and ResNet-50 (another network)" for any other; None
            where the claim is not asked of `model`.
        """
        if model in self.models:
            return MODEL_TITLES[model]
        if self.alone:
            return None
        if RELATIVES.get(model) in self.models:
            return f"{MODEL_TITLES[RELATIVES[model]]} (relative)"
        return f"{list_text(MODEL_TITLES[name] for name in self.models)} (another network)"


def within(value: Interval, low: float, high: float) -> str:
    """Whether an interval lies inside a range, wholly outside it, or neither."""
    if low <= value.low and value.high <= high:
        return AGREES
    return DIFFERS if value.low > high or value.high < low else INCONCLUSIVE


def above(value: Interval, border: float) -> str:
    """Whether an interval lies above a border, below it, or on both sides."""
    if value.low > border:
        return AGREES
    return DIFFERS if value.high < border else INCONCLUSIVE


def decided(variant: str, roi: float, value: Interval, rule: Callable, *limits: float) -> Answer:
    """Answer of a rule, `within` or `above`, with its number as two decimals; unknown is a dash."""
    return Answer(variant, roi, rule(value, *limits), interval_text(value))


def by_method(names: list[str]) -> dict[str, dict[float, str]]:
    """Method -> share of FLOPs that remains -> variant, of variants such as "uniform-0.6".

    Shares increase. Variants with other names are in none.
    """
    found: dict[str, dict[float, str]] = {"uniform": {}, "nonuniform": {}}
    for name in names:
        method, _, ratio = name.partition("-")
        if method in found and ratio.replace(".", "", 1).isdigit():
            found[method][float(ratio)] = name
    return {method: dict(sorted(ratios.items())) for method, ratios in found.items()}


def both_methods(names: list[str]) -> Iterator[tuple[str, str, str]]:
    """Title, uniform and non-uniform variant of every ratio that has both."""
    uniform, nonuniform = by_method(names).values()
    for ratio in uniform.keys() & nonuniform.keys():
        title = f"Non-uniform less uniform, {100 * ratio:.3g} %"
        yield title, uniform[ratio], nonuniform[ratio]
