"""Units of work for the tests of the runtime, in a module of their own because Dask's workers import them by name.

pytest puts this folder on `sys.path`, and a worker process starts with its parent's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sorigil.types import Report
from storage import files
from storage.layout import Store
from tasks.breadcrumb import Breadcrumb, Deadline


@dataclass(frozen=True, kw_only=True)
class Unit:
    """`does` says what becomes of it: ok, raise, die, hang (past its deadline), linger (well before it), starve,
    depart (let go by the test, it is done, and its worker dies two seconds later; done again, it takes long)."""

    store: Store
    unit: str
    does: str = "ok"
    seconds: float = 0.0

    @property
    def ledger(self) -> str:
        return f"units/test/{self.unit}.parquet"

    @property
    def go(self) -> Path:
        """Written by the test: a unit that departs may end."""
        return Path(self.store.path(f"units/test/{self.unit}.go"))

    @property
    def runs(self) -> Path:
        """One letter each time it is begun."""
        return Path(self.store.path(f"units/test/{self.unit}.runs"))


def work(unit: Unit) -> Report:
    with Breadcrumb(unit.unit, Deadline(seconds=1.0 if unit.does == "hang" else 60.0)) as breadcrumb:
        breadcrumb.drop(f"first item of {unit.unit}")
        unit.runs.parent.mkdir(parents=True, exist_ok=True)
        with unit.runs.open("a") as file:
            file.write("x")
        time.sleep(unit.seconds)
        breadcrumb.drop(f"second item of {unit.unit}")
        if unit.does == "raise":
            raise ValueError(f"{unit.unit} cannot be done\nand a second line")
        if unit.does == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if unit.does in ("hang", "linger"):
            ctypes.PyDLL(None).pause()  # in C, and it never lets go of Python's lock
        if unit.does == "starve":
            raise MemoryError("no room for 9 TB")
        if unit.does == "depart" and unit.runs.read_text() == "x":
            while not unit.go.exists():
                time.sleep(0.01)
            threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGKILL)).start()
        elif unit.does == "depart":
            time.sleep(4.0)
        files.write_bytes(unit.store.path(unit.ledger), str(os.getpid()).encode())
    return Report(unit=unit.unit, items=1, audio_seconds=1.0)


def environment(unit: Unit) -> Report:
    """Where and how a worker runs, in the report's step times."""
    threads = float(os.environ.get("OMP_NUM_THREADS", "0"))
    return Report(unit=unit.unit, items=1, audio_seconds=0.0, seconds={"pid": float(os.getpid()), "omp": threads})
