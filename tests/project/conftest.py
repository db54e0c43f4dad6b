"""A recorded study that the tests of commands and of the workspace share."""

import shutil

import pytest
import recorded
import tiny

CHANGES = recorded.STUDY | {"grid.weight_decay": [0.01]}


@pytest.fixture(scope="session")
def recorded_once(tmp_path_factory):
    """Plan of the study in a store that has all of its four runs."""
    store = tmp_path_factory.mktemp("recorded") / "runs" / "store.sqlite"
    return recorded.recorded_plan(store, **CHANGES)


@pytest.fixture
def recorded_study(recorded_once, tmp_path, monkeypatch):
    """The study's plan; the working directory holds tiny.yaml and a copy of the store."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recorded_once.store.path.parent, "runs")
    tiny.write_study(tmp_path / "tiny.yaml", CHANGES)
    return recorded_once
