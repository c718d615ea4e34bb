"""`sorigil dashboard`: the pages of MLflow, and of Prefect when asked, on this machine, with the right stores.

It starts their own servers, says where to look, and ends them when it is told to. Pages of our own are `report`'s.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

from flows.interrupt import termination_sets
from flows.ports import LOOPBACK, choose_port, is_loopback
from flows.server_kinds import MLFLOW_PORT, PREFECT_PORT, mlflow_server, prefect_server
from flows.servers import Server
from sorigil.errors import RequestError
from storage.layout import Store

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
