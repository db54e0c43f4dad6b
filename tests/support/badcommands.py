"""Bad parameters of the notebooks and bad command lines (`badinput.Case`)."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
from badinput import Case, command, nothing, write

from hpstudy.workspace import ROOT_MARKS, open_notebook

# --- papermill ------------------------------------------------------------------------------------

# The defaults of the notebook's parameters cell.
PARAMETERS = {
    "model": "resnet56",
    "profile": "quick",
    "pruning": "all",
    "params": "",
    "data_root": "",
    "workers": 0,
    "results": [],
}
REPOSITORY = Path(__file__).parents[2]


def make_clone() -> None:
    """Make the files that mark a clone, and one params file for each profile."""
    for mark in ROOT_MARKS:
        write(mark, "")
    for profile in ("quick", "thesis"):
        write(f"params/{profile}/resnet56.yaml", "")
    tiny.write_study(Path("own.yaml"))


def parameter(what: str, changes: dict[str, Any], sentence: str) -> Case:
    """Case of `papermill notebooks/sweep.ipynb` with other parameters."""
    act = partial(open_notebook, PARAMETERS | changes)
    return Case("papermill parameter", what, make_clone, act, sentence)


def _page() -> None:
    from hpstudy.report.execute import Page, execute

    page = Page(REPOSITORY / "notebooks" / "study.ipynb", "x", {"studdy": "quick-resnet56"})
    execute([page], Path(), Path())


PAPERMILL = [
    parameter(
        "a parameter, misspelt",
        {"modle": "resnet50"},
        f"parameters: unknown key 'modle' (did you mean 'model'?); valid: {', '.join(PARAMETERS)}.",
    ),
    parameter(
        "a learning rate",
        {"lr": 0.1},
        f"parameters: unknown key 'lr'; valid: {', '.join(PARAMETERS)}.",
    ),
    parameter(
        "workers as text", {"workers": "2"}, "parameters: workers must be a valid integer, not '2'."
    ),
    parameter(
        "true as workers",
        {"workers": True},
        "parameters: workers must be a valid integer, not True.",
    ),
    parameter(
        "a fraction of a worker",
        {"workers": 0.5},
        "parameters: workers must be a valid integer, not 0.5.",
    ),
    parameter(
        "a negative number of workers",
        {"workers": -1},
        "parameters: workers must be greater than or equal to 0, not -1.",
    ),
    parameter(
        "None as a model", {"model": None}, "parameters: model must be a valid string, not None."
    ),
    parameter(
        "a list of models", {"model": ["a"]}, "parameters: model must be a valid string, not ['a']."
    ),
    parameter(
        "a model that has no params file",
        {"model": "resnt56"},
        "unknown model 'resnt56' (did you mean 'resnet56'?); valid: resnet56.",
    ),
    parameter(
        "a path for a model",
        {"model": "../../own"},
        "unknown model '../../own'; valid: resnet56.",
    ),
    parameter(
        "an unknown profile",
        {"profile": "thesys"},
        "unknown profile 'thesys' (did you mean 'thesis'?); valid: quick, thesis.",
    ),
    parameter(
        "a variant, misspelt",
        {"params": "own.yaml", "pruning": "unifrom-0.2"},
        "unknown pruning 'unifrom-0.2' (did you mean 'uniform-0.2'?); valid: all, unpruned, "
        "uniform-0.2.",
    ),
    parameter(
        "a missing params file",
        {"params": "params/quick/resnet5.yaml"},
        "no params file at params/quick/resnet5.yaml (did you mean 'params/quick/resnet56.yaml'?).",
    ),
    Case(
        "papermill parameter",
        "a parameter of a page, misspelt",
        nothing,
        _page,
        "unknown parameter of study.ipynb 'studdy' (did you mean 'study'?); valid: study, results.",
    ),
]

# --- command lines --------------------------------------------------------------------------------

RUNS = "variant,lr,weight_decay,seed,top1\nunpruned,0.1,1e-4,0,93\nthin,0.1,1e-4,0,92\n"
PRUNE = ("prune", "resnet56", "--flops-ratio", "0.6", "--method", "uniform")


def _runs() -> None:
    write("runs.csv", RUNS)
    tiny.write_study(Path("tiny.yaml"))


def line(arguments: str | tuple[str, ...], sentence: str) -> Case:
    """Case of `hpstudy` with these arguments beside a table of runs and a params file."""
    arguments = arguments.split() if isinstance(arguments, str) else arguments
    text = repr(" ".join(["hpstudy", *arguments]))[1:-1]
    shown = text if len(text) < 80 else f"{text[:60]}…"
    return Case("command line", shown, _runs, partial(command, *arguments), sentence)


COMMANDS = [
    line(
        "init tiny.yaml",
        "tiny.yaml is there already, and init overwrites nothing; write into another folder.",
    ),
    line(
        "init new.yaml --model Net",
        "new.yaml: unknown model 'Net'; valid: resnet20, resnet56, mobilenetv2-shallow, "
        "mobilenetv2, resnet50, torchvision:NAME, timm:NAME or package.module:factory.",
    ),
    line(
        "init gone/new.yaml",
        "gone/new.yaml cannot be written: No such file or directory.",
    ),
    line(
        "retune runs.csv",
        "'unpruned' has 1 setting with a value above 0 on all axes; retuning needs at least 6.",
    ),
    line(
        "retune runs.csv gone.csv",
        "no table at gone.csv; before the first training of the pruned network, give the dense "
        "network's alone.",
    ),
    line(
        "retune runs.csv --pruned thick",
        "unknown pruned network 'thick' (did you mean 'thin'?); valid: thin.",
    ),
    line(
        "retune runs.csv --kept high",
        "--kept takes numbers, as 0.1,0.0005; not 'high'.",
    ),
    line(
        "retune runs.csv --tolerable 0",
        "a retuning needs a tolerable loss above 0, and a batch and a budget of 1 or more; not 0, "
        "1 and 30.",
    ),
    line(
        "transfer gone.csv --epochs 8 --batch-size 64",
        "no table at gone.csv.",
    ),
    line("cost tiny.yml", "no params file at tiny.yml."),
    line(
        "run tiny.yaml --pruning ../x",
        "unknown pruning '../x'; valid: all, unpruned, uniform-0.2.",
    ),
    line(
        "cost runs.csv",
        "runs.csv must hold keys and values, not "
        "'variant,lr,weight_decay,seed,top1 unpruned,0.1,1e-4,0,93 thin,0.1,1e-4,0,92'.",
    ),
    line(
        ("prune", "<b>", *PRUNE[2:]),
        "unknown model '<b>'; valid: resnet20, resnet56, mobilenetv2-shallow, mobilenetv2, "
        "resnet50, torchvision:NAME, timm:NAME or package.module:factory.",
    ),
    line(
        (*PRUNE[:4], "--method", "unifrom"),
        "unknown method 'unifrom' (did you mean 'uniform'?); valid: uniform, nonuniform.",
    ),
    line(
        (*PRUNE, "--criterion", "l2"),
        "unknown criterion 'l2' (did you mean 'l1'?); valid: l1, l1-normalised.",
    ),
    line(
        "prune resnet56 --flops-ratio nan --method uniform",
        "flops_ratio must be above 0 and at most 1, not nan.",
    ),
    line(
        "prune resnet56 --flops-ratio 0.01 --method uniform",
        "flops_ratio 0.01 is out of reach: resnet56 keeps at least 0.0401 of its FLOPs with scope "
        "'inside' (27 groups pruned, 0 refused).",
    ),
    line(
        "prune resnet56 --flops-ratio=-inf --method uniform",
        "flops_ratio must be above 0 and at most 1, not -inf.",
    ),
    line((*PRUNE, "--classes", "1"), "a classifier needs at least 2 classes, not 1."),
    line(
        (*PRUNE, "--classes", "1000000000"),
        "a classifier has at most 100,000 classes, not 1,000,000,000.",
    ),
    line((*PRUNE, "--image-size", "7"), "images of 7 pixels are outside 8 to 224."),
    line(
        (*PRUNE, "--output", "gone/x.json"),
        "--output must name a file *.json or a folder, in a folder that exists, not gone/x.json.",
    ),
    line(
        (*PRUNE, "--output", "gone/x"),
        "--output must name a file *.json or a folder, in a folder that exists, not gone/x.",
    ),
    line((*PRUNE, "--onnx"), "--onnx needs --output FOLDER, into which model.onnx is written."),
    line(
        "prune resnet56 --onnx --output x.json --flops-ratio 1 --method uniform",
        "--onnx needs --output FOLDER, into which model.onnx is written.",
    ),
    line(
        "prune resnet56 --method uniform",
        "give one of --flops-ratio and --latency-ratio.",
    ),
    line(
        (*PRUNE, "--latency-ratio", "0.5"),
        "give one of --flops-ratio and --latency-ratio.",
    ),
    line(
        "prune resnet56 --latency-ratio 50 --method uniform",
        "latency_ratio must be above 0 and at most 1, not 50.0.",
    ),
    line((*PRUNE, "--arguments", "[1]"), "--arguments must be a JSON object, not [1]."),
    line(
        (*PRUNE, "--scope", "al"), "unknown scope 'al' (did you mean 'all'?); valid: inside, all."
    ),
    line((*PRUNE, "--round-to", "0"), "round_to must be a whole number from 1, not 0."),
    line(
        (*PRUNE, "--image-size", "8", "--spare", "fd"),
        "no layer matches 'fd', which is to be spared (did you mean 'fc'?); "
        "`hpstudy groups` lists the layers.",
    ),
    line(
        ("prune", "gone:make", *PRUNE[2:]),
        "gone:make cannot be imported: there is no module 'gone' in FOLDER or among the installed "
        "packages.",
    ),
    line("compare gone.csv", "there is no file 'gone.csv'."),
    line(("compare", "a\nb.csv"), r"there is no file 'a\nb.csv'."),
    line("compare .", ". is a folder, not a file."),
    line("compare runs.csv runs.csv", "name each table once, and at least one."),
    line(
        "compare runs.csv --roi 0.5,0",
        "--roi takes positive numbers separated by commas, such as 0.5,1.0; not '0'.",
    ),
    line(
        "compare runs.csv --roi nan",
        "--roi takes positive numbers separated by commas, such as 0.5,1.0; not 'nan'.",
    ),
    line(
        "compare runs.csv --roi 1e999",
        "--roi takes positive numbers separated by commas, such as 0.5,1.0; not '1e999'.",
    ),
    line(
        "compare runs.csv --axes lr,lr",
        "a landscape has one axis or two different ones, not lr, lr.",
    ),
    line(
        "compare runs.csv --axes lr,top1",
        "'top1' cannot be an axis: name the column of a hyperparameter, not variant, seed, state, "
        "top1, top5, best_top1, value, std, seeds, diverged, stopped.",
    ),
    line(
        "compare runs.csv --axes lr,momentum",
        "runs.csv lacks the column momentum; name it by --columns momentum=COLUMN; it has: "
        "variant, lr, weight_decay, seed, top1.",
    ),
    line(
        "compare runs.csv --metric top9",
        "runs.csv has no column 'top9' (did you mean 'top1'?) for --metric; name it for one "
        "file by --columns runs.csv:top1=COLUMN; it has: variant, lr, weight_decay, seed, top1.",
    ),
    line("compare runs.csv --goal up", "--goal takes maximize, minimize; not 'up'."),
    line("compare runs.csv --epoch first", "--epoch takes last, best; not 'first'."),
    line(
        "compare runs.csv --where top1",
        "--where takes a pair such as optimizer=sgd; not 'top1'.",
    ),
    line(
        "compare runs.csv --where seed=9",
        "no row of runs.csv has seed=9; values there: 0.",
    ),
    line(
        "compare runs.csv --variant-by depth",
        "--variant-by names the column 'depth', which runs.csv lacks; there: variant, lr, "
        "weight_decay, seed, top1.",
    ),
    line(
        "compare runs.csv --std top1",
        "means need both --std COLUMN and --runs, a number or a column of counts.",
    ),
    line(
        "compare runs.csv --columns lr",
        "--columns takes pairs such as lr=params_lr, separated by commas; not 'lr'.",
    ),
    line(
        "compare runs.csv --columns lr=eta",
        "runs.csv has no column 'eta' for lr; name it for one file by --columns "
        "runs.csv:lr=COLUMN; it has: variant, lr, weight_decay, seed, top1.",
    ),
    line("compare runs.csv --columns lr=lr,lr=seed", "--columns names lr twice: lr and seed."),
    line(
        "compare runs.csv --columns lr=seed,weight_decay=seed",
        "--columns names seed for lr and weight_decay; a column is one thing. For a sweep of one "
        "hyperparameter add --axes lr.",
    ),
    line(
        "compare runs.csv --dense full",
        "there are no rows of the dense network 'full'; name it by --dense; variants there: "
        "unpruned, thin.",
    ),
    line(
        "compare runs.csv --percent",
        "line 2 of runs.csv: top1 is '93', but with --percent must be a fraction from 0 to 1 "
        "(2 such lines); leave out --percent.",
    ),
    line(
        "book",
        "no clone of hpstudy in FOLDER or above it: a folder that holds notebooks/sweep.ipynb and "
        "book/_toc.yml; change into one.",
    ),
]
