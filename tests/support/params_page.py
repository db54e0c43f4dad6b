"""Write the reference of params files from their JSON schema, and the schema itself.

python tests/support/params_page.py
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from hpstudy.config.command_study import CommandStudy
from hpstudy.config.study import Study

BOOK = Path(__file__).resolve().parents[2] / "book"
SCHEMA = BOOK / "_static" / "params.schema.json"
PAGE = BOOK / "params.md"
HEAD = "| key | value | default | meaning |"
COMMAND_HEAD = HEAD.replace("key", "key with a command")
MEANINGS = {
    "name": "Name of the study; its table and its page bear it.",
    "model": "Network: one of the study's, `torchvision:NAME`, `timm:NAME`, or "
    "`package.module:factory`, your own function.",
    "arguments": "Keyword arguments of its factory. The number of classes comes from the data.",
    "stem": "`small` makes a stem for small images: the first convolution gets kernel 3 and stride "
    "1, and the max pool before the second one goes.",
    "scope": "Prune channels inside blocks, or those of the residual stream too.",
    "spare": "Layers that keep all channels, such as `layer4.*`.",
    "round_to": "Widths become multiples of it, where groups allow.",
    "exact": "Whether channels over which a normalisation takes statistics are kept.",
    "tolerance": "Share of the dense FLOPs by which a ratio may be missed.",
    "data.name": "`fashion-mnist-8k` (part of the package), `fashion-mnist`, `cifar10`, "
    "`cifar100`, `imagenet`, `folder:PATH` with one folder a class, `torchvision:NAME`, or "
    "`package.module:factory`, which returns images and labels.",
    "data.image_size": "Height and width in pixels; larger images are reduced.",
    "data.train_images": "Number of training images; all if not given.",
    "data.test_images": "Number of test images; all if not given.",
    "data.holdout": "`test`, or the share of the training images that networks are tested on.",
    "data.arguments": "Arguments of the set of torchvision, or of the function.",
    "recipe.epochs": "Number of epochs.",
    "recipe.batch_size": "Images a step.",
    "recipe.momentum": "Momentum of SGD.",
    "recipe.lr_decay": "Factor of the learning rate at each decay.",
    "recipe.lr_decay_epochs": "Epochs after which the learning rate decays.",
    "prior.lr": "Learning rate in the middle of the grid.",
    "prior.weight_decay": "Weight decay in the middle of the grid.",
    "grid.lr": "Learning rates: an axis, or a list.",
    "grid.weight_decay": "Weight decays: an axis, or a list, which may hold 0.",
    "variants": "`unpruned`, and METHOD-RATIO such as `uniform-0.6`: the method of pruning and the "
    "share of the FLOPs that remains.",
    "criterion": "Score of filters: `l1`, or `l1-normalised` by the mean of their layer.",
    "seeds": "Seeds of every setting.",
    "replicates.seeds": "Further seeds of the settings in regions of interest.",
    "replicates.random": "Number of settings outside the regions that are repeated too.",
    "roi": "Widths of the regions of interest, in percentage points.",
    "design": "`grid` trains every setting of every network. `level-set` skips those that can "
    "hardly lie in the widest region of interest. `retune` trains the dense network's grid, and "
    "then the settings of each pruned network that decide whether it may keep the dense one's; the "
    "smallest of `roi` is the tolerable loss.",
    "design.name": "Name of the design, where `design` has further keys.",
    "design.batch": "Number of settings of a network that are trained at once.",
    "design.budget": "Most trainings of each pruned network, with `retune`.",
    "arithmetic": "Precision of products; `auto` measures which is fastest. With `-over8`, eight "
    "GPUs of this machine train each run together.",
    "executor": "Who trains: this machine, or a Ray cluster.",
    "racing": "Always false. Kept so that params files of earlier versions can be read.",
    "axis.points": "Number of values.",
    "axis.step": "Distance of two values, in decades.",
    "axis.extend": "Number of steps that may be added on each side while the region of interest "
    "touches it.",
}
COMMAND_MEANINGS = {
    "command": "Program and arguments, with placeholders; no shell runs it.",
    "metric.from": "Where the metric is read: lines that are JSON objects, a CSV file, or a "
    "regular expression.",
    "metric.key": "Its key or column, and its name in the table.",
    "metric.pattern": "Regular expression with one group.",
    "metric.file": "File in the run's folder; by default what the command prints.",
    "metric.goal": "Whether more or less of it is better.",
    "metric.unit": "`percent`, `fraction` (0 to 1, published in percent), or a word of yours.",
    "grid": "One or two hyperparameters by name: each an axis, or a list, which may hold 0.",
    "prior": "The same names with the values in the middle of the grid.",
    "fixed": "Values of other placeholders.",
    "files": "Further files whose content can change the numbers.",
    "variants": "As above. Without any, the dense network alone is trained.",
    "model": "Network that hpstudy prunes: `torchvision:NAME`, `timm:NAME` or "
    "`package.module:factory`. Without it, the command prunes.",
    "arguments": "Keyword arguments of its factory, the number of classes among them.",
    "input_shape": "Shape of an input, such as `[3, 32, 32]`; by default that of ImageNet.",
    "weights": "File of weights that rank the filters; `{out}/weights.pt` is what the dense "
    "network's run at the prior leaves.",
    "roi": "Widths of the regions of interest, in the published unit of the metric; only "
    "percentages have a default.",
    "timeout": "Seconds after which a run has failed.",
}


def rows() -> list[str]:
    """Lines of the table: one a key, in the order of the schema."""
    schema = Study.model_json_schema()
    lines = [*_rows(schema, schema["$defs"], ""), *_rows(schema["$defs"]["Axis"], {}, "axis.")]
    return [HEAD, "|---" * 4 + "|", *lines]


def command_rows() -> list[str]:
    """Lines of the table of studies that a command trains."""
    schema = CommandStudy.model_json_schema()
    lines = _rows(schema, schema["$defs"], "", MEANINGS | COMMAND_MEANINGS)
    return [COMMAND_HEAD, "|---" * 4 + "|", *lines]


def _rows(
    part: dict[str, Any], parts: dict[str, Any], prefix: str, meanings: dict[str, str] = MEANINGS
) -> list[str]:
    lines = []
    for name, field in part["properties"].items():
        choices = [choice for choice in field.get("anyOf", [field]) if choice != {"type": "null"}]
        within: list[str] = []
        inner = [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]
        if inner and inner != ["Axis"]:
            within = _rows(parts[inner[0]], parts, f"{prefix}{name}.", meanings)
            choices = [choice for choice in choices if "$ref" not in choice]
            if not choices:
                lines += within
                continue
        key, default = prefix + name, field.get("default")
        # A word may stand for a mapping.
        default = default["name"] if isinstance(default, dict) and default else default
        default = "" if "default" not in field else f"`{json.dumps(default)}`"
        default = "required" if name in part.get("required", ()) else default
        values = " or ".join(_value(choice) for choice in choices)
        lines += [f"| `{key}` | {values} | {default} | {meanings[key]} |", *within]
    return lines


def _value(field: dict[str, Any]) -> str:
    """Type and bounds of a value, as "integer, at least 1"."""
    if "$ref" in field:
        return "axis"
    if "const" in field or "enum" in field:
        words = field.get("enum", [field.get("const")])
        return ", ".join("`" + json.dumps(word).strip('"') + "`" for word in words)
    if field["type"] == "array":
        return f"list of: {_value(field['items'])}"
    if "pattern" in field and ":" in field["pattern"]:
        return "SOURCE:NAME"
    if "-over" in field.get("pattern", ""):
        return "one of these with `-over2` to `-over99`"
    if field["type"] == "object":
        return "mapping"
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {field[key]:,}" for key, word in bounds.items() if key in field]
    return ", ".join([field["type"], *limits])


def page() -> str:
    """Text of the page."""
    text = PAGE.read_text(encoding="utf-8")
    for head, lines in ((HEAD, rows()), (COMMAND_HEAD, command_rows())):
        start = text.index(head)
        end = text.index("\n\n", start)
        text = text[:start] + "\n".join(lines) + text[end:]
    return text


def schema() -> str:
    """Text of the published JSON schema, of studies of either kind."""
    either: TypeAdapter[Study | CommandStudy] = TypeAdapter(Study | CommandStudy)
    return json.dumps(either.json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
