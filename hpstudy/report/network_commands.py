"""The commands `hpstudy prune` and `hpstudy groups`."""

from pathlib import Path
from typing import Annotated

import typer

import hpstudy
from hpstudy.errors import HpstudyError
from hpstudy.report.terminal import Json, columns, print_report

Model = Annotated[
    str,
    typer.Argument(
        help="resnet20, resnet56, mobilenetv2-shallow, mobilenetv2, resnet50, torchvision:NAME, "
        "timm:NAME or package.module:factory."
    ),
]
Classes = Annotated[int | None, typer.Option(help="Number of classes; by default the network's.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Pixels per side; by default as in the thesis, or 224.")
]
Arguments = Annotated[
    str, typer.Option(help="Keyword arguments of the network as JSON, such as '{\"width\": 2}'.")
]


def prune(
    model: Model,
    *,
    flops_ratio: Annotated[
        float | None, typer.Option(help="Share of the FLOPs that remains.")
    ] = None,
    latency_ratio: Annotated[
        float | None,
        typer.Option(
            help="Instead of --flops-ratio: share of the dense time in onnxruntime, measured."
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="uniform (equal shares), or nonuniform (one ranking).")
    ],
    criterion: Annotated[
        str, typer.Option(help="l1 (filter norms), or l1-normalised (by their layer's mean).")
    ] = "l1-normalised",
    scope: Annotated[
        str, typer.Option(help="inside (channels inside blocks), or all (residual ones too).")
    ] = "inside",
    round_to: Annotated[int | None, typer.Option(help="Make widths multiples of this.")] = None,
    tolerance: Annotated[
        float, typer.Option(help="Allowed error of the share; small networks have few channels.")
    ] = 0.001,
    spare: Annotated[
        list[str] | None,
        typer.Option(help="Layers that keep all channels, such as layer4.*; may be repeated."),
    ] = None,
    exact: Annotated[
        bool, typer.Option(help="Keep channels over which a normalisation takes statistics.")
    ] = True,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="State dict or checkpoint that ranks the filters; by default untrained weights."
        ),
    ] = None,
    classes: Classes = None,
    image_size: ImageSize = None,
    arguments: Arguments = "{}",
    output: Annotated[
        Path | None,
        typer.Option(help="JSON file for the report, or folder for report and weights."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write the pruned network as ONNX too, and check it.")
    ] = False,
    latency: Annotated[
        bool, typer.Option("--latency", help="Time both networks, with one thread.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prune one network; print a report from which it can be rebuilt."""
    from hpstudy.networks import files, onnx_export
    from hpstudy.networks import latency as timing
    from hpstudy.networks.graph import Inputs
    from hpstudy.networks.sources import build_network

    if (flops_ratio is None) == (latency_ratio is None):
        raise HpstudyError("give one of --flops-ratio and --latency-ratio")
    files.check_output(output, onnx)
    if onnx or latency:
        onnx_export.check_packages()
    image = files.example_image(model, image_size)
    given = files.factory_arguments(model, arguments, classes)
    network, report = hpstudy.prune(
        *(model, image, flops_ratio, method, criterion, scope),
        round_to=round_to,
        spare=("stem", "output", *(spare or ())),
        exact=exact,
        tolerance=tolerance,
        arguments=given,
        weights=weights,
        latency_ratio=latency_ratio,
    )
    if latency and report.latency is None:
        networks = {"dense": build_network(model, given), "pruned": network}
        times = timing.measure_latency(networks, image)
        report = report.model_copy(update={"latency": times})
    exported = onnx_export.to_onnx(network, Inputs.of(image)) if onnx else None
    if exported is not None:
        report = report.model_copy(update={"onnx": exported.report})
    if output is not None:
        files.write(output, network, report, exported and exported.content)
    print_report(report.model_dump(), as_json, columns(report.facts().items()))


def groups(
    model: Model,
    classes: Classes = None,
    image_size: ImageSize = None,
    arguments: Arguments = "{}",
    as_json: Json = False,
) -> None:
    """List the channels of a network that can be pruned, and why others cannot."""
    from hpstudy.networks.files import example_image, factory_arguments

    given = factory_arguments(model, arguments, classes)
    found = hpstudy.groups(model, example_image(model, image_size), given)
    rows = [
        (group.root, f"{group.channels:,}", group.scope, group.status, group.sentence)
        for group in found
    ]
    headings = "layer", "channels", "scope", "status", ""
    note = "Scope inside is pruned by default, with --scope all residual too; the rest is spared."
    values = [group.model_dump() for group in found]
    print_report(values, as_json, columns(rows, *headings, right=[1]), "", note)
