"""Which Prefect server a run talks to, and what is said where there is none. A whole run is in `test_pipeline`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_EPHEMERAL_ENABLED, temporary_settings
from server_helpers import free_port
from yaml_world import make_project

from flows import config
from flows.prefect_run import _wait_until_written, run_as_flow
from flows.progress import PlainReporter
from flows.run import Run
from sorigil.errors import RequestError, RunError


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def never(run: Run) -> None:
        raise AssertionError("no server is to be started")

    monkeypatch.setattr(Run, "start_server", never)
    loaded = config.load(make_project(tmp_path, items=2), pipeline="tones")
    return Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=PlainReporter(quiet=True))


def nothing(_: Any) -> None:
    raise AssertionError("nothing is to be done")


def test_a_configured_server_that_does_not_answer_is_named(run: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(RunError, match=f"no Prefect server answers at {url}"),
    ):
        run_as_flow(run, nothing)


def test_settings_that_leave_no_server_are_told(run: Run) -> None:
    settings = temporary_settings({PREFECT_SERVER_EPHEMERAL_ENABLED: False}, restore_defaults={PREFECT_API_URL})
    with settings, pytest.raises(RequestError, match="or run with --local"):
        run_as_flow(run, nothing)


def test_a_server_that_is_gone_when_the_work_is_done_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        _wait_until_written("a run", 1)
    assert "history of this run is not complete" in caplog.text
