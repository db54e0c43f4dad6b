"""The tutorial: its files are those of `hpstudy init`, and its commands work, on a few images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import synthetic

PAGE = (synthetic.REPOSITORY / "book" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
EXAMPLE = synthetic.REPOSITORY / "hpstudy" / "example"
# What makes the studies of the page small.
SMALLER = {
    "train_images=2000": "train_images=200",
    "points: 5": "points: 2",
    "points: 3": "points: 1",
    "extend: 2": "extend: 0",
    "epochs: 8": "epochs: 2",
    "[5, 7]": "[1]",
    "seeds: [0, 1]": "seeds: [0]",
    "[uniform-0.5, nonuniform-0.5]": "[nonuniform-0.5]",
}


def own_file(code):
    """Name and text of a file that a block of Python is to be put in."""
    head, _, text = code.partition("\n")
    return head.removeprefix("# "), text


@pytest.mark.slow
def test_every_command_works_and_both_studies_are_trained(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**synthetic.environment(), "PATH": path}
    for language, code in BLOCKS:
        if language == "python":
            name, text = own_file(code)
            # `hpstudy init` has written it.
            if name != "train.py":
                (tmp_path / name).write_text(text)
        elif language == "bash":
            command = ["bash", "-ec", code]
            subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
        for file in [*tmp_path.glob("*.yaml"), *tmp_path.glob("images.py")]:
            small = file.read_text()
            for old, new in SMALLER.items():
                small = small.replace(old, new)
            file.write_text(small)
    for table in ("runs/book/results/mine.csv", "runs/own.csv"):
        runs = pd.read_csv(tmp_path / table)
        assert list(runs.groupby("variant").size()) == [2, 2] and not runs["diverged"].any()
        assert (tmp_path / table).with_suffix(".html").is_file()


def test_files_on_the_page_are_those_of_init():
    shown = dict(own_file(code) for language, code in BLOCKS if language == "python")
    for name in ("nets.py", "train.py"):
        assert shown[name] == (EXAMPLE / name).read_text(encoding="utf-8"), name
    written = [code for language, code in BLOCKS if language == "yaml"]
    for (name, title), code in zip(
        {"study.yaml": "mine", "command.yaml": "own"}.items(), written, strict=True
    ):
        text = (
            (EXAMPLE / name).read_text(encoding="utf-8").replace("name: mine ", f"name: {title} ")
        )
        assert code == text.replace("fashion-mnist-8k", "folder:images"), name
