"""Titles of variants, axes and regions, as figures and tables write them."""

import math
import re

from hpstudy.config.study import DENSE

AXIS_TITLES = {"lr": "learning rate"}
METHOD_TITLES = {"uniform": "Uniform", "nonuniform": "Non-uniform"}


def variant_title(name: str) -> str:
    """Title of a variant: "Uniform, 60 % FLOPs" for uniform-0.6; other names stay."""
    if name == DENSE:
        return "Unpruned"
    match = re.fullmatch(rf"({'|'.join(METHOD_TITLES)})-(0\.[0-9]+)", name)
    if match is None:
        return name
    return f"{METHOD_TITLES[match[1]]}, {100 * float(match[2]):.3g} % FLOPs"


def short_title(name: str) -> str:
    """Title of a variant where there is little room: "Uniform, 60 %"."""
    return variant_title(name).removesuffix(" FLOPs")


def axis_title(axis: str) -> str:
    """Title of a hyperparameter: "learning rate" for lr, "batch size" for batch_size."""
    return AXIS_TITLES.get(axis, axis.replace("_", " "))


def roi_title(threshold: float) -> str:
    """Title of a region of interest, as the thesis writes it: "0.5-ROI", "1.0-ROI"."""
    tenths = math.isclose(round(threshold, 1), threshold, rel_tol=1e-9)
    return f"{threshold:.1f}-ROI" if tenths else f"{threshold:g}-ROI"


def real(value: float) -> str:
    """Learning rate or weight decay in the fewest characters: 0.0032, 0.1, 1e-05."""
    return f"{value:.3g}"
