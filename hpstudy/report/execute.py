"""Execute notebooks with papermill: checked parameters, own processes, copies equal anywhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat

from hpstudy.errors import HpstudyError, unknown

# Kernels at work at once; each is a process that reads a table and draws, on one core.
WORKERS = 2
# A kernel is given ports that are free when it is made; now and then another process has taken
# one when it binds it, and it ends. Nothing of its notebook has been executed then.
STARTS = 3
NOT_STARTED = "Kernel died before replying to kernel_info"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Page:
    """One page to execute.

    Attributes
    ----------
    source : Path
        Notebook without outputs.
    target : str
        Page of the book, relative to its folder, without a suffix.
    parameters : dict
        What replaces the values of the notebook's cell of parameters.
    title : str
        Put in place of the notebook's first heading; blank keeps that.
    """

    source: Path
    target: str
    parameters: dict
    title: str = ""


def execute(pages: list[Page], folder: Path, root: Path, progress: Progress) -> list[Path]:
    """Execute notebooks, two at a time, each in a process of its own.

    Parameters
    ----------
    pages : list of Page
        Their parameters are checked before any is executed.
    folder : Path
        Where the executed copies go.
    root : Path
        Working directory of the kernels.
    progress : callable
        Called with a few words as each begins.

    Returns
    -------
    list of Path
        Executed copies in the order of `pages`. On equal tables they are equal byte for byte:
        times, durations and paths of the machine are taken out.

    Raises
    ------
    HpstudyError
        For a parameter that the notebook does not have, or for a cell that fails.
    """
    for page in pages:
        _check_parameters(page)
    targets = [folder / f"{number}.ipynb" for number in range(len(pages))]

    def one(page: Page, target: Path) -> None:
        progress(f"executing {page.target}")
        _run_papermill(page, target, root, progress)
        book = nbformat.read(target, as_version=4)
        _settle(book, page)
        # A line for each number of a figure, but no room lost on indenting it: no string of JSON
        # goes over a line's end, so that the spaces there are all indentation.
        text = re.sub(r"(?m)^ +", "", nbformat.writes(book)) + "\n"
        target.write_text(text, encoding="utf-8")

    # Threads only wait here: papermill changes the directory of its process, so each has its own.
    with ThreadPoolExecutor(WORKERS) as pool:
        begun = [pool.submit(one, *pair) for pair in zip(pages, targets, strict=True)]
        try:
            for future in as_completed(begun):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return targets


def _check_parameters(page: Page) -> None:
    """Refuse parameters that the notebook lacks, of which papermill would only warn."""
    from papermill import inspect_notebook

    if not page.source.is_file():
        raise HpstudyError(f"the notebook {page.source} is missing.")
    known = inspect_notebook(str(page.source))
    for name in page.parameters:
        if name not in known:
            raise unknown(f"parameter of {page.source.name}", name, known)


def _run_papermill(page: Page, target: Path, root: Path, progress: Progress) -> None:
    command = [sys.executable, "-m", "papermill", str(page.source), str(target)]
    command += ["--cwd", str(root), "--no-progress-bar", "--kernel", "python3"]
    command += ["--parameters_yaml", json.dumps(page.parameters)]
    for _ in range(STARTS):
        done = run_process(command, root)
        if not done.returncode or NOT_STARTED not in done.stderr:
            break
        progress(f"the kernel of {page.target} did not start")
    if done.returncode:
        reason = last_line(done.stderr)
        raise HpstudyError(f"the notebook {page.source.name} fails for {page.target}: {reason}")


def _settle(book: nbformat.NotebookNode, page: Page) -> None:
    """Make an executed copy the same on every machine, and readable as a page."""
    tags = next(c.metadata.tags for c in book.cells if "parameters" in c.metadata.get("tags", []))
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(book.cells, start=1):
        own = cell.metadata.get("tags", [])
        if "injected-parameters" in own:
            own = [*own, *(tag for tag in tags if tag != "parameters")]
        cell.metadata = nbformat.from_dict({"tags": own} if own else {})
        # Papermill draws the ids of the cells it adds.
        cell.id = f"cell-{number}"
    if page.title:
        head = next(cell for cell in book.cells if cell.cell_type == "markdown")
        head.source = re.sub(r"^# .*", f"# {page.title}", head.source, count=1)


def run_process(command: list[str], root: Path) -> subprocess.CompletedProcess:
    """Completed process of a command run in `root`, with its output as text.

    This package is found by it even where it is not installed.
    """
    here = str(Path(__file__).parents[2])
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
        # The kernel of this environment, whatever kernels the user has installed besides.
        "JUPYTER_PREFER_ENV_PATH": "1",
        # Colours and warnings of frozen modules would end up in the sentence of an error.
        "NO_COLOR": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def plain(text: str) -> str:
    """Text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def last_line(text: str) -> str:
    """Last line that says something."""
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
