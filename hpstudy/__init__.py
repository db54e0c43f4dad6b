"""Whether structured pruning moves the best learning rate and weight decay of a network.

The packages follow the flow of a study: `config` (what to run), `networks`, `training`, `storage`,
`sweep` (many runs), `analysis` (what the runs say), `plots` and `report`. Each imports only from
those before it. `config`, `storage`, `analysis`, `plots` and `report` work without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpstudy import plots as plots
    from hpstudy.analysis.comparison import compare as compare
    from hpstudy.analysis.landscape import Landscape as Landscape
    from hpstudy.analysis.landscape import landscapes as landscapes
    from hpstudy.analysis.optuna_sampler import HpstudySampler as HpstudySampler
    from hpstudy.analysis.retune import retune as retune
    from hpstudy.analysis.run_tables import read_runs as read_runs
    from hpstudy.analysis.study_analysis import StudyAnalysis as StudyAnalysis
    from hpstudy.config.study import Study as Study
    from hpstudy.networks import groups as groups
    from hpstudy.networks import prune as prune
    from hpstudy.networks import rebuild as rebuild
    from hpstudy.report.build import build_book as build_book
    from hpstudy.report.html_report import write_report as write_report

__version__ = "0.2.0"

_MODULES = {
    "HpstudySampler": "analysis.optuna_sampler",
    "Landscape": "analysis.landscape",
    "Study": "config.study",
    "StudyAnalysis": "analysis.study_analysis",
    "build_book": "report.build",
    "compare": "analysis.comparison",
    "landscapes": "analysis.landscape",
    "plots": "plots",
    "groups": "networks",
    "prune": "networks",
    "rebuild": "networks",
    "read_runs": "analysis.run_tables",
    "retune": "analysis.retune",
    "write_report": "report.html_report",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    # Imported when first asked for: torch alone takes seconds.
    if name not in _MODULES:
        raise AttributeError(f"module 'hpstudy' has no attribute {name!r}")
    module = import_module(f"hpstudy.{_MODULES[name]}")
    return module if name == "plots" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
