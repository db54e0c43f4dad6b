"""A study whose runs are recorded without training."""

import tiny

from hpstudy.networks.pruning import filter_scores
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan

STUDY = {
    "model": "resnet20",
    "recipe.epochs": 3,
    "grid.weight_decay": [0.01, 0.02],
    "variants": ["uniform-0.3"],
}


def ended(plan, spec, epochs=3, **changes):
    """Result of a training of the recipe's three epochs on 20 test images."""
    curve = {
        "train_loss": [2.0, 1.5, 1.0][:epochs],
        "loss": [2.5, 1.75, 1.25][:epochs],
        "top1": [20.0, 55.0, 50.0][:epochs],
    }
    values = {"top1": 50.0, "loss": 1.25, "best_top1": 55.0, "best_epoch": 2, "train_loss": 1.0}
    cost = plan.network.cost
    size = {"macs": cost.macs(spec.widths), "params": cost.params(spec.widths)}
    return tiny.result(epochs=epochs, curve=curve, **values, **size) | changes


def recorded_plan(path, **changes):
    """Plan of a study in a store that has all of its runs."""
    plan = Plan.open(tiny.study(STUDY | changes), Store.open(path))
    scores = filter_scores(plan.network.model, plan.network.prunable)
    ranking = {"weights_sha256": "ab" * 32, "scores": scores}
    tiny.record(plan.store, plan.prior, ended(plan, plan.prior), ranking)
    plan.prune()
    for job in plan.missing():
        tiny.record(plan.store, job.spec, ended(plan, job.spec))
    return plan
