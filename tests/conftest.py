"""Shared fixtures, markers and the order of the test files; the tests use no GPU."""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import synthetic
import tiny

# Read when torch is imported. The same arithmetic on every machine, and one thread, as a worker
# has: more of them than free cores make small networks many times slower.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"
# Kernels for a GPU run in Triton's interpreter, which is numpy.
os.environ["TRITON_INTERPRET"] = "1"

# File system in memory: a store waits for the disk at each of its thousands of commits.
MEMORY = Path("/dev/shm")


# Markers of tests by the expensive fixtures that they use.
MARKERS = {
    "explorer": "browser",
    "ray_results": "cluster",
    "swept": "slow",
    "mlflow_store": "slow",
    "wandb_folder": "slow",
}


# Files whose tests run in one worker: they share an expensive fixture or import.
TOGETHER = {
    "test_book.py": "book",
    "test_printing.py": "book",
    "test_voila.py": "explorer",
    "test_security.py": "explorer",
    # The networks, and the import of torchvision.
    "test_badinput.py": "networks",
    "test_cost.py": "networks",
    "test_dependency.py": "networks",
    "test_models.py": "networks",
    "test_pruning.py": "networks",
    "test_weights.py": "networks",
}


# What begins first, since few tests take long there.
LONG = {
    "book",
    "explorer",
    "test_cluster.py",
    "test_published_book.py",
    "test_step.py",
    "test_sweep.py",
}


def pytest_configure():
    """Temporary files of the tests lie in memory where it has room."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 8 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Scheduler of `--dist loadfile`: a file, or files that belong together, is a unit of work."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return unit(super()._split_scope(nodeid))

    return Files(config, log)


def unit(path):
    """Name of the unit of work that a test file belongs to."""
    name = str(path).rpartition("/")[2]
    return TOGETHER.get(name, name)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items):
    """Mark tests by their fixtures; of the selected ones, the units with most work come first."""
    for item in items:
        for fixture, marker in MARKERS.items():
            if fixture in item.fixturenames:
                item.add_marker(marker)
    yield
    work = Counter()
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        # A slow test takes a second or two, any other about 30 ms.
        work[unit(item.path)] += 40 if marks & {"slow", "browser", "cluster"} else 1
    items.sort(key=lambda item: (unit(item.path) not in LONG, -work[unit(item.path)]))


@pytest.fixture(autouse=True)
def messages():
    """Messages reach standard error, as those of a command do."""
    from hpstudy.workspace import show_messages

    show_messages()


@pytest.fixture
def refused():
    """The one sentence that a call is refused with."""
    from hpstudy.errors import HpstudyError

    def refused(call, *args, **options):
        with pytest.raises(HpstudyError) as caught:
            call(*args, **options)
        words = str(caught.value)
        assert "\n" not in words and words
        return words

    return refused


@pytest.fixture(scope="session")
def network():
    """A dense network by name, built once: `network("resnet56")` at the thesis's image size."""
    from hpstudy.networks.dependency import PrunableNetwork

    built = {}

    def network(name, classes=10, image_size=32):
        key = name, classes, image_size
        if key not in built:
            built[key] = PrunableNetwork(*key)
        return built[key]

    return network


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """The tiny study, trained to the end by one worker: study, store, plan, table, trained."""
    from hpstudy.storage.store import Store
    from hpstudy.sweep.plan import Plan
    from hpstudy.sweep.run import sweep

    folder = tmp_path_factory.mktemp("swept")
    params = tiny.write_study(folder / "tiny.yaml")
    store = Store.open(folder / "runs" / "store.sqlite")
    plan = Plan.open(tiny.study(), store)
    with pytest.MonkeyPatch.context() as patch:
        # A price within an order of magnitude is enough here.
        patch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)
        trained = sweep(plan, workers=1)
    return SimpleNamespace(
        folder=folder, params=params, store=store, plan=plan, trained=trained, table=plan.table()
    )


@pytest.fixture(scope="session")
def explorer(tmp_path_factory):
    """The explorer's server, started once as the README says, from the root of a clone."""
    import visitor

    folder = tmp_path_factory.mktemp("voila")
    clone = synthetic.clone(folder / "clone", ["resnet56"])
    with visitor.voila(clone, folder / "home") as server:
        yield server


@pytest.fixture(autouse=True)
def denormal_numbers():
    """A trainer turns denormal numbers off for its process, which other tests need."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
