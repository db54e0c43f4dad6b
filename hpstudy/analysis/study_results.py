"""Published results of studies: a table of runs and its record."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.risk import Risk, risks
from hpstudy.analysis.study_analysis import StudyAnalysis, remembered
from hpstudy.config.grid import AXES
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.storage.tables import METRIC_TITLES, read_published, read_record

MODEL_TITLES = {
    "resnet20": "ResNet-20",
    "resnet56": "ResNet-56",
    "mobilenetv2-shallow": "Shallow MobileNetV2",
    "mobilenetv2": "MobileNetV2",
    "resnet50": "ResNet-50",
}
DATA_TITLES = {
    "fashion-mnist-8k": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "imagenet": "ImageNet",
    "folder:data/imagenette10x100": "Imagenette",
}
# Training images, pixels and epochs of the thesis (sections 3.1.1 to 3.1.3) on CIFAR-10, whose
# recipe for ResNet-56 is that of its shallower relatives too, and on ImageNet.
_CIFAR, _IMAGENET = (50_000, 32, 180), (1_281_167, 224, 90)


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One study as it was published.

    `table` has a row per run, with accuracies in percent, NaN where there is none. `record` says
    what was run and on what: keys "study", "certificates" and "record". `checksum` is the SHA-256
    of the table's file.
    """

    name: str
    table: pd.DataFrame
    record: dict[str, Any]
    checksum: str = ""

    @property
    def model(self) -> str:
        """Name of the network, as params files spell it."""
        return str(self.record["study"]["model"])

    @property
    def title(self) -> str:
        """Name of the network, as the literature spells it."""
        return MODEL_TITLES.get(self.model, self.model)

    @property
    def heading(self) -> str:
        """Network and data, as a page is headed: "ResNet-20 on CIFAR-10 (16×16)"."""
        data = self.record["study"]["data"]
        name, size = data_title(data["name"]), data["image_size"]
        return f"{self.title} on {name} ({size}×{size})"

    @property
    def label(self) -> str:
        """Network, data and length of training."""
        data, epochs = self.record["study"]["data"], self.record["study"]["recipe"]["epochs"]
        name, size = data_title(data["name"]), data["image_size"]
        images = f"{data['train']:,} {name} images of {size}×{size} pixels"
        return f"{self.title}, {images}, {count(epochs, 'epoch')}"

    @property
    def scaled_down(self) -> bool:
        """Whether it trains on fewer or smaller images, or for fewer epochs, than the thesis."""
        data, recipe = self.record["study"]["data"], self.record["study"]["recipe"]
        own = (data["train"], data["image_size"], recipe["epochs"])
        full = _IMAGENET if self.model == "resnet50" else _CIFAR
        known = self.model in MODEL_TITLES
        return known and any(number < most for number, most in zip(own, full, strict=True))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds of the regions of interest, increasing, in percentage points."""
        return tuple(sorted(float(threshold) for threshold in self.record["study"]["roi"]))

    @property
    def risk_threshold(self) -> float:
        """Threshold of the region that the risk is taken over: the narrowest of the study."""
        return self.thresholds[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Accuracies of which every landscape has at least one value."""
        return tuple(
            name for name in METRIC_TITLES if name in self.table and self.table[name].notna().any()
        )

    @property
    def replicated(self) -> bool:
        """Whether any setting of a network was trained more than once."""
        return bool(self.table.duplicated(["variant", *AXES]).any())

    @property
    def widths(self) -> dict[str, dict[str, int]]:
        """Channels of each prunable layer by network; the dense one's first, if recorded."""
        ranking = self.record.get("ranking") or {"scores": {}}
        dense = {layer: len(scores) for layer, scores in ranking["scores"].items()}
        reports = self.record["certificates"].items()
        pruned = {name: dict(report["widths"]) for name, report in reports}
        # A ranking of a network from a source holds the layers that are not pruned too.
        prunable = set().union(*pruned.values()) or dense
        dense = {layer: width for layer, width in dense.items() if layer in prunable}
        return ({DENSE: dense} if dense else {}) | pruned

    @property
    def missing(self) -> dict[str, int]:
        """Runs that were still to be trained when it was published, by variant; empty if none."""
        return dict(self.record["record"].get("missing") or {})

    def landscapes(self, metric: str = "top1") -> dict[str, Landscape]:
        """Landscapes of its networks, the dense one first."""
        return dict(self.analysis(metric).landscapes)

    @remembered
    def analysis(self, metric: str = "top1") -> StudyAnalysis:
        """Its landscapes with the noise in them; made once for each metric, refused if unknown."""
        if metric not in self.metrics:
            raise unknown("metric", metric, self.metrics)
        return StudyAnalysis(landscapes(self.table, metric))

    def risks(self, threshold: float | None = None) -> dict[str, Risk]:
        """Risk of each network in top-1 accuracy, by default over `risk_threshold`'s region."""
        return risks(self.landscapes(), self.risk_threshold if threshold is None else threshold)


def data_title(name: str) -> str:
    """Name of a data set as pages spell it; of a folder of images, that of the folder.

    Of a set of torchvision, and of a function's images, what follows the colon.
    """
    kind, _, member = name.partition(":")
    return DATA_TITLES.get(name, Path(member).name if kind == "folder" else member or kind)


def read_results(folders: Iterable[str | Path]) -> dict[str, StudyResults]:
    """Every study published in folders of `<study>.csv` and `<study>.json`, by name.

    Of studies with one name the last folder's is taken; a folder that does not exist holds none.
    The thesis's networks come in its order first. Refuses a table that lacks its record, and files
    that cannot be read.
    """
    paths = {path.stem: path for folder in folders for path in sorted(Path(folder).glob("*.csv"))}
    return in_order(map(read_result, paths.values()))


def read_result(path: Path) -> StudyResults:
    """One published study, from its table; refuses a table that lacks its record."""
    table = read_published(path)
    record = read_record(path.with_suffix(".json"), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return StudyResults(path.stem, table, record, checksum)


def in_order(studies: Iterable[StudyResults]) -> dict[str, StudyResults]:
    """Studies by name, those of the thesis's networks in its order first."""
    rank = {model: place for place, model in enumerate(MODEL_TITLES)}
    found = sorted(studies, key=lambda study: (rank.get(study.model, len(rank)), study.name))
    return {study.name: study for study in found}


def read_study(name: str, folders: Iterable[str | Path]) -> StudyResults:
    """One published study; refuses a name that is not there, with the nearest that is."""
    folders = [Path(folder) for folder in folders]
    studies = read_results(folders)
    if not studies:
        places = ", ".join(map(str, folders))
        raise HpstudyError(f"no study has been published yet in {places}.")
    if name not in studies:
        raise unknown("study", name, studies)
    return studies[name]
