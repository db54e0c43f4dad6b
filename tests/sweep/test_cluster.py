"""Runs on a Ray cluster of several nodes, all on this machine, of which some are killed."""

import logging
import os
import platform
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny

import hpstudy.sweep.executors.ray
from hpstudy.errors import HpstudyError
from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import Failure, Job
from hpstudy.sweep.executors.ray import Cluster, open_cluster
from hpstudy.sweep.executors.ray_task import check_node, versions
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import run_on
from hpstudy.training.datasets import load_dataset

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CLOCK = ["seconds", "images_per_second"]


class Fate:
    """Stands for the file of a checkpoint, whose folder a worker looks for before it trains."""

    def __init__(self, name):
        self.name = name

    def resolve(self):
        return self

    @property
    def parent(self):
        getattr(self, self.name)()
        return Path("no/folder")

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def failing(self):
        raise RuntimeError("a device\nis gone")

    def refusing(self):
        raise HpstudyError("it cannot be done")

    def talking(self):
        logging.getLogger("hpstudy.training").info("for all")
        print("for nobody", file=sys.stderr)


def job(epochs=2, fate=None):
    recipe = {"epochs": epochs, "batch_size": 20, "lr_decay_epochs": []}
    spec = tiny.spec({"model": "resnet20", "data.image_size": 8, "recipe": recipe})
    return Job("unpruned", spec.run_id, spec, checkpoint=fate and Fate(fate))


def ended(executor, *jobs):
    """Jobs and their ends, in the order in which they ended."""
    done, waiting = [], list(jobs)
    while waiting or len(done) < len(jobs):
        if waiting and executor.start(waiting[0]):
            waiting.pop(0)
        done += executor.wait(0.2)
    return done


def until(happens, seconds=60):
    deadline = time.monotonic() + seconds
    while not (result := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return result


# --- on a cluster ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def executor(ray_cluster):
    """The cluster, ready to train on the images of the tiny study."""
    before = signal.getsignal(signal.SIGTERM)
    with open_cluster(load_dataset(tiny.study().data), None, ray_cluster.address) as executor:
        assert signal.getsignal(signal.SIGTERM) is before
        yield executor


@pytest.mark.cluster
def test_every_core_of_the_nodes_is_a_worker_and_the_head_is_none(executor):
    assert executor.workers == 3
    assert executor.device == "CPU of 3 Ray nodes"
    measured = executor.calibrate(job().spec, 10, (40, 20), 0.01)
    assert len(measured) == 3 and all(min(pair) > 0 for pair in measured)


@pytest.mark.cluster
def test_processes_of_a_node_share_the_images(executor):
    import ray

    def look(data):
        # By value: a process of Ray has its own copy of this module.
        import torch

        from hpstudy.sweep.executors import ray_task

        images = ray_task.trainer(data[0], torch.device("cpu")).data.train.images
        maps = [line.split() for line in open("/proc/self/maps") if "plasma" in line]
        ranges = [[int(end, 16) for end in fields[0].split("-")] for fields in maps]
        shared = any(low <= images.data_ptr() < high for low, high in ranges)
        return shared, images.numpy()

    expected = load_dataset(tiny.study().data).train.images.numpy()
    for shared, images in ray.get([ray.remote(look).remote(executor._data) for _ in range(4)]):
        np.testing.assert_array_equal(images, expected)
        assert shared


@pytest.mark.cluster
def test_sweep_that_loses_a_node_ends_with_the_table_of_a_local_one(
    executor, ray_cluster, swept, tmp_path
):
    class Losing(Store):
        def record(self, *arguments, **options):
            super().record(*arguments, **options)
            if len(ray_cluster.worker_nodes) == 3:
                # While the other dense run is trained, on this node or on another.
                ray_cluster.remove_node(min(ray_cluster.worker_nodes, key=id), False)

    store = Losing.open(tmp_path / "store.sqlite")
    plan = Plan.open(tiny.study(), store)
    assert run_on(executor, plan, lambda: None) == 4
    assert len(ray_cluster.worker_nodes) == 2
    table = plan.table()
    assert table["run_id"].is_unique and len(store.recorded()) == 4
    assert table[list(RESULT_COLUMNS)].drop(columns="top5").notna().all(axis=None)
    pd.testing.assert_frame_equal(
        table.drop(columns=CLOCK), swept.table.drop(columns=CLOCK), check_exact=True
    )
    assert plan.certificates == swept.plan.certificates


@pytest.mark.cluster
def test_run_whose_process_is_killed_fails_and_the_next_one_is_trained(executor):
    ((first, end),) = ended(executor, job(fate="killed"))
    assert end == Failure("its process on the cluster ended")
    ((_, outcome),) = ended(executor, first._replace(checkpoint=None, retry=True))
    assert outcome.row["epochs"] == 2


@pytest.mark.cluster
def test_run_that_raises_fails_in_one_line(executor):
    ((_, end),) = ended(executor, job(fate="failing"))
    assert end == Failure("RuntimeError: a device is gone")


@pytest.mark.cluster
def test_refused_run_ends_the_sweep(executor, refused):
    assert refused(ended, executor, job(fate="refusing")) == "it cannot be done."
    # The executor is shared: the next test uses it again.
    executor._end = ""


@pytest.mark.cluster
def test_messages_of_a_run_reach_standard_error_and_nothing_else_does(executor, capsys):
    ended(executor, job(fate="talking"))
    output = []
    assert until(
        lambda: output.append(capsys.readouterr()) or any("for all" in s.err for s in output)
    )
    assert all("for nobody" not in part.out + part.err for part in output)
    assert "".join(part.out for part in output) == ""


@pytest.mark.cluster
def test_run_on_a_node_that_goes_away_is_lost(executor, ray_cluster):
    import ray

    assert executor.start(job(epochs=100_000)) and executor.start(job(epochs=100_000))
    assert until(lambda: ray.available_resources().get("CPU", 0) == 0)
    ray_cluster.remove_node(min(ray_cluster.worker_nodes, key=id), False)
    done = until(lambda: executor.wait(0.2))
    assert [end for _, end in done] == [Failure("its node went away", lost=True)]
    assert until(lambda: executor.wait(0.2) or executor.workers == 1)


# --- without a cluster ----------------------------------------------------------------------------


def enter(address):
    with open_cluster(None, None, address):
        pass


@pytest.fixture
def deaf():
    """Address of a server that is not Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("address", ["here", "ray://127.0.0.1:10001", "127.0.0.1:99999", ":6379"])
def test_address_that_is_not_host_and_port_is_refused(address, refused):
    sentence = refused(enter, address)
    assert "HOST:PORT" in sentence and repr(address) in sentence


@pytest.mark.slow
def test_address_without_a_cluster_is_refused_at_once(deaf, refused, monkeypatch):
    monkeypatch.setattr(hpstudy.sweep.executors.ray, "_HEALTH", 1.0)
    assert "Connection refused" in refused(enter, "127.0.0.1:1")
    assert f"{deaf} is not a healthy Ray cluster" in refused(enter, deaf)


def test_head_that_is_silent_too_long_ends_the_sweep(monkeypatch, refused):
    monkeypatch.setattr(hpstudy.sweep.executors.ray, "_LOOK", 0.0)
    cluster = Cluster(SimpleNamespace(), "127.0.0.1:1", None, None)
    assert cluster.wait(0) == []
    monkeypatch.setattr(hpstudy.sweep.executors.ray, "_HEAD_SILENT", 0.0)
    sentence = refused(cluster.wait, 0)
    assert "head" in sentence and "127.0.0.1:1" in sentence


def test_executor_ray_without_its_extra_is_refused(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert "pip install 'hpstudy[ray]'" in refused(enter, None)


def test_node_with_another_version_or_without_the_images_is_refused(tmp_path, refused):
    check_node(versions(), (tmp_path,))
    other = tuple((name, "1.0" if name == "torch" else number) for name, number in versions())
    sentence = refused(check_node, other, ())
    assert platform.node() in sentence and "torch" in sentence and "1.0" in sentence
    missing = tmp_path / "train.u8"
    assert str(missing) in refused(check_node, versions(), (missing,))
