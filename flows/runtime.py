"""Where units of work run: in this process, or on Dask workers; and what is said while they do.

A runner takes a plain function and a list of units and yields each unit's report as it is done, in any order. It never
loses one: a unit that fails for good, or whose worker dies for good, is in `failures` when the walk ends, and
`run_units` turns that into a red run. Prefect is not here (`pipeline.py` wraps stages); Dask is nowhere else.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flows.progress import Progress, Reporter
from sorigil.errors import RunError
from sorigil.types import Report
from tasks.breadcrumb import last_breadcrumb

log = logging.getLogger("sorigil")

FIRST_WORKER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A unit that could not be done, with its worker's or its own last words."""

    unit: Any
    error: str


class Runner(Protocol):
    """Runs units; `workers` is how many at once, for planning."""

    workers: int

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class InProcess:
    """One unit after the other, here: for `--local`, tests and looking at things in a debugger."""

    workers: int = 1

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]:
        for unit in units:
            try:
                done: Report | Failure = function(unit)
            except Exception as error:
                log.exception("unit %s failed in an unforeseen way", unit.unit[:8])
                done = Failure(unit, _first_line(error))
            yield done

    def close(self) -> None:
        return None


@dataclass(slots=True)
class OnDask:
    """Dask worker processes of our own on this machine, or a cluster that is there already (`scheduler`).

    The cluster starts at the first use and can be closed between stages: training wants the processors to itself.
    """

    workers: int
    memory: str = "auto"
    scheduler: str | None = None
    _client: Any = field(default=None, repr=False)
    _cluster: Any = field(default=None, repr=False)

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]:
        from distributed import as_completed

        client = self._open()
        futures = client.map(function, units, pure=False, key=[_name(unit) for unit in units], retries=0)
        unit_of = dict(zip((future.key for future in futures), units, strict=True))
        walk = as_completed(futures, loop=client.loop)
        del futures
        for future in walk:
            unit = unit_of[future.key]
            if future.status == "finished":
                yield future.result()
            else:
                yield Failure(unit, _last_words(unit, future))
            future.release()  # or a lost worker would have it computed again

    def _open(self) -> Any:
        if self._client is not None:
            return self._client
        import dask
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.ERROR)  # births and deaths of workers are told by us
        # One failure blames the shard that was running, and only that one: nothing is queued ahead on a worker.
        dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.scheduler.worker-saturation": 1.0})
        address = self.scheduler or self._start()
        self._client = Client(address, set_as_default=False)
        self._client.forward_logging("sorigil", level=logging.INFO)
        try:
            _wait_for_a_worker(self._client)
            _same_program(self._client)
            if self._cluster is not None:
                self._client.run(_leave_interrupts_to_the_driver)
        except BaseException:
            self.close()
            raise
        return self._client

    def _start(self) -> Any:
        from distributed import LocalCluster

        self._cluster = LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=self.memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # its HTTP server would listen on every interface
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.ERROR,
        )
        return self._cluster

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def _name(unit: Any) -> str:
    return f"{type(unit).__name__}-{unit.unit}-{os.getpid()}-{time.monotonic_ns()}"


def _last_words(unit: Any, future: Any) -> str:
    error = future.exception()
    words = _first_line(error)
    if type(error).__name__ == "KilledWorker":
        item = last_breadcrumb(unit.store, unit.ledger) if hasattr(unit, "ledger") else None
        return "its worker died" + (f" while it worked on {item}" if item else "")
    return words


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _program() -> tuple[str, str]:
    """What a worker runs: our version, and whether it finds the packages at all."""
    import importlib

    import sorigil

    for package in ("storage", "tasks"):
        importlib.import_module(package)
    return sorigil.__version__, "ok"


def _leave_interrupts_to_the_driver() -> None:
    """Ctrl-C reaches every process of the terminal; our workers are ended by the driver."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait_for_a_worker(client: Any) -> None:
    """A scheduler that nobody works for would let the run wait for ever."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
    except TimeoutError as nobody:
        raise RunError(
            f"no worker is connected to {client.scheduler.address} after {FIRST_WORKER_SECONDS:g} s; start some"
        ) from nobody


def _same_program(client: Any) -> None:
    """A worker that cannot import our code would hang the run for ever; one of another version would compute otherwise."""
    here = _program()[0]
    for worker, (version, _) in client.run(_program).items():
        if version != here:
            raise RunError(f"worker {worker} runs sorigil {version}, this process {here}: install the same on both")


def run_units(
    runner: Runner, reporter: Reporter, stage: str, function: Callable[[Any], Report], units: Sequence[Any]
) -> list[Report]:
    """Run all units of a stage, telling how it goes. RunError if any was not done; what was done stays done."""
    reports: list[Report] = []
    failures: list[Failure] = []
    total = len(units)
    for done in runner.run(function, units):
        if isinstance(done, Failure):
            failures.append(done)
            log.error("%s: unit %s failed: %s", stage, done.unit.unit[:8], done.error)
        else:
            reports.append(done)
            for rejection in done.rejections:
                log.info("%s: rejected %s: %s (%s)", stage, rejection.uri, rejection.reason, rejection.detail)
        seconds = sum(report.audio_seconds for report in reports)
        reporter.progress(Progress(stage=stage, done=len(reports) + len(failures), total=total, audio_seconds=seconds))
    if failures or len(reports) != total:
        lost = total - len(reports) - len(failures)
        said = "; ".join(f"unit {failure.unit.unit[:8]}: {failure.error}" for failure in failures[:5])
        raise RunError(
            f"{stage}: {len(failures)} of {total} units failed{f', {lost} were never done' if lost else ''} ({said}). "
            "The finished ones are kept: run again to do the rest"
        )
    return reports
