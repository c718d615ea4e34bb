"""The servers that `dashboard`, `serve` and every run start: by which command, in which environment, on which port.

What is done with any of them is in `servers`.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from flows.ports import LOOPBACK, address, is_loopback
from flows.servers import Server
from storage import files
from storage.layout import Store

MLFLOW_PORT = 5000
PREFECT_PORT = 4200


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


def prefect_server(host: str, port: int) -> Server:
    """Prefect's server with its page, on the database of the user's own Prefect home."""
    return Server(
        name="the Prefect server",
        command=[sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)],
        host=host,
        port=port,
        health="/api/health",
        environment={
            "PREFECT_SERVER_API_HOST": host,
            "PREFECT_SERVER_API_PORT": str(port),  # the page calls the usual port without it
            "PREFECT_UI_API_URL": f"{address(host, port)}/api",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            # Who holds a deployment's only place outlives the server, and so does the moment at which it is given back.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        },
        without=["PREFECT_API_URL"],
    )


def run_server() -> Server:
    """Prefect's API for a single run, on a free port of loopback; its history goes to the user's own Prefect home."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((LOOPBACK, 0))
    port = reserved.getsockname()[1]
    return Server(
        name="the Prefect server of this run",
        command=[sys.executable, "-P", str(Path(__file__).with_name("prefect_api.py")), str(port)],
        host=LOOPBACK,
        port=port,
        health="/api/health",
        environment={"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"},
        without=["PREFECT_API_URL"],
        reserved=reserved,
    )
