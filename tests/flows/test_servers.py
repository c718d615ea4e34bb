"""Servers as subprocesses: ready when they say so, on loopback only, and gone whole, whoever ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from server_helpers import all_gone, environment, free_port, listening

from flows import children, interrupt, servers
from flows.ports import LOOPBACK, address, choose_port, is_loopback, port_is_free
from flows.server_kinds import run_server
from flows.servers import Server
from sorigil.errors import RequestError, RunError

# A server with a child of its own, as MLflow's has. The child ignores SIGTERM: it must be ended all the same.
SERVER = """
import http.server, signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""

PARENT = """
import time
from server_helpers import free_port
from test_servers import SERVER, a_server
server = a_server(free_port(), SERVER.replace("signal.signal(15, signal.SIG_IGN);", ""))
server.start()
server.wait_until_healthy()
print(server.pid, flush=True)
time.sleep(600)
"""


def a_server(port: int, code: str = SERVER) -> Server:
    command = [sys.executable, "-c", code, LOOPBACK, str(port)]
    return Server(name="the server", command=command, host=LOOPBACK, port=port, health="/health")


def group(leader: int) -> list[psutil.Process]:
    return [psutil.Process(leader), *psutil.Process(leader).children(recursive=True)]


def test_a_server_is_ready_on_loopback_and_gone_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "STOP_SECONDS", 1.0)
    with a_server(free_port()) as server:
        assert server.wait_until_healthy(seconds=20)
        processes = group(server.pid)
        assert listening(processes) == {(LOOPBACK, server.port)}
        assert len(processes) >= 4  # the shell, its watcher, the server and the server's child
        assert not {each.pid for each in processes} & {each.pid for each in children.offspring()}
    assert all_gone(processes, 0.5)
    assert port_is_free(LOOPBACK, server.port)


def test_killing_us_takes_the_server_along(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=tmp_path, env=environment())
    assert parent.stdout is not None
    processes = group(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    assert all_gone(processes)


def test_zombies_that_nobody_removes_are_not_waited_for() -> None:
    ended = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(ended.pid, 0)  # the system still knows it
    assert not servers._somebody_lives(ended.pid)
    ended.wait()
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as living:
        assert servers._somebody_lives(living.pid)
        living.kill()


def test_the_server_of_a_run_keeps_its_port_from_others_and_lets_a_user_s_own_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two starts of a process that gives up early; the whole is in `test_pipeline`."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "profiles.toml").write_text(
        'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    with run_server() as server:
        assert not port_is_free(LOOPBACK, server.port)
        with pytest.raises(RunError, match=r"the Prefect server of this run could not be started\. It said nothing"):
            server.wait_until_healthy(seconds=60)
    assert port_is_free(LOOPBACK, server.port)


def test_the_last_words_of_a_server_that_dies_are_told() -> None:
    code = "import sys; print('at first'); sys.exit('no such database: speech.db')"
    with a_server(free_port(), code) as server, pytest.raises(RunError) as told:
        server.wait_until_healthy(seconds=20)
    assert "the server could not be started" in str(told.value)
    assert str(told.value).index("at first") < str(told.value).index("no such database: speech.db")


def test_a_server_that_never_answers_is_given_up() -> None:
    with a_server(free_port(), "import time; time.sleep(600)") as server:
        with pytest.raises(RunError, match=r"did not answer .* in 1 s\. It said nothing"):
            server.wait_until_healthy(seconds=0.6)
        processes = group(server.pid)
    assert all_gone(processes, 0.5)


def test_waiting_ends_when_told_to() -> None:
    stop = threading.Event()
    stop.set()
    with a_server(free_port(), "import time; time.sleep(600)") as server:
        assert not server.wait_until_healthy(stop)


def test_the_next_free_port_is_taken_and_said() -> None:
    said: list[str] = []
    with socket.socket() as busy:
        busy.bind((LOOPBACK, 0))
        busy.listen()
        taken = busy.getsockname()[1]
        chosen = choose_port(LOOPBACK, None, taken, said.append, "MLflow")
        assert chosen > taken and port_is_free(LOOPBACK, chosen)
        assert said == [f"MLflow: port {taken} is taken, {chosen} is used instead"]
        with pytest.raises(RequestError, match=f"port {taken} of {LOOPBACK} is taken"):
            choose_port(LOOPBACK, taken, 5000, said.append, "MLflow")


def test_a_port_taken_on_every_address_is_taken_on_loopback_too() -> None:
    with socket.socket() as busy:
        busy.bind(("0.0.0.0", 0))
        busy.listen()
        assert not port_is_free(LOOPBACK, busy.getsockname()[1])


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(RequestError, match="1 to 65535"):
        choose_port(LOOPBACK, port, 5000, print, "MLflow")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(RequestError, match="no address of this machine"):
        choose_port(host, None, 5000, print, "MLflow")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("me.lan", False),
    ],
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_addresses_are_such_as_a_browser_takes() -> None:
    assert address("127.0.0.1", 5000) == "http://127.0.0.1:5000"
    assert address("::1", 5000) == "http://[::1]:5000"
    assert address("0.0.0.0", 5000) == f"http://{socket.gethostname()}:5000"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_only_set_the_event(number: int) -> None:
    stop = threading.Event()
    before = signal.getsignal(number)
    with interrupt.termination_sets(stop):
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) == before


def test_processes_that_do_not_listen_are_made_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_SECONDS", 0.5)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    stubborn = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None and stubborn.stdout.readline()
    mine = [each for each in children.offspring() if each.pid == stubborn.pid]
    assert len(mine) == 1
    children.end_processes(mine)
    assert all_gone(mine)
    stubborn.wait()
