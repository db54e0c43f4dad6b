"""What published rules of thumb lose on a landscape: factors from the dense network's setting."""

from typing import NamedTuple

import numpy as np

from hpstudy.analysis.intervals import NO_LOSS, Loss, loss, loss_draws
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError

NEAR = 0.15
"""Decades beyond the grid up to which a setting is taken at its edge: half a usual step."""


class Rule(NamedTuple):
    """Factors by which a rule changes the dense network's learning rate and weight decay."""

    lr: float
    weight_decay: float = 1.0


# Keep it (Liu et al., 2019); NVIDIA Model-Optimizer's guide to pruning; Minitron (Muralidharan et
# al., 2024); NNI's examples; larger as density falls (Dey et al., 2024, at a quarter of the
# weights); the averaging time of the weights stays (Wang and Aitchison, 2024) at half the rate.
RULES = {
    "keep": Rule(1.0),
    "half": Rule(0.5),
    "fifth": Rule(0.2),
    "tenth": Rule(0.1),
    "double": Rule(2.0),
    "timescale": Rule(0.5, 2.0),
}


def loss_at(analysis: StudyAnalysis, variant: str, rule: Rule) -> Loss:
    """Loss of a network at the dense network's measured optimum, changed by a rule.

    Between settings it is read off the surface, up to `NEAR` beyond the grid at its edge; unknown
    farther out, and without a surface.
    """
    dense, surrogate = analysis.landscapes[analysis.dense], analysis.surrogates.get(variant)
    place = dense.logs[[dense.best_row]] + np.log10([rule])
    logs = analysis.landscapes[variant].logs
    inside = place.clip(np.nanmin(logs, axis=0), np.nanmax(logs, axis=0))
    if surrogate is None or not np.abs(inside - place).max() <= NEAR:
        return NO_LOSS
    drawn = surrogate.draws(also=inside)
    return loss(*loss_draws(drawn, drawn[:, -1]))


def rule_losses(analysis: StudyAnalysis) -> dict[str, dict[str, Loss]]:
    """Loss of each of `RULES`, by pruned network and rule.

    Raises
    ------
    HpstudyError
        If the landscapes do not lie over learning rate and weight decay.
    """
    axes = analysis.landscapes[analysis.dense].axes
    if axes != AXES:
        raise HpstudyError(
            f"rules of thumb are about {' and '.join(AXES)}; these tables lie over "
            f"{' and '.join(axes)}. --columns names the two."
        )
    return {
        name: {key: loss_at(analysis, name, rule) for key, rule in RULES.items()}
        for name in analysis.pruned
    }
