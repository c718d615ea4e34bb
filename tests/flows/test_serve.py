"""Schedules: when runs are due, which were missed, what is said; and, slowly, a clock that really runs a flow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_helpers import LOOPBACK, all_gone, environment, listening

from flows import config as configuration
from flows import serve as module
from flows.config import Config, ScheduleConfig
from flows.schedule import Missed, in_words, last_runs, missed_runs, next_time, scheduled
from flows.serve import next_runs, serve
from sorigil.errors import RequestError
from storage import files
from storage.layout import Store

SEOUL = ZoneInfo("Asia/Seoul")
NIGHTLY = '{cron: "0 3 * * *", timezone: Asia/Seoul, steps: [ingest, prepare], catch_up: once}'
WEEKLY = '{cron: "30 6 * * mon", steps: [ingest]}'


def write_file(folder: Path, **schedules: str) -> Path:
    """A `pipelines.yaml` with a pipeline for each schedule; an empty one means none."""
    lines = ["version: 1", "storage: {root: ./store}", "pipelines:"]
    for name, schedule in schedules.items():
        lines += [f"  {name}:", "    source: {kind: folder, uri: ./sounds}"]
        lines += [f"    schedule: {schedule}"] if schedule else []
    path = folder / "pipelines.yaml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configuration.load(write_file(tmp_path, weekly=WEEKLY, nightly=NIGHTLY, never=""))


def schedule(cron: str, timezone: str = "UTC") -> ScheduleConfig:
    return ScheduleConfig(cron=cron, timezone=timezone, steps=("ingest",))


# -- when --------------------------------------------------------------------------------------------------------------


def test_next_runs_come_soonest_first_in_their_own_time_zone(config: Config) -> None:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
    nightly, weekly = next_runs(config, now)
    assert (nightly.pipeline, weekly.pipeline) == ("nightly", "weekly")
    assert nightly.at == datetime(2026, 11, 21, 3, 0, tzinfo=SEOUL)
    assert nightly.at.utcoffset() == timedelta(hours=9)
    assert weekly.at == datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
    assert [each.pipeline for each in next_runs(config, now, ["weekly"])] == ["weekly"]


def test_a_run_due_this_second_is_next() -> None:
    at = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    assert next_time(schedule("0 3 * * *"), at) == at
    assert next_time(schedule("0 3 * * *"), at + timedelta(seconds=1)) == at + timedelta(days=1)


def test_daylight_saving_moves_the_run_and_not_the_clock() -> None:
    berlin = schedule("0 5 * * *", "Europe/Berlin")
    assert next_time(berlin, datetime(2026, 10, 24, 0, 0, tzinfo=UTC)) == datetime(2026, 10, 24, 3, 0, tzinfo=UTC)
    assert next_time(berlin, datetime(2026, 10, 25, 0, 0, tzinfo=UTC)) == datetime(2026, 10, 25, 4, 0, tzinfo=UTC)


def test_a_time_that_never_comes_is_told() -> None:
    with pytest.raises(RequestError, match=r"'0 0 30 2 \*', a time that never comes"):
        next_time(schedule("0 0 30 2 *"), datetime(2026, 1, 1, tzinfo=UTC))


def fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    several = st.sets(st.integers(lowest, highest), min_size=1, max_size=3)
    return st.one_of(st.just("*"), several.map(lambda numbers: ",".join(map(str, sorted(numbers)))))


def is_due(cron: str, at: datetime) -> bool:
    """Cron's rule written out: every field fits, but of day of month and of week one is enough when both are given."""
    minute, hour, day, month, weekday = (
        None if each == "*" else set(map(int, each.split(","))) for each in cron.split()
    )
    days = [at.day in day] if day else []
    days += [at.isoweekday() % 7 in {each % 7 for each in weekday}] if weekday else []
    on_day = any(days) if days else True
    return on_day and all(
        wanted is None or value in wanted for wanted, value in ((minute, at.minute), (hour, at.hour), (month, at.month))
    )


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), st.just("*"), fields(0, 7)).map(" ".join),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)),
)
def test_next_time_is_the_first_minute_that_fits(cron: str, start: datetime) -> None:
    at = start.replace(second=0, microsecond=0, tzinfo=UTC)
    expected = at
    while not is_due(cron, expected):
        expected += timedelta(minutes=1)
    assert next_time(schedule(cron), at) == expected


# -- what was missed ---------------------------------------------------------------------------------------------------


def seoul(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=SEOUL)


def test_one_run_is_made_up_where_the_last_one_lies_before_a_due_time(config: Config) -> None:
    now = seoul(20, 9)
    found = missed_runs(config, now, {"nightly": seoul(17, 3, 20), "weekly": seoul(1, 0)}, None)
    assert found == [Missed(pipeline="nightly", due=seoul(18, 3), last=seoul(17, 3, 20))]


def test_nothing_was_missed_where_a_run_ended_after_the_due_time(config: Config) -> None:
    assert missed_runs(config, seoul(20, 9), {"nightly": seoul(20, 3, 5)}, None) == []
    assert missed_runs(config, seoul(20, 9), {"nightly": seoul(20, 3)}, None) == []  # done in the same second


def test_a_pipeline_that_never_ran_has_missed_its_time(config: Config) -> None:
    [found] = missed_runs(config, seoul(20, 9), {}, ["nightly"])
    assert (found.pipeline, found.last) == ("nightly", None)


def note_run(store: Store, run: str, pipeline: str, finished: str, dataset: str | None = None) -> None:
    result = {"pipeline": pipeline, "finished": finished, "dataset": dataset or pipeline}
    files.write_bytes(store.path(f"{store.run(run)}/result.json"), json.dumps(result).encode())


def test_the_last_run_is_the_newest_of_the_pipelines_own(config: Config) -> None:
    store = config.storage.store()
    assert last_runs(store, config, ["nightly"]) == {}
    note_run(store, "20261118T180000-bb", "nightly", "2026-11-18T18:20:00+00:00")
    note_run(store, "20261117T180000-aa", "nightly", "2026-11-17T18:20:00+00:00")
    note_run(store, "20261119T100000-cc", "weekly", "2026-11-19T10:01:00+00:00")
    note_run(store, "20261119T120000-dd", "nightly", "2026-11-19T12:01:00+00:00", "nightly-first-10")
    assert last_runs(store, config, ["nightly"]) == {"nightly": datetime(2026, 11, 18, 18, 20, tzinfo=UTC)}


# -- in words ----------------------------------------------------------------------------------------------------------


def test_the_policy_is_said_in_words(config: Config) -> None:
    now = seoul(20, 9)
    nightly, weekly = next_runs(config, now)
    assert in_words(nightly, now, None) == [
        "nightly: next run 2026-11-21 03:00 KST (in 18 h 0 min), steps: ingest, prepare",
        "  however many come due while nothing serves, one is made up (catch_up: once); none has been missed",
    ]
    assert "not made up (catch_up: skip)" in in_words(weekly, now, None)[1]
    assert "in 3 d" in in_words(weekly, now, None)[0]


def test_a_missed_run_is_said_with_both_times(config: Config) -> None:
    [nightly] = next_runs(config, seoul(20, 9), ["nightly"])
    missed = Missed(pipeline="nightly", due=seoul(18, 3), last=seoul(17, 3, 20).astimezone(UTC))
    line = in_words(nightly, seoul(20, 9), missed)[1]
    assert "ended 2026-11-17 03:20 KST, the one of 2026-11-18 03:00 KST was missed: one run starts now" in line
    never = in_words(nightly, seoul(20, 9), Missed(pipeline="nightly", due=seoul(18, 3), last=None))[1]
    assert "it has never run: one run starts now" in never


# -- requests ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_served_is_told(config: Config, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="never: no schedule to serve"):
        scheduled(config, ["weekly", "never"])
    with pytest.raises(RequestError, match="did you mean nightly"):
        scheduled(config, ["nightley"])
    with pytest.raises(RequestError, match="no pipeline has a schedule"):
        scheduled(configuration.load(write_file(tmp_path, never="")))
    assert list(scheduled(config)) == ["weekly", "nightly"]


def test_a_pipeline_is_served_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_HOME, temporary_settings

    path = tmp_path / "pipelines.yaml"
    with temporary_settings({PREFECT_HOME: tmp_path / "prefect"}):
        with module._alone(path, "nightly"):
            with pytest.raises(RequestError, match=r"nightly of .* is served already"), module._alone(path, "nightly"):
                pass
            with module._alone(path, "weekly"):
                pass
        with module._alone(path, "nightly"):
            pass


def test_a_prefect_server_that_does_not_answer_is_told(config: Config, tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    said: list[str] = []
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_HOME: tmp_path / "prefect"}),
        pytest.raises(RequestError, match=r"http://127\.0\.0\.1:9/api, where no Prefect server answers"),
    ):
        serve(config, tmp_path / "pipelines.yaml", say=said.append)
    assert any(line.startswith("nightly: next run") for line in said)


# -- a clock that ticks ------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from flows import config, serve, serve_runner
import stub_flow

if __name__ == "__main__":
    serve_runner._flow = lambda: stub_flow.scheduled_run
    path = Path(sys.argv[1])
    raise SystemExit(serve.serve(config.load(path), path, say=lambda line: print(line, flush=True)))
"""


class Serving:
    """A `serve` in a process of its own, and what it has said so far."""

    def __init__(self, path: Path) -> None:
        program = path.with_name("program.py")
        program.write_text(PROGRAM)
        variables = {**environment(), "PREFECT_HOME": str(path.parent / "prefect")}
        variables.pop("PREFECT_API_URL", None)
        command = [sys.executable, str(program), str(path)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
        )
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    def wait_for(self, words: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not any(words in line for line in list(self.said)):
            assert time.monotonic() < deadline and self.process.poll() is None, (words, self.said)
            time.sleep(0.2)

    def all_processes(self) -> list[psutil.Process]:
        mine = psutil.Process(self.process.pid)
        return [mine, *mine.children(recursive=True)]


@contextmanager
def serving(path: Path) -> Iterator[Serving]:
    it = Serving(path)
    try:
        yield it
    finally:
        for process in it.all_processes() if it.process.poll() is None else []:
            process.kill()


@pytest.mark.slow
def test_a_schedule_fires_and_nothing_is_left(tmp_path: Path) -> None:
    """A run each minute, one made up, a run skipped while the one before still runs, and a clean end under way."""
    minutely = '{cron: "* * * * *", steps: [ingest]}'
    yearly = '{cron: "0 0 1 1 *", timezone: Asia/Seoul, steps: [ingest, prepare], catch_up: once}'
    path = write_file(tmp_path, minutely=minutely, yearly=yearly)
    (tmp_path / "minutely.seconds").write_text("600")
    with serving(path) as it:
        it.wait_for("is done", 120)  # the one that was made up
        assert (tmp_path / "yearly.ran").read_text().endswith(" ingest prepare\n")
        it.wait_for("minutely: the run of", 120)
        it.wait_for("is skipped: the one before still runs", 120)
        assert len((tmp_path / "minutely.ran").read_text().splitlines()) == 1
        processes = it.all_processes()
        assert {host for host, _ in listening(processes)} == {LOOPBACK}
        assert str(processes[0].pid) not in (tmp_path / "minutely.ran").read_text()  # a process of its own
        it.process.send_signal(signal.SIGTERM)
        assert it.process.wait(60) == 0
        assert all_gone(processes, 1)


@pytest.mark.slow
def test_a_killed_serve_starts_anew_without_its_backlog(tmp_path: Path) -> None:
    """The run that was under way counts as crashed, its place is free again, and what came due meanwhile is dropped."""
    path = write_file(tmp_path, minutely='{cron: "* * * * *", steps: [ingest]}')
    (tmp_path / "minutely.seconds").write_text("600")
    with serving(path) as it:
        it.wait_for("has started", 150)
        processes = it.all_processes()
        for process in processes:
            process.kill()
        assert all_gone(processes, 20)
    time.sleep(65)  # one more comes due
    again = datetime.now(UTC)
    (tmp_path / "minutely.seconds").write_text("0")
    with serving(path) as it:
        it.wait_for("is done", 150)
        [_, second] = (tmp_path / "minutely.ran").read_text().splitlines()
        assert datetime.fromisoformat(second.split()[1]) > again
        assert not any("concurrency" in line or "still runs;" in line for line in it.said)
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(60) == 0
