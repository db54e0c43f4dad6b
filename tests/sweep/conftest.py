"""Messages of a sweep, and calibrations that take no time."""

import logging
import os
from pathlib import Path

import pytest
import tiny

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def messages(caplog):
    """Text of all messages so far: `messages()`."""
    caplog.set_level(logging.INFO, "hpstudy")
    return lambda: caplog.text


@pytest.fixture(autouse=True)
def short_calibration(monkeypatch):
    """A few steps are enough for a price here."""
    monkeypatch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory):
    """A head that trains nothing, and three nodes of one core each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        # Where Ray's processes find this module.
        folders = Path(__file__).parent, Path(tiny.__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        from cluster import ray_cluster

        with ray_cluster(tmp_path_factory.mktemp("python"), 3) as cluster:
            yield cluster
