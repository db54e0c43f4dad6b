"""Arguments, example image and output files of the commands that prune networks."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, shown
from hpstudy.networks.models import MODELS, zeros
from hpstudy.networks.network_report import NetworkReport
from hpstudy.networks.onnx_export import save
from hpstudy.networks.sources import is_data

IMAGE_SIZE = 224
REPORT, WEIGHTS, ONNX = "report.json", "weights.pt", "model.onnx"


def factory_arguments(model: str, text: str, classes: int | None) -> dict[str, Any]:
    """Keyword arguments of a network, from JSON and the number of classes."""
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise HpstudyError(f"--arguments is not valid JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise HpstudyError(f"--arguments must be a JSON object, not {shown(arguments)}")
    if classes is None:
        return arguments
    if not is_data(model):
        raise HpstudyError(
            f"give the number of classes of {model} in --arguments, by the name of its parameter"
        )
    return arguments | {"classes" if model in MODELS else "num_classes": classes}


def example_image(model: str, image_size: int | None) -> Tensor:
    """Image of the given pixels a side; by default as in the thesis, or 224 for other networks."""
    if model in MODELS:
        return zeros(MODELS[model].image_size if image_size is None else image_size)
    size = IMAGE_SIZE if image_size is None else image_size
    if size < 1:
        raise HpstudyError(f"--image-size must be at least 1, not {size}")
    return torch.zeros(1, 3, size, size)


def check_output(output: Path | None, onnx: bool) -> None:
    """Refuse a place that cannot be written to, and ONNX without a folder, before any work."""
    if onnx and (output is None or output.suffix == ".json"):
        raise HpstudyError(f"--onnx needs --output FOLDER, into which {ONNX} is written")
    if output is not None and (
        not output.parent.is_dir() or (output.suffix == ".json" and output.is_dir())
    ):
        raise HpstudyError(
            f"--output must name a file *.json or a folder, in a folder that exists, not {output}"
        )


def write(output: Path, network: nn.Module, report: NetworkReport, onnx: bytes | None) -> None:
    """Write a report to a JSON file, or report, weights and an ONNX file to a folder."""
    text = json.dumps(report.model_dump(), indent=1) + "\n"
    try:
        if output.suffix == ".json":
            output.write_text(text, encoding="utf-8")
            return
        output.mkdir(exist_ok=True)
        (output / REPORT).write_text(text, encoding="utf-8")
        torch.save(network.state_dict(), output / WEIGHTS)
        if onnx is not None:
            save(onnx, output / ONNX)
    except OSError as error:
        raise HpstudyError(f"{output} cannot be written ({error.strerror})") from None
