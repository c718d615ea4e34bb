"""What a command cost: wall seconds, processor seconds and memory of it and of everything that it started.

Processor seconds are what a busy machine leaves comparable. Processes that outlive their parent (Prefect's server for a
moment) are counted too: on Linux this process adopts them.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

_SET_CHILD_SUBREAPER = 36  # prctl(2)
_ORPHANS_SECONDS = 30.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class FailedError(Exception):
    """A contestant did not do its work; the text is the end of what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """One run of one command. `peak_mb` is of its largest process; `said` is the JSON of its last line on stdout."""

    wall: float
    cpu: float
    peak_mb: float
    said: dict[str, Any] = field(default_factory=dict)


def run(command: Sequence[str], environment: Mapping[str, str] = ONE_THREAD) -> Cost:
    """Run a command to its end. Raises FailedError where it fails or prints no JSON."""
    with tempfile.TemporaryFile("w+") as errors, _adopting() as orphans:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **environment}, text=True
        )
        assert child.stdout is not None
        with child.stdout as stream:
            out = stream.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        usages = [usage, *orphans()]
        errors.seek(0)
        said = _last_line(out)
        if child.returncode or said is None:
            last = "\n".join(errors.read().splitlines()[-5:])
            raise FailedError(f"{' '.join(command)}: exit code {child.returncode}: {out[-300:]} {last}")
    return Cost(
        wall=wall,
        cpu=sum(each.ru_utime + each.ru_stime for each in usages),
        peak_mb=max(each.ru_maxrss for each in usages) / 1024,
        said=said,
    )


def _last_line(out: str) -> dict[str, Any] | None:
    try:
        said = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return said if isinstance(said, dict) else None


@contextmanager
def _adopting() -> Iterator[Callable[[], list[resource.struct_rusage]]]:
    """Within this, orphans become our children; what is yielded waits for them and tells their usage."""
    before = {child.pid for child in psutil.Process().children()}
    adopt = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: None
    adopt(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield lambda: _ended({child.pid for child in psutil.Process().children()} - before)
    finally:
        adopt(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _ended(children: set[int]) -> list[resource.struct_rusage]:
    """The usage of each of these processes of ours, once it has ended."""
    found = []
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while children and time.monotonic() < deadline:
        for child in list(children):
            pid, _, usage = os.wait4(child, os.WNOHANG)
            if pid:
                found.append(usage)
                children.remove(pid)
        time.sleep(0.05)
    return found
