"""Verdicts written by hand."""

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.verdict import AxisVerdict, Verdict

SHIFTS = {
    "keep": Interval(0.02, -0.1, 0.15),
    "retune": Interval(0.6, 0.4, 0.8),
    "inconclusive": Interval(-0.2, -0.5, 0.1),
}
LOSSES = {
    "keep": Loss(0.1, 0.0, 0.3),
    "retune": Loss(0.9, 0.6, 1.2),
    "inconclusive": Loss(0.4, 0.0, 1.1),
}


def verdict(variant="uniform-0.6", both="keep", loss=None, at_end=(), tolerable=0.5, **axes):
    """Verdict on one network; `axes` give the answer of each hyperparameter."""
    axes = axes or {"lr": "keep", "weight_decay": "inconclusive"}
    return Verdict(
        variant=variant,
        threshold=2 * tolerable,
        axes={
            axis: AxisVerdict(
                answer, SHIFTS[answer], at_end if axis == "weight_decay" else (), False
            )
            for axis, answer in axes.items()
        },
        both=both,
        edge=False,
        tolerable=tolerable,
        measured=0.0,
        loss=LOSSES[both] if loss is None else loss,
        second=LOSSES["keep"],
        interpolated=False,
        kept=(7, 8),
        runs=124,
    )
