"""The command `hpstudy retune`: whether to keep the settings, decided in few trainings."""

import csv
import io
import shlex
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpstudy.analysis.comparison import plain
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.pruned_prior import fitted
from hpstudy.analysis.retune import BUDGET, QUIET, Retuning, limits, retune
from hpstudy.analysis.retune_task import LEAST, SIMILAR
from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.verdict import TOLERABLE
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, count, printed, unknown
from hpstudy.plots.labels import axis_title, metric_of, setting_text, variant_title
from hpstudy.report.terminal import (
    Axes,
    ColumnNames,
    Dense,
    Goal,
    Json,
    MetricColumn,
    Percent,
    columns,
    lines_of,
    print_report,
)

QUESTIONS = ("both", "first", "second")
WAITS = {
    "trainings": f"An answer needs {LEAST} trainings.",
    "replicate": "An answer needs a setting of either network that was trained twice.",
    "batch": "One answer rests on the last batch alone. The next batch must confirm it.",
}
FAR = 10
"""Factor beyond the dense network's settings from which one is pointed out."""

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan


def retune_command(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="DENSE [PRUNED]",
            help="Tables of runs of the dense and of the pruned network, or one with both; rows in "
            "the order of training. Leave the pruned network out before its first training.",
        ),
    ],
    pruned: Annotated[
        str | None, typer.Option(help="Pruned network, where the tables have several.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Settings to ask for at once.")] = 1,
    budget: Annotated[int, typer.Option(min=1, help="Trainings of it in all.")] = BUDGET,
    tolerable: Annotated[
        float | None,
        typer.Option(help="Loss up to which settings are kept; by default 0.5 points of percent."),
    ] = None,
    kept: Annotated[
        str | None,
        typer.Option(
            metavar="LR,WD",
            help="Setting that may be kept; by default the dense network's best expected one.",
        ),
    ] = None,
    dense: Dense = None,
    percent: Percent = False,
    columns_: ColumnNames = "",
    axes: Axes = None,
    metric: MetricColumn = None,
    goal: Goal = None,
    as_json: Json = False,
) -> None:
    """Say what to train next of a pruned network, or whether the settings may stay."""
    for place in tables[1:]:
        if ":" not in place and not Path(place).exists():
            raise HpstudyError(
                f"no table at {place}; before the first training of the pruned network, give the "
                "dense network's alone."
            )
    read = read_runs(
        tables,
        dense=dense,
        columns=columns_ or None,
        axes=axes,
        metric=metric,
        goal=goal,
        percent=percent,
    )
    if tolerable is None and not read.percent:
        raise HpstudyError(
            f"say how much of {read.metric} may be lost without harm: add --tolerable with a "
            "number in its own unit."
        )
    found = read.landscapes()
    one = found.pop(read.dense)
    if pruned is None and len(found) > 1:
        raise HpstudyError(f"say which network is to be retuned: --pruned with {', '.join(found)}.")
    if pruned is not None and pruned not in found:
        raise unknown("pruned network", pruned, found)
    other = found.get(pruned or next(iter(found), ""))
    tolerable = TOLERABLE if tolerable is None else tolerable
    try:
        setting = [float(value) for value in kept.split(",")] if kept else None
    except ValueError:
        raise HpstudyError(f"--kept takes numbers, as 0.1,0.0005; not {kept!r}.") from None
    result = retune(one, other, tolerable=tolerable, batch=batch, budget=budget, kept=setting)
    values = {"reading": read.notes, "tolerable": tolerable, **as_values(result)}
    notes = [*read.notes, *_lost(other), *_doubts(one, other)]
    print_report(values, as_json, *notes, "", *_texts(one, result, tolerable, budget, read.columns))


def as_values(result: Retuning) -> dict[str, Any]:
    """A retuning as plain values for JSON."""
    values: dict[str, Any] = plain(
        result._asdict() | {"settings": result.settings.to_dict("records")}
    )
    return values


def retuned(plan: "AnyPlan") -> dict[str, tuple[Retuning, str]]:
    """Verdicts of a study that retunes, as values and in words; none before it has the runs.

    Raises HpstudyError if too few settings of the dense network have a value.
    """
    from hpstudy.sweep.growth import assess, retunings

    found = retunings(plan, assess(plan), plan.values()) if plan.retunes else None
    if found is None:
        return {}
    results = {}
    for variant in plan.certificates:
        dense, pruned = found.networks(variant)
        result, tolerable = found.verdict(variant), min(plan.study.roi)
        budget = plan.study.design.budget
        texts = _texts(dense, result, tolerable, budget, {}, "design.budget in the params file")
        title = f"{plan.study.name}: {variant_title(variant)}"
        parts = [title, *_lost(pruned), *texts]
        lines = ([part] if isinstance(part, str) else lines_of(part) for part in parts)
        results[variant] = result, "\n".join(chain.from_iterable(lines))
    return results


def design_notes(plan: "AnyPlan") -> list[str]:
    """Sentences on what a study's design left out, and what a retuning answers."""
    if plan.skips:
        skipped = sum(plan.skipped().values())
        return [
            f"The level set skipped {count(skipped, 'setting')}, all networks together. Where the "
            "shift is the question, train the whole grid."
        ]
    return [
        f"{printed(variant)} was retuned in {count(of.runs, 'training')}. May both stay? "
        f"{of.both.answer} (probability that they may: {of.both.probability:.3f}). Best expected: "
        f"{_setting(of.setting)}. The verdicts below judge regions, and have few settings to go by."
        for variant, (of, _) in retuned(plan).items()
    ]


def verdict_commands(plan: "AnyPlan", table: Path) -> list[str]:
    """Commands that give a study's verdicts again: one for each network that is retuned."""
    study = plan.study
    if not plan.retunes:
        widths = ",".join(f"{width:g}" for width in study.roi)
        return [shlex.join(["hpstudy", "compare", str(table), "--roi", widths])]
    words = ["hpstudy", "retune", str(table)]
    if plan.axes != AXES:
        words += ["--axes", ",".join(plan.axes)]
    if plan.metric != "top1":
        words += ["--metric", plan.metric, "--goal", plan.goal]
    options = {"tolerable": min(study.roi), "batch": study.design.batch}
    for name, value in (options | {"budget": study.design.budget}).items():
        words += [f"--{name}", f"{value:g}"]
    return [shlex.join([*words, "--pruned", variant]) for variant in study.variants[1:]]


def _lost(pruned: Landscape | None) -> list[str]:
    """What is made of runs that diverged."""
    points = pruned.points if pruned else None
    lost = 0 if points is None else round((points["diverged"] * points["seeds"]).sum())
    what = "a setting at which one did counts as the worst of both tables"
    return [f"Of the pruned network, {count(lost, 'run')} diverged; {what}."] if lost else []


def _doubts(dense: Landscape, pruned: Landscape | None) -> list[str]:
    """What looks like a mistake in the tables."""
    if pruned is None:
        return []
    doubts, name = [], printed(pruned.variant)
    if (own := len(pruned.points)) > (settings := len(dense.points)):
        doubts.append(
            f"{printed(dense.variant)} has {count(settings, 'setting')}, and {name} {own:,}: are "
            "the tables swapped?"
        )
    alone = pruned.points[dense.keys.get_indexer(pruned.keys) < 0]
    if len(alone):
        first = ", ".join(setting_text(value) for value in alone.iloc[0][list(dense.axes)])
        doubts.append(
            f"{name} was trained at {count(len(alone), 'setting')} that the dense network lacks, "
            f"such as {first}."
        )
    for axis in dense.axes:
        tried, values = (net.points[axis][net.points[axis] > 0] for net in (dense, pruned))
        low, high = tried.min(), tried.max()
        doubts += [
            f"{name} has a run at {printed(axis_title(axis))} {setting_text(value)}, far from the "
            f"dense network's {setting_text(low)} to {setting_text(high)}."
            for value in values[~values.between(low / FAR, high * FAR)].unique()
        ]
    return doubts


def _texts(
    dense: Landscape,
    result: Retuning,
    tolerable: float,
    budget: int,
    names: Mapping[str, str],
    option: str = "--budget",
) -> list[Any]:
    metric = metric_of(dense)
    beliefs = {"both": result.both} | {axis_title(axis): of for axis, of in result.axes.items()}
    rows = [
        (name, of.answer, f"{of.probability:.3f}", f"{high:g}", f"{low:g}")
        for (name, of), question in zip(beliefs.items(), QUESTIONS, strict=False)
        for low, high in [limits(question)]
    ]
    low, middle, high = result.loss
    unit = "points" if metric.percent else metric.name
    noise = f"Noise of a run: {result.noise:.1f} times the tolerable loss of {tolerable:g} {unit}."
    if not result.runs:
        texts: list[Any] = [
            f"Kept: {_setting(result.kept)}. {noise}",
            _outlook(result.noise, dense.seeds > 1),
        ]
    else:
        texts = [
            f"Trainings so far: {result.runs}. {noise}",
            columns(
                *(rows, "may I keep", "answer", "probability", "keep above", "retune below"),
                right=[2, 3, 4],
            ),
            "",
            f"Kept: {_setting(result.kept)}. It loses {middle:.2f} {unit} (95 %: {low:.2f} to "
            f"{high:.2f}).",
            f"Best expected: {_setting(result.setting)}. It loses at most {tolerable:g} {unit} "
            f"with probability {result.found:.2f}.",
            "Probability that the two landscapes are unlike (that they correlate by less than "
            f"{SIMILAR:g}): {result.distrust:.2f}.",
        ]
    if result.waits and result.runs:
        texts.append(WAITS[result.waits])
    if result.noise > QUIET:
        texts.append(f"The noise is above {QUIET:g} times that loss, so no answer can be keep.")
    if result.next:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(names.get(name, name) for name in result.next[0])
        writer.writerows(setting.values() for setting in result.next)
        texts += ["", "Train next, add the runs to the table, and ask again:", table.getvalue()]
    elif result.both.answer == "inconclusive":
        texts += ["", f"The budget of {count(budget, 'training')} is spent; {option} allows more."]
    else:
        texts += ["", f"Done: the answer on both is {result.both.answer}."]
        if result.both.answer == "retune":
            texts[-1] += " Use the best expected setting."
    return texts


def _setting(setting: dict[str, float]) -> str:
    pairs = (f"{printed(axis_title(axis))} {setting_text(at)}" for axis, at in setting.items())
    return ", ".join(pairs)


def _outlook(noise: float, replicated: bool) -> str:
    """What to expect before the first training, from pairs of similar noise."""
    row = min(fitted()["outlook"], key=lambda row: abs(row["noise"] - noise))
    text = (
        f"Of {row['pairs']} measured and simulated pairs of about this noise, "
        f"{row['inconclusive']:.0%} were still inconclusive on both after {BUDGET} trainings"
    )
    for share, key in (("half", "median"), ("nine in ten", "most")):
        if row[key]:
            text += f"; {share} were answered within {row[key]}"
    if replicated:
        return f"{text}."
    one, several = (fitted()["replicates"][name] for name in ("one", "several"))
    return (
        f"{text}. With replicates of the dense network {several['inconclusive']:.0%} of "
        f"{several['pairs']} measured pairs were inconclusive, and without them "
        f"{one['inconclusive']:.0%} of {one['pairs']}."
    )
