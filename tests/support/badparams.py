"""Bad params files (`badinput.Case`)."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
import yaml
from badinput import Case, nothing, write


def load(name: str = "study.yaml") -> Any:
    """Read a params file."""
    from hpstudy.config.study import Study

    return Study.load(name)


def value(what: str, changes: dict[str, Any], sentence: str) -> Case:
    """Case of a whole params file in which some values are changed."""
    make = partial(tiny.write_study, Path("study.yaml"), changes)
    return Case("params file", what, make, load, f"study.yaml: {sentence}")


def text(what: str, content: str | bytes, sentence: str) -> Case:
    """Case of a params file with any content."""
    return Case("params file", what, partial(write, "study.yaml", content), load, sentence)


def replaced(old: str, new: str) -> str:
    """The smallest params file as text, with one part of it replaced."""
    whole = yaml.safe_dump(tiny.STUDY)
    assert old in whole
    return whole.replace(old, new)


def _large() -> None:
    with Path("study.yaml").open("wb") as file:
        file.truncate(2**30)


LIKE_A_NAME = (
    "name must be 1 to 64 small letters, digits, dots, dashes and underlines, the first of them a "
    "letter or digit, and none of networks, programme, refusals, soak, cluster, scaling, "
    "reruns, recipe, not"
)
PRINTED = "must be text of printed characters, not"
POSITIVE = "must be a finite number above 0, not"
DECAY = "must be 0 or a finite number above it, not"
SEED = "must be an integer from 0 to 9,223,372,036,854,775,807, not"
COUNT = "must be an integer from 1 to 1,000,000,000, not"
RATIOS = (
    "valid: unpruned, or uniform or nonuniform with the share of the FLOPs that remains, from "
    "uniform-0.0001 to nonuniform-0.9999."
)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

PARAMS = [
    value("one seed, not in a list", {"seeds": 3}, "seeds must be a list such as [0, 1], not 3."),
    value(
        "nine tenths held out",
        {"data.holdout": 0.9},
        "data.holdout must be 'test', or the share of the training images that is held out: above "
        "0 and at most 0.5, not 0.9.",
    ),
    value(
        "a share to hold out in words",
        {"data.holdout": "val"},
        "data.holdout must be 'test', or the share of the training images that is held out: above "
        "0 and at most 0.5, not 'val'.",
    ),
    value("yes as a learning rate", {"prior.lr": True}, f"prior.lr {POSITIVE} True."),
    value("a negative learning rate", {"prior.lr": -0.1}, f"prior.lr {POSITIVE} -0.1."),
    value("no weight decay", {"prior.weight_decay": 0}, f"prior.weight_decay {POSITIVE} 0."),
    value("NaN in the grid", {"grid.lr": [0.1, float("nan")]}, f"grid.lr.1 {POSITIVE} nan."),
    value(
        "infinity in the grid",
        {"grid.weight_decay": [float("inf")]},
        f"grid.weight_decay.0 {DECAY} inf.",
    ),
    value(
        "a negative weight decay in the grid",
        {"grid.weight_decay": [0, -0.01]},
        f"grid.weight_decay.1 {DECAY} -0.01.",
    ),
    value("a learning rate of 0 in the grid", {"grid.lr": [0, 0.1]}, f"grid.lr.0 {POSITIVE} 0."),
    value("a list in the grid", {"grid.lr": [[0.1]]}, f"grid.lr.0 {POSITIVE} [0.1]."),
    value(
        "a number of 401 digits",
        {"prior.lr": 10**400},
        f"prior.lr {POSITIVE} 1{'0' * 99}….",
    ),
    value(
        "a number of 31 digits", {"recipe.epochs": 10**30}, f"recipe.epochs {COUNT} 1{'0' * 30}."
    ),
    value("no epochs", {"recipe.epochs": 0}, f"recipe.epochs {COUNT} 0."),
    value("half an epoch", {"recipe.epochs": 2.5}, f"recipe.epochs {COUNT} 2.5."),
    value("epochs in words", {"recipe.epochs": "five"}, f"recipe.epochs {COUNT} 'five'."),
    value("true as a number of epochs", {"recipe.epochs": True}, f"recipe.epochs {COUNT} True."),
    value("no training images", {"data.train_images": 0}, f"data.train_images {COUNT} 0."),
    value(
        "one image a batch",
        {"recipe.batch_size": 1},
        "recipe.batch_size must be an integer from 2 to 1,000,000,000, not 1.",
    ),
    value(
        "momentum one",
        {"recipe.momentum": 1.0},
        "recipe.momentum must be a number from 0 to below 1, not 1.0.",
    ),
    value(
        "a learning rate that does not decay but ends",
        {"recipe.lr_decay": 0},
        "recipe.lr_decay must be a number above 0 and at most 1, not 0.",
    ),
    value(
        "decays that go back in time",
        {"recipe.epochs": 5, "recipe.lr_decay_epochs": [4, 2]},
        "recipe.lr_decay_epochs must increase, unlike [4, 2].",
    ),
    value(
        "a decay after the end",
        {"recipe.epochs": 5, "recipe.lr_decay_epochs": [5]},
        "recipe must have its lr_decay_epochs [5] before its epochs 5.",
    ),
    value(
        "images of 7 pixels",
        {"data.image_size": 7},
        "data.image_size must be an integer from 8 to 224, not 7.",
    ),
    value(
        "an empty grid",
        {"grid.lr": []},
        "grid.lr must hold one or more distinct values, unlike [].",
    ),
    value(
        "a point of the grid twice",
        {"grid.lr": [0.1, "1e-1"]},
        "grid.lr must hold one or more distinct values, unlike [0.1, 0.1].",
    ),
    value(
        "a point of the grid that differs in the tenth digit",
        {"grid.lr": [0.01, 0.01000000001]},
        "grid.lr must hold one or more distinct values, unlike [0.01, 0.01000000001].",
    ),
    value(
        "a number for a grid",
        {"grid.lr": 0.1},
        "grid.lr must be a list of values, or points and step, not 0.1.",
    ),
    value(
        "an axis without points",
        {"grid.lr": {"points": 0, "step": 0.2}},
        "grid.lr.points must be an integer from 1 to 101, not 0.",
    ),
    value(
        "an axis without steps",
        {"grid.lr": {"points": 3, "step": 0}},
        "grid.lr.step must be a number from 0.001 to 10, not 0.",
    ),
    value(
        "steps, misspelt",
        {"grid.lr": {"points": 3, "steps": 0.1}},
        "the key 'grid.lr.step' is missing; unknown key 'grid.lr.steps' (did you mean 'step'?); "
        "valid: points, step, extend.",
    ),
    value(
        "a grid beyond all numbers",
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
    value("a negative seed", {"seeds": [-1]}, f"seeds.0 {SEED} -1."),
    value("a seed of 65 bits", {"seeds": [2**64]}, f"seeds.0 {SEED} 18446744073709551616."),
    value("no seeds", {"seeds": []}, "seeds must hold one or more distinct values, unlike []."),
    value(
        "a seed twice",
        {"seeds": [0, 0]},
        "seeds must hold one or more distinct values, unlike [0, 0].",
    ),
    value(
        "a region of no width",
        {"roi": [0]},
        "roi.0 must be a number above 0 and at most 100, not 0.",
    ),
    value(
        "replicates as a list",
        {"replicates": [1]},
        "replicates must have the keys seeds, random, unlike [1].",
    ),
    value(
        "replicates that are no further seeds",
        {"replicates": {"seeds": [1, 0]}},
        "replicates.seeds must be others than the seeds [0], unlike 0.",
    ),
    value("a race that is 1", {"racing": 1}, "racing must be true or false, not 1."),
    value(
        "a model, misspelt",
        {"model": "resnt56"},
        "unknown model 'resnt56' (did you mean 'resnet56'?); valid: resnet20, resnet56, "
        "mobilenetv2-shallow, mobilenetv2, resnet50.",
    ),
    value(
        "a number for a model",
        {"model": 56},
        "unknown model '56'; valid: resnet20, resnet56, mobilenetv2-shallow, mobilenetv2, "
        "resnet50.",
    ),
    value(
        "a criterion that there is not",
        {"criterion": "l2"},
        "unknown criterion 'l2' (did you mean 'l1'?); valid: l1, l1-normalised.",
    ),
    value(
        "a variant, misspelt",
        {"variants": ["unifrom-0.6"]},
        f"unknown pruning 'unifrom-0.6' (did you mean 'uniform-0.6'?); {RATIOS}",
    ),
    value(
        "a variant that keeps everything",
        {"variants": ["uniform-1.0"]},
        f"unknown pruning 'uniform-1.0' (did you mean 'uniform-0.6'?); {RATIOS}",
    ),
    value(
        "a variant twice",
        {"variants": ["uniform-0.6", "uniform-0.60"]},
        "variants must name each variant once, unlike uniform-0.6, uniform-0.60.",
    ),
    value(
        "a name for the data alone",
        {"data": "cifar10"},
        "data must have the keys name, image_size, train_images, test_images, holdout, unlike "
        "'cifar10'.",
    ),
    value("a number for the data", {"data.name": 10}, f"data.name {PRINTED} 10."),
    text(
        "data with a control character",
        replaced("name: fashion-mnist-8k", 'name: "folder:x\\x1b"'),
        f"study.yaml: data.name {PRINTED} 'folder:x\\x1b'.",
    ),
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
    value("a path for a name", {"name": "../../etc/x"}, f"{LIKE_A_NAME} '../../etc/x'."),
    value("markup for a name", {"name": "<script>"}, f"{LIKE_A_NAME} '<script>'."),
    value("a name in capitals with a blank", {"name": "My Study"}, f"{LIKE_A_NAME} 'My Study'."),
    value(
        "a name that turns its letters round",
        {"name": "a\u202eb"},
        f"{LIKE_A_NAME} 'a\\u202eb'.",
    ),
    value("a name of 65 letters", {"name": "a" * 65}, f"{LIKE_A_NAME} '{'a' * 65}'."),
    value("the name of another file", {"name": "networks"}, f"{LIKE_A_NAME} 'networks'."),
    text(
        "an hour and a half of epochs",
        replaced("epochs: 1", "epochs: 1:30"),
        f"study.yaml: recipe.epochs {COUNT} '1:30'.",
    ),
    text(
        "a seed to another base",
        replaced("seeds:\n- 0", "seeds: [0x10]"),
        f"study.yaml: seeds.0 {SEED} '0x10'.",
    ),
    text(
        "a date as a number of epochs",
        replaced("epochs: 1", "epochs: 2024-01-01"),
        f"study.yaml: recipe.epochs {COUNT} '2024-01-01'.",
    ),
    text("an empty file", "", "study.yaml must hold keys and values, not None."),
    text("a list", "- 1\n- 2\n", "study.yaml must hold keys and values, not [1, 2]."),
    text(
        "few lines that stand for 10⁹ values",
        BOMB,
        "line 2 of study.yaml is no plain YAML: it uses the alias *a, instead of the value itself.",
    ),
    text(
        "a key twice",
        replaced("seeds:", "seeds: [1]\nseeds:"),
        "line 29 of study.yaml is no plain YAML: it has the key 'seeds' twice.",
    ),
    text(
        "ten thousand brackets",
        "a: " + "[" * 10_000,
        "line 1 of study.yaml is no plain YAML: it nests values more than 16 deep.",
    ),
    text(
        "a command to run",
        "a: !!python/object/apply:os.system ['touch x']\n",
        "line 1 of study.yaml is no plain YAML: it has the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'.",
    ),
    text(
        "an open bracket",
        "a: [1",
        "line 1 of study.yaml is no plain YAML: expected ',' or ']', but got '<stream end>'.",
    ),
    text(
        "a tab before a key",
        "a:\n\tb: 1\n",
        r"line 2 of study.yaml is no plain YAML: found character '\t' that cannot start any "
        "token.",
    ),
    text(
        "two documents",
        "a: 1\n---\nb: 1\n",
        "line 2 of study.yaml is no plain YAML: it begins a second document.",
    ),
    text(
        "a null byte",
        b"a: 1\nname: x\0y\n",
        r"line 2 of study.yaml holds the character '\x00', which YAML may not.",
    ),
    text("UTF-16", "name: x\n".encode("utf-16"), "study.yaml is not text in UTF-8."),
    text("Latin-1", "name: caf\xe9\n".encode("latin-1"), "study.yaml is not text in UTF-8."),
    Case(
        "params file",
        "a file of a gibibyte",
        _large,
        load,
        "study.yaml has more than 65,536 bytes, which no such file needs.",
    ),
    Case(
        "params file",
        "a folder",
        partial(Path.mkdir, Path("study.yaml")),
        load,
        "study.yaml is a folder, not a file.",
    ),
    Case(
        "params file",
        "a file that is not there",
        lambda: write("params/quick/resnet56.yaml", "a: 1"),
        partial(load, "params/quick/resnt56.yaml"),
        "no params file at params/quick/resnt56.yaml (did you mean params/quick/resnet56.yaml?).",
    ),
    Case(
        "params file",
        "a name with a line break",
        nothing,
        partial(load, "a\nb.yaml"),
        r"no params file at a\nb.yaml.",
    ),
    Case(
        "params file",
        "a name of 300 letters",
        nothing,
        partial(load, "x" * 300),
        f"'{'x' * 99}… cannot be read: File name too long.",
    ),
]
