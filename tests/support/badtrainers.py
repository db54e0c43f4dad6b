"""Studies of one's own training command that are refused (`badinput.Case`)."""

from functools import partial
from pathlib import Path
from typing import Any

import own_command
from badinput import Case, command

GIVEN = "lr, wd, seed, variant, method, flops_ratio, out, report, weights"
WORDS = own_command.study()["command"]


def case(what: str, sentence: str, **changes: Any) -> Case:
    """Study in which some keys are changed, or with None removed."""
    make = partial(own_command.write, Path(), **changes)
    return Case("training command", what, make, partial(command, "run", "own.yaml"), sentence)


def faulty(what: str, sentence: str, **changes: Any) -> Case:
    """Study that its params file alone shows to be wrong."""
    return case(what, f"own.yaml: {sentence}", **changes)


TRAINERS = [
    faulty(
        "placeholder that does not exist",
        f"command has the unknown placeholder {{decay}}; valid: {GIVEN}.",
        command=WORDS.replace("{wd}", "{decay}"),
    ),
    faulty(
        "command without an axis",
        "command lacks {wd}, and would run the same for each wd.",
        command=WORDS.replace("--wd {wd}", ""),
    ),
    faulty(
        "command for a shell",
        "command has '|', but no shell runs it; write a script that needs one, and name the "
        "script.",
        command=WORDS + " | tee log",
    ),
    faulty(
        "command without the network",
        "command lacks {report} or {variant}, and would train one network.",
        command=WORDS.replace("--variant {variant}", ""),
    ),
    faulty(
        "network that nothing prunes",
        "command has {report} or {weights}, but the key 'model' is missing.",
        command=WORDS + " {report}",
    ),
    faulty(
        "prior of another axis",
        "prior, the dense network's present setting, must have the keys of grid: lr, wd; it has "
        "lr, weight_decay.",
        prior={"lr": 0.1, "weight_decay": 0.001},
    ),
    faulty(
        "three axes",
        "grid must have one or two hyperparameters, not lr, wd, m.",
        grid={"lr": [0.1], "wd": [0.1], "m": [0.9]},
    ),
    faulty(
        "metric without a threshold",
        "the key 'roi' is missing: the losses that matter, in nats; only a metric in percent has "
        "a default.",
        metric={"from": "json", "key": "loss", "goal": "minimize", "unit": "nats"},
        roi=None,
    ),
    faulty(
        "pattern with two groups",
        "metric must have as its pattern a regular expression with one group, such as "
        "acc=([0-9.]+), not '(a)(b)'.",
        metric={"from": "pattern", "key": "acc", "pattern": "(a)(b)"},
    ),
    faulty(
        "weights that are not named",
        "the key 'weights' is missing: a file of trained weights that rank the filters, or "
        "'{out}/weights.pt' for one that the dense network's run at the prior leaves.",
        model="nets:make",
        input_shape=[3, 8, 8],
    ),
    case(
        "program that is not there",
        "command begins with 'pythn', but there is no such program in the PATH.",
        command=WORDS.replace(WORDS.split()[0], "pythn"),
    ),
    case(
        "file that is not there",
        "files names 'nets.py', but there is no such file in FOLDER.",
        files=["nets.py"],
    ),
]
