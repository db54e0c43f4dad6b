"""A network from torchvision, timm or a function of one's own, as a study trains and prunes it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.config.runspec import Network
from hpstudy.config.study import Study, parse_variant
from hpstudy.errors import HpstudyError, one_line, shown
from hpstudy.networks.flops import measured_macs
from hpstudy.networks.graph import Inputs
from hpstudy.networks.groups import all_norms
from hpstudy.networks.identity import network_hash
from hpstudy.networks.models import initialise, zeros
from hpstudy.networks.pruning import weights_hash
from hpstudy.networks.shapes import Shapes, cut_to, shapes_of
from hpstudy.networks.sources import build_network, is_data, takes_classes
from hpstudy.networks.stem import small_stem
from hpstudy.networks.verified import VerifiedNetwork
from hpstudy.networks.verified_groups import OUTPUT, STEM

# Arguments of torchvision and timm that load weights, perhaps from files that run code.
_LOADING = ("pretrained", "weights", "checkpoint")


class OwnNetwork:
    """Network from a source, at any shape, for a number of classes and an image size.

    Its initialisation is that of the study's networks (`hpstudy.networks.models.initialise`): He's
    for convolutions and linear layers, ones and zeros for normalisations. All else, such as
    embeddings and scales of layers, is as the factory makes it with the seed of the run. It has
    the methods of `hpstudy.networks.dependency.PrunableNetwork`.

    Attributes
    ----------
    arguments : dict
        Keyword arguments of the factory, the number of classes among them.
    identity : Network
    layout : torch.memory_format
        Channels last, where the forward of the network takes it.
    """

    def __init__(
        self,
        name: str,
        classes: int,
        image_size: int,
        arguments: Mapping[str, Any],
        identity: Network,
        layout: torch.memory_format,
    ):
        self.name, self.classes, self.image_size = name, classes, image_size
        self.arguments, self.identity, self.layout = dict(arguments), identity, layout
        self._sizes: dict[str, tuple[int, int]] = {}
        self._verified: dict[str, VerifiedNetwork] = {}

    @classmethod
    def open(
        cls, name: str, classes: int, image_size: int, arguments: Mapping[str, Any], stem: Any
    ) -> "OwnNetwork":
        """Build a network and try a step of its training and of its evaluation.

        Raises HpstudyError if there is no such network, or a study cannot train it.
        """
        complete = dict(arguments)
        if takes_classes(name):
            if complete.setdefault("num_classes", classes) != classes:
                raise HpstudyError(
                    f"arguments has num_classes {shown(complete['num_classes'])}, but the data "
                    f"have {classes} classes; leave it out"
                )
        for key in complete:
            if is_data(name) and key.startswith(_LOADING):
                raise HpstudyError(
                    f"arguments has the key {shown(key)}, but a study draws all weights anew; "
                    "leave it out"
                )
        identity = Network(arguments=dict(arguments), stem=stem, sha256="0" * 64)
        network = cls(name, classes, image_size, complete, identity, torch.channels_last)
        with torch.random.fork_rng(devices=[]):
            network._try()
        return network

    @cached_property
    def model(self) -> nn.Module:
        """Untrained dense network, with the same weights every time."""
        with torch.random.fork_rng(devices=[]):
            return self.fresh(0, None)

    def at_widths(self, widths: Shapes | None) -> nn.Module:
        """New, untrained network of the given shape (None: dense); initialise it before use."""
        return self._built(0, widths)

    def fresh(self, seed: int, widths: Shapes | None) -> nn.Module:
        """New network of the given shape, initialised from torch's generator with this seed."""
        model = self._built(seed, widths)
        torch.manual_seed(seed)
        initialise(model)
        return model

    def _built(self, seed: int, widths: Shapes | None) -> nn.Module:
        # From other random numbers than those that the initialisation draws.
        model = build_network(self.name, self.arguments, ~seed)
        for key, value in model.named_parameters():
            what = str(value.dtype).removeprefix("torch.")
            if isinstance(value, nn.parameter.UninitializedParameter):
                what = "no shape yet, as it is lazy"
            elif (value.dtype, value.device.type) == (torch.float32, "cpu"):
                continue
            raise HpstudyError(
                f"{self.name} must have parameters of float32 on the CPU, but {shown(key)} has "
                f"{what} on {value.device}"
            )
        if self.identity.stem:
            small_stem(model, self.name)
        return cut_to(model, widths) if widths else model

    def size(self, widths: Shapes | None) -> tuple[int, int]:
        """Multiply-accumulates and parameters at the given shape."""
        key = json.dumps(widths)
        if key not in self._sizes:
            model = self.at_widths(widths)
            macs = measured_macs(model, Inputs.of(zeros(self.image_size)))
            self._sizes[key] = macs, sum(value.numel() for value in model.parameters())
        return self._sizes[key]

    def scores(self, model: nn.Module) -> dict[str, list[float]]:
        """Norms of the filters of all layers of a trained dense network.

        Which layers rank a group is known to the plan alone, which traces the network.
        """
        return all_norms(model)

    def widths_for(self, study: Study, variant: str) -> dict[str, int]:
        """Shape of a variant when the filters of the untrained network are ranked.

        Raises HpstudyError if its FLOPs ratio is out of reach.
        """
        method, ratio = parse_variant(variant)
        verified = self.verified(study)
        _, removed = verified.removed(ratio, method, study.criterion, study.tolerance)
        return shapes_of(removed, verified.dense)

    def verified(self, study: Study) -> VerifiedNetwork:
        """The dense network with its verified groups, which takes seconds once."""
        options = study.scope, (STEM, OUTPUT, *study.spare), study.exact, study.round_to
        key = repr(options)
        if key not in self._verified:
            inputs = Inputs.of(zeros(self.image_size))
            self._verified[key] = VerifiedNetwork.open(self.name, self.model, inputs, *options)
        return self._verified[key]

    # --- whether a study can train it -------------------------------------------------------------

    def _try(self) -> None:
        """Set identity and layout; raises HpstudyError for a network that cannot be trained."""
        one, again, other = self.fresh(0, None), self.fresh(0, None), self.fresh(1, None)
        if not any(value.requires_grad for value in one.parameters()):
            raise HpstudyError(f"{self.name} has no parameter that is trained")
        if weights_hash(one) != weights_hash(again):
            raise HpstudyError(
                f"{self.name} has other weights each time it is made; draw them by torch.nn.init "
                "or torch's generator alone"
            )
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(2, 3, self.image_size, self.image_size, generator=generator)
        try:
            self._step(images)
        except HpstudyError:
            # A view of pixels, say, needs the other order of them; reshape would take both.
            self.layout = torch.contiguous_format
            self._step(images)
        for training in (False, True):
            self._check_repeats(one.train(training), images)
        with torch.no_grad():
            sha256 = network_hash(one, other, lambda model: model(images))
        self.identity = self.identity.model_copy(update={"sha256": sha256})

    def _step(self, images: Tensor) -> None:
        """Gradients of a step of training, which must not fail."""
        model = self.fresh(0, None).to(memory_format=self.layout).train()
        logits = self._logits(model, images.contiguous(memory_format=self.layout))
        try:
            F.cross_entropy(logits, torch.zeros(len(images), dtype=torch.long)).backward()
        except RuntimeError as error:
            raise HpstudyError(f"{self.name} has no gradients: {one_line(error)}") from None

    def _logits(self, model: nn.Module, images: Tensor) -> Tensor:
        mode = "training" if model.training else "evaluation"
        try:
            output = model(images)
        except Exception as error:  # whatever a network raises
            raise HpstudyError(
                f"{self.name} fails in {mode} on images of {self.image_size} pixels: "
                f"{one_line(error)}"
            ) from None
        if not isinstance(output, Tensor):
            raise HpstudyError(
                f"{self.name} returns a {type(output).__name__} in {mode}, but a study trains on "
                "one tensor of logits; switch other outputs off, as arguments: "
                "{aux_logits: false} does"
            )
        if output.shape != (len(images), self.classes) or not output.is_floating_point():
            raise HpstudyError(
                f"{self.name} returns a tensor of shape {list(output.shape)} for "
                f"{len(images)} images, but logits of {self.classes} classes have the shape "
                f"[{len(images)}, {self.classes}]; give the number of classes in arguments"
            )
        return output

    def _check_repeats(self, model: nn.Module, images: Tensor) -> None:
        outputs = []
        for _ in range(2):
            with _values_kept(model), torch.no_grad():
                torch.manual_seed(0)
                outputs.append(self._logits(model, images).nan_to_num())
        if not torch.equal(*outputs):
            raise HpstudyError(
                f"{self.name} returns different outputs for the same images, weights and seed, so "
                "that no run could be repeated; draw by torch alone, and keep no state outside of "
                "parameters and buffers"
            )


@contextmanager
def _values_kept(model: nn.Module) -> Iterator[None]:
    """Context after which buffers are as before."""
    before = [value.clone() for value in model.buffers()]
    try:
        yield
    finally:
        for value, old in zip(model.buffers(), before, strict=True):
            value.copy_(old)
