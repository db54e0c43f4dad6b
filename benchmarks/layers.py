"""Milliseconds of each kind of convolution of a network on one core: bfloat16 beside float32.

    python benchmarks/layers.py [--network mobilenetv2-shallow] [--size 16] [--batch 64]

Forward and gradient of every shape of convolution that the network has, as its training casts
them; the network as a whole may treat some of them otherwise (see `hpstudy.networks.models`).
"""

import argparse
import time
from functools import partial
from statistics import median

import torch
from common import interleave, machine, markdown, median_spread
from torch import nn

from hpstudy.networks.models import MODELS, build_model, zeros
from hpstudy.training.run import prepare_process


def shapes(network: str, size: int) -> dict[tuple, int]:
    """Channels in and out, kernel, stride, groups and pixels of the input -> how many there are."""
    found: dict[tuple, int] = {}

    def note(layer: nn.Conv2d, inputs: tuple[torch.Tensor]) -> None:
        sides = layer.kernel_size[0], layer.stride[0]
        shape = (layer.in_channels, layer.out_channels, *sides, layer.groups, inputs[0].shape[-1])
        found[shape] = found.get(shape, 0) + 1

    model = build_model(network).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(note)
    with torch.no_grad():
        model(zeros(size))
    return found


def step(shape: tuple, batch: int, dtype: torch.dtype):
    """A function that takes the layer forward and back once and returns the milliseconds."""
    channels, out, kernel, stride, groups, pixels = shape
    layer = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    layer.to(dtype=dtype, memory_format=torch.channels_last)
    images = torch.randn(batch, channels, pixels, pixels).to(dtype)
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn_like(layer(images))

    def step() -> float:
        started = time.perf_counter()
        layer(images).backward(gradient)
        return 1000 * (time.perf_counter() - started)

    step()
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mobilenetv2-shallow", choices=list(MODELS))
    parser.add_argument("--size", type=int, default=16, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    prepare_process(torch.device("cpu"))
    rows = []
    for shape, count in shapes(given.network, given.size).items():
        layer = partial(step, shape, given.batch)
        times = interleave(
            {"float32": layer(torch.float32), "bfloat16": layer(torch.bfloat16)}, given.rounds
        )
        ratios = [b / a for a, b in zip(*times.values(), strict=True)]
        channels, out, kernel, stride, groups, pixels = shape
        rows.append(
            {
                "convolution": f"{kernel}x{kernel}, {channels} to {out}",
                "groups": groups,
                "stride": stride,
                "pixels": pixels,
                "layers": count,
                **{f"{name}, ms": median_spread(values) for name, values in times.items()},
                "x float32": f"{median(ratios):.2f}",
            }
        )
    print(f"{machine()}; {given.network}, batch {given.batch}, n = {given.rounds}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
