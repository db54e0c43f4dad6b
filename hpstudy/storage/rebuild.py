"""Whether rankings and certificates fit their networks, which are built again (torch)."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, Study, parse_variant
from hpstudy.errors import HpstudyError, count, shown
from hpstudy.storage.schema import Ranking, StudyRecord

if TYPE_CHECKING:
    from hpstudy.networks.dependency import PrunableNetwork

# Model, number of classes, image size, and width of each pruned layer.
Built = tuple[str, int, int, tuple[tuple[str, int], ...]]


def known_classes(data: str) -> int | None:
    """Number of classes of a data set whose name fixes its content; None for others."""
    from hpstudy.training.datasets import KNOWN

    return KNOWN[data][0] if data in KNOWN else None


@cache
def _network(model: str, classes: int, image_size: int) -> "PrunableNetwork":
    from hpstudy.networks.dependency import PrunableNetwork

    return PrunableNetwork(model, classes, image_size)


@cache
def network_size(built: Built) -> tuple[int, int]:
    """Multiply-accumulates and parameters of a network, counted on the layers of a new one."""
    from hpstudy.networks.flops import output_positions
    from hpstudy.networks.models import zeros

    *dense, widths = built
    module = _network(*dense).at_widths(dict(widths))
    macs = 0
    for name, positions in output_positions(module, zeros(built[2])).items():
        macs += positions * module.get_parameter(f"{name}.weight").numel()
    return macs, sum(parameter.numel() for parameter in module.parameters())


def ranking_faults(spec: RunSpec, ranking: Ranking) -> Iterator[str]:
    """Layers of a ranking that have not one score a filter."""
    classes = known_classes(spec.data.name) or 10
    widths = _network(spec.model, classes, spec.data.image_size).cost.widths
    for layer in {**widths, **ranking.scores}:
        number, width = len(ranking.scores.get(layer, ())), widths.get(layer, 0)
        if number != width:
            words = f"its ranking has {count(number, 'score')}"
            yield f"{words} for {count(width, 'filter')} of {layer}"


def prune_variant(
    network: "PrunableNetwork", study: Study, variant: str, run_id: str, ranking: Mapping[str, Any]
) -> dict[str, Any]:
    """Report of a pruned network, by the ranking of the dense network that a run has trained."""
    from hpstudy.networks.pruning_report import prune_network

    report = prune_network(
        network,
        ranking["scores"],
        *parse_variant(variant),
        study.criterion,
        ranked=f"dense network trained at the prior, run {run_id}",
        weights_sha256=ranking["weights_sha256"],
    )
    return report.model_dump()


def certificate_faults(
    record: StudyRecord, variant: str, rankings: Mapping[str, Ranking]
) -> Iterator[str]:
    """Values of a certificate that differ from those of the network, pruned again.

    `rankings` are those of stores, by run id. Without a ranking the channels are not chosen again.
    """
    study, certificate, prior = record.study, record.certificates[variant], record.run_spec(DENSE)
    dense = study.model, certificate.classes, study.data.image_size
    widths = {layer: len(kept) for layer, kept in certificate.kept.items()}
    expected: dict[str, Any] = {"widths": widths}
    if ranking := rankings.get(prior.run_id) or record.ranking:
        if faults := list(ranking_faults(prior, ranking)):
            yield from faults
            return
        try:
            scores = ranking.model_dump()
            expected = prune_variant(_network(*dense), study, variant, prior.run_id, scores)
        except HpstudyError as error:
            yield str(error)
            return
    elif widths == certificate.widths:
        expected["macs"], expected["params"] = network_size((*dense, tuple(widths.items())))
    for name, value in expected.items():
        if (own := getattr(certificate, name, None)) != value:
            yield f"says {name} {shown(own)}, but must say {shown(value)}"
