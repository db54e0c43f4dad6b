"""Runs on a real Ray cluster of several nodes, all on this machine, of which some are killed."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from hpstudy.errors import HpstudyError
from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import node
from hpstudy.sweep.executors.base import Job
from hpstudy.sweep.executors.ray import open_cluster
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import run_on
from hpstudy.training.datasets import load_dataset

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CLOCK = ["seconds", "images_per_second"]


class Fate:
    """Stands for a race, which a worker asks after every epoch but the last."""

    def __init__(self, name):
        self.name = name

    def stop_reason(self, *_):
        getattr(self, self.name)()

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def failing(self):
        raise RuntimeError("a device\nis gone")

    def refusing(self):
        raise HpstudyError("it cannot be done")

    def talking(self):
        print("for all", file=sys.stderr)
        print("for nobody")


def job(epochs=2, fate=None):
    spec = tiny.spec(
        {
            "model": "resnet20",
            "data.image_size": 8,
            "recipe": {"epochs": epochs, "batch_size": 20, "lr_decay_epochs": []},
        }
    )
    return Job(spec, race=fate and Fate(fate))


def ended(executor, *jobs):
    """What has come of some jobs, in the order in which they ended."""
    done, waiting = [], list(jobs)
    while waiting or len(done) < len(jobs):
        if waiting and executor.start(waiting[0]):
            waiting.pop(0)
        done += executor.wait(0.2)
    return done


def until(happens, seconds=60):
    deadline = time.monotonic() + seconds
    while not happens() and time.monotonic() < deadline:
        time.sleep(0.1)
    return happens()


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory):
    """A head that trains nothing, and three nodes of one core each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        # Where Ray's processes find this module.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
        from cluster import ray_cluster

        with ray_cluster(tmp_path_factory.mktemp("python"), 3) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def placed():
    """Objects that the driver has put into Ray's store."""
    return []


@pytest.fixture(scope="module")
def executor(ray_cluster, placed):
    """The cluster, ready to train on the images of the tiny study."""
    import ray

    put = ray.put
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "put", lambda value: placed.append(value) or put(value))
        before = signal.getsignal(signal.SIGTERM)
        with open_cluster(load_dataset(tiny.study().data), None, ray_cluster.address) as executor:
            assert signal.getsignal(signal.SIGTERM) is before
            yield executor


def test_every_core_of_the_nodes_is_a_worker_and_the_head_is_none(executor):
    assert executor.workers == 3
    assert executor.device == "cpu of 3 Ray nodes"
    measured = executor.calibrate(job().spec, 10, (40, 20), 0.01)
    assert len(measured) == 3 and all(min(pair) > 0 for pair in measured)


def test_images_are_placed_once_and_shared_by_what_a_process_trains(executor, placed):
    import ray

    def looked(held):
        # By value: a process of Ray has its own copy of this module.
        import torch

        from hpstudy.sweep.executors import node

        data = node.dataset(held[0], torch.device("cpu"))
        address = data.train.images.data_ptr()
        maps = [line.split() for line in open("/proc/self/maps") if "plasma" in line]
        ranges = [[int(end, 16) for end in fields[0].split("-")] for fields in maps]
        shared = any(low <= address < high for low, high in ranges)
        return os.getpid(), id(data), shared, data.train.images.numpy()

    (held,) = executor._held
    seen = ray.get([ray.remote(num_cpus=1)(looked).remote([held]) for _ in range(9)])
    assert len(placed) == 1
    processes = {}
    for process, identity, shared, images in seen:
        assert processes.setdefault(process, identity) == identity
        np.testing.assert_array_equal(images, placed[0]["train"][0])
        assert shared


def test_sweep_that_loses_a_node_ends_with_the_table_of_a_local_one(
    executor, ray_cluster, swept, tmp_path
):
    class Losing(Store):
        def record(self, *arguments, **options):
            super().record(*arguments, **options)
            if len(ray_cluster.worker_nodes) == 3:
                # While the other dense run is trained, on this node or on another.
                ray_cluster.remove_node(min(ray_cluster.worker_nodes, key=id), False)

    store = Losing(tmp_path / "store.sqlite")
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


def test_run_whose_process_is_killed_fails_and_the_next_one_is_trained(executor):
    (first,) = ended(executor, job(fate="killed"))
    assert first.outcome is None
    assert first.failure == ("its process on the cluster has ended", False)
    (second,) = ended(executor, first.job._replace(race=None, again=True))
    assert second.outcome.row["epochs"] == 2


def test_run_that_raises_fails_in_one_line(executor):
    (failed,) = ended(executor, job(fate="failing"))
    assert failed.failure == ("RuntimeError: a device is gone", False)


def test_refusal_of_a_run_is_raised(executor, refused):
    assert refused(ended, executor, job(fate="refusing")) == "it cannot be done."
    # Such a sweep has ended; here the next test goes on.
    executor._refusal = ""


def test_what_a_run_has_to_say_reaches_standard_error_and_nothing_else_does(executor, capsys):
    ended(executor, job(fate="talking"))
    said = []
    assert until(lambda: said.append(capsys.readouterr()) or any("for all" in s.err for s in said))
    assert all("for nobody" not in part.out + part.err for part in said)
    assert "".join(part.out for part in said) == ""


def test_run_under_a_node_that_goes_away_is_lost_and_not_to_blame(executor, ray_cluster):
    import ray

    assert executor.start(job(epochs=100_000)) and executor.start(job(epochs=100_000))
    assert until(lambda: ray.available_resources().get("CPU", 0) == 0)
    ray_cluster.remove_node(min(ray_cluster.worker_nodes, key=id), False)
    done = []
    assert until(lambda: done.extend(executor.wait(0.2)) or done)
    assert [(one.outcome, one.failure) for one in done] == [
        (None, ("its node has gone away", True))
    ]
    assert until(lambda: executor.workers == 1)


# --- without a cluster ----------------------------------------------------------------------------


@pytest.fixture
def deaf():
    """Address of a server that does not speak as Ray does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def entered(address):
    with open_cluster(None, None, address):
        pass


@pytest.mark.parametrize(
    "address", ["", "here", "ray://127.0.0.1:10001", "127.0.0.1:99999", ":6379"]
)
def test_address_of_no_kind_is_refused(address, refused):
    words = refused(entered, address)
    assert words == (
        "the address of a Ray cluster is HOST:PORT, as `ray start --head` prints it, not "
        f"{address!r}."
    )


def test_address_where_no_cluster_is_is_refused_at_once(deaf, refused):
    assert refused(entered, "127.0.0.1:1") == (
        "no Ray cluster answers at 127.0.0.1:1 (Connection refused)."
    )
    assert refused(entered, deaf) == f"what answers at {deaf} is no Ray cluster."


def test_without_the_extra_the_executor_is_refused(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = refused(entered, None)
    assert words == "the executor ray needs the extra: pip install 'hpstudy[ray]'."


def test_node_with_another_version_or_without_the_images_is_refused(tmp_path, refused):
    here = node.versions()
    assert node.check(tuple(here.items()), (tmp_path,)) == "cpu"
    words = refused(node.check, tuple((here | {"torch": "1.0"}).items()), ())
    assert f"has torch {here['torch']}, and the sweep is run by 1.0" in words
    words = refused(node.check, tuple(here.items()), (tmp_path / "train.u8",))
    assert f"cannot read {tmp_path / 'train.u8'}" in words
