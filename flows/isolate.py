"""A unit that ended its worker is taken apart until the item that did it is alone, and everything else is done.

It goes in rounds: a piece that ended its worker is divided for the next one, by the breadcrumb, or in halves where that
is missing or leads nowhere. A recording that has ended two workers, the second with nothing else in its hands, goes to
the quarantine. Each piece is a unit with a name and a ledger of its own; at the end they become the unit's ledger.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flows.runner import Death, Failure, Isolation, Runner
from sorigil.errors import RunError
from sorigil.fingerprint import digest
from sorigil.types import Report
from storage import tables
from tasks.isolation import gather, reject_prepared, reject_recordings

log = logging.getLogger("sorigil")

RECORDINGS = Isolation(reject_recordings, gather)  # of units that start from the source's bytes
PREPARED_AUDIO = Isolation(reject_prepared, gather)  # of units that start from the store's
DEATHS = 2  # that one recording must have caused, the last of them alone

_SENTENCES = {
    "worker_died": "its worker died twice over it, the second time with nothing else in hand",
    "hung": "it was not done in time twice, the second time with nothing else in hand",
    "out_of_memory": "its worker ran out of memory twice over it, the second time with nothing else in hand",
}


@dataclass(slots=True)
class Brake:
    """Stops a run whose workers end and end: RunError beyond `most`."""

    stage: str
    most: int
    deaths: int = 0

    def note(self, failure: Failure) -> None:
        self.deaths += 1
        log.warning("%s: %s; what it did not finish is tried again", self.stage, failure.error)
        if self.deaths > self.most:
            raise RunError(
                f"{self.stage}: {self.deaths} workers have ended in the middle of their work (the last one: "
                f"{failure.error}); the limit is max_deaths: {self.most}. What was finished and what was found out is "
                "kept: run again to go on"
            )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some items of a unit. `deaths`: how many workers these very items have ended; `depth`: how often it was divided."""

    unit: Any
    deaths: int
    depth: int
    death: Death | None = None  # the last one


def isolate(
    runner: Runner,
    function: Callable[[Any], Report],
    died: Failure,
    isolation: Isolation | None,
    brake: Brake,
) -> list[Report] | Failure:
    """The reports of the pieces of a unit that died, all done or rejected; or a failure that is nobody's death."""
    whole = died.unit
    done: list[Any] = []
    reports: list[Report] = []
    failure: Failure | None = None
    waiting = [_Piece(whole, deaths=1, depth=0, death=died.death)]
    while waiting:
        trial = {part.unit.unit: part for piece in waiting for part in _divide(piece, isolation)}
        for piece in waiting:
            if _is_judged(piece, isolation):
                if isolation is None:
                    return Failure(whole, died.error)
                reports.append(_reject(piece, isolation))
                done.append(piece.unit)
        waiting = []
        for outcome in runner.run(function, [piece.unit for piece in trial.values()]):
            if isinstance(outcome, Report):
                reports.append(outcome)
                done.append(trial[outcome.unit].unit)
            elif outcome.death is None:
                failure = Failure(whole, outcome.error)
            else:
                brake.note(outcome)
                piece = trial[outcome.unit.unit]
                waiting.append(dataclasses.replace(piece, deaths=piece.deaths + 1, death=outcome.death))
    if failure is not None:
        return failure
    if isolation is not None and isolation.gather is not None and done != [whole]:
        isolation.gather(whole, done)
    return reports


def _names(unit: Any) -> list[str]:
    """The recordings of a unit, as its breadcrumbs call them."""
    return list(dict.fromkeys(unit.items.column(unit.item_name).to_pylist()))


def _is_judged(piece: _Piece, isolation: Isolation | None) -> bool:
    return piece.deaths >= DEATHS and (isolation is None or len(_names(piece.unit)) == 1)


def _divide(piece: _Piece, isolation: Isolation | None) -> list[_Piece]:
    """What to try next in place of a piece that died; nothing where there is no more doubt."""
    if _is_judged(piece, isolation):
        return []
    names = _names(piece.unit) if isolation is not None else []
    suspect = piece.death.item if piece.death else None
    if len(names) > 1 and suspect in names and piece.depth % 2 == 0:  # else whoever corrupts memory has others blamed
        rest = [name for name in names if name != suspect]
        return [_part(piece, [str(suspect)], deaths=1), _part(piece, rest)]
    if len(names) > 1 and (piece.depth or piece.deaths >= DEATHS):
        return [_part(piece, names[: len(names) // 2]), _part(piece, names[len(names) // 2 :])]
    return [piece]


def _part(piece: _Piece, names: Sequence[str], deaths: int = 0) -> _Piece:
    unit = piece.unit
    items = tables.only(unit.items, unit.item_name, pa.array(names, pa.string())).combine_chunks()
    part = dataclasses.replace(unit, unit=digest("piece", unit.unit, *names), items=items)
    return _Piece(part, deaths=deaths, depth=piece.depth + 1)


def _reject(piece: _Piece, isolation: Isolation) -> Report:
    assert piece.death is not None
    detail = piece.death.detail
    sentence = _SENTENCES[piece.death.reason] + (f" ({detail})" if detail else "")
    return isolation.reject(piece.unit, piece.death.reason, sentence)
