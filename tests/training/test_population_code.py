"""Every kernel of a population compiles for a card, and fits into its registers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "population.py"
# Bytes of a thread's registers that may lie in memory: next to none on a Hopper card.
SPILLS = {80: 320, 90: 16}


@pytest.mark.slow
@pytest.mark.parametrize("capability, widths", [(80, ["dense"]), (90, ["dense", "half", "least"])])
def test_kernels_compile_and_fit(capability, widths, tmp_path):
    file = tmp_path / "rows.json"
    command = [sys.executable, BENCHMARK, "--capability", str(capability), "--widths", *widths]
    # Not as the other tests have it: compiled, not interpreted.
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    network = ["--network", "resnet20", "--output", file]
    subprocess.run([*command, *network], env=environment, check=True, capture_output=True)
    rows = json.loads(file.read_text())["rows"]
    kernels = {row["kernel"].partition(",")[0] for row in rows}
    assert kernels == {
        *("forward", "pool", "head", "backward_pool", "backward_images", "backward_kernel"),
        "update",
    }
    for row in rows:
        assert row["registers"] <= 255, row
        assert row["spilled bytes"] <= SPILLS[capability], row
        # Four programs on a multiprocessor, whose shared memory is 164 or 227 KiB.
        assert row["shared bytes"] <= 41 * 2**10, row
