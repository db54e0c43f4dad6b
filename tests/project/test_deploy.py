"""The files of deploy/ and the page about them match the commands and each other."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from hpstudy.cli import app

ROOT = Path(__file__).parents[2]
SLURM = sorted((ROOT / "deploy" / "slurm").iterdir())
KUBERAY = ROOT / "deploy" / "kuberay"


@pytest.fixture(scope="module")
def page():
    return (ROOT / "book" / "machines.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manifests():
    """Every object of the manifests, by kind and name."""
    return {
        (manifest["kind"], manifest["metadata"]["name"]): manifest
        for path in KUBERAY.glob("*.yaml")
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    }


@pytest.fixture(scope="module")
def job(manifests):
    return manifests["RayJob", "hpstudy"]["spec"]


def pod(group):
    """Specification of a group's pods, and their one container."""
    specification = group["template"]["spec"]
    (container,) = specification["containers"]
    return specification, container


# --- the page -------------------------------------------------------------------------------------


def test_documented_options_exist(page, job):
    examples = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in SLURM)
    lines = [*examples.splitlines(), *scripts.splitlines(), job["entrypoint"]]
    submitted = [line for line in lines if line.startswith("sbatch ")]
    lines += [f"hpstudy run {line.partition('sweep.sbatch')[2]}" for line in submitted]
    commands = typer.main.get_command(app).commands
    used = set()
    for line in lines:
        if not (match := re.match(r"hpstudy ([a-z]+) (.*)", line)):
            continue
        existing = {
            option
            for parameter in commands[match[1]].params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        options = {word for word in shlex.split(match[2]) if word.startswith("--")}
        assert options <= existing, line
        used |= options
    assert {"--workers", "--executor", "--no-book"} <= used


def test_files_named_on_the_page_exist(page):
    names = set(re.findall(r"(?:deploy|params)/[\w./-]+\w", page))
    assert [name for name in names if not (ROOT / name).exists()] == []
    expected = {path.name for path in SLURM} - {"ray-node.sh"} | {"Dockerfile"}
    assert expected <= {Path(name).name for name in names}


def test_slurm_job_requeues_and_has_time_to_stop():
    text = (ROOT / "deploy" / "slurm" / "sweep.sbatch").read_text(encoding="utf-8")
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in text.splitlines()
        if line.startswith("#SBATCH --")
    )
    assert options["signal"] == "B:USR1@120"
    assert options["dependency"] == "singleton"
    assert {"requeue", "no-kill"} <= set(options)
    assert text.index("set -euo pipefail") > text.rindex("#SBATCH")


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SLURM, ids=[path.name for path in SLURM])
def test_slurm_scripts_pass_shellcheck(path):
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_the_head_has_the_store_and_it_trains_nothing(job):
    cluster = job["rayClusterSpec"]
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "nvidia.com/gpu" not in pod(head)[1]["resources"]["limits"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod(head)[1]["volumeMounts"]}
    assert mounts["/sweep/runs"] == "runs"
    for group in workers:
        shared = {mount["mountPath"]: mount["name"] for mount in pod(group)[1]["volumeMounts"]}
        assert "runs" not in shared.values()
        # Images and checkpoints have one path on all nodes.
        assert shared == {path: name for path, name in mounts.items() if name == "shared"}
        assert "/sweep/runs/checkpoints" in shared


def test_requests_of_pods_equal_their_limits(job):
    cluster = job["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        specification, container = pod(group)
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in specification["volumes"]
        }
        assert specification["securityContext"]["runAsUser"] == 1000
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_volumes_are_claims_that_exist_outside_the_job(manifests, job):
    head, _ = pod(job["rayClusterSpec"]["headGroupSpec"])
    files = manifests["Pod", "hpstudy-files"]["spec"]
    for volumes in head["volumes"], files["volumes"]:
        for volume in volumes:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in manifests
    modes = {
        name: manifest["spec"]["accessModes"]
        for (kind, name), manifest in manifests.items()
        if kind == "PersistentVolumeClaim"
    }
    assert modes == {"hpstudy-runs": ["ReadWriteOnce"], "hpstudy-shared": ["ReadWriteMany"]}
    assert "PersistentVolumeClaim" not in (KUBERAY / "sweep.yaml").read_text(encoding="utf-8")


def test_sweep_stops_before_its_pod(job):
    head, container = pod(job["rayClusterSpec"]["headGroupSpec"])
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert int(values["RAY_JOB_STOP_WAIT_TIME_S"]) < head["terminationGracePeriodSeconds"]
    assert values["RAY_USAGE_STATS_ENABLED"] == "0"


def test_pods_share_one_image_and_one_ray_version(job):
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len({pod(group)[1]["image"] for group in groups}) == 1
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f"\nray=={cluster['rayVersion']}\n" in pins


def test_image_copies_files_that_exist_and_are_not_ignored():
    text = (KUBERAY / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"(?m)^COPY (.*) \S+$", text) for name in line.split()}
    ignored = (KUBERAY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "--constraint constraints.txt" in text and "USER 1000" in text
