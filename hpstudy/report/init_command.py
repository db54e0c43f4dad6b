"""The command `hpstudy init`: copies of a working example, to start one's own study from."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from hpstudy.analysis.timescale import Schedule, expected_prior
from hpstudy.config.command_study import CommandStudy
from hpstudy.config.study import FOLDER, Study
from hpstudy.config.validation import one_sentence
from hpstudy.errors import HpstudyError, listed
from hpstudy.report.timescale_tables import read_schedule
from hpstudy.training.image_folders import class_folders

# The example's values, which --model and --data replace.
MODEL, DATA = "nets:make", "fashion-mnist-8k"
NETWORK, SCRIPT = "nets.py", "train.py"


def init(
    file: Annotated[Path, typer.Argument(help="Params file to write.")] = Path("mine.yaml"),
    model: Annotated[
        str | None,
        typer.Option(
            help="package.module:factory, torchvision:NAME or timm:NAME; by default, an example "
            f"network is written to {NETWORK}."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="fashion-mnist-8k, folder:PATH, torchvision:NAME or package.module:factory."
        ),
    ] = DATA,
    command: Annotated[
        bool, typer.Option("--command", help=f"Train with your own script, {SCRIPT}.")
    ] = False,
    prior_from: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Published table; the prior is the centre of its good region, transferred to this "
            "schedule.",
        ),
    ] = None,
) -> None:
    """Write a params file that is ready to run, and its files; overwrite nothing."""
    folder = file.parent
    texts = {file: _example("command.yaml" if command else "study.yaml")}
    if command:
        texts[folder / SCRIPT] = _example(SCRIPT)
    if model is None:
        texts[folder / NETWORK] = _example(NETWORK)
    named = {"name: mine ": f"name: {file.stem} "}
    if classes := _classes(data):
        named |= {"num_classes: 10} ": f"num_classes: {classes}}} "}
    named |= {_quoted(MODEL): _quoted(model or MODEL), _quoted(DATA): _quoted(data)}
    for path, text in texts.items():
        for old, new in named.items():
            text = text.replace(old, new)
        texts[path] = text
        if path.exists() and path.read_bytes() != text.encode():
            again = f", or name your network by --model {MODEL}" * (path.name == NETWORK)
            raise HpstudyError(
                f"{path} is there already, and init overwrites nothing; write into another "
                f"folder{again}"
            )
    kind = CommandStudy if command else Study
    try:
        study = kind.model_validate(yaml.safe_load(texts[file]))
    except ValidationError as error:
        raise HpstudyError(f"{file}: {one_sentence(error, kind)}") from None
    if prior_from is not None:
        if not isinstance(study, Study):
            raise HpstudyError("the schedule of a command is not known; leave out --prior-from.")
        texts[file] = re.sub("(?m)^prior: .*$", _prior(study, prior_from), texts[file])
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HpstudyError(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {listed(map(str, texts))}\nnext: hpstudy cost {file}, then hpstudy run {file}")


def _prior(study: Study, table: Path) -> str:
    """Line of a params file with the prior that another study's good region gives."""
    from hpstudy.training.datasets import dataset_size

    old, recipe = read_schedule(table), study.recipe
    new = Schedule(
        dataset_size(study.data).train, recipe.batch_size, recipe.epochs, recipe.momentum
    )
    lr, weight_decay = expected_prior(old, new)
    if not lr > 0:
        raise HpstudyError(f"{table} has too few settings for a region of its dense network.")
    prior = f"prior: {{lr: {lr:.2g}, weight_decay: {weight_decay:.2g}}}"
    return f"{prior:<48}# centre of {table.name}'s good region, transferred to this schedule"


def _classes(data: str) -> int:
    """Number of classes of a folder of images; 0 if it is none, or is not there."""
    path = Path(data.removeprefix(f"{FOLDER}:"))
    inside = path / "train" if (path / "train").is_dir() else path
    return len(class_folders(inside)) if data.startswith(f"{FOLDER}:") else 0


def _example(name: str) -> str:
    return (resources.files("hpstudy") / "example" / name).read_text(encoding="utf-8")


def _quoted(text: str) -> str:
    """Text as a string of YAML and of Python."""
    return json.dumps(text, ensure_ascii=False)
