"""The explorer served by Voila as the README says, and somebody who speaks with its kernel."""

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
from contextlib import contextmanager
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
# A user's own settings, all of which the project's must overrule.
CARELESS = {
    "Voila": {"ip": "127.0.0.2"},
    "VoilaConfiguration": {"allow_template_override": "YES", "allow_theme_override": "YES"},
}


def spied(notes):
    """Environment of processes that write down in a file what they ask the system for."""
    notes.touch()
    path = os.pathsep.join((str(SPY), str(synthetic.REPOSITORY)))
    return {**os.environ, "PYTHONPATH": path, "SPY_NOTES": str(notes)}


def noted(notes, *events):
    """Values of each of these events in the order in which they were written down."""
    lines = map(json.loads, notes.read_text(encoding="utf-8").splitlines())
    return [values for _, event, values in lines if event in events]


@contextmanager
def voila(clone, home):
    """A running server: its address, port, process, log, and the notes of a spy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home.mkdir()
    (home / "voila.json").write_text(json.dumps(CARELESS), encoding="utf-8")
    log, notes = home / "voila.log", home / "notes"
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", "notebooks/explore.ipynb"]
            + ["--no-browser", f"--port={port}"],
            cwd=clone,
            env={**spied(notes), "JUPYTER_CONFIG_DIR": str(home)},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(240):
            assert process.poll() is None, log.read_text()
            if status(f"{address}static/favicon.ico"):
                break
            time.sleep(0.25)
        yield SimpleNamespace(
            address=address, port=port, process=process, clone=clone, notes=notes, log=log
        )
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def status(address):
    """Code of the answer of a server, or None where there is none."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def listening(process):
    """Addresses at which a process and all that it started listen, or wait for datagrams."""
    found = []
    for one in (process, *process.children(recursive=True)):
        try:
            found += [
                (one.pid, socket.laddr.ip)
                for socket in one.net_connections("inet")
                if socket.laddr and socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            ]
        except psutil.NoSuchProcess:
            continue
    return found


class Visitor:
    """Somebody with a page of the explorer, who sends its kernel what a browser never would.

    Parameters
    ----------
    address : str
        Of the server.
    query : str, default ""
        Behind the address of the page.
    """

    def __init__(self, address, query=""):
        with urllib.request.urlopen(address + query, timeout=120) as answer:
            self.page = answer.read().decode()
        kernel = re.search(r'"kernelId": "([0-9a-f-]+)"', self.page)[1]
        self.channels = f"{address.replace('http', 'ws')}api/kernels/{kernel}/channels"
        self.session = Session()

    def message(self, kind, content, channel="shell", **metadata):
        """A message as the kernel's protocol has it."""
        made = self.session.msg(kind, content, metadata=metadata)
        return {**made, "channel": channel}

    def send(self, *messages, binary=False, origin=None):
        """What the kernel says until it has said, after all these messages, what it is."""
        last = self.message("kernel_info_request", {})
        request = HTTPRequest(
            # Another name every time: what is left of an earlier talk is not told again.
            f"{self.channels}?session_id={uuid.uuid4()}",
            headers={"Origin": origin} if origin else {},
        )

        def own(message):
            return message["parent_header"].get("msg_id") == last["msg_id"]

        async def talk():
            line = await websocket_connect(request, subprotocols=[BINARY] if binary else None)
            said, idle = [], False
            for one in (*messages, last):
                await line.write_message(packed(one, binary), binary)
            # Replies and notices come by two ways; the last of both is waited for.
            while not (idle and any(own(one) and kind(one) == REPLY for one in said)):
                data = await asyncio.wait_for(line.read_message(), 60)
                assert data is not None, "the server closed the connection"
                said.append(unpacked(data, binary))
                idle |= own(said[-1]) and said[-1]["content"].get("execution_state") == "idle"
            line.close()
            return [one for one in said if not own(one)]

        return asyncio.run(talk())


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
