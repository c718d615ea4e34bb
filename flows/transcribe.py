"""Transcribe an archive: find what is done, spread the rest over the workers, gather what came of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from flows.language import learn_for
from flows.recordings import erased_recordings, parted
from flows.run import Run
from flows.runtime import Isolation, run_units
from flows.train import mixed_rows, rows_of
from sorigil.errors import RequestError
from sorigil.types import Rejection
from storage import files, language_models, outputs, sources
from storage.outputs import Output
from tasks.by_recording import reject_recordings
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
        erased=erased_recordings(run),
        items=items.slice(0, 0).select(_COLUMNS),
    )
    good = items.filter(pa.array([problem is None for problem in items.column("problem").to_pylist()]))
    work = parted(run, unit, good.select(_COLUMNS), lambda row: found_transcript(unit, row["uri"], row["stamp"]))
    return work.done, work.units, [*problems, *work.refused]


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
