"""A run's own Prefect server was stopped before it had written what became of the last tasks: they were RUNNING for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from yaml_world import make_project

from flows import config, prefect_run
from flows.progress import PlainReporter
from flows.run import Run

SLOW_SECONDS = 8.0  # more than it was waited


@pytest.mark.slow
def test_a_slow_prefect_server_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = config.load(make_project(tmp_path, items=2), pipeline="tones")
    run = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=PlainReporter(quiet=True))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    drain_all = prefect_run.EventsWorker.drain_all

    def of_a_slow_server(**options: Any) -> Any:
        """From the end of the run on the server does nothing for a while."""
        group = run.start_server().pid
        os.killpg(group, signal.SIGSTOP)
        threading.Timer(SLOW_SECONDS, os.killpg, (group, signal.SIGCONT)).start()
        return drain_all(**options)

    monkeypatch.setattr(prefect_run.EventsWorker, "drain_all", of_a_slow_server)
    try:
        with temporary_settings({PREFECT_HOME: tmp_path / "prefect"}, restore_defaults={PREFECT_API_URL}):
            prefect_run.run_as_flow(run, lambda staged: [staged(name, lambda: None) for name in ("first", "last")])
    finally:
        run.start_server().stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "prefect/prefect.db")) as prefect:
        tasks = prefect.execute("select name, state_type from task_run").fetchall()
    assert sorted(tasks) == [("first", "COMPLETED"), ("last", "COMPLETED")]
