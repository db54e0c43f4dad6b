"""Whether runs, rankings and certificates fit the networks that they name, built again."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from torch import nn

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Count, Criterion, Method, Model, Study, parse_variant
from hpstudy.config.validation import Frozen
from hpstudy.errors import HpstudyError, count, listed, shown
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.flops import output_positions
from hpstudy.networks.models import MOST_CLASSES, zeros
from hpstudy.networks.pruning import TOLERANCE, choose_channels
from hpstudy.storage.findings import Findings
from hpstudy.training.datasets import KNOWN

# What is built again: model, classes, image size, and the widths or the kept channels.
Built = tuple[str, int, int, tuple]


class Runs:
    """Runs that differ in nothing but lr, weight_decay and seed.

    Parameters
    ----------
    spec : RunSpec
        One of them.
    """

    def __init__(self, spec: RunSpec):
        self.spec = spec
        self._ids: list[Any] = []
        self._settings: list[tuple[float, float, int]] = []
        self._sizes: dict[Any, tuple[Any, Any]] = {}

    def add(
        self, run_id: Any, setting: tuple[float, float, int], size: tuple[Any, Any] | None
    ) -> None:
        """Add a run with its macs and params, if they are known."""
        self._ids.append(run_id)
        self._settings.append(setting)
        if size is not None:
            self._sizes[run_id] = size

    def check_ids(self, findings: Findings) -> None:
        """Compute every id again; of a run with another one nothing more is known."""
        for run_id, own in zip(self._ids, self.spec.run_ids(self._settings), strict=True):
            if run_id != own:
                findings.fault(f"what it is recorded as has the id {own}", run_id)
                self._sizes.pop(run_id, None)

    def check_sizes(self, findings: Findings) -> Built | None:
        """Build the network again and compare the runs with it; what was built, if it could be."""
        if not self._sizes:
            return None
        spec = self.spec
        # One run that is damaged does not make all others differ.
        (macs, params), _ = Counter(self._sizes.values()).most_common(1)[0]
        first = next(iter(self._sizes))
        try:
            widths = tuple((spec.widths or {}).items())
            _check_widths(spec)
            classes = _classes(spec, params)
            built = (spec.model, classes, spec.data.image_size, widths)
            size = _size_at(*built)
        except HpstudyError as error:
            findings.fault(str(error), first)
            return None
        for run_id, own in self._sizes.items():
            for name, there, here in zip(("macs", "params"), own, size, strict=True):
                if there != here:
                    findings.fault(f"{name} is {there}, but its network has {here}", run_id)
        return built


def _check_widths(spec: RunSpec) -> None:
    dense = network(spec.model, 10, spec.data.image_size).cost.widths
    for layer, width in (spec.widths or {}).items():
        if width > dense.get(layer, 0):
            raise HpstudyError(
                f"{spec.model} has no layer {shown(layer)} of {count(width, 'channel')} that may "
                "be pruned"
            )
    if spec.widths and (left_out := dense.keys() - spec.widths.keys()):
        raise HpstudyError(f"its widths leave out {listed(sorted(left_out))}")


def _classes(spec: RunSpec, params: int) -> int:
    """Classes of the data: as the set is known to have, else as the parameters of a run say."""
    if spec.data.name in KNOWN:
        return KNOWN[spec.data.name][0]
    two = network(spec.model, 2, spec.data.image_size)
    *_, classifier = (module for module in two.model.modules() if isinstance(module, nn.Linear))
    more, rest = divmod(int(params) - two.cost.params(spec.widths), classifier.in_features + 1)
    if rest or not 2 <= 2 + more <= MOST_CLASSES:
        raise HpstudyError(f"params is {params}, which its network has with no number of classes")
    return 2 + more


@cache
def network(model: str, classes: int, image_size: int) -> PrunableNetwork:
    """A dense network, built once.

    Parameters
    ----------
    model : str
    classes, image_size : int

    Raises
    ------
    HpstudyError
        If there is none.
    """
    return PrunableNetwork(model, classes, image_size)


@cache
def _size_at(model: str, classes: int, image_size: int, widths: tuple) -> tuple[int, int]:
    return _size(network(model, classes, image_size).at_widths(dict(widths)), image_size)


def _size(module: nn.Module, image_size: int) -> tuple[int, int]:
    """Multiply-accumulates and parameters of a network, counted on its own layers."""
    positions = output_positions(module, zeros(image_size))
    macs = sum(
        number * module.get_submodule(name).weight.numel() for name, number in positions.items()
    )
    return macs, sum(parameter.numel() for parameter in module.parameters())


def check_ranking(
    findings: Findings, run_id: Any, runs: Runs | None, diverged: bool, ranking: Mapping[str, Any]
) -> None:
    """Check the filter scores that were kept with a run.

    Parameters
    ----------
    findings : Findings
    run_id : str
    runs : Runs or None
        The run with those of its kind; None if it is not recorded.
    diverged : bool
        Whether it did: its scores need not be numbers then.
    ranking : mapping
        `weights_sha256` and `scores`.
    """
    if runs is None or runs.spec.widths is not None:
        findings.fault("it has a ranking, but is no recorded run of a dense network", run_id)
        return
    if not re.fullmatch("[0-9a-f]{64}", str(ranking["weights_sha256"])):
        findings.fault(f"its ranking has the hash {shown(ranking['weights_sha256'])}", run_id)
    scores = ranking["scores"]
    widths = network(runs.spec.model, 10, runs.spec.data.image_size).cost.widths
    if not isinstance(scores, dict) or scores.keys() != widths.keys():
        findings.fault("its ranking has not the layers of its network", run_id)
        return
    for layer, width in widths.items():
        values = scores[layer]
        if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
            findings.fault(f"its ranking has no numbers for {layer}", run_id)
        elif len(values) != width:
            there = f"{count(len(values), 'score')} for the {count(width, 'filter')} of {layer}"
            findings.fault(f"its ranking has {there}", run_id)
        elif not (diverged or all(0 <= value < math.inf for value in values)):
            findings.fault(f"its ranking has a score of {layer} that is no L1 norm", run_id)


class Certificate(Frozen):
    """What `hpstudy.networks.pruning_report.prune_network` says of a pruned network."""

    model: Model
    classes: Annotated[int, Field(strict=True, ge=2, le=MOST_CLASSES)]
    image_size: Annotated[int, Field(strict=True, ge=8, le=224)]
    method: Method
    criterion: Criterion
    target: float
    achieved: float
    achieved_torch_pruning: Annotated[float, Field(strict=True, gt=0, le=1)]
    macs: Count
    macs_dense: Count
    params: Count
    params_dense: Count
    smallest: dict[str, str | int]
    ranked: str
    weights_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    widths: dict[str, Count]
    kept: dict[str, list[int]]


def check_certificate(
    findings: Findings,
    variant: str,
    certificate: Certificate,
    study: Study,
    prior: str,
    ranking: Mapping[str, Any] | None,
) -> Built | None:
    """Build the network of a certificate again and compare; what was built, if it could be.

    Parameters
    ----------
    findings : Findings
    variant : str
        Its name in the study.
    certificate : Certificate
    study : Study
    prior : str
        Id of the run whose filters were ranked.
    ranking : mapping or None
        `weights_sha256` and `scores` of that run, where they are at hand.
    """

    def fault(words: str) -> None:
        findings.fault(f"the certificate of {variant} {words}")

    key = (study.model, certificate.classes, study.data.image_size)
    if study.data.name in KNOWN and KNOWN[study.data.name][0] != certificate.classes:
        fault(f"has {certificate.classes} classes, but the data {KNOWN[study.data.name][0]}")
    dense = network(*key)
    kept = certificate.kept
    for layer in dense.cost.widths.keys() | kept.keys():
        channels, width = kept.get(layer, []), dense.cost.widths.get(layer, 0)
        if not channels or channels != sorted(set(channels) & set(range(width))):
            fault(f"keeps the channels {shown(channels)} of {layer}, which has {width}")
            return None
    small = dense.cut(dense.model, kept)
    macs, params = _size(small, study.data.image_size)
    macs_dense, params_dense = _size(dense.model, study.data.image_size)
    widths = {layer: small.get_submodule(layer).out_channels for layer in kept}
    smallest = min(widths, key=widths.__getitem__)
    method, target = parse_variant(variant)
    expected = {
        "model": study.model,
        "image_size": study.data.image_size,
        "method": method,
        "criterion": study.criterion,
        "target": target,
        "achieved": macs / macs_dense,
        "macs": macs,
        "macs_dense": macs_dense,
        "params": params,
        "params_dense": params_dense,
        "smallest": {"layer": smallest, "width": widths[smallest]},
        "ranked": f"dense network trained at the prior, run {prior}",
        "widths": widths,
    }
    for name, value in expected.items():
        if (said := getattr(certificate, name)) != value:
            fault(f"says {name} {shown(said)}, but its network and its study {shown(value)}")
    if abs(macs / macs_dense - target) > TOLERANCE:
        fault(f"keeps {macs / macs_dense:.4f} of the FLOPs instead of {target}")
    if ranking is not None:
        if ranking["weights_sha256"] != certificate.weights_sha256:
            fault("ranks other weights than the store")
        chosen = choose_channels(dense.cost, ranking["scores"], method, target, study.criterion)
        if differing := [layer for layer in chosen if chosen[layer] != kept[layer]]:
            fault(f"keeps others than the channels ranked best of {listed(differing)}")
    return (*key, tuple(widths.items()))
