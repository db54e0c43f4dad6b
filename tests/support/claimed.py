"""Studies whose networks have known surfaces, of which claims are made."""

from functools import cache

import numpy as np
import pandas as pd
import synthetic

from hpstudy.analysis.study_results import StudyResults

STEPS = np.linspace(-1.0, 1.0, 9)
X, Y = (side.ravel() for side in np.meshgrid(STEPS, STEPS, indexing="ij"))


def bowl(lr=0.0, weight_decay=0.0, along=2.0, across=8.0, top=90.0):
    """Accuracies over the grid: an inverse band, whose middle lies so many decades from it."""
    x, y = X - lr, Y - weight_decay
    return top - across * (x + y) ** 2 / 2 - along * (x - y) ** 2 / 2


def study(model="resnet56", name="study", scatter=0.02, roi=(0.5, 1.0), **surfaces):
    """Two runs a setting, `scatter` above and below the surface of each network."""
    surfaces = {"unpruned": bowl()} | {key.replace("_", "-"): one for key, one in surfaces.items()}
    return _study(
        model, name, scatter, roi, tuple((key, *one.tolist()) for key, one in surfaces.items())
    )


@cache
def _study(model, name, scatter, roi, surfaces):
    rows = [
        {
            "variant": variant.replace("0", "0.", 1),
            "lr": float(f"{10 ** (x - 1):.6g}"),
            "weight_decay": float(f"{10 ** (y - 3):.6g}"),
            "seed": seed,
            "top1": value + scatter * seed * (-1) ** (row % 2),
            "diverged": False,
        }
        for variant, *values in surfaces
        for row, (x, y, value) in enumerate(zip(X, Y, values, strict=True))
        for seed in (-1, 1)
    ]
    record = synthetic.record(name, "resnet56")
    record["study"] |= {"roi": list(roi), "model": model}
    return StudyResults(name, pd.DataFrame(rows), record)
