"""Bad values in params files (`badinput.Case`)."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
from badinput import Case
from badyaml import load


def value(what: str, changes: dict[str, Any], sentence: str) -> Case:
    """Case of the smallest params file with some values changed."""
    make = partial(tiny.write_study, Path("study.yaml"), changes)
    return Case("params file", what, make, load, f"study.yaml: {sentence}")


RATIOS = (
    "valid: unpruned, or uniform or nonuniform with the share of the FLOPs that remains, from "
    "uniform-0.0001 to nonuniform-0.9999."
)
MODELS = (
    "resnet20, resnet56, mobilenetv2-shallow, mobilenetv2, resnet50, torchvision:NAME, timm:NAME "
    "or package.module:factory"
)
PARAMS = [
    value("one seed, not in a list", {"seeds": 3}, "seeds must be a list, not 3."),
    value(
        "a held-out share of 0.9",
        {"data.holdout": 0.9},
        "data.holdout must be 'test', or the held-out share: above 0 and at most 0.5, not 0.9.",
    ),
    value(
        "text as a held-out share",
        {"data.holdout": "val"},
        "data.holdout must be 'test', or the held-out share: above 0 and at most 0.5, not 'val'.",
    ),
    value(
        "a list of arguments of a data set",
        {"data.arguments": [1]},
        "data.arguments must be a valid dictionary, not [1].",
    ),
    value(
        "an argument that is no number",
        {"data.arguments": {"size": float("nan")}},
        "data.arguments must hold values that JSON can hold, as finite numbers.",
    ),
    value(
        "true as a learning rate", {"prior.lr": True}, "prior.lr must be a valid number, not True."
    ),
    value(
        "a negative learning rate", {"prior.lr": -0.1}, "prior.lr must be greater than 0, not -0.1."
    ),
    value(
        "a weight decay of 0",
        {"prior.weight_decay": 0},
        "prior.weight_decay must be greater than 0, not 0.",
    ),
    value(
        "NaN in the grid",
        {"grid.lr": [0.1, float("nan")]},
        "grid.lr.1 must be a finite number, not nan.",
    ),
    value(
        "infinity in the grid",
        {"grid.weight_decay": [float("inf")]},
        "grid.weight_decay.0 must be a finite number, not inf.",
    ),
    value(
        "a negative weight decay in the grid",
        {"grid.weight_decay": [0, -0.01]},
        "grid.weight_decay.1 must be greater than or equal to 0, not -0.01.",
    ),
    value(
        "a learning rate of 0 in the grid",
        {"grid.lr": [0, 0.1]},
        "grid.lr.0 must be greater than 0, not 0.",
    ),
    value(
        "a list in the grid", {"grid.lr": [[0.1]]}, "grid.lr.0 must be a valid number, not [0.1]."
    ),
    value(
        "a number of 401 digits",
        {"prior.lr": 10**400},
        "prior.lr must be a valid number, not "
        "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000….",
    ),
    value(
        "a number of 31 digits",
        {"recipe.epochs": 10**30},
        "recipe.epochs must be less than or equal to 1000000000, not "
        "1000000000000000000000000000000.",
    ),
    value(
        "0 epochs",
        {"recipe.epochs": 0},
        "recipe.epochs must be greater than or equal to 1, not 0.",
    ),
    value(
        "a fraction of an epoch",
        {"recipe.epochs": 2.5},
        "recipe.epochs must be a valid integer, not 2.5.",
    ),
    value(
        "text as a number of epochs",
        {"recipe.epochs": "five"},
        "recipe.epochs must be a valid integer, not 'five'.",
    ),
    value(
        "true as a number of epochs",
        {"recipe.epochs": True},
        "recipe.epochs must be a valid integer, not True.",
    ),
    value(
        "0 training images",
        {"data.train_images": 0},
        "data.train_images must be greater than or equal to 1, not 0.",
    ),
    value(
        "one image a batch",
        {"recipe.batch_size": 1},
        "recipe.batch_size must be greater than or equal to 2, not 1.",
    ),
    value(
        "a momentum of 1",
        {"recipe.momentum": 1.0},
        "recipe.momentum must be less than 1, not 1.0.",
    ),
    value(
        "a decay factor of 0",
        {"recipe.lr_decay": 0},
        "recipe.lr_decay must be greater than 0, not 0.",
    ),
    value(
        "decay epochs in decreasing order",
        {"recipe.epochs": 5, "recipe.lr_decay_epochs": [4, 2]},
        "recipe must have increasing lr_decay_epochs below its epochs 5, not [4, 2].",
    ),
    value(
        "a decay after the last epoch",
        {"recipe.epochs": 5, "recipe.lr_decay_epochs": [5]},
        "recipe must have increasing lr_decay_epochs below its epochs 5, not [5].",
    ),
    value(
        "images of 7 pixels",
        {"data.image_size": 7},
        "data.image_size must be greater than or equal to 8, not 7.",
    ),
    value(
        "an empty grid",
        {"grid.lr": []},
        "grid.lr must hold one or more distinct values, not [].",
    ),
    value(
        "a point of the grid twice",
        {"grid.lr": [0.1, "1e-1"]},
        "grid.lr must hold one or more distinct values, not [0.1, 0.1].",
    ),
    value(
        "a point of the grid that differs in the tenth digit",
        {"grid.lr": [0.01, 0.01000000001]},
        "grid.lr must hold one or more distinct values, not [0.01, 0.01000000001].",
    ),
    value(
        "a number for a grid",
        {"grid.lr": 0.1},
        "grid.lr must be a list of values, or points and step, not 0.1.",
    ),
    value(
        "an axis of 0 points",
        {"grid.lr": {"points": 0, "step": 0.2}},
        "grid.lr.points must be greater than or equal to 1, not 0.",
    ),
    value(
        "a step of 0",
        {"grid.lr": {"points": 3, "step": 0}},
        "grid.lr.step must be greater than or equal to 0.001, not 0.",
    ),
    value(
        "steps, misspelt",
        {"grid.lr": {"points": 3, "steps": 0.1}},
        "the key 'grid.lr.step' is missing; unknown key 'grid.lr.steps' (did you mean 'step'?); "
        "valid: points, step, extend.",
    ),
    value(
        "a grid beyond the range of numbers",
        {"grid.lr": {"points": 101, "step": 10}},
        "lr must stay within 1e-30 and 1e+30, at the prior and all over the grid.",
    ),
    value(
        "four million runs",
        {
            "grid.lr": {"points": 101, "step": 0.01},
            "grid.weight_decay": {"points": 101, "step": 0.01},
            "seeds": list(range(200)),
        },
        "grid, variants and seeds must make at most 1,000,000 runs together, not 4,080,400.",
    ),
    value(
        "a negative seed", {"seeds": [-1]}, "seeds.0 must be greater than or equal to 0, not -1."
    ),
    value(
        "a seed of 65 bits",
        {"seeds": [2**64]},
        "seeds.0 must be less than 9223372036854775808, not 18446744073709551616.",
    ),
    value("no seeds", {"seeds": []}, "seeds must hold one or more distinct values, not []."),
    value(
        "a seed twice",
        {"seeds": [0, 0]},
        "seeds must hold one or more distinct values, not [0, 0].",
    ),
    value(
        "a region of width 0",
        {"roi": [0]},
        "roi.0 must be greater than 0, not 0.",
    ),
    value(
        "replicates as a list",
        {"replicates": [1]},
        "replicates must have the keys seeds, random, not [1].",
    ),
    value(
        "replicates that repeat a seed",
        {"replicates": {"seeds": [1, 0]}},
        "replicates.seeds must differ from the seeds [0], but both have 0.",
    ),
    value(
        "a design that there is not",
        {"design": "retunes"},
        "unknown design.name 'retunes' (did you mean 'retune'?); valid: grid, level-set, retune.",
    ),
    value(
        "a batch of the whole grid",
        {"design": {"batch": 4}},
        "design must have the name level-set or retune if it has a batch.",
    ),
    value(
        "a batch above the budget",
        {"design": {"name": "retune", "batch": 8, "budget": 4}},
        "design must have a budget of at least its batch of 8.",
    ),
    value(
        "a retuning after two settings",
        {"design": "retune"},
        "grid must have at least 6 settings above 0 for the design retune, not 2.",
    ),
    value(
        "a race",
        {"racing": True},
        "racing was removed; use `design: level-set`, which skips settings and trains the "
        "others whole.",
    ),
    value(
        "a model, misspelt",
        {"model": "resnt56"},
        f"unknown model 'resnt56' (did you mean 'resnet56'?); valid: {MODELS}.",
    ),
    value(
        "a number for a model",
        {"model": 56},
        f"unknown model '56'; valid: {MODELS}.",
    ),
    value(
        "a file for a model",
        {"model": "nets/mine.py:Net"},
        f"unknown model 'nets/mine.py:Net'; valid: {MODELS}.",
    ),
    value(
        "arguments of a network of the study",
        {"arguments": {"width": 2}},
        "arguments is a key for the models torchvision:NAME, timm:NAME or package.module:factory; "
        "resnet56 does not take it.",
    ),
    value(
        "arguments that are no mapping",
        {"model": "mine:Net", "arguments": [2]},
        "arguments must be a valid dictionary, not [2].",
    ),
    value(
        "an argument that JSON does not have",
        {"model": "mine:Net", "arguments": {"scale": float("nan")}},
        "arguments must hold values that JSON can hold, as finite numbers.",
    ),
    value(
        "an unknown stem",
        {"model": "mine:Net", "stem": "tiny"},
        "unknown stem 'tiny'; valid: small.",
    ),
    value(
        "an unknown criterion",
        {"criterion": "l2"},
        "unknown criterion 'l2' (did you mean 'l1'?); valid: l1, l1-normalised.",
    ),
    value(
        "a variant, misspelt",
        {"variants": ["unifrom-0.6"]},
        f"unknown pruning 'unifrom-0.6' (did you mean 'uniform-0.6'?); {RATIOS}",
    ),
    value(
        "a variant of ratio 1",
        {"variants": ["uniform-1.0"]},
        f"unknown pruning 'uniform-1.0' (did you mean 'uniform-0.6'?); {RATIOS}",
    ),
    value(
        "a variant twice",
        {"variants": ["uniform-0.6", "uniform-0.60"]},
        "variants must name each variant once, not ['uniform-0.6', 'uniform-0.60'].",
    ),
    value(
        "a name in place of the data",
        {"data": "cifar10"},
        "data must have the keys name, image_size, train_images, test_images, holdout, "
        "arguments, not 'cifar10'.",
    ),
    value("a number for the data", {"data.name": 10}, "data.name must be a valid string, not 10."),
    value(
        "a key, misspelt",
        {"recipe.mometum": 0.9},
        "unknown key 'recipe.mometum' (did you mean 'momentum'?); valid: epochs, batch_size, "
        "momentum, lr_decay, lr_decay_epochs.",
    ),
    value("a key that is missing", {"model": tiny.GONE}, "the key 'model' is missing."),
    value(
        "a key with a line break",
        {"prior.l\nr": 1},
        r"unknown key 'prior.l\nr' (did you mean 'lr'?); valid: lr, weight_decay.",
    ),
    value(
        "a path for a name",
        {"name": "../../etc/x"},
        "name must match pattern '^[a-z0-9][a-z0-9._-]{0,63}$', not '../../etc/x'.",
    ),
    value(
        "markup for a name",
        {"name": "<script>"},
        "name must match pattern '^[a-z0-9][a-z0-9._-]{0,63}$', not '<script>'.",
    ),
    value(
        "a name in capitals with a blank",
        {"name": "My Study"},
        "name must match pattern '^[a-z0-9][a-z0-9._-]{0,63}$', not 'My Study'.",
    ),
    value(
        "a name with a right-to-left override",
        {"name": "a\u202eb"},
        "name must match pattern '^[a-z0-9][a-z0-9._-]{0,63}$', not 'a\\u202eb'.",
    ),
    value(
        "a name of 65 letters",
        {"name": "a" * 65},
        "name must match pattern '^[a-z0-9][a-z0-9._-]{0,63}$', not "
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.",
    ),
]
