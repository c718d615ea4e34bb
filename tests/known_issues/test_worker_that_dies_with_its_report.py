"""A worker that died after it had finished its unit, before the driver had fetched the report, ended the whole run:
"the Dask scheduler is gone"."""

from __future__ import annotations

import time
from pathlib import Path

from units_for_dask import Unit, work

from flows.isolate import Brake, isolate
from flows.on_dask import OnDask
from flows.runner import Failure
from sorigil.types import Report
from storage.layout import Store


def test_a_worker_that_dies_with_its_report_ends_its_unit_and_not_the_run(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path), catalog="", mlflow="")
    units = [Unit(store=store, unit=f"unit-{does}", does=does) for does in ("ok", "depart")]
    runner = OnDask(workers=2, memory="1GiB")
    outcomes = []
    try:
        for outcome in runner.run(work, units):
            outcomes.append(outcome)
            if len(outcomes) == 1:  # the driver is busy with this report until the other worker is dead
                units[1].go.touch()
                _wait_for_the_death_of(units[1])
        failures = [each for each in outcomes if isinstance(each, Failure)]
        assert [failure.unit.does for failure in failures] == ["depart"]
        assert str(failures[0].death) == "its worker died (before its report was fetched)"
        done = isolate(runner, work, failures[0], None, Brake("prepare", most=3))
        assert isinstance(done, list) and all(isinstance(report, Report) for report in done)
    finally:
        runner.close()
    assert {each.unit for each in outcomes if isinstance(each, Report)} == {"unit-ok"}


def _wait_for_the_death_of(unit: Unit) -> None:
    """Until the worker that did the unit is gone, and the scheduler has had time to hear of it."""
    ledger = Path(unit.store.path(unit.ledger))
    until = time.monotonic() + 60.0
    while not ledger.exists() or Path(f"/proc/{ledger.read_text()}").exists():
        assert time.monotonic() < until, "the worker did not die"
        time.sleep(0.05)
    time.sleep(1.0)
