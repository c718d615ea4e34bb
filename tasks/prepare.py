"""From source audio to parts: decode once, prepare, compute every feature in one pass, write.

`prepare_unit` starts from the source's bytes; `featurize.py` from prepared audio that is already in the store.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from sorigil.audio.spec import SIGNAL_FORMAT, AudioSpec, RawAudio
from sorigil.errors import AudioError
from sorigil.fingerprint import digest, fingerprint
from sorigil.types import Report
from storage import archives, files
from tasks.breadcrumb import Breadcrumb
from tasks.unit_output import Output, unexpected
from tasks.units import RAW_SUFFIXES, PrepareUnit


def prepare_unit(unit: PrepareUnit) -> Report:
    """Decode, prepare, featurize and store one unit. A bad item becomes a rejection; the others go on."""
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb, Output(unit) as output:
        for uri, spans in _by_recording(unit.items):
            breadcrumb.drop(uri, spans[0]["size"])
            _recording(unit, uri, spans, output)
        return output.finish()


def _by_recording(items: pa.Table) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The items grouped by the file they lie in, so that each file is decoded once."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in items.to_pylist():
        groups.setdefault(row["uri"], []).append(row)
    yield from groups.items()


def _recording(unit: PrepareUnit, uri: str, spans: Sequence[dict[str, Any]], output: Output) -> None:
    sha256: str | None = None
    try:
        clock = time.perf_counter()
        data = _read(files.join(unit.base, uri))
        sha256 = hashlib.sha256(data).hexdigest()
        clock = output.time("read", clock)
        decoded = _decode(data, uri, unit.raw)
        output.time("decode", clock)
    except AudioError as wrong:
        for item in spans:
            output.reject(item, sha256, "decode", wrong)
        return
    for item in _streams(unit.audio, spans, decoded.channels):
        _span(unit, item, sha256, decoded, output)


def _streams(audio: AudioSpec, spans: Sequence[dict[str, Any]], channels: int) -> Iterator[dict[str, Any]]:
    """The items, or with `channels: each` every channel of them as a piece; an item that names its channel has one."""
    for item in spans:
        if audio.channels != "each" or channels == 1 or item["channel"] is not None:
            yield item
            continue
        for channel in range(channels):
            yield {**item, "channel": channel, "piece": f"ch{channel}", "pieces": channels}


def _read(uri: str) -> bytes:
    try:
        return archives.read_bytes(uri)
    except FileNotFoundError as missing:
        raise AudioError("missing_file", f"{uri} does not exist") from missing
    except OSError as unreadable:
        raise AudioError("unreadable", f"{uri} cannot be read ({unreadable.strerror or unreadable})") from unreadable


def _decode(data: bytes, uri: str, raw: RawAudio | None) -> Any:
    from sorigil.audio.decode import decode

    try:
        return decode(data, name=uri, raw=raw if files.suffix(uri) in RAW_SUFFIXES else None)
    except AudioError:
        raise
    except Exception as bug:
        raise unexpected(bug, uri) from bug


def _read_as(unit: PrepareUnit, uri: str) -> tuple[str, ...]:
    """What belongs to a headerless file's identity besides its bytes, which do not say how they are to be read."""
    return (fingerprint(unit.raw),) if unit.raw and files.suffix(uri) in RAW_SUFFIXES else ()


def _span(unit: PrepareUnit, item: dict[str, Any], sha256: str | None, decoded: Any, output: Output) -> None:
    from sorigil.audio.prepare import prepare, to_float
    from sorigil.features import compute

    rate = decoded.sample_rate
    start = round((item["start"] or 0.0) * rate)
    length = None if item["seconds"] is None else round(item["seconds"] * rate)
    stage = "prepare"
    try:
        clock = time.perf_counter()
        prepared = prepare(decoded, unit.audio, start=start, length=length, channel=item["channel"])
        clock = output.time("resample", clock)
        stage = "features"
        features = compute(unit.features, to_float(prepared.pcm), prepared.sample_rate)
        output.time("features", clock)
    except Exception as error:
        wrong = error if isinstance(error, AudioError) else unexpected(error, item["uri"])
        there = max(0, decoded.num_samples - start)  # of a span that goes on beyond the end, what is there
        known = there if length is None else min(length, there)
        output.reject(item, sha256, stage, wrong, num_samples=known, sample_rate=rate)
        return
    row = _row(unit, item, sha256, decoded, prepared, start)
    output.write_audio(row, [prepared.pcm])
    for number, matrix_TF in enumerate(features):
        output.write_feature(row, number, [matrix_TF])
    output.keep(row, prepared.source_samples / rate, len(prepared.pcm))


def _row(
    unit: PrepareUnit, item: dict[str, Any], sha256: str | None, decoded: Any, prepared: Any, start: int
) -> dict[str, Any]:
    """What the catalogue will say of a prepared item."""
    key = digest(sha256, start, prepared.source_samples, item["channel"], *_read_as(unit, item["uri"]))
    return {
        **{name: item.get(name) for name in ("id", "place", "uri", "stamp", "channel", "piece", "pieces")},
        "key": key,
        "sha256": sha256,
        "start": start,
        "num_samples": prepared.source_samples,
        "sample_rate": decoded.sample_rate,
        "channels": decoded.samples.shape[1],
        "container": decoded.container,
        "header_samples": decoded.header_samples,
        "peak": prepared.peak,
        "rms": prepared.rms,
        "clipped_share": prepared.clipped_share,
        "dc": prepared.dc,
        "trimmed_samples": prepared.trimmed_samples,
        **dataclasses.asdict(prepared.signal),
        "signal_format": SIGNAL_FORMAT,
        "audio_spec": unit.audio_spec,
        "audio_key": digest(key, unit.audio_spec),
        "prepared_rate": prepared.sample_rate,
        "prepared_samples": len(prepared.pcm),
    }
