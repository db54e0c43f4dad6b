"""What the report notebooks call to show how sure a study is, and what its sweeps withstand."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.surrogate import DRAWS
from hpstudy.analysis.thesis_claims import agreement, by_claim
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import show
from hpstudy.plots.differencemaps import difference_caption, plot_differences
from hpstudy.plots.interactive import show_interactive
from hpstudy.plots.regret import plot_regret, regret_caption
from hpstudy.plots.roi_probability import plot_roi_probability, roi_probability_caption
from hpstudy.plots.scaling import plot_scaling, scaling_caption
from hpstudy.plots.surrogate import plot_surrogate, surrogate_caption
from hpstudy.report import booktables, intervaltables, withstood
from hpstudy.report.htmltable import show_table
from hpstudy.report.pages import say, study_table
from hpstudy.report.verdicttables import verdicts

__all__ = ["show_interactive"]

WITHOUT = (
    f"Estimate and 95 % interval without the noise of single runs: median and central 95 % of "
    f"{DRAWS:,} noise-free landscapes drawn from a Gaussian process through the measured points."
)

ONE_SIDED = "Ends of mean risks and of losses are one-sided 95 % bounds."

VERDICTS = (
    "It agrees or differs where the interval lies wholly within the claim's limits or wholly "
    "outside them, and is inconclusive otherwise. A claim that the thesis makes of all of its "
    "networks is asked of others too, and these are marked. A dash: too few settings, a region as "
    "large as the grid, or no direction. A lone setting belongs to a region and was trained for "
    "one of the two networks only; it leaves a shift open."
)


def show_differences(study: StudyResults) -> None:
    """Show each pruned network's landscape minus the unpruned one's, each from its own best."""
    landscapes, threshold = study.landscapes(), max(study.thresholds)
    _figure(
        "Difference maps",
        partial(plot_differences, landscapes, threshold),
        partial(difference_caption, landscapes, study.label, threshold),
    )


def show_membership(study: StudyResults) -> None:
    """Show the probability that each point belongs to the region of interest."""
    analysis, threshold = study.analysis(), max(study.thresholds)
    _figure(
        "Membership",
        partial(plot_roi_probability, analysis, threshold),
        partial(roi_probability_caption, analysis, threshold, study.label),
    )


def show_surrogate(study: StudyResults) -> None:
    """Show the model of the noise-free landscape and its uncertainty, under the measured points."""
    analysis, threshold = study.analysis(), max(study.thresholds)
    _figure(
        "Model of the landscape",
        partial(plot_surrogate, analysis, threshold),
        partial(surrogate_caption, analysis, threshold, study.label),
    )


def show_noise(every: Iterable[StudyResults]) -> None:
    """Show the scatter of single runs, and what the best owes to it."""
    caption = (
        "Standard deviation of a run at the best point: from replicates that differ by seed alone, "
        "and from replicates and the landscape's smoothness together. The best accuracy as "
        f"measured, and at the same setting without its luck. {WITHOUT}"
    )
    study_table(intervaltables.bests_without_noise(every), caption, every)


def show_shapes(every: Iterable[StudyResults]) -> None:
    """Show Table 4.1 with intervals, and the band along each region."""
    caption = (
        f"Regions of interest and their ellipses. {WITHOUT} Band: log₁₀ λ = a − b log₁₀ γ along "
        "the long axis; b = 1 is the inverse relation (equation 2.2). A dash where no ellipse, or "
        "no direction, can be told."
    )
    study_table(intervaltables.shapes(every), caption, every, "Table 4.1 with intervals")


def show_movements(every: Iterable[StudyResults]) -> None:
    """Show correlations, overlaps and shifts against the unpruned network."""
    caption = (
        "Each pruned network against the unpruned one, over the points that both have: rank "
        "correlations; overlap (Jaccard) of the two regions, beside the overlap of two noisy "
        "measurements of one and the same landscape, and the share of those that overlap as "
        "little; shift of the ellipse's centre in decades, and p of the permutation test. "
        f"{WITHOUT}"
    )
    study_table(intervaltables.movements(every), caption, every, "Movement")


def show_metrics(study: StudyResults) -> None:
    """Show best, risk and loss by every accuracy that was recorded."""
    caption = (
        "Best accuracy, mean risk over the unpruned network's region, and loss at its optimum, by "
        f"each accuracy that was recorded, each with its own optimum and region. {WITHOUT} "
        f"{ONE_SIDED}"
    )
    study_table(intervaltables.by_metric(study), caption, [study], "By metric")


def show_given_up(every: Iterable[StudyResults]) -> None:
    """Show what pruning costs in accuracy, beside the thesis's and others' numbers."""
    caption = (
        "Accuracy that a pruned network gives up against its own unpruned one, when it is trained "
        "from scratch. Of studies and of the thesis, the best of a grid; of studies, as an "
        "estimate and 95 % interval without the noise of single runs; of others, means of several "
        "runs of ResNet-56 on CIFAR-10 at one setting."
    )
    study_table(intervaltables.given_up(every), caption, every, "Pruned from scratch")


def show_agreement(study: StudyResults) -> None:
    """Show the thesis's claims beside one study, and which way its intervals decide."""
    caption = f"What the thesis says, and whether this study's 95 % intervals agree. {VERDICTS}"
    study_table(agreement([study]).drop(columns="study"), caption, [study], "Agreement")


def show_claims(every: Iterable[StudyResults]) -> None:
    """Show of how many networks the intervals agree with each claim of the thesis, and which."""
    every = list(every)
    caption = "Networks of which a 95 % interval agrees with a claim of the thesis, or differs."
    study_table(by_claim(agreement(every)), caption, every, "Claims")
    caption = f"The same, network by network. {VERDICTS}"
    study_table(agreement(every), caption, every, "Agreement")


def show_rankings(every: Iterable[StudyResults]) -> None:
    """Show what norms over their layer's mean, and raw ones, leave of the same networks."""
    # The pages need torch for nothing else, and it takes seconds to import.
    from hpstudy.report.rankings import rankings

    caption = (
        "Channels that each pruned layer keeps, from the first to the last, when the filters of "
        "the trained unpruned network are ranked by their L1 norms over their layer's mean (these "
        "studies) and by the raw norms; and how many layers keep a single one."
    )
    study_table(rankings(every), caption, every, "Rankings")


def show_warnings(study: StudyResults) -> None:
    """Show what is wrong with the grids, and the cells to add."""
    frame = booktables.warnings_table(study)
    if frame.empty:
        return
    caption = "What is wrong with the grids, and how many settings to add against it."
    study_table(frame.drop(columns="kind"), caption, [study], "Warnings")


def show_risk_intervals(every: Iterable[StudyResults]) -> None:
    """Show Table 4.2 with intervals."""
    caption = (
        "Performance risk over the unpruned network's region, in percentage points, and relative "
        f"to the network's own best. {WITHOUT} {ONE_SIDED}"
    )
    study_table(
        intervaltables.risks_without_noise(every), caption, every, "Table 4.2 with intervals"
    )


def show_keepings(every: Iterable[StudyResults]) -> None:
    """Show what keeping the one optimum costs, and how many trainings mend it."""
    caption = (
        "Loss of top-1 accuracy at the unpruned network's best setting against the network's own "
        "best, in percentage points: as measured, and without the noise of single runs with "
        "one-sided 95 % bounds. Then the fewest trainings, beside the one at that setting, after "
        "which the expected loss is at most 0.5, 0.25 and 0.1 points: at random, or climbing from "
        "it. A dash: no number of trainings does that on this grid."
    )
    study_table(intervaltables.keepings(every), caption, every, "What keeping costs")


def show_regrets(every: Iterable[StudyResults]) -> None:
    """Show the regret curves of each study."""
    for study in every:
        analysis = study.analysis()
        _figure(
            f"Regret, {study.title}",
            partial(plot_regret, analysis),
            partial(regret_caption, analysis, study.label),
        )


def show_verdicts(every: Iterable[StudyResults]) -> None:
    """Show whether each pruned network may keep the settings, and all of them together."""
    caption = (
        "May a pruned network keep the unpruned network's settings? Losses are in percentage "
        "points, at the unpruned network's best setting and at its second best. Shifts are of the "
        "centre of the good settings (the study's widest region), in decades, with 95 % "
        "intervals. Pooled rows are means over networks like these, and say of how many the "
        "shifts are known."
    )
    table = verdicts(every)
    if table.map(lambda cell: str(cell).endswith("~")).any(axis=None):
        caption += " ~: read off surfaces between the settings, as these are too few."
    # A study's name says which network it is of.
    study_table(table.drop(columns="model"), caption, every, "Verdicts")


def show_kills(faults: dict[str, Any]) -> None:
    """Show what was killed at random moments of a sweep, and what that changed."""
    if (soak := _measured(faults, "soak")) is None:
        return
    caption = (
        f"Killed by SIGKILL at random moments of a sweep of {soak['runs']} runs that is begun "
        "from an empty store again and again: the command itself, one of its workers, the kernel "
        "of the sweep's notebook; and one training with a checkpoint every fifth of a second. "
        "Then the command is given again, until nothing is missing. Compared with an undisturbed "
        "sweep are all columns of its table but the clock's; of the one training, which no kill "
        f"let end, what it came to at last, its curve and its ranking of filters. {_how(soak)}"
    )
    show_table(withstood.kills(soak), caption, "Kills")


def show_cluster(faults: dict[str, Any]) -> None:
    """Show the log of a cluster that lost a node, and then its sweep."""
    if (cluster := _measured(faults, "cluster")) is None:
        return
    versions = ", ".join(f"{name} {version}" for name, version in cluster["versions"].items())
    caption = f"What happened, in seconds from the start (n = 1). {versions}. {_how(cluster)}"
    show_table(withstood.cluster_log(cluster), caption, "Log of the cluster")


def show_scaling(faults: dict[str, Any]) -> None:
    """Show how well simulated clusters are used, and what a store takes."""
    if (scaling := _measured(faults, "scaling")) is None:
        return
    show(plot_scaling(scaling), scaling_caption(scaling), "From one GPU to thousands")
    caption = "The same sweeps in numbers; rows recorded in a second are over the makespan."
    show_table(withstood.scaling_table(scaling), caption, "Simulated sweeps")
    caption = (
        "Rows that a store on the disk of that machine takes in a second, when nothing else is "
        "done, by how many are recorded in one transaction: median of n turns, slowest, fastest."
    )
    show_table(withstood.store_rates(scaling), caption, "The store alone")


def show_reruns(faults: dict[str, Any]) -> None:
    """Show rows of published tables that were trained again, and whether they came out the same."""
    if (reruns := _measured(faults, "reruns")) is None:
        return
    caption = (
        "Rows of published tables, drawn at random and trained again; equal if every result is, "
        f"the learning curve included. {_how(reruns)}"
    )
    show_table(withstood.reruns_table(reruns), caption, "Trained again")


def show_recipe(faults: dict[str, Any]) -> None:
    """Show what the thesis's whole recipe came to at its prior, beside Table 3.4."""
    if (recipe := _measured(faults, "recipe")) is None:
        return
    caption = (
        "Trained by the thesis's recipe at its prior, on all images at their full size: accuracy "
        f"after the last epoch, and the best of any epoch. {_how(recipe)}"
    )
    show_table(withstood.recipe_table(recipe), caption, "The whole recipe")


def show_refusals(faults: dict[str, Any]) -> None:
    """Show every bad input of the tests with the sentence that it is refused with."""
    if (refusals := _measured(faults, "refusals")) is None:
        return
    for kind, frame in withstood.refusal_tables(refusals).items():
        show_table(frame, f"{len(frame)} bad inputs.", f"{kind[0].upper()}{kind[1:]}")


def _measured(faults: dict[str, Any], name: str) -> Any:
    """Evidence, or None and a sentence on the page where there is none."""
    if (found := faults[name]) is None:
        say(withstood.unmeasured(name))
    return found


def _how(measured: dict[str, Any]) -> str:
    return f"{measured['machine']}. Repeat: {measured['command']}."


def _figure(label: str, plot: Callable, caption: Callable) -> None:
    """Show a figure, or say why a study that is still small has none."""
    from IPython.display import Markdown, display

    try:
        show(plot(), caption(), label)
    except HpstudyError as error:
        display(Markdown(f"**{label}**: no figure, because {error}"))
