"""Which studies of this book stand beside the thesis's, and the grids that they began with."""

from collections.abc import Iterable

from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.analysis.thesis_data import RELATIVES
from hpstudy.config.grid import AXES
from hpstudy.config.study import Study
from hpstudy.errors import HpstudyError
from hpstudy.report.tables import decisive
from hpstudy.workspace import find_root


def counterpart(studies: Iterable[StudyResults], *models: str) -> StudyResults:
    """Study with the most runs of the first network of the thesis, or family, that has any."""
    families: dict[str, list[StudyResults]] = {}
    for study in studies:
        families.setdefault(_family(study), []).append(study)
    for model in filter(families.get, models):
        return max(families[model], key=lambda study: len(study.table))
    titles = " or ".join(MODEL_TITLES[model] for model in models)
    raise HpstudyError(f"no study of {titles} has been published yet.")


def beside(studies: list[StudyResults]) -> list[StudyResults]:
    """Decisive studies, and all of networks of the thesis that have no decisive one."""
    large = decisive(studies)
    families = {_family(study) for study in large}
    return [study for study in studies if study in large or _family(study) not in families]


def initial_grid(study: StudyResults) -> dict[str, tuple[float, ...]]:
    """Grid of a study before it grew, by axis, from its params file; empty without one."""
    path = find_root() / "params" / f"{study.name.replace('-', '/', 1)}.yaml"
    if not path.is_file():
        return {}
    planned = Study.load(path)
    return {axis: planned.grid.values(axis, planned.prior) for axis in AXES}


def _family(study: StudyResults) -> str:
    return RELATIVES.get(study.model, study.model)
