"""Process that executes notebook after notebook in one kernel (see `hpstudy.report.execute`).

Starting a kernel and importing what draws takes longer than most pages. Each line of standard input
is a notebook to execute, as JSON; each line of standard output is what went wrong, or empty.
"""

import json
import sys
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from hpstudy.report.execute import plain_lines

# Another process may take a port that was free when the kernel was given it. The kernel then ends
# before it has executed anything, and is started again.
STARTS = 3
NOT_STARTED = "Kernel died before replying to kernel_info"


class Kernel:
    """A kernel that outlives the notebooks it executes."""

    def __init__(self) -> None:
        self._manager = AsyncKernelManager(kernel_name="python3")

    def execute(self, source: str, target: str, parameters: dict[str, Any]) -> str:
        """Execute a notebook with papermill; returns the reason of a failure, or ""."""
        # Jupyter's own packages are not annotated.
        notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
        # Nothing of the notebook before is left in the kernel.
        cell = nbformat.v4.new_code_cell("%reset -f")  # type: ignore[no-untyped-call]
        notebook.cells.insert(0, cell)
        for start in range(1, STARTS + 1):
            try:
                papermill.execute_notebook(
                    notebook,
                    target,
                    parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    request_save_on_cell_execute=False,
                    km=self._manager,
                )
                return ""
            except Exception as error:  # libraries of Jupyter raise many kinds
                reason = (plain_lines(str(error)) or [type(error).__name__])[-1]
                if NOT_STARTED not in reason or start == STARTS:
                    return reason
                self._manager = AsyncKernelManager(kernel_name="python3")
        return ""

    def end(self) -> None:
        """End the kernel at once."""
        if self._manager.has_kernel:
            run_sync(self._manager.shutdown_kernel)(now=True)


def main() -> None:
    """Execute what standard input asks for, until it ends."""
    kernel = Kernel()
    for line in sys.stdin:
        print(json.dumps(kernel.execute(**json.loads(line))), flush=True)
    kernel.end()


if __name__ == "__main__":
    main()
