"""Whatever items end workers, they and only they are judged, everything else is done, and it does not take for ever."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.progress import PlainReporter
from flows.runner import Death, Failure, Isolation
from flows.runtime import TOO_MANY_AT_ONCE, run_units
from sorigil.errors import RunError
from sorigil.types import Report

QUIET = PlainReporter(quiet=True)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Numbered recordings, some with two items."""

    unit: str
    items: pa.Table
    item_name: ClassVar[str] = "uri"

    @property
    def uris(self) -> list[str]:
        return list(dict.fromkeys(self.items.column("uri").to_pylist()))


def unit_of(uris: Sequence[str], name: str = "whole") -> Unit:
    return Unit(unit=name, items=pa.table({"uri": [uri for uri in uris for _ in range(1 + (uri[-1] == "7"))]}))


@dataclass
class Deadly:
    """A runner whose workers die over some recordings. `tells`: which one the breadcrumb names, given the guilty one."""

    poison: set[str]
    tells: Callable[[Unit, str], str | None] = lambda unit, guilty: guilty
    workers: int = 1
    protected: bool = True
    runs: list[list[str]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def run(self, function: Any, units: Sequence[Unit]) -> Iterator[Report | Failure]:
        for unit in units:
            self.runs.append(unit.uris)
            guilty = [uri for uri in unit.uris if uri in self.poison]
            if guilty:
                death = Death(reason="worker_died", detail="Segmentation fault", item=self.tells(unit, guilty[0]))
                yield Failure(unit, str(death), death)
            else:
                self.done += unit.items.column("uri").to_pylist()
                yield Report(unit=unit.unit, items=len(unit.items), audio_seconds=1.0)

    def close(self) -> None: ...


@dataclass
class Judge:
    """Keeps what it is told."""

    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    gathered: list[tuple[str, int]] = field(default_factory=list)

    def reject(self, unit: Unit, reason: str, detail: str) -> Report:
        (uri,) = unit.uris
        assert uri not in self.rejected
        self.rejected[uri] = (reason, detail)
        return Report(unit=unit.unit, items=len(unit.items), audio_seconds=0.0)

    def gather(self, unit: Unit, pieces: Sequence[Unit]) -> None:
        assert sum(len(piece.items) for piece in pieces) == len(unit.items)
        assert len({piece.unit for piece in pieces}) == len(pieces)
        self.gathered.append((unit.unit, len(pieces)))

    @property
    def isolation(self) -> Isolation:
        return Isolation(self.reject, self.gather)


def nothing(unit: Any) -> Report:
    raise AssertionError("the runner runs it")


def names(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


TELLERS: dict[str, Callable[[Unit, str], str | None]] = {
    "the guilty one": lambda unit, guilty: guilty,
    "nothing": lambda unit, guilty: None,
    "an innocent one": lambda unit, guilty: unit.uris[-1],
    "another's": lambda unit, guilty: "elsewhere",
}


@given(
    count=st.integers(1, 60),
    poison=st.sets(st.integers(0, 59), max_size=4),
    teller=st.sampled_from(sorted(TELLERS)),
)
def test_all_and_only_the_guilty_are_rejected(count: int, poison: set[int], teller: str) -> None:
    guilty = {f"r{number}" for number in poison if number < count}
    runner, judge = Deadly(guilty, TELLERS[teller]), Judge()
    whole = unit_of(names(count))
    reports = run_units(runner, QUIET, "prepare", nothing, [whole], judge.isolation)
    assert set(judge.rejected) == guilty
    assert sorted(runner.done) == sorted(uri for uri in whole.items.column("uri").to_pylist() if uri not in guilty)
    assert sum(report.items for report in reports) == len(whole.items)
    assert len(judge.gathered) == bool(guilty and count > 1)
    deaths = sum(bool(guilty & set(uris)) for uris in runner.runs)
    assert deaths <= 2 + len(guilty) * (2 * math.log2(count) + 4)


def test_a_named_recording_dies_twice_the_second_time_alone_and_the_rest_is_done_at_once() -> None:
    runner, judge = Deadly({"r3"}), Judge()
    run_units(runner, QUIET, "prepare", nothing, [unit_of(names(5))], judge.isolation)
    assert runner.runs == [names(5), ["r3"], ["r0", "r1", "r2", "r4"]]
    reason, detail = judge.rejected["r3"]
    assert reason == "worker_died"
    assert detail == "its worker died twice over it, the second time with nothing else in hand (Segmentation fault)"


def test_a_worker_that_was_killed_from_outside_costs_nothing_but_time() -> None:
    class Once(Deadly):
        def run(self, function: Any, units: Sequence[Unit]) -> Iterator[Report | Failure]:
            yield from super().run(function, units)
            self.poison = set()

    runner, judge = Once({"r1"}, TELLERS["nothing"]), Judge()
    reports = run_units(runner, QUIET, "prepare", nothing, [unit_of(names(3))], judge.isolation)
    assert runner.runs == [names(3), names(3)] and not judge.rejected and not judge.gathered
    assert [report.unit for report in reports] == ["whole"]


def test_units_that_cannot_be_taken_apart_are_tried_twice() -> None:
    runner = Deadly({"r1"})
    with pytest.raises(RunError, match=r"1 of 2 units failed .*its worker died while it worked on r1"):
        run_units(runner, QUIET, "copy", nothing, [unit_of(["r1"], "a"), unit_of(["r2"], "b")])
    assert runner.runs == [["r1"], ["r2"], ["r1"]]


def test_when_every_unit_ends_its_worker_nobody_is_judged() -> None:
    uris = names(TOO_MANY_AT_ONCE)
    runner, judge = Deadly(set(uris)), Judge()
    with pytest.raises(RunError, match=r"each of the 4 units ended its worker .*Nothing was quarantined"):
        run_units(runner, QUIET, "prepare", nothing, [unit_of([uri], uri) for uri in uris], judge.isolation)
    assert not judge.rejected


def test_too_many_dead_workers_end_the_run() -> None:
    runner, judge = Deadly(set(names(9))), Judge()
    units = [unit_of(names(9)), unit_of(["good"], "good")]
    with pytest.raises(RunError, match=r"6 workers have ended .*max_deaths: 5.*run again to go on"):
        run_units(runner, QUIET, "prepare", nothing, units, judge.isolation, max_deaths=5)
    assert runner.done == ["good"] and judge.rejected
