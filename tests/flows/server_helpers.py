"""What the tests of servers share. No tests are in here."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def all_gone(processes: list[psutil.Process], seconds: float = 5.0) -> bool:
    """Whether all end within some seconds."""
    deadline = time.monotonic() + seconds
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def listening(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Every address and port at which any of the processes listens."""
    connections = [each for process in processes for each in process.net_connections("inet")]
    return {(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN}


def environment() -> dict[str, str]:
    """The environment for a Python process that imports this checkout and these tests, from any folder."""
    folders = [str(Path(__file__).parents[2]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
