"""What the kernels of a population need, without a GPU: registers, memory and instructions.

    python benchmarks/population.py [--capability 90] [--network resnet56] [--output FILE]

Every kernel is compiled by Triton for the card, in every shape that ResNet-56 (or -20) and its
pruned variants have at 32 pixels and a batch of 128; its machine code is then counted. The last
table predicts a step: instructions of a warp for each image and network over what a multiprocessor
can issue, or the bytes that the kernels move if that takes longer. A prediction is no measurement:
the instructions that a cycle completes are known on a card alone. With TRITON_CACHE_DIR set, the
compiled kernels lie there and can be carried to the card.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "0"

import torch  # noqa: E402
import triton  # noqa: E402
from common import machine, markdown  # noqa: E402
from kernel_counts import traffic  # noqa: E402
from scale import CIFAR, EPOCHS, noise  # noqa: E402
from torch import nn  # noqa: E402

from hpstudy.networks.models import ResNetCifar  # noqa: E402
from hpstudy.training.population.launch import Launch  # noqa: E402
from hpstudy.training.population.memory import Memory  # noqa: E402
from hpstudy.training.population.steps import Step  # noqa: E402

# Cards by their compute capability: multiprocessors, clock in GHz, and memory in TB/s.
CARDS = {80: ("A100", 108, 1.41, 1.4), 90: ("H200", 132, 1.755, 3.6)}
# Channels inside the blocks of each stage: dense, and the tiles that pruned ones are padded to.
WIDTHS = {"dense": (16, 32, 64), "half": (16, 16, 32), "least": (16, 16, 16)}
BLOCKS = {"resnet20": 3, "resnet56": 9}
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


def network(name: str, widths: tuple[int, ...]) -> ResNetCifar:
    """A network whose blocks have these channels inside, by stage."""
    model = ResNetCifar(BLOCKS[name], 10)
    for number, block in enumerate(model.blocks):
        first, second = block.conv1, block.conv2
        inside = widths[number // BLOCKS[name]]
        block.conv1 = nn.Conv2d(first.in_channels, inside, 3, first.stride, 1, bias=False)
        block.bn1 = nn.BatchNorm2d(inside)
        block.conv2 = nn.Conv2d(inside, second.out_channels, 3, 1, 1, bias=False)
    return model


def launches(model: ResNetCifar, training: bool) -> list[Launch]:
    """Kernels of a step of one network."""
    data = noise(CIFAR)
    memory = Memory(model, data, 1, CIFAR.batch, torch.bfloat16)
    return Step(memory, training, CIFAR.batch, 0.9).launches


def tool(name: str, option: str, code: bytes) -> str:
    """What one of NVIDIA's tools says about machine code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        command = [str(TOOLS / name), option, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def loops(code: bytes) -> list[tuple[int, int, int]]:
    """First and last instruction of each loop, and how many are in no loop inside it."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in tool("nvdisasm", "-c", code).splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif found := re.match(r"\s*/\*[0-9a-f]+\*/\s+(.*?);", line):
            instructions.append(found[1])
    spans = []
    for number, text in enumerate(instructions):
        target = re.search(r"BRA.*`\((\.L_x_\d+)\)", text)
        first = labels.get(target[1], number + 1) if target else number + 1
        # A branch to itself ends the code.
        if first < number - 3:
            spans.append((first, number))
    found = []
    for first, last in sorted(spans):
        inner = [span for span in spans if first <= span[0] and span[1] <= last]
        inside = {
            number
            for span in inner
            if span != (first, last)
            for number in range(span[0], span[1] + 1)
        }
        found.append((first, last, last - first + 1 - len(inside)))
    return found


def instructions(launch: Launch, code: bytes) -> float | None:
    """Instructions of a warp for an image, of kernels that loop over images; else None.

    Counted are the loop over images, and in it the loops over the pixels of its input and output.
    """
    given = launch.arguments
    if "CO" not in given:
        return None
    out = given["SIDE"] // given["STRIDE"]
    passes = [given["SIDE"] ** 2, out**2]
    if launch.kernel.__name__ == "backward_images":
        passes.reverse()
    trips = [pixels // given["BLOCK"] for pixels in passes]
    found = loops(code)
    # The loop over images holds the others; loops before it merge statistics.
    first, last, own = max(found, key=lambda loop: loop[1] - loop[0])
    inner = [loop for loop in found if first < loop[0] and loop[1] < last]
    expected = [number for number in trips if number > 1]
    if len(inner) == len(expected) - 1:
        # The assembler has unrolled the first, whose instructions are the outer loop's then.
        expected = expected[1:]
    if len(inner) != len(expected):
        return float("nan")
    total = own + sum(loop[2] * number for loop, number in zip(inner, expected, strict=True))
    rows = launch.grid[1] if len(launch.grid) > 1 else 1
    return total * launch.warps * rows


def compiled(names: list[str], capability: int, network_name: str) -> list[dict]:
    """A row for each shape of each kernel."""
    rows: dict[tuple, dict] = {}
    for name in names:
        model = network(network_name, WIDTHS[name])
        for training in (True, False):
            counts: Counter[tuple] = Counter()
            for launch in launches(model, training):
                counts[launch.shape] += 1
                if launch.shape in rows:
                    continue
                code = launch.compiled(capability)
                usage = tool("cuobjdump", "-res-usage", code.asm["cubin"])
                used = {key: int(value) for key, value in re.findall(r"(REG|STACK):(\d+)", usage)}
                given = launch.arguments
                rows[launch.shape] = {
                    "kernel": launch.kernel.__name__ + ("" if training else ", evaluation"),
                    "pixels": f"{given['SIDE']}²" if "SIDE" in given else "",
                    "channels": f"{given.get('CI', given.get('C', ''))} → {given.get('CO', '')}"
                    if "C" in given or "CI" in given
                    else "",
                    "shortcut": given.get("SKIP", ""),
                    "warps": launch.warps,
                    "registers": used["REG"],
                    "spilled bytes": used["STACK"],
                    "shared bytes": code.metadata.shared,
                    "instructions": instructions(launch, code.asm["cubin"]),
                    "bytes": traffic(launch),
                    "launches": {},
                }
            for shape, count in counts.items():
                rows[shape]["launches"][name] = count
    return list(rows.values())


def predicted(rows: list[dict], names: list[str], capability: int) -> list[dict]:
    """A step of one of many networks, and a grid point, at three rates of instructions.

    The longer of the time for its instructions and that for its bytes counts.
    """
    card, processors, clock, bandwidth = CARDS[capability]

    def milliseconds(name: str, evaluation: bool, rate: float) -> float:
        total = moved = 0.0
        for row in rows:
            if row["instructions"] is None or ("evaluation" in row["kernel"]) != evaluation:
                continue
            images = row["launches"].get(name, 0) * CIFAR.batch
            total += images * row["instructions"] / rate / processors / clock / 1e6
            moved += images * row["bytes"] / bandwidth / 1e9
        return max(total, moved)

    steps, evaluations = (-(-count // CIFAR.batch) for count in (CIFAR.train, CIFAR.test))
    return [
        {
            "network": name,
            "card": card,
            "instructions a cycle": rate,
            "ms a step": round(milliseconds(name, False, rate), 3),
            "s a grid point": round(
                EPOCHS
                * 1e-3
                * (
                    steps * milliseconds(name, False, rate)
                    + evaluations * milliseconds(name, True, rate)
                ),
                1,
            ),
        }
        for name in names
        for rate in (2, 1, 0.7)
    ]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--capability", type=int, default=90, choices=CARDS)
    parser.add_argument("--network", default="resnet56", choices=BLOCKS)
    parser.add_argument("--widths", nargs="+", default=list(WIDTHS), choices=WIDTHS)
    parser.add_argument("--output", type=Path, help="JSON file for both tables")
    given = parser.parse_args()
    rows = compiled(given.widths, given.capability, given.network)
    steps = predicted(rows, given.widths, given.capability)
    if given.output:
        said = {"command": f"python benchmarks/population.py --capability {given.capability}"}
        said |= {"triton": triton.__version__, "network": given.network, "batch": CIFAR.batch}
        said |= {"predicted": steps, "rows": rows}
        given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(f"{machine()}, triton {triton.__version__}; compute capability {given.capability}\n")
    print(markdown([{**row, "launches": sum(row["launches"].values())} for row in rows]))
    print()
    print(markdown(steps))


if __name__ == "__main__":
    main()
