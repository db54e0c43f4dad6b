"""Log of audited calls, in every Python that starts with this folder on its path."""

import json
import os
import sys

WATCHED = {
    "open",
    "os.exec",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyaddr",
    "socket.gethostbyname",
    "socket.sendto",
    "subprocess.Popen",
    "urllib.Request",
}
NOTES = os.open(os.environ["SPY_NOTES"], os.O_WRONLY | os.O_APPEND)


def note(event: str, values: tuple) -> None:
    if event in WATCHED:
        os.write(NOTES, json.dumps([os.getpid(), event, values], default=str).encode() + b"\n")


sys.addaudithook(note)
