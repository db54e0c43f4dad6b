"""Published results of a study: its table of runs, its record, and what both say in words."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.risk import Risk, risks
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.storage.tables import METRIC_TITLES, read_json, read_published, read_record

MODEL_TITLES = {
    "resnet20": "ResNet-20",
    "resnet56": "ResNet-56",
    "mobilenetv2-shallow": "Shallow MobileNetV2",
    "mobilenetv2": "MobileNetV2",
    "resnet50": "ResNet-50",
}
DATA_TITLES = {"fashion-mnist-8k": "Fashion-MNIST", "cifar10": "CIFAR-10", "imagenet": "ImageNet"}
MEASUREMENTS = "measurements"
"""Folder of the measurements, next to a folder of results."""
NETWORKS = "networks.json"
PROGRAMME = "programme.json"
# What was seen of faults, repeated runs and the thesis's whole recipe, by the names of its files.
EVIDENCE = ("refusals", "soak", "cluster", "scaling", "reruns", "recipe")
# Model -> training images, pixels and epochs of the thesis (sections 3.1.1 to 3.1.3), whose
# recipe for ResNet-56 is that of its shallower relatives too.
THESIS_SCALE = {
    "resnet20": (50_000, 32, 180),
    "resnet56": (50_000, 32, 180),
    "mobilenetv2-shallow": (50_000, 32, 180),
    "mobilenetv2": (50_000, 32, 180),
    "resnet50": (1_281_167, 224, 90),
}


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One study as it was published.

    Attributes
    ----------
    name : str
        Of the study; also of its files and of its page.
    table : DataFrame of shape (n_runs, n_columns)
        One row per run; accuracies in percent, NaN where there is none.
    record : dict
        What was run and on what: keys "study", "certificates" and "record".
    checksum : str
        SHA-256 of the file of its table; empty if it was read from none.
    """

    name: str
    table: pd.DataFrame
    record: dict
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
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds of the regions of interest, increasing, in percentage points."""
        return tuple(sorted(float(x) for x in self.record["study"]["roi"]))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Accuracies of which every landscape has at least one value."""
        return tuple(
            name for name in METRIC_TITLES if name in self.table and self.table[name].notna().any()
        )

    @property
    def scale(self) -> str:
        """Data, image size, and length of training, as one phrase."""
        data, recipe = self.record["study"]["data"], self.record["study"]["recipe"]
        size = data["image_size"]
        title = DATA_TITLES.get(data["name"], data["name"])
        return (
            f"{data['train']:,} {title} images of {size}×{size} pixels, "
            f"{count(recipe['epochs'], 'epoch')}, tested on {data['test']:,} images"
        )

    @property
    def pixels_per_run(self) -> int:
        """Pixels of the images that one training sees, each as often as it does."""
        data, recipe = self.record["study"]["data"], self.record["study"]["recipe"]
        return int(data["train"]) * int(data["image_size"]) ** 2 * int(recipe["epochs"])

    @property
    def replicated(self) -> bool:
        """Whether any setting of a network was trained more than once."""
        return bool(self.table.duplicated(["variant", *AXES]).any())

    @property
    def missing(self) -> dict[str, int]:
        """Runs that were still to be trained when it was published, by variant; empty if none."""
        return dict(self.record["record"].get("missing") or {})

    @property
    def scaled_down(self) -> bool:
        """Whether it trains on fewer or smaller images, or for fewer epochs, than the thesis."""
        data, recipe = self.record["study"]["data"], self.record["study"]["recipe"]
        here = (data["train"], data["image_size"], recipe["epochs"])
        there = THESIS_SCALE.get(self.model, here)
        return any(own < full for own, full in zip(here, there, strict=True))

    @property
    def figure(self) -> str:
        """Figure of the thesis that shows this network."""
        numbers = {"mobilenetv2": "4.1", "resnet56": "4.2", "resnet50": "4.3"}
        return f"As Figure {numbers[self.model]}" if self.model in numbers else ""

    @property
    def label(self) -> str:
        """Network and scale, with a warning where the study is smaller than the thesis's."""
        warning = "scaled-down study: " if self.scaled_down else ""
        return f"{self.title}, {warning}{self.scale}"

    def landscapes(self, metric: str = "top1") -> dict[str, Landscape]:
        """Landscapes of its networks, the dense one first."""
        if metric not in self.metrics:
            raise unknown("metric", metric, self.metrics)
        return dict(_landscapes(self, metric))

    def analysis(self, metric: str = "top1") -> StudyAnalysis:
        """Its landscapes with the noise in them; made once, and kept."""
        return _analysis(self, metric)

    @property
    def risk_threshold(self) -> float:
        """Threshold of the region that the risk is taken over: the narrowest of the study.

        The thesis's is 0.5; a study tested on few images names wider ones, as fewer points would
        be told apart by chance alone.
        """
        return self.thresholds[0]

    def risks(self, threshold: float | None = None) -> dict[str, Risk]:
        """Risk of each network over the dense one's region of interest, in top-1 accuracy."""
        return risks(self.landscapes(), self.risk_threshold if threshold is None else threshold)

    def sampling_error(self) -> float:
        """Binomial standard error of the best accuracy from the finite number of test images alone.

        Returns
        -------
        float
            In percentage points: 100 sqrt(p (1 - p) / n) for the dense network's best accuracy p
            on n test images. Differences between networks tested on the same images have less.
        """
        p = next(iter(self.landscapes().values())).best / 100
        return 100 * math.sqrt(p * (1 - p) / self.record["study"]["data"]["test"])


@lru_cache(maxsize=64)
def _analysis(results: StudyResults, metric: str) -> StudyAnalysis:
    return StudyAnalysis(results.landscapes(metric))


@lru_cache(maxsize=64)
def _landscapes(results: StudyResults, metric: str) -> dict[str, Landscape]:
    # Pages and the explorer ask for the same ones again and again.
    return landscapes(results.table, metric)


def read_results(folders: Iterable[str | Path]) -> dict[str, StudyResults]:
    """Every study published in the given folders.

    Parameters
    ----------
    folders : iterable of str or Path
        Each holds `<study>.csv` and `<study>.json`; of studies with one name the last folder's
        is taken; a folder that does not exist holds none.

    Returns
    -------
    dict of str to StudyResults
        By name, the thesis's networks in its order first.

    Raises
    ------
    HpstudyError
        If a table lacks its record, or one of them cannot be read.
    """
    paths = {path.stem: path for folder in folders for path in sorted(Path(folder).glob("*.csv"))}
    found = [_read(path) for path in paths.values()]
    order = list(MODEL_TITLES)

    def place(results: StudyResults) -> tuple[int, str]:
        known = results.model in order
        return (order.index(results.model) if known else len(order), results.name)

    return {results.name: results for results in sorted(found, key=place)}


def read_networks(folders: Iterable[str | Path]) -> dict[str, dict]:
    """Sizes of the thesis's networks, as published in the last folder that has them, or none."""
    return _last(NETWORKS, folders) or {}


def read_programme(folders: Iterable[str | Path]) -> list[dict]:
    """Prices of the thesis's programme, one entry a machine; of the last folder that has any."""
    return _last(PROGRAMME, folders) or []


def read_evidence(folders: Iterable[str | Path]) -> dict[str, Any]:
    """What else was measured, by the names in `EVIDENCE`; None where nothing is published.

    Parameters
    ----------
    folders : iterable of str or Path
        Of files with one name the last folder's is taken.
    """
    folders = [Path(folder) for folder in folders]
    return {name: _last(f"{name}.json", folders) for name in EVIDENCE}


def _last(name: str, folders: Iterable[str | Path]) -> Any:
    paths = [Path(folder).parent / MEASUREMENTS / name for folder in folders]
    found = [path for path in paths if path.is_file()]
    return read_json(found[-1]) if found else None


def read_study(name: str, folders: Iterable[str | Path]) -> StudyResults:
    """One published study; refuses a name that is not there, with the nearest that is."""
    folders = [Path(folder) for folder in folders]
    found = read_results(folders)
    if not found:
        places = ", ".join(str(folder) for folder in folders)
        raise HpstudyError(f"no study has been published yet in {places}.")
    if name not in found:
        raise unknown("study", name, found)
    return found[name]


def _read(path: Path) -> StudyResults:
    table, record = read_published(path), read_record(path.with_suffix(".json"), path)
    return StudyResults(path.stem, table, record, hashlib.sha256(path.read_bytes()).hexdigest())
