"""What runs units of work: the promise of every runner, and the one that runs them in this process.

A runner takes a plain function and a list of units and yields each unit's report as it is done, in any order. It never
loses one: a unit that fails is a `Failure`, and one that ended its worker a `Failure` with a `Death`. The runner on
worker processes is in `on_dask.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sorigil.errors import SorigilError
from sorigil.types import Report

log = logging.getLogger("sorigil")

Reason = Literal["worker_died", "hung", "out_of_memory"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """Why a worker ended in the middle of a unit, and the item it had in its hands where that is known."""

    reason: Reason
    detail: str = ""  # what is known besides: the signal and where it came, the deadline, the memory asked for
    item: str | None = None

    def __str__(self) -> str:
        over = f" while it worked on {self.item}" if self.item else ""
        return _WORDS[self.reason] + over + (f" ({self.detail})" if self.detail else "")


_WORDS = {
    "worker_died": "its worker died",
    "hung": "its worker hung and was ended",
    "out_of_memory": "its worker ran out of memory",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A unit that could not be done, with its own last words, or how its worker died over it."""

    unit: Any
    error: str
    death: Death | None = None


class Runner(Protocol):
    """Runs units; `workers` is how many at once, for planning. `protected`: a unit can only kill a worker, not the run."""

    workers: int
    protected: bool

    def start(self) -> None:
        """Begin to start whatever units will need; returns at once. What goes wrong with it is raised by `run`."""
        ...

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class InProcess:
    """One unit after the other, here: for `--local`, tests and looking at things in a debugger.

    Not protected: a decoder that crashes or hangs takes the run with it.
    """

    workers: int = 1
    protected: bool = False

    def start(self) -> None:
        return None

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]:
        for unit in units:
            try:
                done: Report | Failure = function(unit)
            except MemoryError as error:
                done = Failure(unit, first_line(error), Death(reason="out_of_memory", detail=first_line(error)))
            except Exception as error:
                if not isinstance(error, SorigilError):  # whose words say all that there is to say
                    log.exception("unit %s failed in an unforeseen way", unit.unit[:8])
                done = Failure(unit, first_line(error))
            yield done

    def close(self) -> None:
        return None


def first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


@dataclass(frozen=True, slots=True)
class Isolation:
    """How units of one kind are taken apart: what `isolate.py` needs to know of them."""

    reject: Callable[[Any, str, str], Report]  # (unit, reason, detail): all its items go to the quarantine
    gather: Callable[[Any, Sequence[Any]], None] | None = None  # (unit, its pieces): leaves the unit's own ledger
