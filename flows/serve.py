"""`sorigil serve`: pipelines run by themselves, on the schedules of their file, until they are told to stop.

A Prefect server keeps the clock: the one of `PREFECT_API_URL`, or one of our own on loopback that ends with us. Each
due run is a process of its own. What is due when, and what was missed, is worked out by `schedule`; what is told to
Prefect is in `serve_runner`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.children import end_processes, offspring
from flows.config import Config
from flows.dashboard import Say, print_to_stderr
from flows.interrupt import termination_sets
from flows.ports import LOOPBACK, choose_port
from flows.schedule import Missed, NextRun, in_words, last_runs, missed_runs, next_runs, scheduled
from flows.server_kinds import PREFECT_PORT, prefect_server
from flows.servers import Server
from sorigil.errors import RequestError, RunError
from storage.quiet import be_quiet

if TYPE_CHECKING:
    from flows.serve_runner import Service

__all__ = ["next_runs", "serve"]


def serve(
    config: Config,
    path: Path,
    names: Sequence[str] | None = None,
    *,
    say: Say = print_to_stderr,
    until: threading.Event | None = None,
) -> int:
    """Run the scheduled pipelines of a file (those named, or all) until SIGINT, SIGTERM or `until`; returns the exit code.

    Raises:
        RequestError: nothing to serve, a wrong name, another `serve` has the pipeline, or no server at PREFECT_API_URL.
        RunError: the Prefect server could not be started, or died.
    """
    be_quiet()
    stop = until or threading.Event()
    pipelines = scheduled(config, names)
    with ExitStack() as context:
        context.enter_context(termination_sets(stop))
        for name in pipelines:
            context.enter_context(_alone(path, name))
        say(f"serving {_count(len(pipelines))} of {path}")
        upcoming, missed = _announce(config, names, say)
        server = _server(say)
        if server is not None:
            context.enter_context(server)
            if not server.wait_until_healthy(stop):
                return 0
        api = f"{server.address}/api" if server is not None else _api_url()
        say(f"runs are seen at {api.removesuffix('/api')}; Ctrl-C ends it")
        from flows.serve_runner import Service

        service = Service(
            file=path,
            pipelines=pipelines,
            scheduled=list(scheduled(config)),
            make_up=[each.pipeline for each in missed],
            announced={each.pipeline: each.at for each in upcoming},
            say=say,
        )
        _keep(service, api, server, stop)
    return 0


def _announce(config: Config, names: Sequence[str] | None, say: Say) -> tuple[list[NextRun], list[Missed]]:
    """Say what will run when, and what was missed and is made up; returns both."""
    now = datetime.now(UTC)
    upcoming = next_runs(config, now, names)
    waiting = [each.pipeline for each in upcoming if each.schedule.catch_up == "once"]
    last = last_runs(config.storage.store(), config, waiting) if waiting else {}
    missed = {each.pipeline: each for each in missed_runs(config, now, last, names)}
    for each in upcoming:
        for line in in_words(each, now, missed.get(each.pipeline)):
            say(line)
    say("a run that comes due while the one before it still runs is skipped")
    return upcoming, list(missed.values())


def _count(number: int) -> str:
    return f"{number} pipeline" + ("" if number == 1 else "s")


# -- where Prefect is --------------------------------------------------------------------------------------------------


def _server(say: Say) -> Server | None:
    """A Prefect server of our own, to be started; None where the user has one. RequestError where it does not answer."""
    url = _api_url()
    if not url:
        say("starting a Prefect server …")
        return prefect_server(LOOPBACK, choose_port(LOOPBACK, None, PREFECT_PORT, say, "Prefect"))
    if (error := asyncio.run(_health())) is not None:
        raise RequestError(
            f"PREFECT_API_URL is {url}, where no Prefect server answers ({type(error).__name__}: {error}); "
            "start it, or unset PREFECT_API_URL to have one started here"
        )
    return None


def _api_url() -> str:
    """The Prefect server of the user's environment or profile, if any."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value() or "")


async def _health() -> Exception | None:
    from prefect import get_client

    try:
        async with get_client() as client:
            answer: Exception | None = await client.api_healthcheck()
            return answer
    except Exception as error:
        return error


# -- the work ----------------------------------------------------------------------------------------------------------


def _keep(service: Service, api: str, server: Server | None, stop: threading.Event) -> None:
    """Serve in a thread: in the main one Prefect's runner would take SIGTERM for itself. No process is left behind."""
    from flows.serve_runner import keep

    others = set(offspring())

    def work() -> None:
        try:
            asyncio.run(keep(service, api, stop, lambda: _check(server)))
        except BaseException as error:
            raised.append(error)
        finally:
            stop.set()

    raised: list[BaseException] = []
    thread = threading.Thread(target=work, name="serve")
    thread.start()
    stop.wait()
    service.say("stopping; a run under way is ended, and what it finished is kept")
    ours = set(offspring()) - others
    thread.join()
    end_processes((ours | set(offspring())) - others)
    if raised:
        raise raised[0]


def _check(server: Server | None) -> None:
    if server is not None and not server.is_running():
        raise RunError(f"{server.name} died. {server.last_words()}")


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of a pipeline: two processes that serve it would take each other's runs. It ends with the process."""
    from prefect.settings import PREFECT_HOME

    folder = Path(PREFECT_HOME.value()) / "sorigil"
    folder.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(f"{path.absolute()}:{name}".encode()).hexdigest()[:16]
    with (folder / f"serve-{mark}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RequestError(f"{name} of {path} is served already by another process; stop that one first") from None
        yield
