"""Transcribe an archive: find what is done, spread the rest over the workers, gather what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from flows.language import learn_for
from flows.run import Run
from flows.runtime import Isolation, run_units
from flows.train import mixed_rows, rows_of
from sorigil.errors import RequestError
from sorigil.fingerprint import digest
from sorigil.types import Rejection
from storage import erased, files, language_models, outputs, sources
from storage.outputs import Output
from tasks.by_recording import RecordingsUnit, found_rejection, reject_recordings
from tasks.transcribe import TranscribeUnit, found_transcript, transcribe_unit

_RECORDINGS = Isolation(reject_recordings)
_COLUMNS = ["id", "uri", "stamp", "size"]


def plan_transcribe(run: Run, model_key: str) -> tuple[list[dict[str, Any]], list[TranscribeUnit], list[Rejection]]:
    """What is transcribed already, the units of what is not, and what the scan alone refuses."""
    asked = run.pipeline.transcribe
    assert asked is not None
    items = sources.scan(asked.source)
    if run.options.limit is not None:
        items = items.slice(0, run.options.limit)
    problems = [
        Rejection(id=row["id"], uri=row["uri"], stage="scan", reason=reason, detail=detail)
        for row in items.select(["id", "uri", "problem"]).to_pylist()
        if row["problem"]
        for reason, _, detail in [row["problem"].partition(": ")]
    ]
    unit = TranscribeUnit(
        store=run.store,
        base=asked.source.base,
        unit="",
        model_key=model_key,
        output=asked.output,
        formats=tuple(dict.fromkeys((*asked.formats, "json"))),  # the JSON is the record of what was done
        max_seconds=asked.max_seconds,
        overlap_seconds=asked.overlap_seconds,
        decode=language_models.resolve(asked.decode),
        raw=getattr(asked.source, "raw", None),
        deadline=asked.deadline,
        erased=frozenset(erased.of_kind(erased.load(run.store, run.dataset), "recording").column("digest").to_pylist()),
        items=items.slice(0, 0).select(_COLUMNS),
    )
    good = items.filter(pa.array([problem is None for problem in items.column("problem").to_pylist()]))
    done, rest = [], []
    for index, row in enumerate(good.select(["uri", "stamp"]).to_pylist()):
        refused = None if run.options.retry else found_rejection(unit, row["uri"], row["stamp"])
        found = None if refused else found_transcript(unit, row["uri"], row["stamp"])
        if refused is not None:
            problems.append(refused)
        elif found is not None:
            done.append(found)
        else:
            rest.append(index)
    return done, units_of(unit, good.select(_COLUMNS).take(pa.array(rest, pa.int64())), run.workers), problems


Unit = TypeVar("Unit", bound=RecordingsUnit)


def units_of(unit: Unit, items: pa.Table, workers: int) -> list[Unit]:
    """Balanced by bytes, at least four a worker where there are as many recordings; the largest first."""
    if not len(items):
        return []
    sizes = np.asarray(items.column("size").to_numpy(), np.int64)
    order = np.argsort(-sizes, kind="stable")
    count = min(len(items), 4 * workers)
    loads: list[int] = [0] * count
    members: list[list[int]] = [[] for _ in range(count)]
    for index in order:
        lightest = loads.index(min(loads))
        loads[lightest] += int(sizes[index]) + 1
        members[lightest].append(int(index))
    made = []
    for rows in members:
        chosen = items.take(pa.array(sorted(rows)))  # as scanned: an archive is read from front to back
        name = digest(unit.stage, unit.output, unit.model_key, *chosen.column("uri").to_pylist())
        made.append(replace(unit, unit=name, items=chosen))
    return made


def transcribe(run: Run) -> None:
    """One stage: every recording of the archive has its transcript, or a rejection that says why not."""
    asked = run.pipeline.transcribe
    assert asked is not None
    if asked.model not in run.trained:
        raise RequestError(f"transcribe: the model {asked.model} is not trained; run the step train first")
    entry = next(each for each in run.pipeline.train if each.name == asked.model)
    with run.stage("transcribe") as stage:
        if getattr(asked.decode, "lm", None) is not None:
            key = run.trained[asked.model].key
            learn_for(run, entry, asked.decode, key, rows_of(run, entry), mixed_rows(run, entry))
        done, units, problems = plan_transcribe(run, run.trained[asked.model].key)
        if units:
            outputs.note(run.store, run.dataset, Output(kind="transcripts", place=files.absolute(asked.output)))
        isolated = (transcribe_unit, units, _RECORDINGS, run.pipeline.max_deaths)
        reports: list[Any] = run_units(run.runner, run.reporter, "transcribe", *isolated) if units else []
        new = [row for report in reports for row in report.rows]
        run.transcripts = sorted((*done, *new), key=lambda row: str(row["uri"]))
        rejected = [*problems, *(rejection for report in reports for rejection in report.rejections)]
        run.recording_rejections += rejected
        stage["audio_seconds"] = sum(row["seconds"] for row in new)
    said = f"transcribe: {len(new)} recordings done, {len(done)} were done before"
    bad = len(rejected)
    run.reporter.say(said + (f", {bad} could not be (see below)" if bad else "") + f"; in {asked.output}")
