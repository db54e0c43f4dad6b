"""Tables of what each number is without the noise of single runs, with its 95 % interval.

Every function returns a frame with one row a network (or a network and a threshold); cells of
intervals hold `hpstudy.analysis.intervals.Interval`, NaN in it where there is none.
"""

import math
from collections.abc import Iterable

import pandas as pd

from hpstudy.analysis import thesis_tables
from hpstudy.analysis.study_results import METRIC_TITLES, StudyResults
from hpstudy.analysis.verdict import TARGETS, trainings
from hpstudy.config.study import DENSE, parse_variant

KEYS = ["study", "model", "variant"]
AUTHORS = {"wang2023": "Wang et al. (2023)", "liu2019": "Liu et al. (2019)"}


def bests_without_noise(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Noise of single runs, and the best of each network with and without it.

    Returns
    -------
    DataFrame of shape (n_variants, 9)
        study, model, variant, replicates (pooled standard deviation over seeds, in percentage
        points; NaN without replicates), degrees (of freedom of it), noise (standard deviation of
        a run, from replicates and the landscape's smoothness together), top1 (the measured best,
        percent), bias (what it owes to luck, points), corrected (interval of the noise-free value
        at that setting).
    """
    rows = []
    for results, analysis, name in _networks(studies):
        surrogate, best = analysis.surrogates.get(name), analysis.best(name)
        deviation, degrees = surrogate.replicates if surrogate else (math.nan, 0)
        rows.append(
            {
                **_keys(results, name),
                "replicates": deviation,
                "degrees": degrees,
                "noise": surrogate.noise if surrogate else math.nan,
                "top1": best.measured,
                "bias": best.bias,
                "corrected": best.corrected,
            }
        )
    return pd.DataFrame(rows)


def shapes(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Regions of interest of the noise-free landscapes: Table 4.1 with intervals.

    Returns
    -------
    DataFrame of shape (n_variants x n_thresholds, 11)
        study, model, variant, roi (threshold in percentage points) and, as intervals, points,
        length_interval, width_interval (decades), log10_weight_decay_interval, log10_lr_interval
        (centre), slope (b of the band log10 weight_decay = a - b log10 lr; 1 is the inverse
        relation of equation 2.2) and level (a of it).
    """
    rows = []
    for results, analysis, name in _networks(studies):
        for threshold in reversed(results.thresholds):
            shape = analysis.shape(name, threshold)
            rows.append(
                {
                    **_keys(results, name),
                    "roi": threshold,
                    "points": shape.n,
                    "length_interval": shape.length,
                    "width_interval": shape.width,
                    "log10_weight_decay_interval": shape.second,
                    "log10_lr_interval": shape.first,
                    "slope": shape.band.b,
                    "level": shape.band.a,
                }
            )
    return pd.DataFrame(rows)


def movements(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """How each pruned network's landscape differs from the unpruned network's.

    Returns
    -------
    DataFrame of shape (n_pruned x n_thresholds, 14)
        study, model, variant, roi, common (points that both have), spearman and kendall (measured
        rank correlations), spearman_interval, jaccard (measured overlap of the regions),
        jaccard_by_noise (interval of the overlap that noise alone would leave), jaccard_p, shift
        (interval of the centre's shift, decades), shift_p (of the permutation test),
        ellipse_overlap (interval).
    """
    rows = []
    for results, analysis, name in _networks(studies, pruned=True):
        for threshold in reversed(results.thresholds):
            if (moved := analysis.shift(name, threshold)) is None:
                continue
            rows.append(
                {
                    **_keys(results, name),
                    "roi": threshold,
                    "common": moved.n,
                    "spearman": moved.spearman,
                    "kendall": moved.kendall,
                    "spearman_interval": moved.spearman_interval,
                    "jaccard": moved.overlap.measured,
                    "jaccard_by_noise": moved.overlap.expected,
                    "jaccard_p": moved.overlap.p,
                    "shift": moved.centre.distance,
                    "shift_p": moved.centre.p,
                    "ellipse_overlap": moved.ellipse_overlap,
                }
            )
    return pd.DataFrame(rows)


def risks_without_noise(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Risk over the unpruned network's region, of the noise-free landscapes: Table 4.2 likewise.

    Returns
    -------
    DataFrame of shape (n_variants, 8)
        study, model, variant, roi (the study's narrowest threshold), and the intervals
        mean_interval, std_interval (percentage points), relative_mean_interval and
        relative_std_interval (fractions).
    """
    rows = []
    for results, analysis, name in _networks(studies):
        risk = analysis.risk(name, results.risk_threshold)
        intervals = {f"{key}_interval": value for key, value in risk._asdict().items()}
        rows.append({**_keys(results, name), "roi": results.risk_threshold, **intervals})
    return pd.DataFrame(rows)


def keepings(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """What keeping the unpruned network's one optimum costs, and what tuning again takes.

    Returns
    -------
    DataFrame of shape (n_pruned, 11)
        study, model, variant, kept (measured loss at that setting, points), loss_kept
        (`hpstudy.analysis.intervals.Loss` of the noise-free one), and for each target of
        `hpstudy.analysis.verdict.TARGETS` the fewest trainings that bring the expected regret there:
        local_T and random_T; None where no number does.
    """
    rows = []
    for results, analysis, name in _networks(studies, pruned=True):
        measured, _ = analysis.keeping(name)
        row = {**_keys(results, name), "kept": measured, "loss_kept": analysis.transfer_regret(name)}
        for way, known in trainings(analysis, name).items():
            row |= {f"{way}_{target:g}": known.get(target) for target in TARGETS}
        rows.append(row)
    # As objects: a column with a None would otherwise turn its counts into floats.
    return pd.DataFrame(rows, dtype=object)


def by_metric(results: StudyResults) -> pd.DataFrame:
    """The same questions asked of every metric of a study: last epoch, best epoch, top-5.

    Returns
    -------
    DataFrame of shape (n_variants x n_metrics, 7)
        metric, variant, best (measured, percent), corrected (interval of the noise-free value
        there), mean_interval (of the risk over the unpruned network's region of the study's
        narrowest threshold), kept and loss (as `keepings`; of the unpruned network itself 0 and
        what its measured best lies below its noise-free one).
    """
    rows = []
    for metric in results.metrics:
        analysis = results.analysis(metric)
        for name in analysis.landscapes:
            best, (kept, loss) = analysis.best(name), analysis.keeping(name)
            rows.append(
                {
                    "metric": METRIC_TITLES[metric],
                    "variant": name,
                    "best": best.measured,
                    "corrected": best.corrected,
                    "mean_interval": analysis.risk(name, results.risk_threshold).mean,
                    "kept": kept,
                    "loss": loss,
                }
            )
    return pd.DataFrame(rows)


def _networks(studies: Iterable[StudyResults], pruned: bool = False):
    for results in studies:
        analysis = results.analysis()
        for name in analysis.pruned if pruned else analysis.landscapes:
            yield results, analysis, name


def _keys(results: StudyResults, name: str) -> dict[str, str]:
    return {"study": results.name, "model": results.model, "variant": name}


def given_up(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Accuracy that pruning costs at a share of the FLOPs, beside the thesis's and others'.

    Returns
    -------
    DataFrame of shape (n_networks, 6)
        source (a study or the thesis, with the method, or authors), model, flops_ratio (share that
        remains), dense_top1 and top1 (percent; of studies and of the thesis the best of their
        grids, of others means), given_up (percentage points between the two; of studies the
        interval of the noise-free landscapes). Largest share first.
    """
    rows = []
    for results, analysis, name in _networks(studies, pruned=True):
        best = [analysis.landscapes[one].best for one in (analysis.dense, name)]
        source, ratio = _source(results.name, name)
        rows.append((source, results.model, ratio, *best, analysis.accuracy_drop(name)))
    published = thesis_tables.best_accuracies().set_index(["model", "variant"])["top1"]
    for (model, name), top1 in published.items():
        if name != DENSE:
            source, ratio = _source("thesis", name)
            dense = published[model, DENSE]
            rows.append((source, model, ratio, dense, top1, dense - top1))
    for one in thesis_tables.from_scratch().itertuples():
        lost = one.dense_top1 - one.top1
        numbers = one.flops_ratio, one.dense_top1, one.top1, lost
        rows.append((AUTHORS[one.source], one.model, *numbers))
    columns = ["source", "model", "flops_ratio", "dense_top1", "top1", "given_up"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("flops_ratio", ascending=False, kind="stable", ignore_index=True)


def _source(of: str, variant: str) -> tuple[str, float]:
    """Where a pruned network comes from and how it was pruned, and its share of the FLOPs."""
    method, ratio = parse_variant(variant)
    return f"{of}, {method.replace('nonuniform', 'non-uniform')}", ratio
