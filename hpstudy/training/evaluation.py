"""What an evaluation counts, how many images it takes at a time, and how steps are timed."""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def evaluation_batch(device: torch.device, image_size: int) -> int:
    """Number of images of an evaluation step: hundreds of small images do not fill a GPU."""
    return 2_000 if device.type == "cuda" and image_size <= 64 else 500


def count_right(logits: Tensor, labels: Tensor, totals: Tensor) -> None:
    """Add to the numbers of images right at once and within five, and to the sum of the loss.

    An image whose logits are not finite counts as an error.
    """
    finite = torch.isfinite(logits).all(1)
    ranked = logits.topk(min(5, logits.shape[1]), 1).indices == labels[:, None]
    totals[0] += (ranked[:, 0] & finite).sum()
    totals[1] += (ranked.any(1) & finite).sum()
    totals[2] += F.cross_entropy(logits, labels, reduction="sum")


def median_seconds(
    work: Callable[[], object],
    seconds: float,
    agreed: Callable[[float], float] = lambda duration: duration,
) -> float:
    """Median duration of some work, repeated for some `seconds` after once to warm up.

    `agreed` makes a duration the same for all processes that do the work together.
    """
    durations: list[float] = []
    while len(durations) < 4 or sum(durations[1:]) < seconds:
        started = time.perf_counter()
        work()
        durations.append(agreed(time.perf_counter() - started))
    return statistics.median(durations[1:])
