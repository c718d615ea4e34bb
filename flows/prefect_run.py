"""A run as Prefect sees it: a flow run, a task run per step, progress as an artifact, workers' words in its log.

The only module that imports Prefect, besides `serve`. Prefect observes; what was done is told by the catalogue and the
ledger, never by Prefect's state.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from storage.quiet import be_quiet

be_quiet()

import httpx  # noqa: E402
from prefect import flow, get_client, get_run_logger, task  # noqa: E402
from prefect.artifacts import create_progress_artifact, update_progress_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName  # noqa: E402
from prefect.events.worker import EventsWorker  # noqa: E402
from prefect.logging.handlers import APILogWorker  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_EPHEMERAL_ENABLED,
    temporary_settings,
)

from flows.progress import Progress, Reporter  # noqa: E402
from sorigil.errors import RequestError, RunError  # noqa: E402

if TYPE_CHECKING:
    from flows.run import Run

log = logging.getLogger("sorigil")

ARTIFACT_SECONDS = 1.0  # an update costs Prefect about 10 ms
WRITTEN_SECONDS = 30.0  # for the server to be told everything, and again for it to have written it; a fraction, at rest
TASKS_ASKED = 200  # the most that Prefect lists at once


def run_as_flow(run: Run, body: Callable[[Callable[[str, Callable[[], Any]], Any]], None]) -> None:
    """Run `body(staged)` as a Prefect flow; `staged(name, function)` runs a function as one of its tasks."""

    def flow_body() -> None:
        said = run.reporter
        logger = get_run_logger()
        relay = _Relay(logger)
        logging.getLogger("sorigil").addHandler(relay)
        run.reporter = PrefectReporter(said, logger)
        try:
            body(noted)
        finally:
            logging.getLogger("sorigil").removeHandler(relay)
            run.reporter = said
        if run.errors:
            # Red in Prefect too; the result itself carries the errors.
            raise RunError("; ".join(error["message"] for error in run.errors))

    begun: list[str] = []

    def noted(name: str, function: Callable[[], Any]) -> Any:
        begun.append(name)
        return staged(name, function)

    name = f"sorigil {run.pipeline.name}"
    wrapped = flow(flow_body, name=name, flow_run_name=run.id, validate_parameters=False, persist_result=False)
    # The heartbeat thread sleeps a second at the end of every flow.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), _api(run, begun):
        try:
            wrapped()
        except RunError:
            if not run.errors:
                raise


@contextmanager
def _api(run: Run, begun: Sequence[str]) -> Iterator[None]:
    """Have Prefect talk to the user's server or, where none is configured, to the run's own, which ends with the run: not
    before it has written what became of the tasks `begun`.

    Raises RunError where it does not answer, RequestError where the user's settings leave us without one.
    """
    if PREFECT_API_URL.value():
        _check_that_it_answers(str(PREFECT_API_URL.value()))
        yield
        return
    if not PREFECT_SERVER_EPHEMERAL_ENABLED.value():
        raise RequestError(
            "Prefect's settings forbid a server of the run's own (PREFECT_SERVER_ALLOW_EPHEMERAL_MODE) and name no other "
            "(PREFECT_API_URL): change one of them, or run with --local"
        )
    server = run.start_server()
    server.wait_until_healthy()
    with temporary_settings({PREFECT_API_URL: f"{server.address}/api"}):
        try:
            yield
        finally:
            for worker in (EventsWorker, APILogWorker):  # what is still on its way to the server
                logging.getLogger(worker.__name__).setLevel(logging.ERROR)  # it would say that it is not done yet
                worker.drain_all(timeout=WRITTEN_SECONDS)
        _wait_until_written(run.id, len(begun))


def _wait_until_written(flow_run: str, tasks: int) -> None:
    """The server hears of a task by an event and writes it down later. One that is ended before says RUNNING for ever.

    The work is done by now: a server that does not answer is a warning.
    """
    only = FlowRunFilter(name=FlowRunFilterName(any_=[flow_run]))
    until = time.monotonic() + WRITTEN_SECONDS
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        while time.monotonic() < until:
            written = client.read_task_runs(flow_run_filter=only)
            final = [each for each in written if each.state is not None and each.state.is_final()]
            if len(final) == len(written) >= min(tasks, TASKS_ASKED):
                return
            time.sleep(0.05)
    log.warning("Prefect's history of this run is not complete: its server is too slow or gone")


def _check_that_it_answers(url: str) -> None:
    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise RunError(
            f"no Prefect server answers at {url} ({type(error).__name__}: {error}); start it, or unset PREFECT_API_URL "
            "to have one started for the run, or run with --local"
        )


def staged(name: str, function: Callable[[], Any]) -> Any:
    """A step as a Prefect task: no cache, no stored result, no retry of work that is done."""
    return task(function, name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)()


class _Relay(logging.Handler):
    """Hands on what workers and tasks log under `sorigil` (worker logs reach this process by Dask) to the flow run."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.log(record.levelno, record.getMessage())


class PrefectReporter:
    """Says everything to the user as before, and to the flow run: words as log lines, progress as an artifact."""

    def __init__(self, inner: Reporter, logger: Any) -> None:
        self._inner = inner
        self._logger = logger
        self._artifacts: dict[str, Any] = {}
        self._updated = 0.0

    def say(self, message: str) -> None:
        self._inner.say(message)
        self._logger.info(message)

    def progress(self, progress: Progress) -> None:
        self._inner.progress(progress)
        share = 100.0 * progress.done / max(1, progress.total)
        now = time.monotonic()
        if progress.stage not in self._artifacts:
            self._artifacts[progress.stage] = create_progress_artifact(share, description=progress.stage)
        elif now - self._updated >= ARTIFACT_SECONDS or progress.done == progress.total:
            update_progress_artifact(self._artifacts[progress.stage], share)
            self._updated = now

    def end_stage(self) -> None:
        self._inner.end_stage()


@flow(name="sorigil", log_prints=False, persist_result=False)
def scheduled_run(file: str, pipeline: str, steps: list[str]) -> None:
    """What a schedule starts: one pipeline of a configuration file, red when it did not complete."""
    from flows.pipeline import run_pipeline

    run_pipeline(file, pipeline, steps)


__all__: Sequence[str] = ("run_as_flow", "scheduled_run", "staged")
