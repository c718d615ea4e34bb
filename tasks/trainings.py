"""Trainings and scores as units of work: many at once on workers, each told where its rows lie.

A job's tables may be large and are shared by many jobs, so they wait in Parquet files of the store (`spool`); what
crosses the scheduler are specs and places. The results lie in the store under their keys: a unit only says that it is
done.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.types import Report
from storage import files, parts
from storage.layout import Store
from tasks.evaluate import evaluate_model
from tasks.evaluate_job import EvaluateJob
from tasks.train import train_model
from tasks.train_job import Trained, TrainJob

log = logging.getLogger("sorigil")


@dataclass(frozen=True, kw_only=True)
class TrainUnit:
    """A training. `unit` is its model's key; `tables` says where the tables of the job lie, relative to the root."""

    unit: str
    label: str  # what it is called to people
    job: TrainJob
    tables: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ScoreUnit:
    """A score of the rows at `rows` whose side is the job's split. `unit` is its key."""

    unit: str
    job: EvaluateJob
    rows: str


@dataclass(frozen=True, kw_only=True)
class ShareUnit:
    """Process `rank` of `size` of one training, which meet at a store that the driver keeps."""

    unit: str
    training: TrainUnit
    rank: int
    size: int
    host: str
    port: int


class Spool:
    """Tables of one run that its workers read; each is written once, and all are removed at the end."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._run = store, run
        self._places: dict[int, str] = {}
        self._kept: list[pa.Table] = []  # or another table could get the id of one that is gone

    def put(self, table: pa.Table) -> str:
        """The place of a table, written if it is new."""
        if id(table) not in self._places:
            place = self._store.spooled(self._run, len(self._kept))
            parts.write_table(self._store.path(place), table)
            self._places[id(table)] = place
            self._kept.append(table)
        return self._places[id(table)]

    def train_unit(self, job: TrainJob, key: str, label: str) -> TrainUnit:
        given = {name: getattr(job, name) for name in ("rows", "copies", "mixed")}
        places = {name: self.put(table) for name, table in given.items() if table is not None}
        empty = dataclasses.replace(job, rows=pa.table({}), copies=None, mixed=None)
        return TrainUnit(unit=key, label=label, job=empty, tables=places)

    def score_unit(self, job: EvaluateJob, key: str, rows: pa.Table) -> ScoreUnit:
        return ScoreUnit(unit=key, job=dataclasses.replace(job, rows=pa.table({})), rows=self.put(rows))

    def remove(self) -> None:
        for place in self._places.values():
            files.remove(self._store.path(place))


def train_unit(unit: TrainUnit) -> Report:
    """Train the unit's model, or find it. Goes on from a checkpoint where there is one."""
    job = _whole(unit)
    return _report(unit.unit, job, train_model(job, _teller(unit.label)))


def train_share(unit: ShareUnit) -> Report:
    """Train the unit's model together with the other processes."""
    from sorigil.training.distributed import meeting

    job = _whole(unit.training)
    with meeting(unit.rank, unit.size, unit.host, unit.port) as (team, device):
        tell = _teller(unit.training.label) if team.first else lambda _: None
        return _report(unit.unit, job, train_model(job, tell, team, device))


def _whole(unit: TrainUnit) -> TrainJob:
    """The job with its tables."""
    store = unit.job.store
    tables = {name: parts.read_table(store.path(place)) for name, place in unit.tables.items()}
    return dataclasses.replace(unit.job, **tables)


def _report(unit: str, job: TrainJob, trained: Trained) -> Report:
    seconds = {"train": trained.seconds}
    return Report(unit=unit, items=len(job.rows), audio_seconds=trained.audio_seconds, seconds=seconds)


def score_unit(unit: ScoreUnit) -> Report:
    """Score the unit's rows, or find the score."""
    began = time.perf_counter()
    rows = parts.read_table(unit.job.store.path(unit.rows))
    job = dataclasses.replace(unit.job, rows=rows.filter(pc.equal(rows.column("side"), unit.job.split)))
    scored = evaluate_model(job)
    seconds = {"evaluate": time.perf_counter() - began}
    return Report(unit=unit.unit, items=len(job.rows), audio_seconds=scored.audio_seconds, seconds=seconds)


def _teller(label: str) -> Any:
    """Say in the log when an epoch is done: of many trainings at once the steps are of no interest."""

    def tell(progress: Any) -> None:
        if progress.step == progress.steps:
            log.info("train %s: epoch %d/%d, loss %.3f", label, progress.epoch, progress.epochs, progress.loss)

    return tell
