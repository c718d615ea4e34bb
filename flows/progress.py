"""What a run says while it works: a bar on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

LINE_SECONDS = 5.0  # between plain progress lines of one stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a stage is. `note` is whatever is worth seeing beside it (loss, word error rate)."""

    stage: str
    done: int
    total: int
    audio_seconds: float = 0.0
    note: str = ""
    seconds_left: float | None = None


class Reporter(Protocol):
    """Takes what a run has to say."""

    def say(self, message: str) -> None: ...

    def progress(self, progress: Progress) -> None: ...

    def end_stage(self) -> None: ...


class PlainReporter:
    """Lines on stderr; a stage's progress at most every `LINE_SECONDS`, and always its end."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._last: dict[str, float] = {}

    def say(self, message: str) -> None:
        if not self._quiet:
            print(message, file=sys.stderr, flush=True)

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        due = now - self._last.get(progress.stage, -LINE_SECONDS) >= LINE_SECONDS
        if due or progress.done == progress.total:
            self._last[progress.stage] = now
            self.say("  " + describe(progress))

    def end_stage(self) -> None:
        self._last.clear()


class BarReporter:
    """A rich progress bar on stderr, for people at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""

    def say(self, message: str) -> None:
        self._console.print(message, markup=False)

    def progress(self, progress: Progress) -> None:
        if self._bar is None or self._stage != progress.stage:
            self.end_stage()
            self._start(progress)
        self._bar.update(self._task, completed=progress.done, total=progress.total, note=_note(progress))
        if progress.done == progress.total:
            self.end_stage()

    def _start(self, progress: Progress) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("  {task.description:<22}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=self._console)
        self._bar.start()
        self._stage = progress.stage
        self._task = self._bar.add_task(progress.stage, total=progress.total, note="")

    def end_stage(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def describe(progress: Progress) -> str:
    """One line: `prepare 12/40, 1,203 s of audio`."""
    return f"{progress.stage} {progress.done}/{progress.total}" + (f", {_note(progress)}" if _note(progress) else "")


def _note(progress: Progress) -> str:
    parts = [progress.note] if progress.note else []
    if progress.audio_seconds:
        parts.append(f"{progress.audio_seconds:,.0f} s of audio")
    if progress.seconds_left is not None:
        parts.append(f"{progress.seconds_left:.0f} s left")
    return ", ".join(parts)


def reporter_for(quiet: bool = False) -> Reporter:
    return BarReporter() if sys.stderr.isatty() and not quiet else PlainReporter(quiet)
