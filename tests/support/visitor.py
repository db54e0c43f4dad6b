"""The explorer served by Voila as the README says, and a visitor who sends its kernel messages."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import psutil
import synthetic
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

REPLY = "kernel_info_reply"
SPY = synthetic.REPOSITORY / "tests" / "support" / "spy"
BINARY = "v1.kernel.websocket.jupyter.org"
# Settings of a user that the project's must override.
UNSAFE = {
    "Voila": {"ip": "127.0.0.2"},
    "VoilaConfiguration": {"allow_template_override": "YES", "allow_theme_override": "YES"},
}


def spied(notes):
    """Environment of processes that log their audited calls to a file."""
    notes.touch()
    path = os.pathsep.join((str(SPY), str(synthetic.REPOSITORY)))
    return {**os.environ, "PYTHONPATH": path, "SPY_NOTES": str(notes)}


def noted(notes, *events):
    """Arguments of each of these events, in order."""
    lines = map(json.loads, notes.read_text(encoding="utf-8").splitlines())
    return [values for _, event, values in lines if event in events]


@contextmanager
def voila(clone, home):
    """A running server: its address, port, process, clone, and the log of its audited calls."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home.mkdir()
    (home / "voila.json").write_text(json.dumps(UNSAFE), encoding="utf-8")
    log, notes = home / "voila.log", home / "notes"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", "notebooks/explore.ipynb"]
            + ["--no-browser", f"--port={port}"],
            cwd=clone,
            env={**spied(notes), "JUPYTER_CONFIG_DIR": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(240):
            assert process.poll() is None, log.read_text()
            if status(f"{address}static/favicon.ico"):
                break
            time.sleep(0.25)
        yield SimpleNamespace(address=address, port=port, process=process, clone=clone, notes=notes)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def status(address):
    """Status code of a response, or None without one."""
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def listening(process):
    """(pid, address) of each socket at which a process or a child listens or takes datagrams."""
    sockets = []
    for member in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            sockets += [
                (member.pid, connection.laddr.ip)
                for connection in member.net_connections("inet")
                if connection.laddr and connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            ]
    return sockets


class Visitor:
    """A visitor of the explorer's page who sends its kernel any message."""

    def __init__(self, address, query=""):
        with urllib.request.urlopen(address + query, timeout=120) as response:
            self.page = response.read().decode()
        kernel = re.search(r'"kernelId": "([0-9a-f-]+)"', self.page)[1]
        self.channels = f"{address.replace('http', 'ws')}api/kernels/{kernel}/channels"
        self.session = Session()

    def message(self, kind, content, channel="shell", **metadata):
        """A message of the kernel's protocol."""
        return {**self.session.msg(kind, content, metadata=metadata), "channel": channel}

    def send(self, *messages, binary=False, origin=None):
        """Messages of the kernel until it has replied to a last request after these."""
        last = self.message("kernel_info_request", {})
        request = HTTPRequest(
            # A new session: the server does not replay messages of an earlier one.
            f"{self.channels}?session_id={uuid.uuid4()}",
            headers={"Origin": origin} if origin else {},
        )

        def replies_to_last(message):
            return message["parent_header"].get("msg_id") == last["msg_id"]

        async def exchange():
            socket = await websocket_connect(request, subprotocols=[BINARY] if binary else None)
            received, replied, idle = [], False, False
            for message in (*messages, last):
                await socket.write_message(packed(message, binary), binary)
            # Replies and states come by two channels.
            while not (replied and idle):
                data = await asyncio.wait_for(socket.read_message(), 60)
                assert data is not None, "the server closed the connection"
                received.append(unpacked(data, binary))
                if replies_to_last(received[-1]):
                    replied |= kind(received[-1]) == REPLY
                    idle |= received[-1]["content"].get("execution_state") == "idle"
            socket.close()
            return [message for message in received if not replies_to_last(message)]

        return asyncio.run(exchange())


def kind(message):
    return message["header"]["msg_type"]


PARTS = ("header", "parent_header", "metadata", "content")


def packed(message, binary):
    text = {**message, "header": {**message["header"], "date": "2020-01-01T00:00:00Z"}}
    if not binary:
        del text["msg_id"], text["msg_type"]
        return json.dumps(text)
    return serialize_msg_to_ws_v1(
        [json.dumps(text[part]).encode() for part in PARTS], text["channel"]
    )


def unpacked(data, binary):
    if binary:
        parts = deserialize_msg_from_ws_v1(data)[1]
        return dict(zip(PARTS, map(json.loads, parts), strict=False))
    return json.loads(data) if isinstance(data, str) else deserialize_binary_message(data)
