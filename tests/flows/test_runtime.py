"""Runners never lose a unit: it is done, or it is named in a red run, and the others are done all the same."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from units_for_dask import Unit, environment, work

from flows import on_dask
from flows.on_dask import OnDask
from flows.progress import PlainReporter, Progress
from flows.runner import Death
from flows.runtime import Failure, InProcess, run_units
from sorigil.errors import RunError
from sorigil.types import Report
from storage.layout import Store

QUIET = PlainReporter(quiet=True)


def units(folder: Path, *does: str, seconds: float = 0.0) -> list[Unit]:
    store = Store(root=str(folder), catalog="", mlflow="")
    return [
        Unit(store=store, unit=f"unit-{number}-{what}", does=what, seconds=seconds) for number, what in enumerate(does)
    ]


def done(asked: list[Unit]) -> list[str]:
    """Which units left a ledger."""
    return [unit.does for unit in asked if Path(unit.store.path(unit.ledger)).exists()]


@dataclass
class Recorder:
    """A reporter that keeps what it is told."""

    told: list[Progress] = field(default_factory=list)

    def say(self, message: str) -> None: ...
    def end_stage(self) -> None: ...
    def progress(self, progress: Progress) -> None:
        self.told.append(progress)


# -- in this process ---------------------------------------------------------------------------------------------------


def test_in_process_all_units_are_done_in_order(tmp_path: Path) -> None:
    asked = units(tmp_path, "ok", "ok", "ok")
    recorder = Recorder()
    reports = run_units(InProcess(), recorder, "prepare", work, asked)
    assert [report.unit for report in reports] == [unit.unit for unit in asked]
    assert [(told.done, told.total, told.audio_seconds) for told in recorder.told] == [
        (1, 3, 1.0),
        (2, 3, 2.0),
        (3, 3, 3.0),
    ]


def test_in_process_a_unit_that_raises_is_a_failure_and_the_rest_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = units(tmp_path, "ok", "raise", "ok")
    recorder = Recorder()
    with caplog.at_level(logging.ERROR, "sorigil"), pytest.raises(RunError) as red:
        run_units(InProcess(), recorder, "prepare", work, asked)
    assert str(red.value) == (
        "prepare: 1 of 3 units failed (unit unit-1-r: ValueError: unit-1-raise cannot be done). "
        "The finished ones are kept: run again to do the rest"
    )
    assert done(asked) == ["ok", "ok"] and recorder.told[-1].done == 3
    assert "Traceback" in caplog.text, "whoever mends it needs to see where it came from"


def test_an_interruption_is_not_swallowed(tmp_path: Path) -> None:
    def interrupted(unit: Unit) -> Report:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_units(InProcess(), QUIET, "prepare", interrupted, units(tmp_path, "ok"))


class Forgetful:
    """A runner that ends without having done everything."""

    workers = 1

    def run(self, function: Any, units: Any) -> Iterator[Report | Failure]:
        yield function(units[0])

    def close(self) -> None: ...


def test_a_unit_that_was_never_done_makes_the_run_red(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="prepare: 0 of 3 units failed, 2 were never done"):
        run_units(Forgetful(), QUIET, "prepare", work, units(tmp_path, "ok", "ok", "ok"))


def test_a_trouble_that_all_units_share_ends_the_run_early(tmp_path: Path) -> None:
    asked = units(tmp_path, "ok", *["raise"] * 30, "ok")
    with pytest.raises(RunError, match="prepare: 8 of 32 units failed, 23 were never done"):
        run_units(InProcess(), QUIET, "prepare", work, asked)
    apart = units(tmp_path / "apart", *["raise", "raise", "ok"] * 8)
    with pytest.raises(RunError, match="prepare: 16 of 24 units failed \\("):
        run_units(InProcess(), QUIET, "prepare", work, apart)


def test_no_units_are_no_work() -> None:
    assert run_units(InProcess(), QUIET, "prepare", work, []) == []


def test_a_worker_of_another_version_is_refused() -> None:
    class Client:
        def run(self, function: Any) -> dict[str, Any]:
            return {"tcp://a": function(), "tcp://b": ("0.0.0", "ok")}

    with pytest.raises(RunError, match=r"worker tcp://b runs sorigil 0\.0\.0"):
        on_dask._same_program(Client())


# -- on Dask ------------------------------------------------------------------------------------------------------------


def children() -> set[int]:
    """Our living child processes, but for the one that Python itself keeps (multiprocessing's resource tracker)."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def left_over(before: set[int]) -> set[int]:
    """Children that were not there before and do not end in ten seconds."""
    deadline = time.monotonic() + 10
    while children() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    return children() - before


def _listening() -> set[str]:
    """Every address that we or our workers listen on."""
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    open_ports = [each for process in ours for each in process.net_connections("tcp") if each.status == "LISTEN"]
    return {f"tcp://{each.laddr.ip}:{each.laddr.port}" for each in open_ports}


def test_on_dask_a_failing_unit_and_a_dying_worker_are_named_and_the_rest_is_done(tmp_path: Path) -> None:
    """One cluster for all of it: starting one takes seconds."""
    before = children()
    runner = OnDask(workers=2, memory="1GiB")
    try:
        reports = run_units(runner, QUIET, "look", environment, units(tmp_path / "0", *["ok"] * 6))
        assert {address.split("://")[1].split(":")[0] for address in _listening()} == {"127.0.0.1"}
        pids = {int(report.seconds["pid"]) for report in reports}
        assert os.getpid() not in pids and len(pids) == 2
        assert {report.seconds["omp"] for report in reports} == {1.0}

        raising = units(tmp_path / "1", "ok", "raise", "ok", "ok")
        with pytest.raises(
            RunError, match=r"1 of 4 units failed \(unit unit-1-r: ValueError: unit-1-raise cannot be done\)"
        ):
            run_units(runner, QUIET, "prepare", work, raising)
        assert done(raising) == ["ok", "ok", "ok"]

        deadly = units(tmp_path / "2", "ok", "ok", "die", "ok", "ok", "ok", seconds=0.05)
        deadly[2] = dataclasses.replace(deadly[2], seconds=0.5)
        with pytest.raises(RunError) as red:
            run_units(runner, QUIET, "prepare", work, deadly)
        assert "1 of 6 units failed" in str(red.value)
        assert "unit unit-2-d: its worker died while it worked on second item of unit-2-die" in str(red.value)
        assert done(deadly) == ["ok"] * 5
        runs = [len(unit.runs.read_text()) for unit in deadly]
        assert runs == [1, 1, 2, 1, 1, 1], "what was done on the workers that died is not done again"

        hanging = units(tmp_path / "3", "ok", "hang", "starve")
        deaths = {each.unit.does: each.death for each in runner.run(work, hanging) if isinstance(each, Failure)}
        assert deaths["hang"] == Death(reason="hung", detail="it had 1 s", item="second item of unit-1-hang")
        assert deaths["starve"] == Death(reason="out_of_memory", detail="MemoryError: no room for 9 TB")

        again = [unit for unit in deadly if unit.does == "ok"]
        assert len(run_units(runner, QUIET, "prepare", work, again)) == 5, "the cluster lives on"
    finally:
        runner.close()
    assert not left_over(before)
    runner.close()  # twice does not hurt


def test_a_cluster_that_cannot_be_used_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(client: Any) -> None:
        raise RunError("another version")

    monkeypatch.setattr(on_dask, "_same_program", refuse)
    before = children()
    runner = OnDask(workers=1, memory="1GiB")
    for _ in range(2):  # the second time too
        with pytest.raises(RunError, match="another version"):
            run_units(runner, QUIET, "prepare", work, units(tmp_path, "ok"))
    assert not left_over(before)


def test_a_cluster_is_started_ahead_and_closed_unused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = children()
    runner = OnDask(workers=1, memory="1GiB")
    began = time.monotonic()
    runner.start()
    assert time.monotonic() - began < 1, "it must not be waited for"
    assert [each.unit for each in runner.run(work, units(tmp_path, "ok")) if isinstance(each, Report)] == ["unit-0-ok"]
    runner.close()
    runner.start()
    runner.close()
    assert not left_over(before)


def test_what_goes_wrong_at_a_start_ahead_is_raised_by_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(**_: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(on_dask, "LocalCluster", fail)
    runner = OnDask(workers=1)
    runner.start()
    for _ in range(2):  # the second time too
        with pytest.raises(OSError, match="no more processes"):
            list(runner.run(work, units(tmp_path, "ok")))
    runner.start()
    runner.close()


def test_a_scheduler_without_workers_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(on_dask, "FIRST_WORKER_SECONDS", 0.2)
    options: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with LocalCluster(n_workers=0, host="127.0.0.1", **options) as cluster:
        runner = OnDask(workers=1, scheduler=cluster.scheduler_address)
        with pytest.raises(RunError, match="no worker is connected to tcp://127"):
            run_units(runner, QUIET, "prepare", work, units(tmp_path, "ok"))
