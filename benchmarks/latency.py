"""How much faster networks get with their FLOPs: onnxruntime, one thread, batch 1.

    OMP_NUM_THREADS=1 python benchmarks/latency.py [--output FILE] [NAME ...]

A network, or a study of the book, after the other; each is written once it is measured, so that
the same command goes on where it was stopped. Dense and pruned take turns in every round. Weights
are random: they make no difference to the time. Needs the extras `deploy` and `timm`. About two
minutes a network.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import torch
from common import machine, markdown
from torch import Tensor, nn

from hpstudy.analysis.study_results import StudyResults, read_results
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.networks import measure_latency
from hpstudy.networks.cutting import without
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.flops import cost_model
from hpstudy.networks.graph import Inputs
from hpstudy.networks.groups import union
from hpstudy.networks.onnx_export import to_onnx
from hpstudy.networks.pruning import choose_channels, lowest_ratio
from hpstudy.networks.sources import open_network
from hpstudy.networks.verified_groups import OUTPUT, STEM, usable_groups, verified_groups
from hpstudy.networks.whole_groups import units_at_once

ROOT = Path(__file__).parents[1]
# Pixels a side, and those at which groups are verified: the channels of convolutions are the same.
NETWORKS = {
    "torchvision:mobilenet_v2": (224, 64),
    "torchvision:mobilenet_v3_large": (224, 64),
    "torchvision:efficientnet_b0": (224, 64),
    "timm:ghostnet_100": (224, 64),
    "torchvision:resnet18": (224, 64),
    "torchvision:resnet50": (224, 64),
    "torchvision:densenet121": (224, 64),
    "torchvision:regnet_y_400mf": (224, 64),
    "torchvision:squeezenet1_1": (224, 64),
    "torchvision:convnext_tiny": (224, 64),
    "timm:deit_tiny_patch16_224": (224, 224),
    "resnet56": (32, 32),
    "mobilenetv2": (32, 32),
}
TARGETS = [(ratio, step) for ratio in (0.6, 0.3, 0.2) for step in (None, 8)]
# Share of the FLOPs by which a target may be missed: rounded widths are coarse.
TOLERANCE = 0.02
THREADS = 1
# Networks on small images take a millisecond, which is noisier and costs nothing.
ROUNDS, MANY_ROUNDS = 51, 301


def onnx(model: nn.Module, image: Tensor) -> bytes:
    """Content of the ONNX file of a network."""
    return to_onnx(model, Inputs.of(image), any_batch=False).content


def pruned_networks(name: str) -> tuple[dict[str, bytes], dict[str, dict[str, object]], Tensor]:
    """ONNX of a network and of what it is pruned to, what each is, and the image."""
    pixels, fewer = NETWORKS[name]
    image = torch.zeros(1, 3, pixels, pixels)
    _, dense, small, _ = open_network(name, torch.zeros(1, 3, fewer, fewer), None, None)
    # Grouped convolutions have other units where widths are rounded.
    units = {
        step: usable_groups(
            verified_groups(name, dense, small, "inside", (STEM, OUTPUT), step)[1], exact=True
        )
        for step in dict.fromkeys(step for _, step in TARGETS)
    }
    costs = {step: cost_model(dense, Inputs.of(image), groups) for step, groups in units.items()}
    files, facts = {"dense": onnx(dense, image)}, {}
    for ratio, step in TARGETS:
        label = f"{ratio} {step or 1}"
        groups, cost = units[step], costs[step]
        at_once = {group.root: units_at_once(group, step) for group in groups}
        facts[label] = {
            "flops_ratio": ratio,
            "round_to": step,
            "lowest": lowest_ratio(cost, at_once),
        }
        try:
            kept = choose_channels(
                *(cost, {group.root: group.scores for group in groups}, "nonuniform", ratio),
                "l1-normalised",
                at_once=at_once,
                tolerance=TOLERANCE,
            )
        except HpstudyError:  # out of reach: the lowest ratio says so
            continue
        removed = union(group.without_units(kept[group.root]) for group in groups)
        widths = {root: len(units) for root, units in kept.items()}
        facts[label]["reached"] = cost.macs(widths) / cost.macs()
        files[label] = onnx(without(dense, removed), image)
    return files, facts, image


def measured(files: dict[str, bytes], image: Tensor) -> dict[str, dict[str, float]]:
    """Times of networks by their names, and how often each was measured."""
    rounds = ROUNDS if image.shape[-1] > 100 else MANY_ROUNDS
    times = measure_latency(files, image, THREADS, rounds).onnxruntime
    return {name: {**one.model_dump(), "rounds": rounds} for name, one in times.items()}


def network_rows(name: str) -> list[dict[str, object]]:
    """Rows of one network: what was asked, what was reached, and its time."""
    files, facts, image = pruned_networks(name)
    times = measured(files, image)
    dense = {"network": name, "pixels": image.shape[-1], "dense_seconds": times["dense"]["seconds"]}
    return [dense | asked | times.get(label, {}) for label, asked in facts.items()]


def study_rows(study: StudyResults) -> list[dict[str, object]]:
    """Rows of a study's networks, the dense one first."""
    data, made = study.record["study"]["data"], study.record["certificates"]
    size, classes = data["image_size"], next(iter(made.values()))["classes"]
    network, image = PrunableNetwork(study.model, classes, size), torch.zeros(1, 3, size, size)
    files = {DENSE: onnx(network.model, image)}
    files |= {
        variant: onnx(network.cut(network.model, report["kept"]), image)
        for variant, report in made.items()
    }
    times = measured(files, image)
    macs = {DENSE: network.cost.macs()} | {name: report["macs"] for name, report in made.items()}
    return [
        {"study": study.name, "variant": name, "macs": macs[name], **times[name]} for name in files
    ]


def main() -> None:
    """Measure what is missing, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    studies = read_results([ROOT / "book" / "results"])
    parser.add_argument("names", nargs="*", default=[*studies, *NETWORKS])
    measurements = ROOT / "book" / "measurements"
    parser.add_argument("--output", type=Path, default=measurements / "latency.json")
    given = parser.parse_args()
    content = {"networks": [], "studies": []}
    if given.output.exists():
        content = json.loads(given.output.read_text("utf-8"))
    content |= {"threads": THREADS, "batch": 1, "clock": "cpu", "machine": machine()}
    content["onnxruntime"] = version("onnxruntime")
    known = {
        row.get("network", row.get("study")) for row in content["networks"] + content["studies"]
    }
    for name in given.names:
        if name in known:
            continue
        if name in studies:
            content["studies"] += study_rows(studies[name])
        else:
            content["networks"] += network_rows(name)
        given.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(name, flush=True)
    print(machine())
    print(markdown(table(content["networks"])))


def table(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """A row a network: time as a share of dense for each target."""
    found: dict[object, dict[str, object]] = {}
    for row in rows:
        line = found.setdefault(row["network"], {"network": row["network"]})
        line["dense, ms"] = round(1e3 * row["dense_seconds"], 2)
        label = f"{row['flops_ratio']}" + (f", by {row['round_to']}" if row["round_to"] else "")
        line[label] = f"{row['ratio']:.2f}" if "ratio" in row else f"lowest {row['lowest']:.2f}"
    return list(found.values())


if __name__ == "__main__":
    main()
