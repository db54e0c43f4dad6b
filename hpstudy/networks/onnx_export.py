"""Export of a network to ONNX, checked against torch."""

import contextlib
import copy
import inspect
import io
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks.graph import Inputs

# Largest difference that is allowed, as a share of the largest output. Float32 in another order of
# summation gave at most 1e-5 over 73 networks.
TOLERANCE = 1e-4
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class OnnxReport(BaseModel, frozen=True, extra="forbid"):
    """What an export is worth.

    `difference` is the largest absolute difference between onnxruntime's and torch's outputs for
    random inputs, divided by the largest absolute value of that output. `dynamic_batch` says
    whether the file takes batches of any size, or only that of the example inputs.
    """

    difference: float
    dynamic_batch: bool


class Exported(NamedTuple):
    """Content of an ONNX file, and what it is worth."""

    content: bytes
    report: OnnxReport


def check_packages() -> None:
    """Raise HpstudyError if a package that export and latency need is missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise HpstudyError(
            f"ONNX needs the package {missing[0]}; type `pip install 'hpstudy[deploy]'`"
        )


# The text is for the documentation, which is built without torch.
def export_onnx(model: "nn.Module", inputs: Any, path: str | Path) -> OnnxReport:
    """Write a network, in evaluation mode, to an ONNX file that gives the same outputs.

    The batch may have any size where torch's exporter can follow it, or else that of the inputs.
    The file is checked before it is written: onnxruntime runs it on random inputs.

    Parameters
    ----------
    model : torch.nn.Module
        Network, which is not changed.
    inputs : tensor, tuple or dict
        Arguments of its forward; the first dimension of tensors is the batch.
    path : path
        File to write. A file of that name is replaced, once the new one is whole.

    Returns
    -------
    OnnxReport
        Difference of the outputs, and whether batches of any size are taken.

    Raises
    ------
    HpstudyError
        If a package is missing, the network cannot be exported, its outputs differ by more than
        `TOLERANCE`, or the file cannot be written. No file is left then.
    """
    check_packages()
    exported = to_onnx(model, Inputs.of(inputs))
    save(exported.content, Path(path))
    return exported.report


def save(content: bytes, path: Path) -> None:
    """Write a file whole or not at all; raises HpstudyError if it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise HpstudyError(f"{path} cannot be written ({error.strerror})") from None


def to_onnx(model: nn.Module, inputs: Inputs, any_batch: bool = True) -> Exported:
    """Content of the ONNX file of a network, checked as in `export_onnx`."""
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    inputs = inputs.map(lambda tensor: tensor.detach().cpu())
    if any_batch and (pair := _doubled(inputs)):
        # A batch of one would be taken for a constant.
        with contextlib.suppress(HpstudyError):
            content = _exported(model, pair, dynamic=True)
            difference = max(_difference(content, model, given) for given in (inputs, pair))
            return Exported(content, OnnxReport(difference=difference, dynamic_batch=True))
    content = _exported(model, inputs, dynamic=False)
    difference = _difference(content, model, inputs)
    return Exported(content, OnnxReport(difference=difference, dynamic_batch=False))


def session(content: bytes | str, threads: int = 1) -> Any:
    """Session of onnxruntime on the CPU, from the content of a file or its path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that wait for work would take the cores of whatever else is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed(running: Any, inputs: Inputs) -> dict[str, Any]:
    """Arrays of the inputs under the names that a session has for them."""
    names = [one.name for one in running.get_inputs()]
    arrays = [tensor.detach().cpu().numpy() for tensor in inputs.tensors()]
    if len(names) != len(arrays):
        raise HpstudyError(
            f"the ONNX network takes the inputs {', '.join(names)}, but {len(arrays)} tensors are "
            "given; each tensor must be an argument of its own"
        )
    return dict(zip(names, arrays, strict=True))


def _doubled(inputs: Inputs) -> Inputs | None:
    """The inputs with a batch of twice the size; None where they have no common batch."""
    sizes = {tensor.shape[:1] for tensor in inputs.tensors()}
    if len(sizes) > 1 or sizes == {torch.Size([])}:
        return None
    return inputs.map(lambda tensor: torch.cat([tensor, tensor]))


def _exported(model: nn.Module, inputs: Inputs, dynamic: bool) -> bytes:
    shapes = None
    try:
        if dynamic:
            bound = inspect.signature(model.forward).bind(*inputs.args, **inputs.kwargs)
            shapes = {name: _batch_axes(value) for name, value in bound.arguments.items()}
        with _quiet():
            program: Any = torch.onnx.export(
                *(model, inputs.args),
                kwargs=inputs.kwargs,
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
            content: bytes = program.model_proto.SerializeToString()
    except Exception as error:  # whatever the exporter raises
        raise HpstudyError(f"torch cannot export the network to ONNX: {one_line(error)}") from None
    return content


def _batch_axes(value: Any) -> Any:
    """An argument with the mark of a batch in place of each tensor."""
    if isinstance(value, Tensor):
        return {0: torch.export.Dim.DYNAMIC}
    if isinstance(value, Mapping):
        return {key: _batch_axes(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(map(_batch_axes, value))
    return None


def _difference(content: bytes, model: nn.Module, inputs: Inputs) -> float:
    """Largest difference of the outputs for random inputs; refused where it is too large."""
    generator = torch.Generator().manual_seed(0)

    def drawn(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():  # indices and masks have meanings
            return tensor
        return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)

    inputs = inputs.map(drawn)
    with torch.inference_mode():
        expected = inputs.run(model)
    try:
        running = session(content)
        found = running.run(None, feed(running, inputs))
    except HpstudyError:
        raise
    except Exception as error:  # whatever onnxruntime raises
        raise HpstudyError(f"onnxruntime cannot run the network: {one_line(error)}") from None
    difference = max(map(_relative, map(torch.from_numpy, found), expected), default=math.inf)
    # Written so that a difference that is no number is refused too.
    if not difference <= TOLERANCE:
        raise HpstudyError(
            f"onnxruntime's outputs differ from torch's by {difference:.1e} of the largest, more "
            f"than {TOLERANCE:g}"
        )
    return difference


def _relative(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return math.inf
    if not expected.numel():
        return 0.0
    gap, scale = (found.double() - expected.double()).abs().max(), expected.double().abs().max()
    return float(gap / scale) if scale else float(gap)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context in which the exporter prints nothing."""
    before = logging.root.manager.disable
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.callback(logging.disable, before)
        logging.disable(logging.ERROR)
        yield
