"""From source audio to parts: decode once, prepare, compute every feature in one pass, write.

`prepare_unit` starts from the source's bytes, `featurize_unit` from prepared audio that is already in the store (another
feature was asked for, or augmented copies). Both write their parts first and their ledger last, so that whoever is
killed leaves nothing that could be mistaken for done.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.errors import AudioError
from sorigil.features import FeatureSpec
from sorigil.fingerprint import digest, fingerprint, to_dict
from sorigil.types import Part, Rejection, Report
from storage import files, ledger, parts
from storage.layout import Store
from tasks.breadcrumb import Breadcrumb

log = logging.getLogger("sorigil")

RAW_SUFFIXES = (".raw", ".pcm")  # headerless, read with the source's `raw`


@dataclass(frozen=True, kw_only=True)
class PrepareUnit:
    """Some recordings of one source; `items` has the columns id, uri, place, stamp, start, seconds, channel."""

    store: Store
    dataset: str
    base: str  # what the items' uris are relative to
    unit: str
    audio: AudioSpec
    features: tuple[FeatureSpec, ...]
    keep_audio: bool
    raw: RawAudio | None
    items: pa.Table

    @property
    def ledger(self) -> str:
        return self.store.unit(self.dataset, work_key(self.audio, self.keep_audio), self.unit)


@dataclass(frozen=True, kw_only=True)
class FeaturizeUnit:
    """Some rows of prepared audio; `items` has the columns key, audio_key, audio_part, audio_row.

    With `augment` each feature is computed from a changed copy of the audio; `seed` and `copy` say which.
    """

    store: Store
    dataset: str
    unit: str
    audio: AudioSpec
    features: tuple[FeatureSpec, ...]
    items: pa.Table
    augment: Any = None
    seed: int = 0
    copy: int = 0

    @property
    def ledger(self) -> str:
        specs = [feature_spec_key(self.audio, spec, self.augment, self.seed, self.copy) for spec in self.features]
        return self.store.unit(self.dataset, digest("featurize", *specs), self.unit)


def work_key(audio: AudioSpec, keep_audio: bool) -> str:
    """Names the folder of the ledger that all units of this work share, whatever features they computed besides."""
    return digest("prepare", fingerprint(audio), int(keep_audio))


def feature_spec_key(audio: AudioSpec, spec: FeatureSpec, augment: Any = None, seed: int = 0, copy: int = 0) -> str:
    """One name for all rows that were made in this way; a feature key is H(audio key, this)."""
    if augment is None:
        return digest("features", fingerprint(audio), fingerprint(spec))
    return digest("features", fingerprint(audio), fingerprint(spec), fingerprint(augment), seed, copy)


@dataclass(slots=True)
class _Output:
    """What a unit gathers before it writes: prepared audio, features by spec, ledger rows."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    pcm: list[NDArray[np.int16]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    features: list[list[NDArray[np.float32]]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    audio_seconds: float = 0.0

    def time(self, step: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - since
        return now


def prepare_unit(unit: PrepareUnit) -> Report:
    """Decode, prepare, featurize and store one unit. A bad item becomes a rejection; the others go on."""
    output = _Output(features=[[] for _ in unit.features])
    with Breadcrumb(unit.store, unit.ledger) as breadcrumb:
        for uri, spans in _by_recording(unit.items):
            breadcrumb.drop(uri)
            _recording(unit, uri, spans, output)
    return _write(unit, output, fingerprint(unit.audio))


def _by_recording(items: pa.Table) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The items grouped by the file they lie in, so that each file is decoded once."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in items.to_pylist():
        groups.setdefault(row["uri"], []).append(row)
    yield from groups.items()


def _recording(unit: PrepareUnit, uri: str, spans: Sequence[dict[str, Any]], output: _Output) -> None:
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
            _reject(output, item, sha256, "decode", wrong)
        return
    for item in spans:
        _span(unit, item, sha256, decoded, output)


def _read(uri: str) -> bytes:
    try:
        return files.read_bytes(uri)
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
        raise _unexpected(bug, uri) from bug


def _unexpected(bug: Exception, item: str) -> AudioError:
    """A surprise is one item's, not the archive's; but too little memory says nothing about the item."""
    if isinstance(bug, MemoryError):
        raise bug
    log.error("%s failed in an unforeseen way", item, exc_info=bug)
    return AudioError("unexpected_error", f"{type(bug).__name__}: {bug}")


def _read_as(unit: PrepareUnit, uri: str) -> tuple[str, ...]:
    """What belongs to a headerless file's identity besides its bytes, which do not say how they are to be read."""
    return (fingerprint(unit.raw),) if unit.raw and files.suffix(uri) in RAW_SUFFIXES else ()


def _span(unit: PrepareUnit, item: dict[str, Any], sha256: str | None, decoded: Any, output: _Output) -> None:
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
        wrong = error if isinstance(error, AudioError) else _unexpected(error, item["uri"])
        there = max(0, decoded.num_samples - start)  # of a span that goes on beyond the end, what is there
        known = there if length is None else min(length, there)
        _reject(output, item, sha256, stage, wrong, num_samples=known, sample_rate=rate)
        return
    row = _row(unit, item, sha256, decoded, prepared, start)
    output.rows.append(row)
    output.kept.append(row)
    output.pcm.append(prepared.pcm)
    output.audio_seconds += prepared.source_samples / rate
    for column, matrix_TF in zip(output.features, features, strict=True):
        column.append(matrix_TF)


def _row(
    unit: PrepareUnit, item: dict[str, Any], sha256: str | None, decoded: Any, prepared: Any, start: int
) -> dict[str, Any]:
    """What the catalogue will say of a prepared item."""
    key = digest(sha256, start, prepared.source_samples, item["channel"], *_read_as(unit, item["uri"]))
    return {
        **{name: item[name] for name in ("id", "place", "uri", "stamp", "channel")},
        "key": key,
        "sha256": sha256,
        "start": start,
        "num_samples": prepared.source_samples,
        "sample_rate": decoded.sample_rate,
        "channels": decoded.samples.shape[1],
        "container": decoded.container,
        "peak": prepared.peak,
        "rms": prepared.rms,
        "clipped_share": prepared.clipped_share,
        "dc": prepared.dc,
        "trimmed_samples": prepared.trimmed_samples,
        "audio_spec": fingerprint(unit.audio),
        "audio_key": digest(key, fingerprint(unit.audio)),
        "prepared_rate": prepared.sample_rate,
        "prepared_samples": len(prepared.pcm),
    }


def _reject(
    output: _Output, item: dict[str, Any], sha256: str | None, stage: str, wrong: AudioError, **known: int
) -> None:
    copied = {name: item[name] for name in ("id", "place", "uri", "stamp")}
    output.rows.append(
        {
            **copied,
            "key": item.get("key"),
            "sha256": sha256,
            "stage": stage,
            "reason": wrong.reason,
            "detail": wrong.detail,
            **known,
        }
    )
    output.rejections.append(
        Rejection(id=item["id"], uri=item["uri"], stage=stage, reason=wrong.reason, detail=wrong.detail, sha256=sha256)
    )


def _write(unit: PrepareUnit, output: _Output, audio_spec: str) -> Report:
    clock = time.perf_counter()
    written: list[Part] = []
    if output.kept and unit.keep_audio:
        written.append(_write_audio(unit, output, audio_spec))
    if output.kept:
        written += _write_features(unit, output.kept, output.features, unit.audio, clips=sum(map(len, output.pcm)))
    return _finish(unit, output, written, clock)


def _finish(unit: PrepareUnit | FeaturizeUnit, output: _Output, written: list[Part], clock: float) -> Report:
    """The ledger, after the parts: from here on the unit is done."""
    ledger.write(unit.store, unit.ledger, output.rows)
    output.time("write", clock)
    return Report(
        unit=unit.unit,
        items=len(output.rows),
        audio_seconds=output.audio_seconds,
        parts=tuple(written),
        rejections=tuple(output.rejections),
        seconds=output.seconds,
    )


def _write_audio(unit: PrepareUnit, output: _Output, audio_spec: str) -> Part:
    from sorigil.audio.prepare import encode_flac

    uri = unit.store.audio_part(unit.dataset, audio_spec, unit.unit)
    rate = unit.audio.sample_rate
    keys = [row["audio_key"] for row in output.kept]
    flacs = [encode_flac(pcm, rate) for pcm in output.pcm]
    lengths = [len(pcm) for pcm in output.pcm]
    part = parts.write_audio(unit.store, uri, to_dict(unit.audio), audio_spec, rate, keys, flacs, lengths)
    for number, row in enumerate(output.kept):
        row["audio_part"], row["audio_row"], row["audio_part_sha256"] = uri, number, part.sha256
    return part


def _write_features(
    unit: PrepareUnit | FeaturizeUnit,
    rows: list[dict[str, Any]],
    features: list[list[NDArray[np.float32]]],
    audio: AudioSpec,
    clips: int,
    **augmented: Any,
) -> list[Part]:
    """One part a feature; each row's `features` then says where its own are."""
    written: list[Part] = []
    for spec, matrices in zip(unit.features, features, strict=True):
        name = feature_spec_key(audio, spec, **augmented)
        keys = [digest(row["audio_key"], name) for row in rows]
        uri = unit.store.feature_part(unit.dataset, name, unit.unit)
        found = parts.write_features(unit.store, uri, to_dict(spec), name, spec.dtype, keys, matrices, clips)
        written.append(found.part)
        for row, key, first, frames in zip(rows, keys, found.rows, found.num_frames, strict=True):
            entry = {"feature_key": key, "spec": name, "part": uri, "row": first, "num_frames": frames}
            entry["part_sha256"] = found.part.sha256
            row.setdefault("features", []).append(entry)
    return written


def featurize_unit(unit: FeaturizeUnit) -> Report:
    """Compute features from prepared audio that is in the store, of each item or of an augmented copy of it."""
    from sorigil.audio.prepare import decode_flac, to_float
    from sorigil.features import compute

    output = _Output(features=[[] for _ in unit.features])
    reader = parts.PartReader(unit.store, ("audio",), cache_bytes=64 << 20)
    rate = unit.audio.sample_rate
    with Breadcrumb(unit.store, unit.ledger) as breadcrumb:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["key"])
            clock = time.perf_counter()
            (stored,) = reader.rows(item["audio_part"], item["audio_row"])
            samples = to_float(decode_flac(stored["audio"]["bytes"].as_py()))
            clock = output.time("read", clock)
            try:
                features = compute(unit.features, _changed(unit, samples, item["key"]), rate)
            except Exception as error:
                wrong = error if isinstance(error, AudioError) else _unexpected(error, item["key"])
                nameless = {"id": item["key"], "place": None, "uri": None, "stamp": None}
                _reject(output, {**item, **nameless}, None, "features", wrong)
                continue
            output.time("features", clock)
            row = {"key": item["key"], "audio_key": item["audio_key"]}
            output.rows.append(row)
            output.kept.append(row)
            output.audio_seconds += len(samples) / rate
            for column, matrix_TF in zip(output.features, features, strict=True):
                column.append(matrix_TF)
    clock = time.perf_counter()
    samples_done = round(output.audio_seconds * rate)
    made = {"augment": unit.augment, "seed": unit.seed, "copy": unit.copy}
    written = (
        _write_features(unit, output.kept, output.features, unit.audio, samples_done, **made) if output.kept else []
    )
    return _finish(unit, output, written, clock)


def _changed(unit: FeaturizeUnit, samples: NDArray[np.float32], key: str) -> NDArray[np.float32]:
    if unit.augment is None:
        return samples
    from sorigil.audio.augment import augment, rng_for

    return augment(samples, unit.audio.sample_rate, unit.augment, rng_for(unit.seed, 0, key, unit.copy))
