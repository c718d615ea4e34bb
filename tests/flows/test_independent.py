"""Units that stand alone: each failure is told by name, a worker's death is forgiven once, and too many end the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from flows.independent import run_all
from flows.progress import PlainReporter, Progress
from flows.runner import Death, Failure
from sorigil.errors import RunError
from sorigil.types import Report


@dataclass
class Unit:
    unit: str
    deaths: int = 0  # of workers over it, before it is done
    wrong: str = ""


@dataclass
class Deadly:
    """A runner whose units end as they say."""

    workers: int = 1
    protected: bool = True

    def run(self, function: Any, units: Sequence[Unit]) -> Iterator[Report | Failure]:
        for unit in units:
            if unit.deaths:
                unit.deaths -= 1
                death = Death(reason="worker_died", detail="signal 9")
                yield Failure(unit, str(death), death)
            elif unit.wrong:
                yield Failure(unit, unit.wrong)
            else:
                yield Report(unit=unit.unit, items=1, audio_seconds=2.5)


class Heard(PlainReporter):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.heard: list[Progress] = []

    def progress(self, progress: Progress) -> None:
        self.heard.append(progress)


def a_run(max_deaths: int = 9) -> Any:
    return SimpleNamespace(runner=Deadly(), reporter=Heard(), pipeline=SimpleNamespace(max_deaths=max_deaths))


def test_a_failure_does_not_stop_the_others_and_a_death_is_forgiven_once() -> None:
    units = [Unit("a", deaths=1), Unit("b", wrong="ValueError: the loss became nan"), Unit("c"), Unit("d", deaths=2)]
    run = a_run()
    outcome = run_all(run, "train", lambda _: None, units)  # type: ignore[arg-type, return-value]
    assert set(outcome.failed) == {"b", "d"} and outcome.failed["b"] == "ValueError: the loss became nan"
    assert outcome.failed["d"] == "its worker died (signal 9)"
    assert outcome.audio_seconds == 5.0  # of a and c
    last = run.reporter.heard[-1]
    assert (last.done, last.total, last.note) == (4, 4, "2 failed")


def test_too_many_deaths_end_the_run() -> None:
    units = [Unit(name, deaths=9) for name in "abc"]
    with pytest.raises(RunError, match="train: 2 workers have ended in the middle of their work"):
        run_all(a_run(max_deaths=1), "train", lambda _: None, units)  # type: ignore[arg-type, return-value]
