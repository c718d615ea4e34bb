"""The processes that this one has started, and their end: nothing of ours is left running."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import psutil

STOP_SECONDS = 10.0  # that a process has to end by itself


def offspring() -> list[psutil.Process]:
    """Every process that descends from this one, but for what a `Server` started and will end itself."""
    mine = os.getsid(0)
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == mine:
                found.append(process)
    return found


def end_processes(processes: Iterable[psutil.Process]) -> None:
    """End whichever of these still live: asked first, then made to."""
    living = [process for process in processes if process.is_running()]
    for process in living:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, living = psutil.wait_procs(living, timeout=STOP_SECONDS)
    for process in living:
        with contextlib.suppress(psutil.Error):
            process.kill()
