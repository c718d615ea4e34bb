"""What one must know who reads a cell of the matrix: what of the audio the model does not hear as it learned to, and which
labels it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.named import some
from sorigil.audio.spec import AudioSpec
from sorigil.errors import RequestError
from sorigil.external.specs import ExternalSpec
from sorigil.fingerprint import fingerprint, to_dict
from sorigil.objectives import OBJECTIVES
from sorigil.text import tags
from storage.dataset import prepared_seconds
from tasks.evaluate_job import EvaluateJob


def of_audio(learned: AudioSpec, here: AudioSpec, rows: pa.Table) -> Iterator[str]:
    """How the audio of the rows was prepared otherwise than where a model learned. `here` is what the pipeline says now,
    which may be something else by now."""
    yield from _resampled(learned.sample_rate, rows)
    known = {fingerprint(replace(learned, sample_rate=rate)) for rate in _rates(rows)}
    prepared = {*pc.unique(rows.column("audio_spec")).drop_null().to_pylist()}
    if prepared <= known:
        return
    how = "in another way"
    if prepared == {fingerprint(here)}:
        ours, theirs = to_dict(here), to_dict(learned)
        differ = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
        how = "; ".join(
            f"{name} is {ours.get(name)}, there {theirs.get(name)}" for name in differ if name != "sample_rate"
        )
    yield f"the audio is prepared otherwise than where the model learned: {how}"


def of_external(spec: ExternalSpec, rows: pa.Table) -> Iterator[str]:
    """What an external does not hear of the audio as it is prepared."""
    if spec.sample_rate:
        yield from _resampled(spec.sample_rate, rows)
    cut = int(np.count_nonzero(prepared_seconds(rows) > spec.longest)) if spec.longest else 0
    if cut:
        yield f"of {cut:,} {'utterance' if cut == 1 else 'utterances'} it hears the first {spec.longest:.1f} s only"


def of_labels(objective: str, outputs: Sequence[str], job: EvaluateJob) -> list[str]:
    """Which labels of the rows the model lacks. Raises RequestError where it knows none of them."""
    references = pc.unique(job.rows.column(job.target)).to_pylist()
    if OBJECTIVES[objective].several:
        references = sorted({tag for text in references for tag in tags.split(tags.read(text, job.separator))})
    unknown = sorted({*references} - {*outputs})
    if len(unknown) == len(references):
        raise RequestError(
            f"the model knows none of the labels: it says {some(outputs)}, here are {some(sorted(references))}"
        )
    return [f"labels that the model does not know count as errors: {some(unknown)}"] if unknown else []


def _resampled(own: int, rows: pa.Table) -> Iterator[str]:
    """That audio is heard at another rate than it is prepared at, and what is missing from it then."""
    rates = [rate for rate in _rates(rows) if rate != own]
    if rates:
        empty = f", the band above {_khz(rates[0] / 2)} is empty" if rates[0] < own else ""
        yield f"prepared at {' and '.join(map(_khz, rates))}, heard at the model's {_khz(own)}{empty}"


def _rates(rows: pa.Table) -> list[int]:
    return sorted(pc.unique(rows.column("prepared_rate")).drop_null().to_pylist())


def _khz(rate: float) -> str:
    return f"{rate / 1000:g} kHz"
