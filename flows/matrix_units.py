"""The work of a matrix: what nobody has heard yet, in units for the workers. What they hear is kept, so cells share it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from flows.matrix_plan import Cell
from sorigil.fingerprint import digest
from storage import hypotheses, tables
from storage.dataset import prepared_seconds
from tasks.evaluate import usable
from tasks.evaluate_job import EvaluateJob
from tasks.hypotheses import PLACES, HearUnit, place_of, unheard

MOST_SECONDS, LEAST_SECONDS = 1800.0, 120.0  # of audio in a unit
UNITS_A_WORKER = 4


def hear_units(cells: Iterable[Cell], workers: int) -> list[HearUnit]:
    """Units of what nobody has heard yet; cells that ask the same of the same audio share them."""
    wanted: dict[str, list[tuple[EvaluateJob, pa.Table]]] = {}
    for cell in cells:
        if cell.job is not None and not cell.known:
            rows = usable(cell.job).select(list(PLACES))
            wanted.setdefault(place_of(cell.job, rows), []).append((cell.job, rows))
    return [unit for place, asked in wanted.items() for unit in _units(place, asked, workers)]


def _units(place: str, asked: Sequence[tuple[EvaluateJob, pa.Table]], workers: int) -> list[HearUnit]:
    """Of the rows that belong to one place those that have no hypothesis there."""
    job, _ = asked[0]
    known = hypotheses.read(job.store, place, ["audio_key"]).column("audio_key")
    rows = pa.concat_tables([tables.taken(each, unheard(job, each, known)) for job, each in asked])
    if not len(rows):
        return []
    rows = rows.take(tables.first_of_each(rows.column("audio_key")))
    seconds = prepared_seconds(rows)
    size = min(MOST_SECONDS, max(LEAST_SECONDS, float(seconds.sum()) / (UNITS_A_WORKER * workers)))
    together = job.by_speaker or (job.external is not None and not job.external.hears)  # a file is read once
    unit_of = np.zeros(len(rows), np.int64) if together else (np.cumsum(seconds) // size).astype(np.int64)
    chosen = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(unit_of)) + 1)
    return [
        HearUnit(
            unit=digest(place, *part.column("audio_key").to_pylist()),
            job=replace(job, rows=part.combine_chunks()),
            place=place,
        )
        for part in (tables.taken(rows, indices) for indices in chosen)
    ]
