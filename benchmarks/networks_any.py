"""What can be pruned of public networks, how exactly, and what comes of it.

    OMP_NUM_THREADS=1 python benchmarks/networks_any.py [--output FILE] [--rounds 21] [NAME ...]

A row a network, written after each, so that a table that was stopped goes on. Weights are random.
Needs the extras `deploy` and `timm`. Some seconds to two minutes a network.

Every target is reached from one trace: the channels are chosen, the cut network is compared with
the dense one in float64, and its operators are counted. Then `prune` cuts the network to 30 % of
its FLOPs with widths that are multiples of 8, or as near as it gets. This network is rebuilt from
its report, trained for a step, exported, and timed in turns with the dense one.
"""

import argparse
import copy
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import machine
from torch import nn

from hpstudy.errors import HpstudyError, one_line
from hpstudy.networks import NetworkReport, measure_latency, prune, rebuild
from hpstudy.networks.cutting import without
from hpstudy.networks.flops import CostModel, cost_model, measured_macs
from hpstudy.networks.graph import Inputs, tensors
from hpstudy.networks.groups import Group, union
from hpstudy.networks.onnx_export import to_onnx
from hpstudy.networks.pruning import choose_channels, lowest_ratio
from hpstudy.networks.sources import open_network
from hpstudy.networks.verification import Probe
from hpstudy.networks.verified_groups import OUTPUT, verified_groups

ROOT = Path(__file__).parents[1]
TORCHVISION = (
    "resnet18 resnet34 resnet50 resnext50_32x4d wide_resnet50_2 alexnet vgg16_bn densenet121 "
    "googlenet inception_v3 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large "
    "mnasnet1_0 shufflenet_v2_x1_0 regnet_x_400mf regnet_y_400mf efficientnet_b0 "
    "efficientnet_v2_s convnext_tiny vit_b_16 swin_t"
)
TIMM = (
    "resnet50d resnetv2_50 resnetv2_50x1_bit seresnet18 seresnet50 skresnet18 resnest14d "
    "res2net50_26w_4s cspresnet50 cspdarknet53 dla34 dpn68 selecsls42 gernet_s regnetz_005 "
    "nfnet_l0 repvgg_a0 mobileone_s0 ese_vovnet19b_dw hrnet_w18_small xception41 mobilenetv1_100 "
    "mobilenetv4_conv_small efficientnet_lite0 fbnetc_100 tinynet_a rexnet_100 lcnet_050 "
    "ghostnet_100 repghostnet_050 starnet_s1 fastvit_t8 convnextv2_atto inception_next_atto "
    "poolformer_s12 mixer_s32_224 resmlp_12_224 deit_tiny_patch16_224 levit_128s pvt_v2_b0 "
    "edgenext_xx_small visformer_tiny"
)
NAMES = [
    *(f"torchvision:{name}" for name in TORCHVISION.split()),
    *(f"timm:{name}" for name in TIMM.split()),
]
# Pixels a side, where 64 are too few for the network.
PIXELS = {
    "alexnet": 96,
    "inception_v3": 299,
    "selecsls42": 96,
    "xception41": 96,
    "edgenext_xx_small": 128,
    "pvt_v2_b0": 128,
} | dict.fromkeys(
    (
        "mixer_s32_224",
        "resmlp_12_224",
        "deit_tiny_patch16_224",
        "levit_128s",
        "visformer_tiny",
    ),
    224,
)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
    "vit_b_16": {"image_size": 64},
}
TARGETS = [
    ("inside", "uniform", 0.6),
    ("inside", "nonuniform", 0.6),
    ("inside", "uniform", 0.3),
    ("inside", "nonuniform", 0.3),
    ("all", "nonuniform", 0.3),
]
# Share of the FLOPs by which the target of rounded widths may be missed.
COARSE = 0.01
# A kind of reason, by words of its sentence.
REASONS = {
    "takes statistics over": "a normalisation takes statistics over them",
    "fails without half": "the forward has their number written down",
    "can only leave together": "they can only leave all together",
    "tied to each other": "they are tied in unequal sets",
    "no output changes": "no output changes without them",
    "no rule": "a layer has no rule",
    "does not call it": "the forward does not call the layer as a module",
    "one parameter": "layers share a parameter",
    "": "the dependency graph maps their channels wrongly",
}


def targets(
    dense: nn.Module, inputs: Inputs, probe: Probe, found: Sequence[Group]
) -> dict[str, Any]:
    """Shares of the FLOPs that are reached, with the largest error of all cuts."""
    reached: dict[str, float] = {}
    floors: dict[str, float] = {}
    errors, counted = [0.0], []
    for scope, method, ratio in TARGETS:
        exact = [x for x in found if x.status == "exact" and scope in (x.scope, "all")]
        if not exact:
            continue
        cost = cost_model(dense, inputs, exact)
        floors[scope] = lowest_ratio(cost)
        kept = nearest(cost, {group.root: group.scores for group in exact}, method, ratio)
        widths = {root: len(units) for root, units in kept.items()}
        removed = union(group.without_units(kept[group.root]) for group in exact)
        reached[f"{scope} {method} {ratio}"] = cost.macs(widths) / cost.macs()
        errors.append(probe.verify_cut(removed, True))
        counted.append(measured_macs(without(dense, removed), inputs) == cost.macs(widths))
    return {"floor": floors, "reached": reached, "error": max(errors), "macs": all(counted)}


def nearest(
    cost: CostModel, scores: dict[str, list[float]], method: str, ratio: float
) -> dict[str, list[int]]:
    """Channels to keep for a ratio, or for the nearest one that is reached."""
    try:
        return choose_channels(cost, scores, method, ratio, "l1-normalised", trade=True)
    except HpstudyError:
        return choose_channels(cost, scores, method, ratio, "l1-normalised", tolerance=1.0)


def rounded(
    name: str, image: torch.Tensor, arguments: dict[str, Any]
) -> tuple[nn.Module, NetworkReport]:
    """Network with widths of multiples of 8, and 30 % of its FLOPs or as near as it gets."""
    given = {"round_to": 8, "arguments": arguments, "tolerance": COARSE}
    try:
        return prune(name, image, 0.3, **given)
    except HpstudyError as refusal:
        if floor := re.search(r"keeps at least (0\.\d+)", str(refusal)):
            return prune(name, image, float(floor[1]), **given)
        return prune(name, image, 0.3, scope="all", **given)


def used(
    name: str, small: nn.Module, report: NetworkReport, image: torch.Tensor, rounds: int
) -> dict[str, Any]:
    """Whether a pruned network is rebuilt, trained and exported, and its time against dense."""
    again = rebuild(report.model_dump(), small.state_dict())
    pairs = zip(again.state_dict().values(), small.state_dict().values(), strict=True)
    result: dict[str, Any] = {
        "scope": report.scope,
        "reached": report.achieved,
        "lowest": report.floor,
        "error": report.error,
        "rebuilt": all(torch.equal(one, other) for one, other in pairs),
        "trained": trained(copy.deepcopy(small), torch.rand(2, *image.shape[1:])),
        "report_kB": len(report.model_dump_json()) / 1e3,
    }
    dense = open_network(name, image, report.arguments, None).model
    # An output layer that is zero at first would give a constant, whatever the export is worth.
    for value in (*dense.parameters(), *small.parameters()):
        if not value.any():
            torch.nn.init.normal_(value, std=0.02)
    inputs = Inputs.of(image)
    try:
        exported = to_onnx(small, inputs, any_batch=False)
        result["onnx"] = exported.report.difference
        files = {"dense": to_onnx(dense, inputs, any_batch=False).content}
        files["pruned"] = exported.content
        times = measure_latency(files, image, threads=1, repeats=rounds).onnxruntime
        result["dense_seconds"] = times["dense"].seconds
        result["latency"] = times["pruned"].model_dump()
    except HpstudyError as refusal:
        result["onnx refused"] = str(refusal)
    return result


def trained(model: nn.Module, images: torch.Tensor) -> bool:
    """Whether weights are finite after a step of training."""
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-4)
    sum(output.square().mean() for output in tensors(model(images))).backward()
    optimizer.step()
    return all(bool(value.isfinite().all()) for value in model.parameters())


def kinds(found: Sequence[Group]) -> dict[str, list[Any]]:
    """Number of groups for each kind of reason, with one whole sentence."""
    counted: dict[str, list[Any]] = {}
    for group in found:
        if group.status in ("refused", "inexact"):
            kind = next(kind for words, kind in REASONS.items() if words in group.sentence)
            entry = counted.setdefault(kind, [0, f"{group.root}: {group.sentence}"])
            entry[0] += 1
    return counted


def row(name: str, rounds: int) -> dict[str, Any]:
    """One network."""
    member, start = name.partition(":")[2], time.perf_counter()
    pixels, arguments = PIXELS.get(member, 64), ARGUMENTS.get(member, {})
    torch.manual_seed(0)
    image = torch.rand(1, 3, pixels, pixels)
    result: dict[str, Any] = {"network": name, "pixels": pixels}
    try:
        _, dense, inputs, _ = open_network(name, image, arguments, None)
        probe, found = verified_groups(name, dense, inputs, "all", (OUTPUT,))
        result["exact"] = {
            scope: sum(group.status == "exact" and group.scope == scope for group in found)
            for scope in ("inside", "residual", "stem")
        }
        result["reasons"] = kinds(found)
        result |= targets(dense, inputs, probe, found)
        result["trace_seconds"] = round(time.perf_counter() - start, 1)
        small, report = rounded(name, image, arguments)
        result["rounded"] = used(name, small, report, image, rounds)
    except Exception as error:  # a row says what stops it
        result["refused"] = str(error) if isinstance(error, HpstudyError) else one_line(error)
    result["seconds"] = round(time.perf_counter() - start, 1)
    return result


def main() -> None:
    """Write the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--rounds", type=int, default=21)
    measurements = ROOT / "book" / "measurements"
    parser.add_argument("--output", type=Path, default=measurements / "networks_any.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    content: dict[str, Any] = {"networks": []}
    if given.output.exists():
        content = json.loads(given.output.read_text("utf-8"))
    content |= {"machine": machine(), "rounds": given.rounds}
    rows = content["networks"]
    for name in given.names:
        if name not in {one["network"] for one in rows}:
            rows.append(measured := row(name, given.rounds))
            rows.sort(key=lambda one: (*NAMES, one["network"]).index(one["network"]))
            given.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            print(name, measured["seconds"], measured.get("refused", ""), flush=True)


if __name__ == "__main__":
    main()
