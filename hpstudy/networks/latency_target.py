"""Search for the FLOPs ratio at which a pruned network takes a share of the dense one's time."""

from collections.abc import Callable

from hpstudy.errors import HpstudyError
from hpstudy.networks.latency import Latency

# A target counts as reached within this share of it.
WITHIN = 0.03
PROBES = 8


def flops_ratio_for(
    latency_ratio: float, floor: float, measure: Callable[[float], Latency], name: str
) -> float:
    """FLOPs ratio at which the measured latency ratio is as asked for.

    Bisection, every second step by linear interpolation. It ends at a latency within 3 % of the
    target, at one whose interval holds the target, or after 8 probes with the nearest of them.
    Latency need not grow with the FLOPs (odd widths can be slower than dense): then this is one of
    several solutions.

    Parameters
    ----------
    latency_ratio : float
        Share of the dense network's time, in (0, 1].
    floor : float
        Lowest FLOPs ratio that the network can be pruned to.
    measure : callable
        Measures the network that is pruned to a FLOPs ratio.
    name : str
        Name of the network, for the refusal.

    Returns
    -------
    float
        One of the FLOPs ratios that were measured, or 1.

    Raises
    ------
    HpstudyError
        If even the network at `floor` is slower.
    """
    lowest = measure(floor)
    if min(lowest.low, lowest.ratio / (1 + WITHIN)) > latency_ratio:
        raise HpstudyError(
            f"latency_ratio {latency_ratio} is out of reach: pruned to {floor:.4f} of its FLOPs, "
            f"the lowest possible, {name} takes {lowest.ratio:.2f} ({lowest.low:.2f} to "
            f"{lowest.high:.2f}) of the dense time; scope='all' or round_to=8 may be faster"
        )
    dense = Latency(seconds=lowest.seconds / lowest.ratio, ratio=1, low=1, high=1)
    fast, slow = (floor, lowest), (1.0, dense)
    probes = [fast, slow]

    def missed(probe: tuple[float, Latency]) -> float:
        return abs(probe[1].ratio - latency_ratio)

    for number in range(PROBES):
        best = min(probes, key=missed)
        if missed(best) <= WITHIN * latency_ratio or best[1].low <= latency_ratio <= best[1].high:
            break
        share = 0.5
        if number % 2 == 0 and slow[1].ratio > fast[1].ratio:
            share = (latency_ratio - fast[1].ratio) / (slow[1].ratio - fast[1].ratio)
        # At an end of the bracket nothing would be learnt.
        ratio = fast[0] + min(max(share, 0.05), 0.95) * (slow[0] - fast[0])
        probes.append((ratio, measure(ratio)))
        if probes[-1][1].ratio > latency_ratio:
            slow = probes[-1]
        else:
            fast = probes[-1]
    return min(probes, key=missed)[0]
