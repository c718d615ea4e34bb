"""Schedules as Prefect keeps them: a deployment per pipeline, the runner that starts due runs, and what is said of them.

Prefect by itself starts every run that came due while nothing served, and believes for ever in runs whose process was
killed; both are put right before the runner starts. Only `serve` uses this.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from flows.config import PipelineConfig
from flows.schedule import moment
from storage.quiet import be_quiet

be_quiet()

from prefect import get_client  # noqa: E402
from prefect.client.orchestration import PrefectClient  # noqa: E402
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate  # noqa: E402
from prefect.client.schemas.filters import (  # noqa: E402
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (  # noqa: E402
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    StateType,
)
from prefect.client.schemas.sorting import FlowRunSort  # noqa: E402
from prefect.runner import Runner  # noqa: E402
from prefect.schedules import Cron  # noqa: E402
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402
from prefect.states import Cancelled, Crashed  # noqa: E402
from prefect.types.entrypoint import EntrypointType  # noqa: E402

TICK_SECONDS = 0.25
POLL_SECONDS = 5.0  # between two looks at what is due: a run starts at most so much late
PAGE = 200  # rows that Prefect gives at once
GOING = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
TOLD = [StateType.RUNNING, StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


@dataclass(kw_only=True)
class Service:
    """What is served: the pipelines of a file, when they run next, and which of them make up a missed run now."""

    file: Path
    pipelines: dict[str, PipelineConfig]
    scheduled: Sequence[str]  # all in the file that have a schedule, served here or not
    make_up: Sequence[str]
    announced: dict[str, datetime]  # when each runs next, as its user was told
    say: Callable[[str], None]
    deployments: dict[UUID, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Tells this file on this machine from others of the same name on the same Prefect server."""
        return hashlib.sha256(f"{socket.gethostname()}:{self.file.absolute()}".encode()).hexdigest()[:6]


async def keep(service: Service, api: str, stop: threading.Event, check: Callable[[], None]) -> None:
    """Serve until `stop` is set. `check` is called now and then and raises where it makes no sense to go on."""
    with temporary_settings({PREFECT_API_URL: api}):
        # One place more than pipelines: a run that comes due meanwhile is taken up at once, to be refused by Prefect.
        runner = Runner(
            name="sorigil", limit=len(service.pipelines) + 1, query_seconds=POLL_SECONDS, prefetch_seconds=0
        )
        async with get_client() as client:
            began = datetime.now(UTC)
            await _register(service, runner, client)
            running = asyncio.create_task(runner.start())
            try:
                await _follow(service, client, began, stop, check, running)
            finally:
                await _end(runner, running)


async def _register(service: Service, runner: Runner, client: PrefectClient) -> None:
    for name, pipeline in service.pipelines.items():
        deployment = await runner.aadd_deployment(await _deployment(service, name, pipeline))
        service.deployments[deployment] = name
        await _bury(client, deployment, service.say, name)
        now = datetime.now(UTC)
        await _forget_missed(client, deployment, now)
        if name in service.make_up or service.announced[name] <= now:  # it may have come due while all this started
            await client.create_flow_run_from_deployment(deployment, name=f"{name}-catch-up-{now:%Y%m%dT%H%M%S}")
        # Prefect looks for new schedules every few seconds; what is due before it does so would be lost.
        path = "/deployments/{id}/schedule"
        await client.request("POST", path, path_params={"id": deployment}, json={"start_time": now.isoformat()})
    await _pause_unscheduled(service, client)


async def _deployment(service: Service, name: str, pipeline: PipelineConfig) -> Any:
    """The pipeline's schedule for Prefect; the flow is found by its module, so a checkout may lie anywhere."""
    schedule = pipeline.schedule
    assert schedule is not None
    return await _flow().ato_deployment(
        name=f"{name}-{service.tag}",
        schedule=Cron(schedule.cron, timezone=schedule.timezone),
        parameters={"file": str(service.file.absolute()), "pipeline": name, "steps": list(schedule.steps)},
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        entrypoint_type=EntrypointType.MODULE_PATH,
        description=f"{', '.join(schedule.steps)} of {name} in {service.file.name} on {socket.gethostname()}",
        tags=["sorigil", service.tag],
        paused=False,
    )


def _flow() -> Any:
    from flows.pipeline import scheduled_run

    return scheduled_run


# -- what the last one left --------------------------------------------------------------------------------------------


async def _bury(client: PrefectClient, deployment: UUID, say: Callable[[str], None], name: str) -> None:
    """Runs whose process is gone are crashed, and give back the deployment's only place. Living ones are left alone."""
    living = _living_runs()
    believed = await _flow_runs(client, deployment, GOING)
    for run in believed:
        if str(run.id) in living:
            say(f"{name}: the run {run.name} of an earlier serve still runs; none starts before it ends")
        else:
            await client.set_flow_run_state(run.id, Crashed(message="Its process is gone."), force=True)
    held = (await client.read_deployment(deployment)).global_concurrency_limit
    if held is not None and held.active_slots and not any(str(run.id) in living for run in believed):
        await client.update_global_concurrency_limit(held.name, GlobalConcurrencyLimitUpdate(active_slots=0))


def _living_runs() -> set[str]:
    """The flow runs that a process of this user on this machine works for."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.add(process.environ().get("PREFECT__FLOW_RUN_ID", ""))
    return found


async def _forget_missed(client: PrefectClient, deployment: UUID, now: datetime) -> None:
    """What came due by the clock while nothing served is called off; Prefect would start all of it now."""
    while late := [
        run for run in await _flow_runs(client, deployment, [StateType.SCHEDULED], now) if run.auto_scheduled
    ]:
        for run in late:
            await client.set_flow_run_state(run.id, Cancelled(message="it came due while nothing served"), force=True)


async def _flow_runs(
    client: PrefectClient, deployment: UUID, states: list[StateType], due_before: datetime | None = None
) -> list[FlowRun]:
    return list(
        await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
                expected_start_time=FlowRunFilterExpectedStartTime(before_=due_before) if due_before else None,
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
        )
    )


async def _pause_unscheduled(service: Service, client: PrefectClient) -> None:
    """A pipeline that lost its schedule stops being scheduled in Prefect, too."""
    tags = DeploymentFilterTags(all_=["sorigil", service.tag])
    names = {f"{name}-{service.tag}" for name in service.scheduled}
    for deployment in await client.read_deployments(deployment_filter=DeploymentFilter(tags=tags), limit=PAGE):
        if deployment.name not in names and not deployment.paused:
            await client.pause_deployment(deployment.id)


# -- while it serves ---------------------------------------------------------------------------------------------------


async def _follow(
    service: Service,
    client: PrefectClient,
    began: datetime,
    stop: threading.Event,
    check: Callable[[], None],
    running: asyncio.Task[None],
) -> None:
    """Say what becomes of each run, until `stop`."""
    told: dict[UUID, StateType] = {}
    looked = 0.0
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        check()
        if running.done():
            running.result()  # raises what ended it
            return
        if loop.time() - looked >= POLL_SECONDS:
            looked = loop.time()
            await _tell(service, client, began, told)
        await asyncio.sleep(TICK_SECONDS)


async def _tell(service: Service, client: PrefectClient, began: datetime, told: dict[UUID, StateType]) -> None:
    try:
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=list(service.deployments)),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=TOLD)),
                expected_start_time=FlowRunFilterExpectedStartTime(after_=began),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=PAGE,
        )
    except Exception as error:  # a server that is being restarted; the runner asks it again, too
        service.say(f"the Prefect server does not answer: {type(error).__name__}: {error}")
        return
    for run in reversed(runs):
        if run.state_type is not None and told.get(run.id) != run.state_type:
            told[run.id] = run.state_type
            service.say(_sentence(service.deployments[run.deployment_id], run))


def _sentence(name: str, run: FlowRun) -> str:
    """What became of a run, in words."""
    due = moment(run.expected_start_time.astimezone()) if run.expected_start_time else "now"
    seconds = f"{run.total_run_time.total_seconds():,.0f} s"
    why = f": {run.state.message}" if run.state and run.state.message else ""
    if run.state_type == StateType.RUNNING:
        return f"{name}: the run of {due} has started"
    if run.state_type == StateType.COMPLETED:
        return f"{name}: the run of {due} is done, after {seconds}"
    if run.state_type == StateType.CANCELLED and not run.total_run_time:
        return f"{name}: the run of {due} is skipped{_why_skipped(why)}"
    return f"{name}: the run of {due} {str(run.state_type.value).lower()}, after {seconds}{why}"


def _why_skipped(why: str) -> str:
    return ": the one before still runs" if "concurrency limit" in why else why


async def _end(runner: Runner, running: asyncio.Task[None]) -> None:
    """Stop the runs that are under way, pause the schedules, and wait until the runner is done."""
    while not runner.started and not running.done():
        await asyncio.sleep(TICK_SECONDS)
    with contextlib.suppress(Exception):  # a dead server: whatever still lives is ended by `serve`
        if not running.done():
            await runner.astop()
        await running
