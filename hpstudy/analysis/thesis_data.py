"""The published tables of the thesis, as data, and the accuracies of others on its network.

Models are "resnet56", "mobilenetv2" (both on CIFAR-10) and "resnet50" (on ImageNet). Variants have
the names of this study: the thesis's "40% Non-uniform" is "nonuniform-0.4", and the number is the
share of FLOPs that remains. Values carry the digits that were printed; top5 is NaN on CIFAR-10.
"""

from functools import partial
from importlib import resources

import pandas as pd

RELATIVES = {"resnet20": "resnet56", "mobilenetv2-shallow": "mobilenetv2"}
"""Networks that the thesis lacks, and the deeper one of the same family that it has."""


def _published(name: str) -> pd.DataFrame:
    path = resources.files("hpstudy") / "published" / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        # The first line names the source.
        return pd.read_csv(file, comment="#")


table_2_3 = partial(_published, "table_2_3")
"""Typical ranges of hyperparameters, in words (Table 2.3)."""

table_3_1 = partial(_published, "table_3_1")
"""Images of each network: their set, shape, numbers and classes (Table 3.1)."""

table_3_2 = partial(_published, "table_3_2")
"""Sizes of the dense networks; flops count two per multiply-accumulate (Table 3.2)."""

table_3_3 = partial(_published, "table_3_3")
"""Training recipe of each network (Table 3.3)."""

table_3_4 = partial(_published, "table_3_4")
"""Prior hyperparameters, and the dense networks' accuracy there in percent (Table 3.4)."""

table_3_5 = partial(_published, "table_3_5")
"""Share of a Gaussian outside an ellipse, by its multiple of deviations (Table 3.5)."""

table_4_1 = partial(_published, "table_4_1")
"""Ellipses of two standard deviations around the regions of interest (Table 4.1).

By model, variant and roi (percentage points): length and width (decades), weight_decay and lr
(centre, log10). NaN where the region had fewer than five points.
"""

table_4_2 = partial(_published, "table_4_2")
"""Risk of keeping the dense network's settings, over its 0.5-ROI (Table 4.2).

By model and variant: mean and std (percentage points), relative_mean and relative_std (fractions of
the variant's own best accuracy).
"""

best_accuracies = partial(_published, "best_accuracies")
"""Best accuracies over each network's grid in percent, as section 4.1.1 quotes them."""

from_scratch = partial(_published, "from_scratch")
"""Pruned networks that other authors trained from scratch on CIFAR-10.

By source (key of the book's bibliography), model and flops_ratio (share that remains): top1
(percent, mean of several runs), sd (of the runs, percentage points), dense_top1 (percent). From
Wang et al. (2023), Table 6, L1-pruned ResNet-56 with a step schedule; Liu et al. (2019),
ResNet-56-A and -B trained for as many epochs (first) or FLOPs (second) as the dense network.
"""

durations = partial(_published, "durations")
"""Hours of one training on the thesis's machines (section 3.2.2); NaN where it gives none."""

claims = partial(_published, "claims")
"""Claims of chapter 4, and the number that decides each.

By section and claim (in words): measure (the number), networks (it is of) and roi ("widest" and
"risk" are thresholds of the study); low and high (limits of the number, NaN for none); models and
asked (as `hpstudy.analysis.thesis_claims.asked_of`).
"""

literature = partial(_published, "literature")
"""Claims of others on learning rate and weight decay after pruning, as `claims`.

The column section is the key of the claim's source in the book's bibliography.
"""
