"""Ray: imported so that it keeps quiet, a cluster joined or started, and left again."""

import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hpstudy.errors import HpstudyError, one_line, shown
from hpstudy.sweep.executors.node import MARK
from hpstudy.sweep.executors.worker import ENVIRONMENT
from hpstudy.training.device import cores

# Read when Ray is imported, and when it starts processes.
_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray tells of dead nodes and processes in many lines of standard output, which may be asked
    # for JSON; the sweep says it in one. Only what runs have to say comes through.
    "RAY_DEDUP_LOGS_ALLOW_REGEX": f"^{MARK}",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_COLOR_PREFIX": "0",
    # A stack of Ray's own would be printed where SIGTERM ends a sweep.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}
# In Ray's words for other systems: a cluster on this machine's loopback interface.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_NODES = {**ENVIRONMENT, "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
# What any server of Ray answers with a SETTINGS frame: HTTP/2's preface, and empty settings.
_GREETING, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 4
# Seconds for a server to answer.
_ANSWER = 5.0


def load_ray(loopback: bool) -> ModuleType:
    """The package ray, which is told first to keep quiet and send nothing to anyone.

    Parameters
    ----------
    loopback : bool
        Whether the cluster is of this machine alone, and not to be reached from elsewhere.

    Raises
    ------
    HpstudyError
        If it is not installed.
    """
    for name, value in (_RAY | (_LOOPBACK if loopback else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise HpstudyError("the executor ray needs the extra: pip install 'hpstudy[ray]'") from None
    return ray


def check_address(address: str) -> str:
    """The host of an address at which a server of Ray answers: Ray itself would try for minutes.

    Raises
    ------
    HpstudyError
        If none does.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or ":/" in address or not port.isdecimal() or int(port) > 65535:
        raise HpstudyError(
            "the address of a Ray cluster is HOST:PORT, as `ray start --head` prints it, not "
            f"{shown(address)}"
        )
    try:
        with socket.create_connection((host, int(port)), _ANSWER) as connection:
            connection.sendall(_GREETING)
            kind = connection.recv(9)[3:4]
    except OSError as error:
        raise HpstudyError(
            f"no Ray cluster answers at {address} ({error.strerror or error})"
        ) from None
    if kind != bytes([_SETTINGS]):
        raise HpstudyError(f"what answers at {address} is no Ray cluster")
    return host


@contextmanager
def connected(ray: ModuleType, address: str | None) -> Iterator[None]:
    """A cluster for the block: the one at an address, or a new one of this machine alone.

    Parameters
    ----------
    ray : module
    address : str or None

    Raises
    ------
    HpstudyError
        If Ray can do neither.
    """
    options: dict[str, Any] = {"address": address}
    if address is None:
        # Others on this machine reach its loopback interface too; without a token of its own Ray
        # would write one to the user's home.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options = {"address": "local", "num_cpus": cores(), "include_dashboard": False}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, runtime_env={"env_vars": _NODES}, logging_level=logging.CRITICAL)
    except (Exception, SystemExit) as error:  # Ray raises many kinds
        where = f"join the cluster at {address}" if address else "start on this machine"
        raise HpstudyError(f"Ray cannot {where} ({one_line(error)})") from None
    finally:
        if signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        ray.shutdown()
