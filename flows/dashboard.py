"""`sorigil dashboard`: the pages of MLflow, and of Prefect when asked, on this machine, with the right stores.

It starts their own servers, says where to look, and ends them when it is told to. Pages of our own are `report`'s.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

from flows.servers import LOOPBACK, PREFECT_PORT, Server, choose_port, is_loopback, prefect_server, termination_sets
from sorigil.errors import RequestError
from storage import files
from storage.layout import Store

MLFLOW_PORT = 5000
WATCH_SECONDS = 0.5

Say = Callable[[str], None]


def print_to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def dashboard(
    store: Store,
    *,
    host: str = LOOPBACK,
    mlflow_port: int | None = None,
    prefect: bool = False,
    prefect_port: int | None = None,
    say: Say = print_to_stderr,
    until: threading.Event | None = None,
) -> int:
    """Serve the pages until SIGINT, SIGTERM or `until`; returns the process's exit code.

    A port that is not given is the usual one (5000, 4200) or the next free one; one that is given must be free.
    Naming `prefect_port` asks for Prefect's page too.

    Raises:
        RequestError: a port is taken, or there is nothing to serve experiments from.
        RunError: a server could not be started, with its last words.
    """
    stop = until or threading.Event()
    with ExitStack() as running, termination_sets(stop):
        _warn_of_strangers(host, say)
        servers = [each for each in (_mlflow(store, host, mlflow_port, say),) if each is not None]
        if prefect or prefect_port is not None:
            port = choose_port(host, prefect_port, PREFECT_PORT, say, "Prefect")
            servers.append(prefect_server(host, port))
        for server in servers:
            running.enter_context(server)
        for server in servers:
            if not server.wait_until_healthy(stop):
                return 0
            _announce(server, say)
        if servers:
            say("Ctrl-C ends it.")
        dead = _watch(servers, stop)
    for server in dead:
        say(f"{server.name} died. {server.last_words()}")
    return 1 if dead else 0


def _warn_of_strangers(host: str, say: Say) -> None:
    if not is_loopback(host):
        say(
            f"WARNING: {host} can be reached from other machines, and there is no password: whoever reaches the pages "
            "can read, change and delete everything in them."
        )


def _mlflow(store: Store, host: str, port: int | None, say: Say) -> Server | None:
    """MLflow's server on the store's experiments, or None where they have a server already."""
    if store.mlflow.startswith(("http://", "https://")):
        say(f"experiments: {store.mlflow} (a tracking server that runs already)")
        return None
    if not store.mlflow:
        raise RequestError(f"{store.root}: no address for experiments is known; set storage.mlflow")
    database = store.mlflow.removeprefix("sqlite:///")
    if database != store.mlflow and not os.path.exists(database):  # noqa: PTH110 (an address, not a path)
        say(f"nothing has been logged yet: {database} is made now, and shows what later runs log")
        os.makedirs(os.path.dirname(database), exist_ok=True)  # noqa: PTH103, PTH120
    return mlflow_server(store, host, choose_port(host, port, MLFLOW_PORT, say, "MLflow"))


def mlflow_server(store: Store, host: str, port: int) -> Server:
    """MLflow's server, small and quiet. Artifacts are read where our runs put them, never through its own proxy."""
    folder = store.path("mlflow")
    artifacts = folder if files.is_url(folder) else files.local_path(folder).absolute().as_uri()
    arguments = ["--host", host, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    environment = {
        "MLFLOW_BACKEND_STORE_URI": store.mlflow,  # not an argument: it may carry a password, and `ps` shows those
        "MLFLOW_REGISTRY_STORE_URI": store.mlflow,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes and 1.4 GB less
        **_names_of_this_machine(host, port),
    }
    return Server(
        name="MLflow",
        command=[
            *(sys.executable, "-m", "mlflow", "server", *arguments),
            *("--default-artifact-root", artifacts, "--no-serve-artifacts"),
        ],
        host=host,
        port=port,
        health="/health",
        environment=environment,
        without=["MLFLOW_TRACKING_URI"],
    )


def _names_of_this_machine(host: str, port: int) -> dict[str, str]:
    """MLflow answers only to names it knows, and it knows private addresses: add this machine's own."""
    if is_loopback(host) or "MLFLOW_SERVER_ALLOWED_HOSTS" in os.environ:
        return {}
    names = dict.fromkeys([socket.gethostname(), socket.getfqdn(), host, "localhost", LOOPBACK])
    private = ["10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32))]
    return {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join([*(f"{name}:{port}" for name in names), *private])}


def _announce(server: Server, say: Say) -> None:
    if server.health == "/health":
        say(f"experiments (MLflow): {server.address}/#/experiments?workflowType=machine_learning")
        return
    say(f"runs (Prefect): {server.address}")
    say(f"  for runs to be seen there: export PREFECT_API_URL={server.address}/api")


def _watch(servers: list[Server], stop: threading.Event) -> list[Server]:
    """Wait for `stop`, or for the first server that dies by itself: returned."""
    while servers and not stop.wait(WATCH_SECONDS):
        if dead := [server for server in servers if not server.is_running()]:
            return dead
    return []
