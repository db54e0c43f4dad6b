"""Nothing listens beyond this machine, nothing phones home, nothing a visitor sends is executed."""

import re
import subprocess
import sys
from contextlib import suppress

import nbformat
import psutil
import pytest
import synthetic
import tiny
import visitor
from tornado.httpclient import HTTPClientError

ROOT = synthetic.REPOSITORY
LOOPBACK = {"127.0.0.1", "::1"}
HOSTILE = "</script><img src=x onerror=alert(1)>"
LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request")


@pytest.fixture(scope="module")
def guest(explorer):
    return visitor.Visitor(explorer.address, "?template=base&theme=neverheardof")


# --- the explorer as an app -----------------------------------------------------------------------


def test_server_and_kernels_listen_on_loopback_alone_whatever_a_user_has_configured(
    explorer, guest
):
    found = visitor.listening(psutil.Process(explorer.process.pid))
    # The server itself, and a kernel with the five sockets of its protocol at least.
    assert (explorer.process.pid, "127.0.0.1") in found
    assert len([pid for pid, _ in found if pid != explorer.process.pid]) >= 5
    assert {address for _, address in found} <= LOOPBACK


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_server_executes_nothing_that_a_visitor_sends(explorer, guest, binary):
    trace = explorer.clone / "executed"
    code = f"open({str(trace)!r}, 'w').close()"
    execute = {"code": code, "silent": False, "user_expressions": {"x": code}}
    said = guest.send(
        guest.message("execute_request", execute),
        guest.message("execute_request", execute, "control"),
        guest.message("inspect_request", {"code": code, "cursor_pos": 4, "detail_level": 1}),
        guest.message("complete_request", {"code": "open", "cursor_pos": 4}),
        guest.message("history_request", {"hist_access_type": "tail", "n": 9}),
        guest.message("debug_request", {"command": "evaluate", "arguments": {}}, "control"),
        guest.message("create_subshell_request", {}, "control"),
        guest.message("input_reply", {"value": code}, "stdin"),
        guest.message("apply_request", {"code": code}),
        binary=binary,
    )
    assert [visitor.kind(one) for one in said if "reply" in visitor.kind(one)] == []
    assert not trace.exists()


def test_kernel_offers_a_visitor_no_object_but_its_widgets(guest):
    names = ("os", "builtins", "hpstudy.config.study", "__main__")
    said = guest.send(
        *(
            guest.message(
                "comm_open",
                {"comm_id": name, "target_name": name, "target_module": name, "data": {}},
            )
            for name in names
        )
    )
    closed = [o["content"]["comm_id"] for o in said if visitor.kind(o) == "comm_close"]
    assert sorted(closed) == sorted(names)


def states(guest):
    """State of every widget of the explorer, by its id, as the kernel tells any page."""
    opened = {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}}
    asked = {"comm_id": "c", "data": {"method": "request_states"}}
    said = guest.send(
        guest.message("comm_open", opened, version="1.0.0"), guest.message("comm_msg", asked)
    )
    (told,) = [
        one["content"]["data"]["states"]
        for one in said
        if visitor.kind(one) == "comm_msg" and "states" in one["content"]["data"]
    ]
    return {name: one["state"] for name, one in told.items()}


# Kind of a widget, and what no page of the explorer would tell its kernel of one.
ODD = [
    ("DropdownModel", {"index": 10**12}),
    ("DropdownModel", {"_options_labels": ["/etc/passwd"]}),
    ("FloatSliderModel", {"value": 1e308}),
    ("ButtonModel", {"description": HOSTILE, "name": "/etc/passwd", "file_name": "/etc/passwd"}),
    ("AnyModel", {"width": 10**12, "_esm": HOSTILE}),
]
RUNS = ("os.exec", "os.posix_spawn", "os.system", "os.remove", "os.rename", "subprocess.Popen")


def test_impossible_states_of_widgets_reach_no_file_and_no_program(explorer, guest):
    before = states(guest)
    # There is no field that takes a text or a file from a visitor.
    kinds = {state["_model_name"] for state in before.values()}
    assert {kind for kind, _ in ODD} <= kinds
    assert not [kind for kind in kinds if re.search("Text|File|Combobox|Password|Tags", kind)]
    files = {path: path.stat().st_mtime_ns for path in explorer.clone.rglob("*")}
    opened, ran = (len(visitor.noted(explorer.notes, *events)) for events in (("open",), RUNS))

    def told(kind, data):
        """A message to one widget of the kind, the last made; to all of them if it is a click."""
        names = [name for name, state in before.items() if state["_model_name"] == kind]
        names = names if data["method"] == "custom" else names[-1:]
        return [guest.message("comm_msg", {"comm_id": name, "data": data}) for name in names]

    guest.send(*(m for kind, odd in ODD for m in told(kind, {"method": "update", "state": odd})))
    click = {"event": "click", "name": "../../evil", "kind": "text"}
    said = guest.send(*told("ButtonModel", {"method": "custom", "content": click}))
    # The kernel lives, and what a button saves goes to the page, under a harmless name.
    data = [one["content"]["data"] for one in said if visitor.kind(one) == "comm_msg"]
    sent = [one["content"] for one in data if one["method"] == "custom"]
    assert [one["type"] for one in sent] == ["text/csv"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", one["name"]) for one in sent)
    assert visitor.noted(explorer.notes, *RUNS)[ran:] == []
    own = (str(explorer.clone), str(ROOT), sys.prefix, sys.base_prefix)
    new = [str(one[0]) for one in visitor.noted(explorer.notes, "open")[opened:]]
    assert [path for path in new if not path.startswith(own)] == []
    assert {path: path.stat().st_mtime_ns for path in explorer.clone.rglob("*")} == files


def test_page_of_another_site_cannot_speak_with_the_kernel(guest):
    with pytest.raises(HTTPClientError, match="403"):
        guest.send(origin="http://elsewhere.example")


@pytest.mark.parametrize(
    "path",
    [
        "runs/book/results/synthetic-resnet56.csv",
        "notebooks/explore.ipynb",
        "../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc/passwd",
    ],
)
def test_server_hands_out_no_file(explorer, path):
    assert visitor.status(f"{explorer.address}voila/files/{path}") in (403, 404)


def test_visitor_chooses_no_template_and_no_theme(guest):
    # A theme that there is not would be named in the page; that template would never end it.
    assert "neverheardof" not in guest.page and "</html>" in guest.page


# --- commands, pages, workers ---------------------------------------------------------------------


COMMANDS = """
if __name__ == "__main__":
    from hpstudy.cli import app
    for line in {lines!r}:
        app(line, standalone_mode=False)
"""


def watched(command, folder, notes):
    """Addresses at which anything listens while a command runs, which must succeed."""
    heard = set()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=visitor.spied(notes), stdout=said, stderr=said
        )
        while process.poll() is None:
            heard |= {address for _, address in visitor.listening(psutil.Process(process.pid))}
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
    assert process.returncode == 0, (folder / "said").read_text()
    return heard


def asks_nobody(notes):
    """Whether all connections and all names looked up are of this machine."""
    # Addresses of the internet are lists; others are sockets in the file system.
    met = visitor.noted(notes, "socket.bind", "socket.connect", "socket.sendto")
    hosts = {values[1][0] for values in met if isinstance(values[1], list)}
    names = {str(values[0]) for values in visitor.noted(notes, *LOOKS_UP)}
    return hosts | names <= {*LOOPBACK, "localhost"}


@pytest.mark.slow
def test_commands_and_workers_ask_nobody_and_listen_to_nobody(tmp_path):
    notes, script = tmp_path / "notes", tmp_path / "commands.py"
    tiny.write_study(tmp_path / "tiny.yaml", {"grid.lr": [0.01]})
    table = synthetic.table("synthetic", "resnet56", 5, 1)
    two = table[table["variant"].isin(["unpruned", "uniform-0.6"])]
    two.to_csv(tmp_path / "two.csv", index=False)
    lines = (
        "prune resnet20 --flops-ratio 0.6 --method uniform",
        "compare two.csv",
        "run tiny.yaml --workers 1",
    )
    script.write_text(COMMANDS.format(lines=[line.split() for line in lines]), encoding="utf-8")
    # Workers are spoken with through pipes.
    assert watched([sys.executable, str(script)], tmp_path, notes) == set()
    assert (tmp_path / "runs/store.sqlite").is_file()
    assert visitor.noted(notes, "open") and asks_nobody(notes)


def test_kernel_of_a_page_is_spoken_with_on_loopback(explorer, guest, tmp_path):
    notes = tmp_path / "notes"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time; time.sleep(1)")])
    nbformat.write(book, tmp_path / "page.ipynb")
    command = "-m papermill page.ipynb out.ipynb --kernel python3 --no-progress-bar"
    assert watched([sys.executable, *command.split()], tmp_path, notes) == {"127.0.0.1"}
    assert visitor.noted(notes, "socket.bind") and asks_nobody(notes)
    # The explorer's notebook, with all that it imports.
    assert visitor.noted(explorer.notes, "socket.bind") and asks_nobody(explorer.notes)
