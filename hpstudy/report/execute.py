"""Execute notebooks with papermill: checked parameters, own processes, equal copies anywhere."""

import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError, unknown

logger = logging.getLogger(__name__)

# Kernels at work at once; each is a process that reads a table and draws, on one core.
WORKERS = 2
# Another process may take a port that was free when the kernel was given it. The kernel then ends
# before it has executed anything, and is started again.
STARTS = 3
NOT_STARTED = "Kernel died before replying to kernel_info"


@dataclass(frozen=True)
class Page:
    """Notebook to execute, page of the book to make of it, and new values of its parameters.

    `target` is relative to the folder of the book and has no suffix. A `title` replaces the
    notebook's first heading.
    """

    source: Path
    target: str
    parameters: dict[str, Any]
    title: str = ""


def execute(pages: list[Page], folder: Path, root: Path) -> list[Path]:
    """Execute notebooks in `root`, two at a time, each in a process of its own.

    Returns
    -------
    list of Path
        Executed copies in `folder`, in the order of `pages`, without times and paths of the
        machine: equal tables give equal bytes.

    Raises
    ------
    HpstudyError
        For a notebook or a parameter that does not exist, before any is executed, or for a cell
        that fails.
    """
    # Papermill would only warn of a parameter that a notebook lacks.
    from papermill import inspect_notebook

    for page in pages:
        if not page.source.is_file():
            raise HpstudyError(f"the notebook {page.source} is missing.")
        known = inspect_notebook(str(page.source))
        for name in page.parameters:
            if name not in known:
                raise unknown(f"parameter of {page.source.name}", name, known)
    targets = [folder / f"{number}.ipynb" for number in range(len(pages))]
    # Threads only wait: papermill changes the directory of its process, so each has its own.
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            list(pool.map(_execute_page, pages, targets, [root] * len(pages)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return targets


def _execute_page(page: Page, target: Path, root: Path) -> None:
    logger.info(f"executing {page.target}")
    command = [sys.executable, "-m", "papermill", str(page.source), str(target)]
    command += ["--cwd", str(root), "--no-progress-bar", "--kernel", "python3"]
    command += ["--parameters_yaml", json.dumps(page.parameters)]
    for _ in range(STARTS):
        done = run_process(command, root)
        if not done.returncode or NOT_STARTED not in done.stderr:
            break
        logger.warning(f"the kernel of {page.target} did not start")
    if done.returncode:
        reason = plain_lines(done.stderr)[-1:]
        raise HpstudyError(
            f"the notebook {page.source.name} fails for {page.target}: {''.join(reason)}"
        )
    notebook = json.loads(target.read_text(encoding="utf-8"))
    _settle(notebook, page.title)
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    # Unindented, a number of a figure still has its own line. No string of JSON spans lines.
    target.write_text(re.sub(r"(?m)^ +", "", text) + "\n", encoding="utf-8")


def _settle(notebook: dict[str, Any], title: str) -> None:
    """Make an executed copy the same on every machine, and readable as a page."""
    cells = notebook["cells"]
    tagged = [cell["metadata"].get("tags", []) for cell in cells]
    # The cell that papermill adds is hidden as the one of the parameters is.
    shared = next(list(tags) for tags in tagged if "parameters" in tags)
    shared.remove("parameters")
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, (cell, tags) in enumerate(zip(cells, tagged, strict=True), start=1):
        if "injected-parameters" in tags:
            tags = [*tags, *shared]
        cell["metadata"] = {"tags": tags} if tags else {}
        # Papermill draws the ids of the cells that it adds.
        cell["id"] = f"cell-{number}"
    if title:
        head = next(cell for cell in cells if cell["cell_type"] == "markdown")
        head["source"][0] = re.sub(r"^# .*", f"# {title}", head["source"][0])


def run_process(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in `root`; its output is text. It finds this package, installed or not."""
    package = str(Path(__file__).parents[2])
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        # The kernel of this environment, whatever kernels the user has installed besides.
        "JUPYTER_PREFER_ENV_PATH": "1",
        # Colours and warnings of frozen modules would end up in the sentence of an error.
        "NO_COLOR": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def plain_lines(text: str) -> list[str]:
    """Lines of an output that hold words, without the colours of a terminal."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    return [line.strip() for line in lines if re.search(r"\w", line)]
