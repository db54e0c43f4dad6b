"""Processes listen and connect on loopback only; no input of a visitor is executed."""

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
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request")


@pytest.fixture(scope="module")
def guest(explorer):
    return visitor.Visitor(explorer.address, "?template=base&theme=nonexistent")


# --- the explorer's server ------------------------------------------------------------------------


def test_user_configuration_cannot_move_server_or_kernels_off_loopback(explorer, guest):
    sockets = visitor.listening(psutil.Process(explorer.process.pid))
    # The server's socket, and the five of a kernel.
    assert (explorer.process.pid, "127.0.0.1") in sockets
    assert len([pid for pid, _ in sockets if pid != explorer.process.pid]) >= 5
    assert {address for _, address in sockets} <= LOOPBACK


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_server_executes_no_message_of_a_visitor(explorer, guest, binary):
    trace = explorer.clone / "executed"
    code = f"open({str(trace)!r}, 'w').close()"
    execute = {"code": code, "silent": False, "user_expressions": {"x": code}}
    messages = guest.send(
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
    assert [kind for kind in map(visitor.kind, messages) if "reply" in kind] == []
    assert not trace.exists()


def test_visitor_reaches_no_object_but_widgets(guest):
    names = ("os", "builtins", "hpstudy.config.study", "__main__")
    messages = guest.send(
        *(
            guest.message(
                "comm_open",
                {"comm_id": name, "target_name": name, "target_module": name, "data": {}},
            )
            for name in names
        )
    )
    closed = [message["content"] for message in messages if visitor.kind(message) == "comm_close"]
    assert sorted(content["comm_id"] for content in closed) == sorted(names)


def widget_data(messages):
    """Data of the messages on widgets."""
    widget_messages = [message for message in messages if visitor.kind(message) == "comm_msg"]
    return [message["content"]["data"] for message in widget_messages]


def widget_states(guest):
    """State of every widget of the explorer by its id, as any page requests it."""
    comm = {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}}
    request = {"comm_id": "c", "data": {"method": "request_states"}}
    messages = guest.send(
        guest.message("comm_open", comm, version="1.0.0"), guest.message("comm_msg", request)
    )
    (states,) = [data["states"] for data in widget_data(messages) if "states" in data]
    return {name: entry["state"] for name, entry in states.items()}


# Models of widgets, and states that no page of the explorer sends.
IMPOSSIBLE = [
    ("DropdownModel", {"index": 10**12}),
    ("DropdownModel", {"_options_labels": ["/etc/passwd"]}),
    ("FileUploadModel", {"value": [{"name": "/etc/passwd"}]}),
    ("ButtonModel", {"description": HOSTILE, "name": "/etc/passwd", "file_name": "/etc/passwd"}),
    ("AnyModel", {"left": 10**12, "metric": "/etc/passwd", "multiple": 1e308, "_esm": HOSTILE}),
]
ACTIONS = ("os.exec", "os.posix_spawn", "os.system", "os.remove", "os.rename", "subprocess.Popen")


def test_impossible_states_of_widgets_reach_no_file_and_no_program(explorer, guest):
    before = widget_states(guest)
    models = {state["_model_name"] for state in before.values()}
    assert {model for model, _ in IMPOSSIBLE} <= models
    # No widget takes text from a visitor; an uploaded table is read in a folder of its own.
    assert not [name for name in models if re.search("Text|Combobox|Password|Tags", name)]
    files = {path: path.stat().st_mtime_ns for path in explorer.clone.rglob("*")}
    opened, acted = (len(visitor.noted(explorer.notes, *names)) for names in (("open",), ACTIONS))

    def addressed(model, data):
        """Messages to the last widget of a model, or a click on all of them."""
        names = [name for name, state in before.items() if state["_model_name"] == model]
        names = names if data["method"] == "custom" else names[-1:]
        return [guest.message("comm_msg", {"comm_id": name, "data": data}) for name in names]

    for model, state in IMPOSSIBLE:
        guest.send(*addressed(model, {"method": "update", "state": state}))
    click = {"event": "click", "name": "../../evil", "kind": "text"}
    messages = guest.send(*addressed("ButtonModel", {"method": "custom", "content": click}))
    # The kernel lives, and a button sends its file to the page under a harmless name.
    sent = [data["content"] for data in widget_data(messages) if data["method"] == "custom"]
    assert [content["type"] for content in sent] == ["text/csv"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", content["name"]) for content in sent)
    assert visitor.noted(explorer.notes, *ACTIONS)[acted:] == []
    own = (str(explorer.clone), str(ROOT), sys.prefix, sys.base_prefix)
    paths = [str(values[0]) for values in visitor.noted(explorer.notes, "open")[opened:]]
    assert [path for path in paths if not path.startswith(own)] == []
    assert {path: path.stat().st_mtime_ns for path in explorer.clone.rglob("*")} == files


def test_page_of_another_site_is_refused_by_the_kernel(guest):
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
def test_server_serves_no_file(explorer, path):
    assert visitor.status(f"{explorer.address}voila/files/{path}") in (403, 404)


def test_visitor_chooses_no_template_and_no_theme(guest):
    # A page would name an unknown theme, and the template `base` has no end tag.
    assert "nonexistent" not in guest.page and "</html>" in guest.page


# --- commands, pages, workers ---------------------------------------------------------------------


COMMANDS = """
if __name__ == "__main__":
    from hpstudy.cli import app
    for line in {lines!r}:
        app(line, standalone_mode=False)
"""


def listened(command, folder, notes):
    """Addresses at which a command and its processes listen until it succeeds."""
    addresses = set()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=visitor.spied(notes), stdout=log, stderr=log
        )
        while process.poll() is None:
            addresses |= {address for _, address in visitor.listening(psutil.Process(process.pid))}
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
    assert process.returncode == 0, (folder / "log").read_text()
    return addresses


def only_local(notes):
    """Whether all connections and all names looked up are of this machine."""
    # Internet addresses are lists; others are sockets in the file system.
    calls = visitor.noted(notes, "socket.bind", "socket.connect", "socket.sendto")
    hosts = {values[1][0] for values in calls if isinstance(values[1], list)}
    names = {str(values[0]) for values in visitor.noted(notes, *LOOKUPS)}
    return hosts | names <= {*LOOPBACK, "localhost"}


@pytest.mark.slow
def test_commands_and_workers_use_no_network(tmp_path):
    notes, script = tmp_path / "notes", tmp_path / "commands.py"
    changes = {"model": "resnet20", "grid.lr": [0.01], "variants": []}
    tiny.write_study(tmp_path / "tiny.yaml", changes)
    table = synthetic.table("synthetic", "resnet56", 5, 1)
    table[table["variant"].isin(["unpruned", "uniform-0.6"])].to_csv(tmp_path / "runs.csv")
    lines = (
        "prune resnet20 --flops-ratio 0.6 --method uniform",
        "compare runs.csv",
        "run tiny.yaml --workers 1",
    )
    script.write_text(COMMANDS.format(lines=[line.split() for line in lines]), encoding="utf-8")
    # Workers communicate by pipes.
    assert listened([sys.executable, str(script)], tmp_path, notes) == set()
    assert (tmp_path / "runs/store.sqlite").is_file()
    assert visitor.noted(notes, "open") and only_local(notes)


def test_kernels_of_pages_listen_on_loopback_only(explorer, guest, tmp_path):
    notes = tmp_path / "notes"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time; time.sleep(1)")])
    nbformat.write(book, tmp_path / "page.ipynb")
    command = "-m papermill page.ipynb out.ipynb --kernel python3 --no-progress-bar"
    assert listened([sys.executable, *command.split()], tmp_path, notes) == {"127.0.0.1"}
    assert visitor.noted(notes, "socket.bind") and only_local(notes)
    # The kernel of the explorer's notebook, which has imported the package.
    assert visitor.noted(explorer.notes, "socket.bind") and only_local(explorer.notes)
