"""The dashboard: MLflow's own pages show what `Experiments` logged, on loopback only, and nothing is left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from server_helpers import all_gone, environment, free_port, listening

from flows import dashboard as module
from flows import server_kinds
from flows.dashboard import dashboard
from flows.ports import LOOPBACK, port_is_free
from flows.server_kinds import mlflow_server
from flows.servers import Server
from sorigil.errors import RequestError, RunError
from storage.experiments import Experiments
from storage.layout import Store

PAGE = b"<h1>the worst utterances</h1>"


def store_in(folder: Path) -> Store:
    return Store(root=str(folder / "store"), catalog="", mlflow=f"sqlite:///{folder / 'mlflow.db'}")


def log_run(store: Store) -> str:
    return Experiments(store).log(
        experiment="digits",
        name="words",
        key="k1",
        params={"n_mels": 80},
        tags={"version": "v3"},
        history=[{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 0.5}],
        metrics={"wer": 0.0125},
        artifacts={"pages/worst.html": PAGE},
    )


@dataclass
class Shown:
    """A dashboard at work, and what it has said."""

    address: str
    run: str
    said: list[str]
    processes: list[psutil.Process]
    folder: Path


def get(url: str, host: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One dashboard for all tests that look at it: it takes some seconds to start."""
    folder = tmp_path_factory.mktemp("dashboard")
    store = store_in(folder)
    run = log_run(store)
    said: list[str] = []
    ready, until = threading.Event(), threading.Event()
    port, codes = free_port(), []

    def say(message: str) -> None:
        said.append(message)
        if "Ctrl-C" in message:
            ready.set()

    def work() -> None:
        try:
            codes.append(dashboard(store, mlflow_port=port, say=say, until=until))
        finally:
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(120) and not codes, said
    processes = [each for each in psutil.Process().children(recursive=True) if each.is_running()]
    try:
        yield Shown(f"http://{LOOPBACK}:{port}", run, said, processes, folder)
    finally:
        until.set()
        thread.join()
    assert codes == [0]
    assert all_gone(processes, 0.5)
    assert port_is_free(LOOPBACK, port)


def test_the_address_is_said(shown: Shown) -> None:
    assert any(shown.address in line and "MLflow" in line for line in shown.said)
    assert b"mlflow" in get(shown.address).lower()


def test_metrics_and_curves_are_served(shown: Shown) -> None:
    data = json.loads(get(f"{shown.address}/api/2.0/mlflow/runs/get?run_id={shown.run}"))["run"]["data"]
    assert {each["key"]: each["value"] for each in data["metrics"]} == {"wer": 0.0125, "loss": 0.5}
    assert {"key": "n_mels", "value": "80"} in data["params"]
    curve = json.loads(get(f"{shown.address}/api/2.0/mlflow/metrics/get-history?run_id={shown.run}&metric_key=loss"))
    assert [(each["step"], each["value"]) for each in curve["metrics"]] == [(1, 2.0), (2, 0.5)]


def test_an_artifact_is_served_from_where_the_run_put_it(shown: Shown) -> None:
    assert get(f"{shown.address}/get-artifact?path=pages/worst.html&run_uuid={shown.run}") == PAGE


def test_other_names_for_this_machine_are_refused_and_a_tunnel_is_not(shown: Shown) -> None:
    assert get(shown.address, host="localhost:8080")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(shown.address, host="evil.example")


def test_it_listens_on_loopback_only_with_few_processes(shown: Shown) -> None:
    assert {host for host, _ in listening(shown.processes)} == {LOOPBACK}
    assert sum("python" in process.name() for process in shown.processes) == 2


def test_it_writes_nothing_where_it_was_started(shown: Shown) -> None:
    assert {each.name for each in shown.folder.iterdir()} <= {"store", "mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
    assert not (Path.cwd() / "mlruns").exists() and not (Path.cwd() / "mlartifacts").exists()


def test_what_the_page_makes_can_be_written_by_direct_clients(shown: Shown) -> None:
    body = json.dumps({"name": "made on the page"}).encode()
    url = f"{shown.address}/api/2.0/mlflow/experiments/create"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    made = json.loads(opener.open(request, timeout=20).read())["experiment_id"]
    found = json.loads(get(f"{shown.address}/api/2.0/mlflow/experiments/get?experiment_id={made}"))
    assert found["experiment"]["artifact_location"].startswith((shown.folder / "store" / "mlflow").as_uri())


# -- without MLflow ----------------------------------------------------------------------------------------------------


def test_a_tracking_server_that_runs_already_is_named(tmp_path: Path) -> None:
    said: list[str] = []
    store = Store(root=str(tmp_path), catalog="", mlflow="https://tracking.example:5000")
    assert dashboard(store, say=said.append) == 0
    assert any("https://tracking.example:5000" in line for line in said)


def test_an_open_door_is_warned_of(tmp_path: Path) -> None:
    said: list[str] = []
    store = Store(root=str(tmp_path), catalog="", mlflow="https://tracking.example:5000")
    dashboard(store, host="0.0.0.0", say=said.append)
    assert "WARNING" in said[0] and "no password" in said[0]
    said.clear()
    dashboard(store, say=said.append)
    assert not any("WARNING" in line for line in said)


def test_a_store_without_experiments_is_told_what_to_set() -> None:
    with pytest.raises(RequestError, match=r"storage\.mlflow"):
        dashboard(Store(root="s3://bucket/store", catalog="", mlflow=""), say=lambda _: None)


def test_a_password_is_not_on_the_command_line() -> None:
    store = Store(root="/data/store", catalog="", mlflow="postgresql://me:secret@db/mlflow")
    server = mlflow_server(store, LOOPBACK, 5000)
    assert "secret" not in " ".join(server.command)
    assert server.environment["MLFLOW_BACKEND_STORE_URI"] == store.mlflow


def test_from_other_machines_it_answers_to_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_kinds.socket, "gethostname", lambda: "lab7")
    store = Store(root="/data/store", catalog="", mlflow="sqlite:////data/mlflow.db")
    names = mlflow_server(store, "0.0.0.0", 5000).environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert "lab7:5000" in names and "192.168.*" in names and "*" not in names
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" not in mlflow_server(store, LOOPBACK, 5000).environment


def a_stand_in(code: str) -> Server:
    port = free_port()
    command = [sys.executable, "-c", code, LOOPBACK, str(port)]
    return Server(name="MLflow", command=command, host=LOOPBACK, port=port, health="/health")


def test_mlflow_that_cannot_start_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mlflow_server", lambda *_: a_stand_in("raise SystemExit('database is locked')"))
    with pytest.raises(RunError, match="database is locked"):
        dashboard(store_in(tmp_path), say=lambda _: None)


def test_mlflow_that_dies_later_ends_the_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
server = http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.handle_request()
sys.exit("out of memory")
"""
    monkeypatch.setattr(module, "mlflow_server", lambda *_: a_stand_in(code))
    said: list[str] = []
    assert dashboard(store_in(tmp_path), say=said.append) == 1
    assert "MLflow died" in said[-1] and "out of memory" in said[-1]
    assert "nothing has been logged yet" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_prefect_and_ended_by_a_signal(tmp_path: Path, number: int) -> None:
    """The whole command as a person uses it: both servers, their pages, and nothing left."""
    ports = free_port(), free_port()
    code = f"""
from flows.dashboard import dashboard
from storage.layout import Store
store = Store(root={str(tmp_path / "store")!r}, catalog="", mlflow="sqlite:///{tmp_path / "mlflow.db"}")
raise SystemExit(dashboard(store, mlflow_port={ports[0]}, prefect_port={ports[1]}, say=lambda line: print(line, flush=True)))
"""
    variables = {
        **environment(),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=variables, cwd=tmp_path
    )
    assert process.stdout is not None
    said = [line for line in iter(process.stdout.readline, "Ctrl-C ends it.\n") if line or process.poll() is None]
    processes = psutil.Process(process.pid).children(recursive=True)
    assert f"  for runs to be seen there: export PREFECT_API_URL=http://{LOOPBACK}:{ports[1]}/api\n" in said
    assert json.loads(get(f"http://{LOOPBACK}:{ports[1]}/api/health")) is True
    assert f"http://{LOOPBACK}:{ports[1]}/api" in get(f"http://{LOOPBACK}:{ports[1]}/ui-settings").decode()
    assert listening(processes) == {(LOOPBACK, port) for port in ports}
    os.kill(process.pid, number)
    assert process.wait(30) == 0
    assert all_gone(processes, 0.5)
