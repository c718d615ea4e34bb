"""What a worker has in its hands, in a small file beside the process: native code that dies or hangs cannot tell us.

The driver, or the nanny on the worker's machine, reads it: to end a worker past its item's deadline, and to name the
item that a dead one was working on. Times are of the machine's monotonic clock, which all of its processes share.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import signal
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, ClassVar

from storage import scratch

_CRUMB, _FATAL = "now", "fatal"
_KNOWN = re.compile(r'File "(?:[^"]*/)?((?:flows|tasks|storage|sorigil)/[^"]+)", line (\d+)')


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """How long one item may take: `seconds`, and `seconds_per_mb` more for each megabyte of its file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    seconds: float = 120.0
    seconds_per_mb: float = 20.0

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds is {self.seconds}; it must be above 0")
        if self.seconds_per_mb < 0:
            raise ValueError(f"seconds_per_mb is {self.seconds_per_mb}; it must be at least 0")

    def of(self, size: int) -> float:
        """The seconds that a file of `size` bytes may take."""
        return self.seconds + self.seconds_per_mb * size / 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Crumb:
    """One item in the hands of one unit: since when (`began`, monotonic seconds), and for how long it may be."""

    unit: str
    item: str
    began: float
    allowed: float
    fatal: str = ""  # of a dead process: what it said last, and where

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self.began + self.allowed


class Breadcrumb:
    """`drop(item)` before each item; the file goes with the unit's end."""

    def __init__(self, unit: str, deadline: Deadline = Deadline()) -> None:
        self._unit = unit
        self._deadline = deadline

    def __enter__(self) -> Breadcrumb:
        self._slate = scratch.Slate(_CRUMB)
        return self

    def drop(self, item: str, size: int | None = None) -> None:
        """From now on `item` is worked on; `size` is of its file, in bytes."""
        allowed = self._deadline.of(size or 0)
        crumb = {"unit": self._unit, "item": item, "began": time.monotonic(), "allowed": allowed}
        self._slate.write(json.dumps(crumb).encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slate.remove()


def crumb_of(pid: int) -> Crumb | None:
    """What a process of this machine is working on."""
    with contextlib.suppress(ValueError, TypeError):  # half-written just now
        return Crumb(**json.loads(scratch.read(pid, _CRUMB)))
    return None


def crumb_of_the_dead(unit: str) -> Crumb | None:
    """What a process of this machine, now dead, had in its hands for this unit; what the dead have left is removed."""
    found = None
    for pid in scratch.dead(_CRUMB):
        crumb = crumb_of(pid)
        if crumb is not None and crumb.unit == unit:
            found = replace(crumb, fatal=_last_words(pid))
            scratch.remove(pid)
    return found


def end_if_overdue(pid: int) -> Crumb | None:
    """End a process that is past its item's deadline; returns what it was working on then."""
    crumb = crumb_of(pid)
    if crumb is None or not crumb.overdue:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    scratch.remove(pid)
    return crumb


def sweep() -> None:
    """Remove what dead processes have left that nobody asked about."""
    for kind in (_CRUMB, _FATAL):
        for pid in list(scratch.dead(kind)):
            scratch.remove(pid)


class FatalNote:
    """Has Python write a fatal signal (SIGSEGV, SIGABRT, …) and where it came to a file of this process."""

    def __init__(self) -> None:
        scratch.remove(os.getpid())  # of a dead process that had our number
        self._slate = scratch.Slate(_FATAL)
        faulthandler.enable(file=self._slate.fileno(), all_threads=False)

    def remove(self) -> None:
        faulthandler.disable()
        self._slate.remove()


def _last_words(pid: int) -> str:
    """`Segmentation fault in sorigil/audio/decode.py:120`, where the process had time to say so."""
    said = scratch.read(pid, _FATAL).decode(errors="replace")
    kind = re.search(r"^Fatal Python error: (.+)$", said, re.M)
    if kind is None:
        return ""
    place = _KNOWN.search(said)
    return kind[1] + (f" in {place[1]}:{place[2]}" if place else "")
