"""A stage's units of work, run to their end: what is said while they run, and what makes the run red.

`runner.py` and `on_dask.py` say where they run, `isolate.py` what becomes of a unit that ended its worker. Prefect is not
here (`pipeline.py` wraps stages).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from flows import interrupt
from flows.isolate import Brake, isolate
from flows.progress import Progress, Reporter
from flows.runner import Failure, InProcess, Isolation, Runner
from sorigil.errors import RunError
from sorigil.types import Report

__all__ = ["MOST_DEATHS", "Failure", "InProcess", "Isolation", "Runner", "run_units"]

log = logging.getLogger("sorigil")

MOST_DEATHS = 100
MOST_FAILURES = 8  # in a row: whatever they have in common (a store that does not answer) has the next ones too
TOO_MANY_AT_ONCE = 4  # units that ended their workers, while none was done: no single file does that


def run_units(
    runner: Runner,
    reporter: Reporter,
    stage: str,
    function: Callable[[Any], Report],
    units: Sequence[Any],
    isolation: Isolation | None = None,
    max_deaths: int = MOST_DEATHS,
) -> list[Report]:
    """Run all units of a stage, telling how it goes. RunError if any was not done; what was done stays done.

    A unit that killed its worker is tried again; with `isolation` it is then taken apart until the item that did it is
    alone in the quarantine. More than `max_deaths` dead workers end the run.
    """
    tally = _Tally(reporter, stage, len(units))
    brake = Brake(stage, max_deaths)
    died: list[Failure] = []
    for done in runner.run(function, units):
        interrupt.check()
        if isinstance(done, Report):
            tally.done([done])
        elif done.death is None:
            tally.failed(done)
        else:
            brake.note(done)
            died.append(done)
    if len(died) >= TOO_MANY_AT_ONCE and not tally.reports:
        raise RunError(
            f"{stage}: each of the {len(died)} units ended its worker ({died[0].error}), which no single file explains. "
            "Nothing was quarantined: look at the workers' memory (cluster.memory) and at the installation"
        )
    for failure in died:
        outcome = isolate(runner, function, failure, isolation, brake)
        if isinstance(outcome, Failure):
            tally.failed(outcome)
        else:
            tally.done(outcome)
    tally.check()
    return tally.reports


class _Tally:
    """Counts the units that are done, says it, and judges the end."""

    def __init__(self, reporter: Reporter, stage: str, total: int) -> None:
        self._reporter, self._stage, self._total = reporter, stage, total
        self._units = 0
        self._in_a_row = 0
        self._failures: list[Failure] = []
        self.reports: list[Report] = []

    def done(self, reports: Sequence[Report]) -> None:
        """One unit: its report, or those of its pieces."""
        self._units += 1
        self._in_a_row = 0
        self.reports += reports
        for report in reports:
            for rejection in report.rejections:
                log.info("%s: rejected %s: %s (%s)", self._stage, rejection.uri, rejection.reason, rejection.detail)
        self._tell()

    def failed(self, failure: Failure) -> None:
        self._failures.append(failure)
        log.error("%s: unit %s failed: %s", self._stage, failure.unit.unit[:8], failure.error)
        self._tell()
        self._in_a_row += 1
        if self._in_a_row == MOST_FAILURES:
            self.check()

    def _tell(self) -> None:
        seconds = sum(report.audio_seconds for report in self.reports)
        ended = self._units + len(self._failures)
        self._reporter.progress(Progress(stage=self._stage, done=ended, total=self._total, audio_seconds=seconds))

    def check(self) -> None:
        """RunError where a unit was not done."""
        lost = self._total - self._units - len(self._failures)
        if not self._failures and not lost:
            return
        said = "; ".join(f"unit {failure.unit.unit[:8]}: {failure.error}" for failure in self._failures[:5])
        never = f", {lost} were never done" if lost else ""
        raise RunError(
            f"{self._stage}: {len(self._failures)} of {self._total} units failed{never} ({said}). "
            "The finished ones are kept: run again to do the rest"
        )
