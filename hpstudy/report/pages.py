"""What the report notebooks call: load published studies, show figures, glue numbers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.study_results import (
    METRIC_TITLES,
    StudyResults,
    find_root,
    read_evidence,
    read_networks,
    read_programme,
    read_results,
    read_study,
)
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import show
from hpstudy.plots.captions import BIASED, grid_caption, landscapes_caption, risk_caption
from hpstudy.plots.landscape import plot_grid, plot_landscapes
from hpstudy.plots.panels import TOP
from hpstudy.plots.risk import plot_risk
from hpstudy.report import booktables, costtables, recordtables
from hpstudy.report.answer import strongest
from hpstudy.report.htmltable import show_table

# The thesis's 15 % are for comparing accuracies; a shape shows when more of it is coloured.
SHAPE_TOP = 0.5


def study(name: str, folders: Iterable[str]) -> StudyResults:
    """One published study; the folders are relative to the root of the clone."""
    return read_study(name, _in_clone(folders))


def studies(folders: Iterable[str]) -> list[StudyResults]:
    """Every published study of the folders, at least one; of one name the last folder's."""
    found = list(read_results(_in_clone(folders)).values())
    if not found:
        raise HpstudyError(f"no study has been published yet in {', '.join(folders)}.")
    return found


def faults(folders: Iterable[str]) -> dict[str, Any]:
    """What was seen of faults, as `hpstudy.analysis.study_results.read_evidence` has it."""
    return read_evidence(_in_clone(folders))


def glue(phrases: dict[str, str]) -> None:
    """Make phrases known to the page, where prose names them by their keys."""
    from myst_nb import glue as paste

    for key, phrase in phrases.items():
        paste(key, phrase, display=False)


def show_landscapes(
    study: StudyResults, metric: str = "top1", relative: bool = False, only_strongest: bool = False
) -> None:
    """Show Figure 4.1, 4.2 or 4.3 of one study, or say why it has no such metric.

    Parameters
    ----------
    study : StudyResults
        A published study.
    metric : str, default "top1"
        Column of accuracies.
    relative : bool, default False
        Whether to colour by the distance from each network's own best.
    only_strongest : bool, default False
        Whether to leave out all but the unpruned network and the most strongly pruned ones.
    """
    if metric not in study.metrics:
        title = METRIC_TITLES.get(metric, metric)
        say(f"This study has no {title}: its data have at most ten classes.")
        return
    every = study.landscapes(metric)
    shown = strongest(every) if only_strongest else every
    look = {"roi": study.thresholds, "top": SHAPE_TOP if relative else TOP, "relative": relative}
    figure = plot_landscapes(shown, **look)
    show(figure, landscapes_caption(shown, study.label, **look), study.figure)


def show_grid(study: StudyResults) -> None:
    """Show the grid of one study with the unpruned network's accuracies (Figure 4.4)."""
    dense = next(iter(study.landscapes().values()))
    figure = plot_grid(dense, study.record["study"]["prior"])
    show(figure, grid_caption(dense, study.label), "As Figure 4.4")


def show_risks(every: Iterable[StudyResults]) -> None:
    """Show the box plots of each study's risks (Figure 4.5)."""
    for study in every:
        risks = study.risks()
        show(plot_risk(risks), risk_caption(risks, study.label), f"As Figure 4.5, {study.title}")


def show_checks(study: StudyResults) -> None:
    """Show what to know of each landscape of one study before believing it."""
    study_table(booktables.checks(study), f"Points, and what is wrong with them. {BIASED}", [study])


def show_sizes(every: Iterable[StudyResults], folders: Iterable[str]) -> None:
    """Show the sizes of the dense networks (Table 3.2)."""
    frame = booktables.sizes(every, read_networks(_in_clone(folders)))
    caption = (
        "Size of the dense networks. FLOPs are twice the multiply-accumulates of convolutions and "
        "linear layers; torch-pruning's counter adds batch normalisation."
    )
    study_table(frame, caption, every, "Table 3.2")


def show_priors(every: Iterable[StudyResults]) -> None:
    """Show the priors and the accuracies there (Table 3.4)."""
    caption = "Prior settings, and the unpruned network's accuracy there (mean over seeds)."
    study_table(booktables.priors(every), caption, every, "Table 3.4")


def show_bests(every: Iterable[StudyResults]) -> None:
    """Show the best accuracy of every network (section 4.1.1)."""
    caption = f"Best accuracy of every network over its grid, and where. {BIASED}"
    study_table(booktables.bests(every), caption, every, "Section 4.1.1")


def show_ellipses(every: Iterable[StudyResults]) -> None:
    """Show the ellipses of the regions of interest (Table 4.1)."""
    caption = (
        "Ellipses of two standard deviations around the n points of each region of interest: "
        "diameters in decades, centre in weight decay λ and learning rate γ; a dash where fewer "
        "than five points lie in it. Percentages are the share of FLOPs that remains."
    )
    study_table(booktables.ellipses(every), caption, every, "Table 4.1")


def show_risk_table(every: Iterable[StudyResults]) -> None:
    """Show mean and standard deviation of the risks (Table 4.2)."""
    caption = (
        "Performance risk in percentage points, and relative to the network's own best, over the "
        "n points of a region of interest of the unpruned network: mean and population standard "
        "deviation. The thesis's are over the 0.5-ROI."
    )
    study_table(booktables.risk_table(every), caption, every, "Table 4.2")


def show_provenance(every: Iterable[StudyResults]) -> None:
    """Show with what each study was run."""
    show_table(recordtables.provenance(every), "What was run, with what, and for how long.")


def show_tables(every: Iterable[StudyResults]) -> None:
    """Show how much training each published table holds, and its checksum."""
    caption = (
        "Published tables; hours are those of one worker, which on a CPU is one core. hpstudy "
        "check computes everything in a table again and prints its checksum."
    )
    show_table(recordtables.tables(every), caption, "Tables and what they took")


def show_study_costs(every: Iterable[StudyResults]) -> None:
    """Show what one run of each network of each study took."""
    every = list(every)
    caption = (
        "One training as it was recorded: wall time of a worker, median over the runs of a network "
        "that were trained to the end, and the fastest and the slowest; training images per second "
        "of one worker; and all training of the study, in hours of one worker. While a study is "
        "trained its machine may have other work."
    )
    show_table(costtables.study_costs(every), caption)


def show_grid_point_costs(folders: Iterable[str]) -> None:
    """Show what one training of the thesis's recipe takes on the machines that were measured."""
    programme = read_programme(_in_clone(folders))
    versions = sorted({entry["environment"]["torch"] for entry in programme})
    caption = (
        "One training of the thesis's recipe (Table 3.3), in hours of a whole machine, priced once "
        "(python benchmarks/programme.py) from a few seconds of steps by all its workers at once, "
        f"with torch {', '.join(versions) or 'nowhere yet'}; beside it the arithmetic alone at the "
        "989 TFLOP/s of an H100's data sheet, which no training can undercut there, and the "
        "thesis's own duration (section 3.2.2)."
    )
    show_table(costtables.grid_point_costs(programme), caption)


def show_programme_costs(folders: Iterable[str]) -> None:
    """Show what the thesis's whole programme takes on one machine, on eight and on a cluster."""
    programme = read_programme(_in_clone(folders))
    caption = (
        "All runs of the thesis's grids before any extension, in days: on one machine, on eight "
        "and on a cluster of 64. Runs depend on each other through the first alone: machines "
        "share the runs without loss, and none shares one run with another."
    )
    show_table(costtables.programme_costs(programme), caption)
    say(costtables.unmeasured(programme))


def show_certificates(every: Iterable[StudyResults]) -> None:
    """Show what was pruned away in each study, and the widths that are left."""
    for study in every:
        caption = "Share of FLOPs that remains: wanted, reached, and reached by another counter."
        study_table(recordtables.certificates(study), caption, [study], study.title)
        caption = "Channels that each pruned layer keeps."
        study_table(recordtables.widths(study), caption, [study], study.title)


def study_table(
    frame: pd.DataFrame, caption: str, every: Iterable[StudyResults], label: str = ""
) -> None:
    """Show a table whose caption says on what data its numbers stand.

    Parameters
    ----------
    frame : DataFrame
        As the functions of `hpstudy.report.booktables` and `hpstudy.report.intervaltables` make it.
    caption : str
        Sentences that end with a full stop.
    every : iterable of StudyResults
        Studies whose numbers it holds.
    label : str, default ""
        Put before the caption.
    """
    every = list(every)
    scales = "; ".join(dict.fromkeys(study.label for study in every))
    if len(every) == 1:
        same = "model" in frame and frame["model"].nunique() == 1
        frame = frame.drop(columns=["study", *["model"] * same], errors="ignore")
    elif {"study", "model"} <= {*frame} and len({one.model for one in every}) == len(every):
        # The network names the study, and the thesis's numbers stay in sight without scrolling.
        frame = frame.drop(columns="study")
    show_table(frame, f"{caption} This book: {scales}.", label)


def _in_clone(folders: Iterable[str]) -> list[Path]:
    # A notebook runs in the folder it lies in, or where papermill was called.
    root = find_root()
    return [root / folder for folder in folders]


def say(sentence: str) -> None:
    """Show a sentence in Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(sentence))
