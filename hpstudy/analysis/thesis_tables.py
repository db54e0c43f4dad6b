"""The published tables of the thesis, as data, and the accuracies of others beside them.

Models are "resnet56", "mobilenetv2" (both on CIFAR-10) and "resnet50" (on ImageNet); variants are
named as in this study, so that "nonuniform-0.4" is the thesis's "40% Non-uniform": the number is
the share of FLOPs that remains. Values carry the digits that were printed.
"""

from importlib import resources

import pandas as pd

RELATIVES = {"resnet20": "resnet56", "mobilenetv2-shallow": "mobilenetv2"}
"""Networks that the thesis lacks, and the deeper one of the same family that it has."""


def table_3_2() -> pd.DataFrame:
    """Size of the dense networks.

    Returns
    -------
    DataFrame of shape (3, 4)
        Columns model, input_shape (height x width x channels), params_millions, flops (of one
        image, two per multiply-accumulate).

    References
    ----------
    Thesis, section 3.1.2, Table 3.2.
    """
    return _published("table_3_2")


def table_3_4() -> pd.DataFrame:
    """Prior hyperparameters, and the dense networks' accuracy there.

    Returns
    -------
    DataFrame of shape (3, 5)
        Columns model, lr, weight_decay (not logarithms), top1, top5 (percent; NaN on CIFAR-10).

    References
    ----------
    Thesis, section 3.3, Table 3.4.
    """
    return _published("table_3_4")


def table_4_1() -> pd.DataFrame:
    """Ellipses of two standard deviations around the regions of interest.

    Returns
    -------
    DataFrame of shape (24, 7)
        Columns model, variant, roi (threshold in percentage points: 0.5 or 1.0), length and width
        (diameters in decades), weight_decay and lr (centre, log10). NaN where the region had fewer
        than five points.

    References
    ----------
    Thesis, section 4.1.2, Table 4.1.
    """
    return _published("table_4_1")


def table_4_2() -> pd.DataFrame:
    """Risk of keeping the dense network's hyperparameters, over its 0.5-ROI.

    Returns
    -------
    DataFrame of shape (12, 6)
        Columns model, variant, mean and std (percentage points), relative_mean and relative_std
        (fractions of the variant's own best accuracy).

    References
    ----------
    Thesis, section 4.2, Table 4.2.
    """
    return _published("table_4_2")


def best_accuracies() -> pd.DataFrame:
    """Best accuracies over each network's grid, as the text quotes them.

    Returns
    -------
    DataFrame of shape (12, 4)
        Columns model, variant, top1, top5 (percent; top5 is NaN on CIFAR-10).

    References
    ----------
    Thesis, section 4.1.1.
    """
    return _published("best_accuracies")


def from_scratch() -> pd.DataFrame:
    """Pruned networks that others trained from scratch on CIFAR-10, not this thesis's author.

    Returns
    -------
    DataFrame of shape (8, 6)
        Columns source (key of the book's bibliography), model, flops_ratio (share that remains),
        top1 (percent, mean of several runs), sd (of the runs, percentage points), dense_top1 (of
        the unpruned network, percent).

    References
    ----------
    Wang et al. (2023), Table 6, L1-pruned ResNet-56 with a step schedule; Liu et al. (2019),
    ResNet-56-A and -B trained for as many epochs (first) or as many FLOPs (second) as the unpruned
    network.
    """
    return _published("from_scratch")


def durations() -> pd.DataFrame:
    """How long one training took.

    Returns
    -------
    DataFrame of shape (3, 2)
        Columns model, hours (of one run on the thesis's machines, as it words them "at most two
        hours" and "roughly 2 days"; NaN where it says nothing).

    References
    ----------
    Thesis, section 3.2.2.
    """
    return _published("durations")


def _published(name: str) -> pd.DataFrame:
    """One shipped table; its first line is a comment that names the source."""
    path = resources.files("hpstudy") / "published" / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")
