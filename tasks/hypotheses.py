"""What a model says of rows, kept by hypothesis key: H(audio key, weights, decoder).

Another normaliser, another metric, a corrected text or a smaller slice is a new score of the same hypotheses, so nothing is
heard again; of a dataset that grew only the new rows are. `answers` has the models' own words, `evaluate` judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.fingerprint import digest, fingerprint
from sorigil.types import Report
from storage import bundles, hypotheses, tables
from storage.dataset import StoredRows
from tasks.answers import Answers, answers_of
from tasks.evaluate_job import EvaluateJob
from tasks.externals import external_answers

HYPOTHESES_FORMAT = 2  # raised when our code would say otherwise, or more, of the same network and audio
PLACES = ("id", "key", "audio_key", "audio_part", "audio_row", "prepared_rate", "prepared_samples", "speaker")


@dataclass(frozen=True, kw_only=True)
class HearUnit:
    """Rows (`job.rows`, with the columns `PLACES`) that a model is to hear from their prepared audio. `place` is where
    what it says belongs (`place_of` of all rows that are heard together)."""

    unit: str
    job: EvaluateJob
    place: str


def hear_unit(unit: HearUnit) -> Report:
    """Hear the unit's rows and keep what was said."""
    heard = _hear(unit.job, model_of(unit.job), unit.job.rows, unit.place)
    audio, decoding = (
        float(pc.sum(heard.column(name)).as_py() or 0.0) for name in ("audio_seconds", "decoding_seconds")
    )
    return Report(unit=unit.unit, items=len(heard), audio_seconds=audio, seconds={"decode": decoding})


def model_of(job: EvaluateJob) -> Any:
    """The bundle, or the external, that answers."""
    return job.external or bundles.load(job.store, job.model_key)


def place_of(job: EvaluateJob, rows: pa.Table) -> str:
    """Names the folder of what this model and decoder say. One that is used to the statistics of speakers says something
    else wherever a speaker is heard with other audio, and a file of answers knows utterances by their ids, so there it is
    a folder for exactly these rows."""
    how = [fingerprint(job.decode), "audio" if job.from_audio else "features", *map(str, job.speeds)]
    if job.by_speaker:
        how += tables.joined(rows.sort_by("key"), ("audio_key", "speaker")).to_pylist()
    if job.external is not None and not job.external.hears:
        how += tables.joined(rows.sort_by("key"), ("key", "id")).to_pylist()
    return digest("hypotheses", HYPOTHESES_FORMAT, job.model_key, *how)


def unheard(job: EvaluateJob, rows: pa.Table, known: pa.ChunkedArray) -> NDArray[np.int64]:
    """Which of the rows have no hypothesis yet, where those of the audio keys `known` have one; of a model that hears by
    speaker all, where one has none."""
    missing = np.flatnonzero(np.asarray(pc.invert(tables.isin(rows.column("audio_key"), known))))
    return np.arange(len(rows)) if job.by_speaker and len(missing) else missing


def hypotheses_of(job: EvaluateJob, model: Any, rows: pa.Table) -> tuple[Answers, float]:
    """What the model says of each row, heard now where it was not heard before, and how many seconds that took a
    worker."""
    place = place_of(job, rows)
    kept = hypotheses.read(job.store, place)
    if len(missing := unheard(job, rows, kept.column("audio_key"))):
        _hear(job, model, tables.taken(rows, missing), place)
        kept = hypotheses.read(job.store, place)
    found = tables.lookup(kept, "audio_key", rows.column("audio_key"))
    sure = found.column("word_confidences")
    several = getattr(job.decode, "n_best", 1) > 1 and not found.column("n_best").null_count
    answers = Answers(
        texts=found.column("text").to_pylist(),
        confidences=found.column("confidence").to_pylist(),
        probabilities_NC=_matrix(found.column("probabilities")),
        word_confidences=None if sure.null_count else sure.to_pylist(),
        n_best=[[(each["text"], each["score"]) for each in row] for row in found.column("n_best").to_pylist()]
        if several
        else None,
    )
    return answers, float(pc.sum(found.column("decoding_seconds")).as_py() or 0.0)


def _hear(job: EvaluateJob, model: Any, rows: pa.Table, place: str) -> pa.Table:
    stored = StoredRows(job.store, rows, audio=job.from_audio)
    said = (
        answers_of(job, model, rows, stored) if job.external is None else external_answers(job.external, rows, stored)
    )
    share_N = stored.seconds / max(float(stored.seconds.sum()), 1e-9)
    heard = pa.table(
        {
            "audio_key": rows.column("audio_key"),
            "text": said.texts,
            "confidence": said.confidences,
            "probabilities": _lists(said.probabilities_NC, len(rows)),
            "word_confidences": pa.nulls(len(rows)) if said.word_confidences is None else said.word_confidences,
            "n_best": _n_best(said.n_best, len(rows)),
            "audio_seconds": stored.seconds,
            "decoding_seconds": share_N * said.seconds,
        },
        schema=hypotheses.SCHEMA,
    )
    hypotheses.write(job.store, place, heard)
    return heard


def _lists(values_NC: NDArray[np.float64] | None, rows: int) -> Any:
    if values_NC is None:
        return pa.nulls(rows, hypotheses.SCHEMA.field("probabilities").type)
    return pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * values_NC.shape[1], values_NC.ravel())


def _matrix(column: Any) -> NDArray[np.float64] | None:
    lists = tables.flat(column)
    return None if lists.null_count else np.asarray(lists.flatten(), np.float64).reshape(len(lists), -1)


def _n_best(found: list[list[tuple[str, float]]] | None, rows: int) -> Any:
    kind = hypotheses.SCHEMA.field("n_best").type
    if found is None:
        return pa.nulls(rows, kind)
    return pa.array([[{"text": text, "score": score} for text, score in row] for row in found], kind)
