"""Sweeps without training: accuracies are made up, and end in a shuffled order."""

import math
import random
from concurrent.futures import Future

import tiny

import hpstudy.sweep
from hpstudy.plan import Plan
from hpstudy.store import Store
from hpstudy.worker import Outcome

EPOCHS = 6


def curve(accuracy, epochs=EPOCHS):
    """Training losses that fall towards one that tells the accuracy."""
    last = (95 - accuracy) / 20
    return [last + 2.0 * 0.4**epoch for epoch in range(1, epochs + 1)]


def bowl(lr, weight_decay, best=92.0):
    """Accuracy that falls off with the decades from 0.01 and 0.01."""
    x, y = math.log10(lr) + 2, math.log10(weight_decay) + 2
    return best - 6 * (x + y) ** 2 - 1.5 * (x - y) ** 2


def simulated(spec, keep_scores, race):
    """What a worker does, with a made-up accuracy that depends on the setting and the network."""
    best = 92.0 if spec.widths is None else 88.0
    accuracy = bowl(spec.lr, spec.weight_decay, best) + 0.05 * math.sin(1e4 * spec.lr + spec.seed)
    losses, verdict = curve(accuracy), None
    for epoch in range(1, EPOCHS):
        verdict = race and race.verdict(spec.lr, spec.weight_decay, losses[:epoch])
        if verdict:
            losses = losses[:epoch]
            break
    row = tiny.result(
        top1=accuracy, epochs=len(losses), curve={"train_loss": losses, "loss": [], "top1": []}
    )
    ranking = {"weights_sha256": "0" * 64, "scores": simulated.scores} if keep_scores else None
    return Outcome(row, ranking, verdict)


class Pool:
    """Runs at once what it is given; some of it is told of only later."""

    def __init__(self, seed):
        self.random, self.late = random.Random(seed), []

    def submit(self, function, *arguments):
        future = Future()
        if function is not simulated:
            future.set_result((1e-6, 1e-6))
        else:
            self.late.append((future, simulated(*arguments)))
        return future

    def wait(self, running, **options):
        self.random.shuffle(self.late)
        future, outcome = self.late.pop()
        future.set_result(outcome)
        return {future}, set(running) - {future}


def simulated_plan(path, **changes):
    axis = {"points": 9, "step": 0.2}
    changes = {
        "prior": {"lr": 0.01, "weight_decay": 0.01},
        **{"grid.lr": axis, "grid.weight_decay": axis, "recipe.epochs": EPOCHS},
        **changes,
    }
    return Plan(tiny.study(changes), Store(path))


def swept(plan, monkeypatch, workers=1, seed=0, lose_after=None):
    """Table of a simulated sweep; it may be interrupted after so many runs, and gone on with."""
    widths = plan.network.cost.widths
    simulated.scores = {layer: list(range(1, width + 1)) for layer, width in widths.items()}
    pool = Pool(seed)
    monkeypatch.setattr(hpstudy.sweep, "run", simulated)
    monkeypatch.setattr(hpstudy.sweep, "wait", pool.wait)
    monkeypatch.setattr(hpstudy.sweep, "price", priced)
    if lose_after is not None:
        bar = hpstudy.sweep._bar("", 1)
        seconds = dict.fromkeys(plan.study.variants, 1.0)
        for number, (spec, outcome) in enumerate(
            hpstudy.sweep._train(plan, pool, workers, bar, seconds)
        ):
            hpstudy.sweep._record(plan, spec, outcome)
            if number == lose_after:
                break
        pool.late.clear()
    hpstudy.sweep._sweep(plan, pool, workers, lambda: None)
    return plan.table()


def priced(plan, workers, pool):
    entries = {
        name: {"missing": int(number), "seconds_per_run": 1.0}
        for name, number in plan.counts()["missing"].items()
    }
    return {"variants": entries, "hours": 1e-3, "workers": workers, "device": "cpu"}
