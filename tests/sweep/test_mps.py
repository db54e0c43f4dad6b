"""NVIDIA's MPS daemon, of which a script takes the place."""

import os
import platform
from pathlib import Path

import pytest
import tiny
from badinput import run_command

from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors import mps

# A daemon that answers as long as the file `alive` lies in its folder.
SCRIPT = """#!/bin/sh
folder=${CUDA_MPS_PIPE_DIRECTORY:-%(default)s}
if [ "$1" = -d ]; then
  echo "start $folder" >> %(log)s
  %(start)s
  exit
fi
read word
echo "$word $folder" >> %(log)s
[ -e "$folder/alive" ] || { echo "Cannot find MPS control daemon process"; exit 1; }
[ "$word" = quit ] && rm "$folder/alive"
exit 0
"""


@pytest.fixture
def daemon(monkeypatch, tmp_path):
    """Put a daemon on PATH; returns what it was asked, without its folder."""
    for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    log = tmp_path / "log"
    (tmp_path / "default").mkdir()

    def daemon(start='touch "$folder/alive"; sleep 60 &'):
        program = tmp_path / "bin" / mps.CONTROL
        program.parent.mkdir()
        names = {"default": tmp_path / "default", "log": log, "start": start}
        program.write_text(SCRIPT % names)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return lambda: [tuple(line.split()) for line in log.read_text().splitlines()]

    return daemon


def test_daemon_runs_during_the_block_in_folders_of_its_own(daemon, tmp_path, messages):
    asked = daemon(start='touch "$folder/alive"')
    assert not mps.mps_answers()
    with pytest.raises(ZeroDivisionError), mps.mps_daemon():
        folder = os.environ["CUDA_MPS_PIPE_DIRECTORY"]
        assert os.environ["CUDA_MPS_LOG_DIRECTORY"] == folder != str(tmp_path / "default")
        assert mps.mps_answers() and Path(folder).is_dir()
        # It ends with an error too.
        raise ZeroDivisionError
    assert ("start", folder) in asked() and asked()[-1] == ("quit", folder)
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ and not Path(folder).exists()
    said = messages()
    assert f"a daemon is started, with its files in {folder}" in said and "is stopped" in said


def test_daemon_that_answers_is_used_and_left_alone(daemon, tmp_path, messages):
    asked = daemon()
    (tmp_path / "default" / "alive").touch()
    with mps.mps_daemon():
        assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert {word for word, _ in asked()} == {"get_server_list"} and mps.mps_answers()
    assert "the daemon that answers is used" in messages()


def test_daemon_that_does_not_start_is_refused_with_its_words(daemon):
    daemon(start="echo no device was found; exit 1")
    with pytest.raises(HpstudyError, match=r"does not start \(no device was found\)"):
        with mps.mps_daemon():
            pass


def test_command_without_the_program_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    # The params file is not even read.
    status, output, errors = run_command("run", "gone.yaml", "--mps")
    assert (status, output) == (2, "") and "which is not installed here" in errors
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert "needs Linux, and this is Darwin" in run_command("run", "gone.yaml", "--mps")[2]


def test_command_starts_and_stops_the_daemon(daemon, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = daemon(start='touch "$folder/alive"')
    params = tiny.write_study(tmp_path / "tiny.yaml", {"executor": "ray"})
    status, _, errors = run_command("run", str(params), "--mps")
    assert status == 2 and "--mps is for the workers of this machine" in errors
    words = [word for word, _ in asked()]
    assert words.index("start") < words.index("quit") == len(words) - 1
