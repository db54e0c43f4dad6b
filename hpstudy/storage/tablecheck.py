"""Whether a published table and the record beside it are whole, and fit each other."""

import hashlib
import io
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import DENSE, Study, parse_variant
from hpstudy.config.validation import read_text
from hpstudy.errors import HpstudyError, count, listed, shown
from hpstudy.storage.findings import Findings
from hpstudy.storage.netcheck import Built, Runs, check_certificate, check_ranking
from hpstudy.storage.recordcheck import read_said
from hpstudy.storage.rowcheck import row_faults
from hpstudy.storage.storecheck import Recorded, hash_of
from hpstudy.storage.tables import METRIC_TITLES, TABLE_COLUMNS, read_published
from hpstudy.training.datasets import KNOWN

_TEXT = ("run_id", "study", "variant", "model", "dataset", "method", "device", "torch", "curve")
_TRUTH = {"True": True, "False": False}


def check_table(path: Path, recorded: Recorded | None) -> Findings:
    """Check a published table.

    Parameters
    ----------
    path : Path
        Of the CSV file, beside which its record lies.
    recorded : Recorded or None
        What stores have of its runs, if any were checked.
    """
    try:
        return TableCheck(path, recorded).findings
    except HpstudyError as error:
        findings = Findings(path)
        findings.fault(str(error))
        return findings


class TableCheck:
    """One table against its record.

    Parameters
    ----------
    path : Path
        Of the CSV file, beside which its record lies.
    recorded : Recorded, optional
        What stores have of its runs.

    Attributes
    ----------
    findings : Findings
    rows : list of dict
        Values of its rows by column, None where there is no number; those left out whose cells
        have none.
    counts : Counts
    identified : bool
        Whether the ids of its runs can be told from the record.
    prior : RunSpec
        Of the dense network.
    ranking : dict or None
        `weights_sha256` and `scores` of its filters; records of earlier versions have none.

    Raises
    ------
    HpstudyError
        If the table or its record is not there, or is none.
    """

    def __init__(self, path: Path, recorded: Recorded | None = None):
        self.findings, self.recorded = Findings(path), recorded or Recorded({}, {})
        read_published(path)
        self.study, self.images, said = read_said(path)
        self.counts, self.certificates = said.record, said.certificates
        self.ranking = said.ranking and said.ranking.model_dump()
        # Older records have no fingerprint of images that a name does not fix.
        self.identified = self.study.data.name in KNOWN or self.images.fingerprint is not None
        findings = self.findings
        if self.study.name != findings.path.stem:
            findings.fault(
                f"its record is that of the study {self.study.name}, whose table is named "
                f"{self.study.name}.csv"
            )
        text = read_text(findings.path)
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        if tuple(table.columns) != TABLE_COLUMNS:
            raise HpstudyError(
                f"{findings.path} has the columns {listed(table.columns)} instead of "
                f"{listed(TABLE_COLUMNS)}"
            )
        self.prior = self._at_prior(DENSE)
        built = self._check_certificates()
        rows = [row for cells in table.to_dict("records") if (row := self._values(cells))]
        self.rows = rows
        built |= self._check_rows(rows)
        if len(rows) == len(table):
            self._check_counts(rows)
        findings.facts |= {
            "rows": len(table),
            "stopped": sum(row["stopped"] for row in rows),
            "missing": sum(self.counts.missing.values()),
            "networks_rebuilt": len(built - {None}),
            **self._unstored(recorded),
            "sha256": hashlib.sha256(findings.path.read_bytes()).hexdigest(),
        }
        if not self.identified:
            data = self.study.data.name
            findings.facts["note"] = f"ids unchecked, as its record has no fingerprint of {data}"

    def _unstored(self, recorded: Recorded | None) -> dict[str, int]:
        """How many rows no store has, among which there were some: `hpstudy.storage.restore`'s to do."""
        if recorded is None:
            return {}
        whole = {row["run_id"] for row in self.rows if not row["stopped"]}
        lost = whole - recorded.rows.keys()
        return {"in_no_store": len(lost)} if lost else {}

    def spec(self, row: dict[str, Any]) -> RunSpec:
        """Specification of the run of a row."""
        own = {name: row[name] for name in ("lr", "weight_decay", "seed")}
        return self._at_prior(row["variant"]).model_copy(update=own)

    def _at_prior(self, variant: str) -> RunSpec:
        """Run of a variant at the prior."""
        study, dense = self.study, variant == DENSE
        data = study.data
        if data.name.startswith("folder:"):
            data = data.model_copy(update={"name": "folder"})
        return RunSpec(
            model=study.model,
            data=data,
            fingerprint=self.images.fingerprint,
            recipe=study.recipe,
            lr=study.prior.lr,
            weight_decay=study.prior.weight_decay,
            seed=study.seeds[0],
            widths=None if dense else self.certificates[variant].widths,
            arithmetic=self.counts.arithmetic,
        )

    def _check_certificates(self) -> set[Built | None]:
        prior, study = self.prior.run_id, self.study
        if self.ranking:
            dense = Runs(self.prior)
            check_ranking(self.findings, prior, dense, False, self.ranking)
        # Of scores that are faulty nothing is asked.
        own = None if self.findings.faults else self.ranking
        built = set()
        for variant, certificate in self.certificates.items():
            if variant not in study.variants or variant == DENSE:
                self.findings.fault(
                    f"it has a certificate of {shown(variant)}, which is no variant"
                )
                continue
            if not self.identified:
                prior = certificate.ranked.rpartition(" ")[2]
            ranking = self.recorded.rankings.get(prior) or own
            built.add(check_certificate(self.findings, variant, certificate, study, prior, ranking))
        return built

    def _values(self, cells: dict[str, str]) -> dict[str, Any] | None:
        """Values of a row, if its cells have them."""
        row: dict[str, Any] = {}
        for name, cell in cells.items():
            if name in _TEXT:
                row[name] = cell
            elif name in ("diverged", "stopped"):
                if cell not in _TRUTH:
                    self.findings.fault(
                        f"{name} is {shown(cell)}, not True or False", row["run_id"]
                    )
                    return None
                row[name] = _TRUTH[cell]
            else:
                try:
                    row[name] = _number(cell)
                except ValueError:
                    self.findings.fault(f"{name} is {shown(cell)}, not a number", row["run_id"])
                    return None
        return row

    def _check_rows(self, rows: list[dict[str, Any]]) -> set[Built | None]:
        kinds: dict[str, Runs] = {}
        for run_id, times in Counter(row["run_id"] for row in rows).items():
            if times > 1:
                self.findings.fault(f"it has {times} rows", run_id)
        for row in rows:
            run_id, variant = row["run_id"], row["variant"]
            if faults := list(self._label_faults(row)):
                for words in faults:
                    self.findings.fault(words, run_id)
                continue
            runs = kinds.setdefault(variant, Runs(self._at_prior(variant)))
            setting = row["lr"], row["weight_decay"], row["seed"]
            runs.add(run_id, setting, (row["macs"], row["params"]))
            faults = row_faults(row, self.study.recipe.epochs, row["stopped"])
            for words in faults or self._share_faults(row):
                self.findings.fault(words, run_id)
            if not row["stopped"] and self.recorded.rows.get(run_id, own := hash_of(row)) != own:
                self.findings.fault("its results are others than in the store", run_id)
        built = set()
        for runs in kinds.values():
            if self.identified:
                runs.check_ids(self.findings)
            built.add(runs.check_sizes(self.findings))
        return built

    def _share_faults(self, row: dict[str, Any]) -> Iterator[str]:
        """Accuracies that no number of correct images makes."""
        for name in METRIC_TITLES:
            correct = (row[name] or 0) * self.images.test / 100
            if abs(correct - round(correct)) > 1e-6:
                images = count(self.images.test, "image")
                yield f"{name} is {row[name]}, which no share of {images} is"

    def _label_faults(self, row: dict[str, Any]) -> Iterator[str]:
        """What is wrong with where a row belongs."""
        study, variant = self.study, row["variant"]
        if variant not in study.variants:
            yield f"variant is {shown(variant)}, but must be one of {listed(study.variants)}"
            return
        if variant != DENSE and variant not in self.certificates:
            yield f"the record has no certificate of its variant {variant}"
        method, ratio = parse_variant(variant)
        folder = study.data.name.startswith("folder:")
        expected = {
            "study": study.name,
            "model": study.model,
            "dataset": "folder" if folder else study.data.name,
            "method": method,
            "flops_ratio": ratio,
        }
        for name, value in expected.items():
            if row[name] != value:
                yield f"{name} is {shown(row[name])}, but its study has {shown(value)}"
        for name in ("lr", "weight_decay"):
            if row[name] not in getattr(study.grid, name):
                yield f"{name} is {shown(row[name])}, which is not on the grid of its study"
        if row["seed"] not in (*study.seeds, *_further_seeds(study)):
            yield f"seed is {shown(row['seed'])}, which its study has not"
        if row["stopped"] and not study.racing:
            yield "it was stopped early, but its study races none"

    def _check_counts(self, rows: list[dict[str, Any]]) -> None:
        counts, study = self.counts, self.study
        epochs = [row["epochs"] or 0 for row in rows]
        found = {
            "runs": len(rows),
            "stopped": sum(row["stopped"] for row in rows),
            "train_seconds": round(sum(row["seconds"] or 0 for row in rows), 1),
            "images": sum(epochs) * self.images.train,
            "device": ", ".join(sorted({row["device"] for row in rows})),
        }
        for name, value in found.items():
            said = getattr(counts, name)
            # Seconds are added up in another order than they were.
            if abs(said - value) > 0.11 if name == "train_seconds" else said != value:
                self.findings.fault(f"its record says {name} {shown(said)}, the table {value!r}")
        for variant in counts.missing.keys() - set(study.variants):
            self.findings.fault(f"its record misses runs of {shown(variant)}, which is no variant")
        for run_id in counts.failed.keys() & {row["run_id"] for row in rows}:
            self.findings.fault("its record says that it failed, but it has a row", run_id)
        for variant in study.variants:
            own = [row for row in rows if row["variant"] == variant and row["seed"] in study.seeds]
            there = {(row["lr"], row["weight_decay"], row["seed"]) for row in own}
            sides = [{row[name] for row in own} for name in ("lr", "weight_decay")]
            gaps = math.prod(map(len, (*sides, study.seeds))) - len(there)
            if gaps > (missing := counts.missing.get(variant, 0)):
                words = f"{variant} lacks {count(gaps, 'run')} between those that it has"
                self.findings.fault(f"{words}, but its record says {missing} missing")


def _number(cell: str) -> float | int | None:
    """Value of a cell; None of an empty one, as of what is no number."""
    if not cell:
        return None
    try:
        return int(cell)
    except ValueError:
        return float(cell)


def _further_seeds(study: Study) -> tuple[int, ...]:
    return study.replicates.seeds if study.replicates else ()
