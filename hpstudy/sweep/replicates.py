"""Which grid points are trained again with further seeds, to measure run-to-run noise there."""

import random
from collections.abc import Mapping
from math import isnan

from hpstudy.config.grid import region


def points_to_repeat(
    own: Mapping[tuple[float, float], float],
    dense: Mapping[tuple[float, float], float],
    threshold: float,
    further: int,
    name: str,
) -> list[tuple[float, float]]:
    """Points of one network's grid at which its noise decides something, and a few beside them.

    Parameters
    ----------
    own : mapping of (lr, weight_decay) to float
        Accuracies in percent at every point of the network's grid; NaN for one without a value.
    dense : mapping of (lr, weight_decay) to float
        The same of the dense network, at points that the network's grid has too.
    threshold : float
        Of the regions of interest (equation 3.3), in percentage points.
    further : int
        Points to draw beside the regions, without replacement; all that are left, if fewer.
    name : str
        Decides the draw, and nothing else does.

    Returns
    -------
    list of (lr, weight_decay)
        The union of the two regions, increasing, then the points drawn. The regions hold the two
        optima. A point without a value is never drawn.
    """
    regions = region(own, threshold) | region(dense, threshold)
    # All points are drawn from, so that one that gains a value displaces no others than the last.
    order = random.Random(name).sample(sorted(own), len(own))
    beside = [point for point in order if point not in regions and not isnan(own[point])]
    return sorted(regions) + beside[:further]
