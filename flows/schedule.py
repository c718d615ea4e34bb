"""When pipelines are due, which runs were missed, and how to say so. Nothing here runs anything: `serve` does.

Times come from the same class of Prefect's by which its server schedules, so what is announced is what will happen, in
the hours that daylight saving takes or gives, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flows.config import Config, PipelineConfig, ScheduleConfig
from sorigil.errors import RequestError
from storage import files
from storage.layout import Store
from storage.quiet import be_quiet


@dataclass(frozen=True, kw_only=True, slots=True)
class NextRun:
    """When a pipeline runs next, in its own time zone."""

    pipeline: str
    at: datetime
    schedule: ScheduleConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """A run that was due while nothing served: the first since the last run, which is None where there never was one."""

    pipeline: str
    due: datetime
    last: datetime | None


def scheduled(config: Config, names: Sequence[str] | None = None) -> dict[str, PipelineConfig]:
    """The pipelines to serve: those named, or all that have a schedule.

    Raises:
        RequestError: there is none, or one that is named does not exist or has no schedule.
    """
    chosen = [config.pipeline(name) for name in names] if names else list(config.pipelines.values())
    without = [each.name for each in chosen if each.schedule is None]
    if names and without:
        raise RequestError(f"{', '.join(without)}: no schedule to serve; add one, {_EXAMPLE}")
    if len(without) == len(chosen):
        raise RequestError(f"no pipeline has a schedule; add one to those that shall run by themselves, {_EXAMPLE}")
    return {each.name: each for each in chosen if each.schedule is not None}


_EXAMPLE = 'such as  schedule: {cron: "0 3 * * *", timezone: Asia/Seoul, steps: [ingest, prepare]}'


def next_runs(config: Config, now: datetime, names: Sequence[str] | None = None) -> list[NextRun]:
    """Each scheduled pipeline's next run at or after `now` (with a time zone), the soonest first."""
    found = []
    for name, pipeline in scheduled(config, names).items():
        assert pipeline.schedule is not None
        found.append(NextRun(pipeline=name, at=next_time(pipeline.schedule, now), schedule=pipeline.schedule))
    return sorted(found, key=lambda each: (each.at, each.pipeline))


def next_time(schedule: ScheduleConfig, after: datetime) -> datetime:
    """The first time of the schedule at or after `after`, in its time zone. RequestError where it never comes."""
    be_quiet()
    from prefect.server.schemas.schedules import CronSchedule

    cron = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    try:
        [found] = asyncio.run(cron.get_dates(n=1, start=after.astimezone(UTC)))
    except ValueError as error:
        raise RequestError(f"cron is {schedule.cron!r}, a time that never comes ({error})") from None
    return datetime.fromtimestamp(found.timestamp(), found.tzinfo)


def missed_runs(config: Config, now: datetime, last: dict[str, datetime], names: Sequence[str] | None) -> list[Missed]:
    """What was due between each pipeline's last run and `now`, for those that catch up."""
    found = []
    for name, pipeline in scheduled(config, names).items():
        assert pipeline.schedule is not None
        if pipeline.schedule.catch_up == "once":
            before = last.get(name)
            # One that never ran has missed whatever was due; a year back is far enough to look for it.
            due = next_time(pipeline.schedule, (before or now - timedelta(days=366)) + timedelta(seconds=1))
            if due <= now:
                found.append(Missed(pipeline=name, due=due, last=before))
    return found


def last_runs(store: Store, config: Config, names: Collection[str]) -> dict[str, datetime]:
    """When the last run of each pipeline ended, as its `result.json` says; trials with `--limit` do not count."""
    found: dict[str, datetime] = {}
    for result in _results(store):
        name = result.get("pipeline", "")
        if name in names and name not in found and result.get("dataset") == config.pipelines[name].dataset:
            found[name] = datetime.fromisoformat(result["finished"])
        if len(found) == len(names):
            break
    return found


def _results(store: Store) -> Iterator[dict[str, str]]:
    """The results of all runs, the newest first: a run's name begins with the time at which it began."""
    folder = store.path("runs")
    if not files.exists(folder):
        return
    for entry in sorted(files.walk(folder), key=lambda each: each.uri, reverse=True):
        if entry.uri.endswith("/result.json"):
            yield json.loads(files.read_bytes(entry.uri))


def in_words(upcoming: NextRun, now: datetime, missed: Missed | None) -> list[str]:
    """What will happen to one pipeline, for whoever starts `serve`."""
    schedule = upcoming.schedule
    wait = _duration(upcoming.at - now)
    lines = [f"{upcoming.pipeline}: next run {moment(upcoming.at)} ({wait}), steps: {', '.join(schedule.steps)}"]
    if schedule.catch_up == "skip":
        lines.append("  runs that come due while nothing serves are not made up (catch_up: skip)")
    else:
        lines.append(f"  however many come due while nothing serves, one is made up (catch_up: once); {_now(missed)}")
    return lines


def _now(missed: Missed | None) -> str:
    if missed is None:
        return "none has been missed"
    if missed.last is None:
        return "it has never run: one run starts now"
    last = missed.last.astimezone(missed.due.tzinfo)
    return f"the last run ended {moment(last)}, the one of {moment(missed.due)} was missed: one run starts now"


def moment(at: datetime) -> str:
    """A time as people read it, with its zone: `2026-11-21 03:00 KST`."""
    return f"{at:%Y-%m-%d %H:%M} {at.tzname() or ''}".rstrip()


def _duration(span: timedelta) -> str:
    minutes = max(0, round(span.total_seconds() / 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"in {days} d {hours} h"
    return f"in {hours} h {minutes % 60} min" if hours else f"in {minutes} min"
