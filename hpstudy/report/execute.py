"""Execute notebooks with papermill: checked parameters, own processes, equal copies anywhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tqdm import tqdm

from hpstudy.errors import HpstudyError, unknown

# Kernels at work at once; each is a process that reads a table and draws, on one core.
WORKERS = 2


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
    """Execute notebooks in `root`, two at a time, with a bar of those that are left.

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

    known = {source: inspect_notebook(str(source)) for source in {page.source for page in pages}}
    for page in pages:
        for name in page.parameters:
            if name not in known[page.source]:
                raise unknown(f"parameter of {page.source.name}", name, known[page.source])
    targets = [folder / f"{number}.ipynb" for number in range(len(pages))]
    waiting = SimpleQueue[tuple[Page, Path]]()
    for work in zip(pages, targets, strict=True):
        waiting.put(work)
    # Threads only wait for the processes, in which papermill changes the directory.
    with progress_bar("pages", len(pages)) as bar, ThreadPoolExecutor(WORKERS) as pool:
        workers = [pool.submit(_execute_waiting, waiting, root, bar) for _ in range(WORKERS)]
        for worker in workers:
            worker.result()
    return targets


def _execute_waiting(waiting: "SimpleQueue[tuple[Page, Path]]", root: Path, bar: tqdm) -> None:
    """Execute waiting pages one after the other, in a process that keeps its kernel."""
    command = [sys.executable, "-m", "hpstudy.report.papermill_worker"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    pipes["stderr"] = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=root, env=environment(), text=True, **pipes) as worker:
        for page, target in _taken(waiting):
            task = {"source": str(page.source), "target": str(target)}
            print(json.dumps(task | {"parameters": page.parameters}), file=worker.stdin, flush=True)
            answer = worker.stdout.readline() if worker.stdout else ""
            reason = json.loads(answer) if answer else "its process ended"
            if reason:
                list(_taken(waiting))  # the other worker stops too
                name = page.source.name
                raise HpstudyError(f"the notebook {name} fails for {page.target}: {reason}")
            _settle(target, page.title)
            bar.update()


def _taken(waiting: "SimpleQueue[tuple[Page, Path]]") -> Iterator[tuple[Page, Path]]:
    """Pages that no other worker has taken, until there are none."""
    with suppress(Empty):
        while True:
            yield waiting.get_nowait()


def _settle(path: Path, title: str) -> None:
    """Make an executed copy the same on every machine, and readable as a page."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    # The first cell clears the kernel.
    cells = notebook["cells"] = notebook["cells"][1:]
    tagged = [cell["metadata"].get("tags", []) for cell in cells]
    # The cell that papermill adds is hidden as the one of the parameters is.
    shared = next(list(tags) for tags in tagged if "parameters" in tags)
    shared.remove("parameters")
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    executed = 0
    for number, (cell, tags) in enumerate(zip(cells, tagged, strict=True), start=1):
        if "injected-parameters" in tags:
            tags = [*tags, *shared]
        cell["metadata"] = {"tags": tags} if tags else {}
        # Papermill draws the ids of the cells that it adds.
        cell["id"] = f"cell-{number}"
        # The kernel counts on from the page before.
        executed += cell["cell_type"] == "code"
        for counted in [cell, *cell.get("outputs", [])]:
            if counted.get("execution_count"):
                counted["execution_count"] = executed
    if title:
        head = next(cell for cell in cells if cell["cell_type"] == "markdown")
        head["source"][0] = re.sub(r"^# .*", f"# {title}", head["source"][0])
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    # Unindented, a number of a figure still has its own line. No string of JSON spans lines.
    path.write_text(re.sub(r"(?m)^ +", "", text) + "\n", encoding="utf-8")


def environment() -> dict[str, str]:
    """Environment of a process that finds this package, installed or not."""
    package = str(Path(__file__).parents[2])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        # The kernel of this environment, whatever kernels the user has installed besides.
        "JUPYTER_PREFER_ENV_PATH": "1",
        # Colours and warnings of frozen modules would end up in the sentence of an error.
        "NO_COLOR": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "OMP_NUM_THREADS": "1",
    }


def progress_bar(name: str, steps: int) -> tqdm:
    """Progress in steps with the time left; a few lines where standard error is no terminal."""
    form = "{desc} {n}/{total}|{bar:20}| {elapsed}, {remaining} left"
    interval = 0.1 if sys.stderr.isatty() else 30
    return tqdm(desc=name, total=steps, bar_format=form, mininterval=interval)


def plain_lines(text: str) -> list[str]:
    """Lines of an output that hold words, without the colours of a terminal."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    return [line.strip() for line in lines if re.search(r"\w", line)]
