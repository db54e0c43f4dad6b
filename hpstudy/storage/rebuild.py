"""Whether rankings and certificates fit their networks, which are built again (torch)."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from hpstudy.config.runspec import Network, RunSpec
from hpstudy.config.study import DENSE, Study, parse_variant
from hpstudy.errors import HpstudyError, count, shown
from hpstudy.storage.schema import Ranking, StudyRecord, run_widths

if TYPE_CHECKING:
    from hpstudy.networks.dependency import PrunableNetwork
    from hpstudy.networks.own_network import OwnNetwork

# Model, the JSON of its `RunSpec.network`, number of classes, image size, and its widths.
Built = tuple[str, str, int, int, tuple[tuple[str, int], ...]]


def known_classes(data: str) -> int | None:
    """Number of classes of a data set whose name fixes its content; None for others."""
    from hpstudy.training.datasets import KNOWN

    return KNOWN[data][0] if data in KNOWN else None


@cache
def _network(
    model: str, network: str, classes: int, image_size: int
) -> "PrunableNetwork | OwnNetwork | None":
    from hpstudy.networks.dependency import PrunableNetwork
    from hpstudy.networks.own_network import OwnNetwork
    from hpstudy.networks.sources import is_data

    if not network:
        return PrunableNetwork(model, classes, image_size)
    # A table that names code does not have it imported.
    if not is_data(model):
        return None
    given = Network.model_validate_json(network)
    try:
        own = OwnNetwork.open(model, classes, image_size, given.arguments, given.stem)
    except HpstudyError:  # a package is not installed, or lacks this network
        return None
    return own if own.identity == given else None


def network_key(spec: RunSpec, classes: int) -> tuple[str, str, int, int]:
    """What identifies the dense network of a run (see `Built`)."""
    network = spec.network.model_dump_json() if spec.network else ""
    return spec.model, network, classes, spec.data.image_size


@cache
def network_size(built: Built) -> tuple[int, int] | None:
    """Multiply-accumulates and parameters of a network, counted on the layers of a new one.

    None for code of one's own, and for a network that this machine cannot build.
    """
    from hpstudy.networks.flops import output_positions
    from hpstudy.networks.models import zeros

    *dense, widths = built
    if (network := _network(*dense)) is None:
        return None
    if network.identity:
        return network.size(dict(widths))
    module, macs = network.at_widths(dict(widths)), 0
    for name, positions in output_positions(module, zeros(network.image_size)).items():
        macs += positions * module.get_parameter(f"{name}.weight").numel()
    return macs, sum(parameter.numel() for parameter in module.parameters())


def ranking_faults(spec: RunSpec, ranking: Ranking) -> Iterator[str]:
    """Layers of a ranking that have not one score a filter."""
    classes = known_classes(spec.data.name) or 10
    if (network := _network(*network_key(spec, classes))) is None:
        return
    widths = {layer: len(scores) for layer, scores in network.scores(network.model).items()}
    for layer in {**widths, **ranking.scores}:
        number, width = len(ranking.scores.get(layer, ())), widths.get(layer, 0)
        if number != width:
            words = f"its ranking has {count(number, 'score')}"
            yield f"{words} for {count(width, 'filter')} of {layer}"


def prune_variant(
    network: "PrunableNetwork | OwnNetwork",
    study: Study,
    variant: str,
    run_id: str,
    ranking: Mapping[str, Any],
) -> dict[str, Any]:
    """Report of a pruned network, by the ranking of the dense network that a run has trained."""
    from hpstudy.networks.own_network import OwnNetwork
    from hpstudy.networks.pruning_report import prune_network, prune_own_network

    scores, origin = ranking["scores"], {"weights_sha256": ranking["weights_sha256"]}
    origin["ranked"] = f"dense network trained at the prior, run {run_id}"
    if isinstance(network, OwnNetwork):
        return prune_own_network(network, study, variant, scores, **origin)
    method, ratio = parse_variant(variant)
    return prune_network(network, scores, method, ratio, study.criterion, **origin).model_dump()


def certificate_faults(
    record: StudyRecord, variant: str, rankings: Mapping[str, Ranking]
) -> Iterator[str]:
    """Values of a certificate that differ from those of the network, pruned again.

    `rankings` are those of stores, by run id. Without a ranking the channels are not chosen again.
    """
    study, certificate, prior = record.study, record.certificates[variant], record.run_spec(DENSE)
    dense = network_key(prior, certificate.classes)
    if (network := _network(*dense)) is None:
        return
    widths = {layer: len(kept) for layer, kept in certificate.kept.items()}
    expected: dict[str, Any] = {} if network.identity else {"widths": widths}
    if ranking := rankings.get(prior.run_id) or record.ranking:
        if faults := list(ranking_faults(prior, ranking)):
            yield from faults
            return
        try:
            scores = ranking.model_dump()
            expected = prune_variant(network, study, variant, prior.run_id, scores)
        except HpstudyError as error:
            yield str(error)
            return
    elif network.identity or widths == certificate.widths:
        shape = run_widths(certificate.model_dump()) or {}
        expected |= dict(zip(("macs", "params"), network.size(shape), strict=True))
    # It holds versions and rounding errors of the machine; the cut is compared alone.
    if report := expected.pop("report", None):
        expected["report"] = {**certificate.model_dump()["report"], "removed": report["removed"]}
    for name, value in expected.items():
        if (own := getattr(certificate, name, None)) != value:
            yield f"says {name} {shown(own)}, but must say {shown(value)}"
