"""A published study of five runs."""

import json
import math

import pandas as pd
import synthetic

from hpstudy.analysis.study_results import StudyResults

HOSTILE = "</script><img src=x onerror=alert(1)>"
CURVE = {"train_loss": [1.23456, 0.5], "loss": [1.0, 0.9], "top1": [50.126, 70.0]}


def run(variant, lr, weight_decay, top1, seed=0, curve=CURVE, **more):
    """One row of a published table."""
    return {
        "variant": variant,
        "lr": lr,
        "weight_decay": weight_decay,
        "seed": seed,
        "top1": top1,
        "best_top1": top1 + 0.5,
        "best_epoch": 2,
        "loss": 0.9,
        "train_loss": 0.5,
        "seconds": 12.3456789,
        "diverged": False,
        "stopped": False,
        "curve": json.dumps(curve),
    } | more


def results(rows):
    return StudyResults("hand", pd.DataFrame(rows), synthetic.record("hand", "resnet56"))


def study():
    """Two networks on three grid points: two seeds at one, and a diverged run."""
    nan = math.nan
    return results(
        [
            run("unpruned", 0.1, 1e-3, 70.0, curve={**CURVE, "train_loss": [0.1, nan]}),
            run("unpruned", 0.1, 1e-3, 71.0, seed=1),
            run("unpruned", 0.01, 1e-4, 60.0),
            run(HOSTILE, 0.1, 1e-3, nan, diverged=True, loss=nan, train_loss=nan, best_epoch=0),
            run(HOSTILE, 0.03, 1e-3, 65.0),
        ]
    )
