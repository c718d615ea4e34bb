"""From source audio to parts: decode once, prepare, compute every feature in one pass, write.

`prepare_unit` starts from the source's bytes; `featurize.py` from prepared audio that is already in the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from sorigil.audio.spec import RawAudio
from sorigil.errors import AudioError
from sorigil.types import Report
from storage import files
from tasks.breadcrumb import Breadcrumb
from tasks.heap import keep_freed_memory
from tasks.recordings import opened, raw_of, surprises_told
from tasks.rows import Item, refuse, row_of, samples_there, span_of, streams
from tasks.unit_output import Output, unexpected
from tasks.units import PrepareUnit

if TYPE_CHECKING:
    from sorigil.audio.decode import Decoded, LongRecording


def prepare_unit(unit: PrepareUnit) -> Report:
    """Decode, prepare, featurize and store one unit. A bad item becomes a rejection; the others go on."""
    keep_freed_memory()
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb, Output(unit) as output:
        for uri, items in _by_recording(unit.items):
            breadcrumb.drop(uri, items[0]["size"])
            _recording(unit, uri, items, output)
        return output.finish()


def _by_recording(items: pa.Table) -> Iterator[tuple[str, list[Item]]]:
    """The items grouped by the file they lie in, so that each file is decoded once."""
    groups: dict[str, list[Item]] = {}
    for row in items.to_pylist():
        groups.setdefault(row["uri"], []).append(row)
    yield from groups.items()


def _recording(unit: PrepareUnit, uri: str, items: Sequence[Item], output: Output) -> None:
    from sorigil.audio.decode import LongRecording

    sha256: str | None = None
    try:
        clock = time.perf_counter()
        with opened(files.join(unit.base, uri)) as source:
            sha256 = source.sha256
            unit.refuse_erased("file", sha256)
            clock = output.time("read", clock)
            recording = _decode(source.file, uri, unit.raw)
            clock = output.time("decode", clock)
            utterances = list(streams(unit.audio, items, recording.channels))
            if unit.audio.segment.kind != "none":
                from tasks.segments import segment_pieces

                utterances = segment_pieces(unit.audio, utterances, recording)
                output.time("segment", clock)
                if isinstance(recording, LongRecording):
                    recording = _decode(source.file, uri, unit.raw)  # the first reading is used up
            if isinstance(recording, LongRecording):
                from tasks.long_recordings import prepare_long

                prepare_long(unit, recording, utterances, sha256, output)
                return
    except AudioError as wrong:
        for item in items:
            output.reject(item, sha256, "decode", wrong)
        return
    for item in utterances:
        _item(unit, item, sha256, recording, output)


def _decode(file: BinaryIO, uri: str, raw: RawAudio | None) -> Decoded | LongRecording:
    from sorigil.audio.decode import open_audio

    with surprises_told(uri):
        return open_audio(file, name=uri, raw=raw_of(raw, uri))


def _item(unit: PrepareUnit, item: Item, sha256: str, decoded: Decoded, output: Output) -> None:
    from sorigil.audio.prepare import prepare, to_float
    from sorigil.features import compute

    rate = decoded.sample_rate
    start, length = span_of(item, rate)
    stage = "prepare"
    try:
        clock = time.perf_counter()
        refuse(item)
        prepared = prepare(decoded, unit.audio, start=start, length=length, channel=item["channel"])
        clock = output.time("resample", clock)
        row = row_of(unit, item, sha256, decoded, prepared)
        stage = "features"
        features = compute(unit.features, to_float(prepared.pcm), prepared.sample_rate)
        output.time("features", clock)
    except Exception as error:
        wrong = error if isinstance(error, AudioError) else unexpected(error, item["uri"])
        known = samples_there(item, decoded.num_samples, rate)
        output.reject(item, sha256, stage, wrong, num_samples=known, sample_rate=rate)
        return
    output.listen(row, [to_float(prepared.pcm)])
    output.write_audio(row, [prepared.pcm])
    for number, matrix_TF in enumerate(features):
        output.write_feature(row, number, [matrix_TF])
    output.keep(row, prepared.source_samples / rate, prepared.num_samples)
