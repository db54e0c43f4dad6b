"""What can be pruned of public networks: groups, the lowest share of FLOPs, and how exact it is.

    python benchmarks/networks_any.py [--output FILE] [--image-size 64] [NAME ...]

A row a network, written after each, so that a table that was stopped goes on. Names are
torchvision:NAME or timm:NAME; by default a dozen of each kind. Some seconds to a minute a network.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import torch
from common import machine, markdown

from hpstudy.errors import HpstudyError
from hpstudy.networks import groups, prune

ROOT = Path(__file__).parents[1]
TORCHVISION = (
    "resnet18 resnet34 resnet50 resnext50_32x4d wide_resnet50_2 vgg16_bn densenet121 mobilenet_v2 "
    "mobilenet_v3_small mobilenet_v3_large mnasnet1_0 shufflenet_v2_x1_0 regnet_x_400mf "
    "regnet_y_400mf efficientnet_b0 squeezenet1_1 convnext_tiny swin_t"
)
TIMM = (
    "resnet50d resnetv2_50 convnextv2_atto efficientnet_lite0 ghostnet_100 repvgg_a0 mobileone_s0 "
    "mobilenetv4_conv_small hrnet_w18_small dla34 res2net50_26w_4s seresnet50 cspresnet50 nfnet_l0 "
    "poolformer_s12 fastvit_t8 skresnet18 resnest14d regnetz_005 starnet_s1 lcnet_050 "
    "repghostnet_050 inception_next_atto ese_vovnet19b_dw gernet_s"
)
NAMES = [
    *(f"torchvision:{name}" for name in TORCHVISION.split()),
    *(f"timm:{name}" for name in TIMM.split()),
]
TARGETS = [("inside", 0.6), ("inside", 0.3), ("all", 0.3)]


def row(name: str, size: int) -> dict[str, object]:
    """One network: numbers of groups, ratios that are reached, and the largest error."""
    image, start = torch.rand(1, 3, size, size), time.perf_counter()
    found = groups(name, image)
    statuses = Counter((group.scope, group.status) for group in found)
    reasons = Counter(group.sentence for group in found if group.status in ("refused", "inexact"))
    result: dict[str, object] = {"network": name, "pixels": size}
    for scope in ("inside", "residual", "stem"):
        result[scope] = statuses[scope, "exact"]
    result["not pruned"] = sum(reasons.values())
    for scope, ratio in TARGETS:
        try:
            report = prune(name, image, ratio, scope=scope)[1]
            reached, error = f"{report.achieved:.4f}", report.error
            result[f"lowest, {scope}"] = f"{report.floor:.3f}"
        except HpstudyError as refusal:
            reached, error = str(refusal), 0.0
        result[f"{scope} {ratio}"] = reached
        result["error"] = max(float(str(result.get("error", 0.0))), error)
    result["seconds"] = round(time.perf_counter() - start, 1)
    result["reasons"] = dict(reasons)
    return result


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--image-size", type=int, default=64)
    measurements = ROOT / "book" / "measurements"
    parser.add_argument("--output", type=Path, default=measurements / "networks_any.json")
    given = parser.parse_args()
    rows = json.loads(given.output.read_text("utf-8")) if given.output.exists() else []
    known = {one["network"] for one in rows}
    for name in given.names:
        if name not in known:
            rows.append(row(name, given.image_size))
            given.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(markdown([{key: one[key] for key in one if key != "reasons"} for one in rows]))
    print(machine())


if __name__ == "__main__":
    main()
