"""Units of work of which any may fail by itself: the others go on, and who asked is told which failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows import interrupt
from flows.isolate import Brake, isolate
from flows.progress import Progress
from flows.run import Run
from flows.runner import Failure
from sorigil.types import Report


@dataclass(slots=True)
class Outcome:
    """What came of many units: the words of those that failed, by unit, and the audio that the others went through."""

    failed: dict[str, str] = field(default_factory=dict)
    audio_seconds: float = 0.0


def run_all(run: Run, stage: str, function: Callable[[Any], Report], units: Sequence[Any]) -> Outcome:
    """Run the units, telling how it goes; one whose worker died is tried once more."""
    outcome = Outcome()
    for done, ended in enumerate(_ended(run, stage, function, units), start=1):
        interrupt.check()
        if isinstance(ended, Failure):
            outcome.failed[ended.unit.unit] = ended.error
        else:
            outcome.audio_seconds += ended.audio_seconds
        note = f"{len(outcome.failed)} failed" if outcome.failed else ""
        run.reporter.progress(Progress(stage=stage, done=done, total=len(units), note=note))
    return outcome


def _ended(run: Run, stage: str, function: Callable[[Any], Report], units: Sequence[Any]) -> Iterator[Report | Failure]:
    brake = Brake(stage, run.pipeline.max_deaths)
    died: list[Failure] = []
    for ended in run.runner.run(function, units):
        if isinstance(ended, Failure) and ended.death is not None:
            brake.note(ended)
            died.append(ended)
        else:
            yield ended
    for failure in died:
        again = isolate(run.runner, function, failure, None, brake)
        yield again if isinstance(again, Failure) else again[0]  # a unit that is not taken apart has one report
