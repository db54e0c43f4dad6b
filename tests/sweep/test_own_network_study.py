"""A study of a network of one's own: planned, trained, resumed, published, checked, restored."""

import importlib
import json
import os
import sys
from types import SimpleNamespace

import ownnet
import pandas as pd
import pytest
import tiny
import torch

import hpstudy
from hpstudy.networks.flops import measured_macs
from hpstudy.networks.graph import Inputs
from hpstudy.networks.models import zeros
from hpstudy.storage.integrity import check_files
from hpstudy.storage.store import Store, restore
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import publish_study, sweep
from hpstudy.training import checkpoint
from hpstudy.training.datasets import load_dataset
from hpstudy.training.run import RunTrainer
from hpstudy.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The study, trained by one worker and published: folder, plan, table, record."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # A worker looks for the code in its working directory.
        ownnet.write(folder)
        patch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)
        plan = Plan.open(ownnet.study(), Store.open(folder / "store.sqlite"))
        assert sweep(plan, workers=1) == 8
        path = publish_study(plan, folder, "hpstudy run own.yaml", 1)
        record = json.loads(path.with_suffix(".json").read_text())
        yield SimpleNamespace(folder=folder, plan=plan, path=path, record=record)


def opened(plan, changes=None):
    """Plan of the study, changed, against the store of another."""
    return Plan.open(ownnet.study(changes), plan.store)


@pytest.mark.slow
def test_a_study_is_trained_and_its_pruned_network_rebuilt(own):
    table, record = pd.read_csv(own.path), own.record
    assert table["model"].unique().tolist() == ["ownnet_code:Net"] and len(table) == 8
    assert own.plan.missing() == [] and opened(own.plan).missing() == []
    made = record["certificates"]["nonuniform-0.5"]
    rows = table.groupby("variant")[["macs", "params"]].first()
    assert rows.loc["nonuniform-0.5"].tolist() == [made["macs"], made["params"]]
    assert rows.loc["unpruned"].tolist() == [made["macs_dense"], made["params_dense"]]
    assert abs(made["macs"] / made["macs_dense"] - 0.5) < 0.05
    network = hpstudy.rebuild(made["report"], factory="ownnet_code:Net")
    assert measured_macs(network, Inputs.of(zeros(8))) == made["macs"]
    kept = {layer: network.get_submodule(layer).out_channels for layer in made["widths"]}
    assert kept == made["widths"]
    assert {layer: made["shapes"][layer] for layer in kept} == kept


@pytest.mark.slow
def test_its_store_and_table_are_whole_and_restored(own, tmp_path):
    store = Store.open(tmp_path / "store.sqlite")
    assert restore(own.path, store)["runs"] == 8
    findings = check_files([own.folder / "store.sqlite", own.path, store.path])
    assert [finding.faults for finding in findings] == [[], [], []]
    # A check imports no code that a file names.
    assert {finding.facts["not_rebuilt"] for finding in findings} == {"ownnet_code:Net"}
    assert Plan.open(ownnet.study(), store).missing() == []


@pytest.mark.slow
def test_a_changed_forward_is_another_network_and_a_comment_is_not(own, refused):
    plan, spec = own.plan, own.plan.prior
    ownnet.write(own.folder, ownnet.CODE.replace("\n\n\n", "\n# a comment\n\n"))
    assert opened(plan).prior.run_id == spec.run_id
    changes = {"F.relu(x +": "F.gelu(x +", "rate=0.1": "rate=0.2", "torch.randn": "torch.ones"}
    ids = {spec.run_id, opened(plan, {"arguments": {"width": 8, "rate": 0.1}}).prior.run_id}
    for old, new in changes.items():
        ownnet.write(own.folder, ownnet.CODE.replace(old, new))
        ids.add(opened(plan).prior.run_id)
        assert "makes another network" in refused(
            RunTrainer(load_dataset(plan.study.data, plan.data_root), CPU).train, spec
        )
    assert len(ids) == 5
    (own.folder / "ownnet_code.py").unlink()
    sys.modules.pop("ownnet_code")
    importlib.invalidate_caches()
    words = refused(RunTrainer(load_dataset(plan.study.data, plan.data_root), CPU).train, spec)
    assert "cannot train ownnet_code:Net" in words and "no module 'ownnet_code'" in words
    ownnet.write(own.folder)


@pytest.mark.slow
def test_a_killed_training_with_dropout_resumes_to_the_same_bits(own, monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)
    spec = own.plan.prior.model_copy(update={"seed": 5})
    trainer = RunTrainer(load_dataset(own.plan.study.data, own.plan.data_root), CPU)
    undisturbed = trainer.train(spec).row
    step = Trainer._train_step

    def killed(self, *batch):
        if os.path.exists(tmp_path / "kept.pt"):
            raise KeyboardInterrupt
        step(self, *batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_train_step", killed)
        trainer.train(spec, checkpoint=tmp_path / "kept.pt")
    # Another run between the two leaves other weights and another generator.
    other = trainer.train(spec.model_copy(update={"seed": 6})).row
    resumed = trainer.train(spec, checkpoint=tmp_path / "kept.pt").row
    assert resumed["curve"] == undisturbed["curve"] != other["curve"]


def test_the_same_architecture_trains_to_the_same_bits_as_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ownnet.write(tmp_path, ownnet.SAME)
    store, outcomes = Store.open(tmp_path / "store.sqlite"), []
    for model in ("resnet20", "ownnet_code:resnet20"):
        plan = Plan.open(tiny.study({"model": model, "data.train_images": 20}), store)
        trainer = RunTrainer(load_dataset(plan.study.data, plan.data_root), CPU)
        dense = trainer.train(plan.prior, rank_filters=True)
        tiny.record(store, plan.prior, dense.row, dense.ranking)
        plan.prune()
        pruned = trainer.train(plan.missing()[-1].spec)
        outcomes.append([dense.row["curve"], pruned.row["curve"], pruned.row["macs"]])
    assert outcomes[0] == outcomes[1]
