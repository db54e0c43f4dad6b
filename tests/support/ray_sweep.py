"""Run a sweep of Ray Tune into a folder, and write Ray's data frame of it.

A separate process, since Ray starts only one cluster in a process.
"""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from ray import tune

from hpstudy.sweep.executors.ray import load_ray


def trainable(config):
    if config["lr"] == 10:
        raise RuntimeError("diverged before its first report")
    for epoch in range(2):
        if epoch and config["lr"] == 0.3:
            raise RuntimeError("lost")
        tune.report({"val": {"top1": 90 + epoch}, "loss": np.float32("nan"), "gap": math.inf})


def main(folder):
    ray = load_ray(loopback=True)
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 0.3}),
        param_space={"lr": tune.grid_search([0.1, 0.3, 10]), "sgd": {"decay": 1e-4}},
        run_config=tune.RunConfig("sweep", storage_path=str(folder), verbose=0),
    ).fit()
    frames = [result.metrics_dataframe for result in results]
    pd.concat(frames, ignore_index=True).to_pickle(folder / "frame.pickle")
    ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
