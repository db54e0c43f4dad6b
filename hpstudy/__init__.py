"""Whether structured pruning moves the best learning rate and weight decay of a network.

The packages follow the flow of a study: `config` (what to run), `networks`, `training`, `storage`,
`sweep` (many runs), `analysis` (what the runs say), `plots` and `report`. Each imports only from
those before it. `config`, `storage`, `analysis`, `plots` and `report` work without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpstudy import plots
    from hpstudy.analysis.comparison import compare
    from hpstudy.analysis.landscape import Landscape, landscapes
    from hpstudy.analysis.run_tables import read_runs
    from hpstudy.analysis.study_analysis import StudyAnalysis
    from hpstudy.config.study import Study
    from hpstudy.networks.pruning_report import prune
    from hpstudy.report.build import build_book

__version__ = "0.2.0"
__all__ = [
    "Landscape",
    "Study",
    "StudyAnalysis",
    "build_book",
    "compare",
    "landscapes",
    "plots",
    "prune",
    "read_runs",
]

_MODULES = {
    "Landscape": "hpstudy.analysis.landscape",
    "Study": "hpstudy.config.study",
    "StudyAnalysis": "hpstudy.analysis.study_analysis",
    "build_book": "hpstudy.report.build",
    "compare": "hpstudy.analysis.comparison",
    "landscapes": "hpstudy.analysis.landscape",
    "prune": "hpstudy.networks.pruning_report",
    "read_runs": "hpstudy.analysis.run_tables",
}


def __getattr__(name: str) -> Any:
    # Imported when first asked for: torch alone takes seconds.
    if name == "plots":
        return import_module("hpstudy.plots")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'hpstudy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
