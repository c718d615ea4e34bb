"""Units of work on Dask workers: processes of our own on this machine, or a cluster that is there already.

A worker may die, hang in native code or outgrow its memory: that ends one unit on one worker, the nanny starts another
worker, and the unit comes back as a `Failure` that says how. The only module that imports Dask, and only runs import it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from flows import interrupt
from flows.parent import die_with_parent
from flows.runner import Death, Failure, first_line
from sorigil.errors import RunError
from sorigil.types import Report
from tasks.breadcrumb import Crumb, FatalNote, crumb_of_the_dead, end_if_overdue, sweep

log = logging.getLogger("sorigil")

FIRST_WORKER_SECONDS = 60.0
EXPLAIN_SECONDS = 3.0  # for a dead worker's process to be gone, and for its nanny's word about its memory to come
_UNHEARD = Death(reason="worker_died", detail="before its report was fetched")
LOOK_SECONDS = 2.0  # between two looks at what the workers have in their hands

_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # told at once; `isolate.py` tries again
    "distributed.scheduler.worker-ttl": None,  # it goes by the wall clock, which may jump; deadlines do not
    # A worker that holds memory which Dask does not know of would be paused, for good. The limit itself ends it.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # Nobody looks at these: stack samples of every worker, and pulses of the event loops of all.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.admin.system-monitor.disk": False,
}


@dataclass(slots=True)
class OnDask:
    """Dask worker processes of our own on this machine, or a cluster that is there already (`scheduler`).

    The cluster starts at the first use and can be closed between stages: training wants the processors to itself.
    """

    workers: int
    memory: str = "auto"
    scheduler: str | None = None
    protected: bool = True
    _client: Any = field(default=None, repr=False)
    _opening: Future[Any] | None = field(default=None, repr=False)
    _cluster: Any = field(default=None, repr=False)
    _overdue: dict[str, Crumb] = field(default_factory=dict, repr=False)  # by unit: those we ended
    _starved: set[str] = field(default_factory=set, repr=False)  # workers that went past their memory limit
    _looked: float = field(default=0.0, repr=False)
    _seen_workers: float = field(default=0.0, repr=False)

    def start(self) -> None:
        if self._client is None and self._opening is None and self.scheduler is None:
            thread = ThreadPoolExecutor(1, "start of Dask", initializer=_hear_no_interrupt)
            self._opening = thread.submit(self._connect)
            thread.shutdown(wait=False)

    def run(self, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]:
        if not units:
            return
        client = self._open()
        waiting = deque(units)
        running: dict[str, tuple[Any, Any]] = {}
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        places = self._look()
        try:
            while waiting or running:
                interrupt.check()
                # One unit for each worker and none queued behind it: when it dies we know which unit did it.
                while waiting and len(running) < places:
                    unit = waiting.popleft()
                    future = client.submit(function, unit, pure=False, key=_name(unit), retries=0)
                    running[future.key] = unit, future
                    future.add_done_callback(finished.put)
                with contextlib.suppress(queue.Empty):
                    future = finished.get(timeout=LOOK_SECONDS)
                    unit, _ = running.pop(future.key)
                    outcome = self._outcome(unit, future)
                    future.release()  # or a lost worker would have it computed again
                    places = self._look() if isinstance(outcome, Failure) else places
                    yield outcome
                if time.monotonic() - self._looked >= LOOK_SECONDS:
                    places = self._look()
        finally:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                client.cancel([future for _, future in running.values()], force=True)

    # -- what became of a unit -------------------------------------------------------------------------------------

    def _outcome(self, unit: Any, future: Any) -> Report | Failure:
        if future.status == "finished":
            report: Report = future.result()
            return report
        if future.status == "lost":
            return Failure(unit, str(_UNHEARD), _UNHEARD)
        if future.status == "cancelled":
            raise self._gone()
        error = future.exception()
        if isinstance(error, KilledWorker):
            death = self._death(unit, error.last_worker.address)
            return Failure(unit, str(death), death)
        if isinstance(error, MemoryError):
            said = first_line(error)
            return Failure(unit, said, Death(reason="out_of_memory", detail=said))
        return Failure(unit, first_line(error))

    def _death(self, unit: Any, worker: str) -> Death:
        if crumb := self._overdue.pop(unit.unit, None):
            return Death(reason="hung", detail=f"it had {crumb.allowed:.0f} s", item=crumb.item)
        until = time.monotonic() + EXPLAIN_SECONDS
        while True:
            crumb = crumb or self._left_behind(unit.unit)
            if worker in self._starved or (crumb and crumb.fatal) or time.monotonic() > until:
                break
            time.sleep(0.1)
        item = crumb.item if crumb else None
        if worker in self._starved:
            return Death(reason="out_of_memory", item=item)
        return Death(reason="worker_died", detail=crumb.fatal if crumb else "", item=item)

    def _left_behind(self, unit: str) -> Crumb | None:
        """The dead worker's breadcrumb, from its own machine."""
        if self._cluster is not None:
            return crumb_of_the_dead(unit)
        self._look()
        found = self._client.run(crumb_of_the_dead, unit, nanny=True, on_error="ignore")
        return next((crumb for crumb in found.values() if crumb is not None), None)

    def _look(self) -> int:
        """How many workers there are; those past their item's deadline are ended."""
        self._looked = time.monotonic()
        client = self._client
        try:
            workers = len(client.nthreads())
            overdue = client.run(_end_if_overdue, nanny=True, on_error="ignore") if workers else {}
        except (OSError, TimeoutError, ValueError, RuntimeError) as gone:
            raise self._gone() from gone
        self._overdue |= {crumb.unit: crumb for crumb in overdue.values() if crumb is not None}
        if workers:
            self._seen_workers = self._looked
        elif self._looked - self._seen_workers > FIRST_WORKER_SECONDS:
            raise self._nobody()
        return workers

    # -- the cluster -----------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        self.start()
        if self._opening is not None:
            opening = self._opening
            opening.exception()  # waits; whoever interrupts that leaves it to `close`
            self._opening = None
            opening.result()
        if self._client is None:
            self._connect()
        return self._client

    def _connect(self) -> None:
        # Births and deaths of workers are told by us.
        logging.getLogger("distributed").setLevel(logging.ERROR)
        logging.getLogger("distributed.scheduler").setLevel(logging.CRITICAL)
        dask.config.set(_SETTINGS)
        sweep()
        address = self.scheduler or self._start()
        self._client = Client(address, set_as_default=False)
        self._client.forward_logging("sorigil", level=logging.INFO)
        try:
            self._wait_for_a_worker()
            _same_program(self._client)
            _can_be_replaced(self._client)
            self._client.register_plugin(_Settled())
            self._client.subscribe_topic("worker-restart-memory", self._note_starved)
        except BaseException:
            self._disconnect()
            raise

    def _start(self) -> Any:
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

    def _wait_for_a_worker(self) -> None:
        """A scheduler that nobody works for would let the run wait for ever."""
        until = time.monotonic() + FIRST_WORKER_SECONDS
        while not self._client.nthreads():
            interrupt.check()
            if time.monotonic() > until:
                raise self._nobody()
            time.sleep(0.05)
        self._seen_workers = time.monotonic()

    def _note_starved(self, event: tuple[float, dict[str, Any]]) -> None:
        self._starved.add(event[1]["worker"])

    def _nobody(self) -> RunError:
        where = self._client.scheduler.address
        return RunError(f"no worker is connected to {where} after {FIRST_WORKER_SECONDS:g} s; start some")

    def _gone(self) -> RunError:
        where = self.scheduler or "this machine"
        return RunError(
            f"the Dask scheduler ({where}) is gone. The finished units are kept: start it and its workers again, "
            "then run again to do the rest"
        )

    def close(self) -> None:
        if self._opening is not None:
            self._opening.exception()  # waits
            self._opening = None
        self._disconnect()

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None
            sweep()


class _Settled(WorkerPlugin):  # type: ignore[misc]
    """What each worker does at its birth, also one that takes a dead one's place."""

    name = "sorigil"

    def setup(self, worker: Any) -> None:
        die_with_parent()  # its nanny dies with the driver, and who is deep in native code does not see that
        self._note = FatalNote()

    def teardown(self, worker: Any) -> None:
        self._note.remove()


def _hear_no_interrupt() -> None:
    """Ctrl-C reaches every process of the terminal, and it is the driver that ends its workers. Threads and processes
    that are started from this thread are deaf to it as it is, from their first moment on."""
    resource_tracker.ensure_running()  # else whoever starts it hears again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _end_if_overdue(dask_worker: Any) -> Crumb | None:
    """Runs in a nanny: its worker may be deep in native code and deaf."""
    return end_if_overdue(dask_worker.pid) if dask_worker.pid else None


def _name(unit: Any) -> str:
    return f"{type(unit).__name__}-{unit.unit}-{os.getpid()}-{time.monotonic_ns()}"


def _program() -> tuple[str, str]:
    """What a worker runs: our version, and whether it finds the packages at all. It loads what it will need then."""
    import importlib

    import sorigil

    importlib.import_module("tasks.prepare")
    return sorigil.__version__, "ok"


def _same_program(client: Any) -> None:
    """A worker that cannot import our code would hang the run for ever; one of another version would compute otherwise."""
    here = _program()[0]
    for worker, (version, _) in client.run(_program).items():
        if version != here:
            raise RunError(f"worker {worker} runs sorigil {version}, this process {here}: install the same on both")


def _can_be_replaced(client: Any) -> None:
    """A crash must end one unit, and not the worker for good."""
    for worker, facts in client.scheduler_info(n_workers=-1)["workers"].items():
        if facts["nthreads"] != 1:
            raise RunError(
                f"worker {worker} has {facts['nthreads']} threads, and a crash in one would take the others' work with "
                "it; start it with --nthreads 1 (and --nworkers auto)"
            )
        if not facts.get("nanny"):
            raise RunError(
                f"worker {worker} has no nanny, nothing would replace it after a crash; start it with --nanny"
            )
