"""What the ledger, and then the catalogue, says of one item of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sorigil.audio.spec import SIGNAL_FORMAT, AudioSpec
from sorigil.fingerprint import digest, fingerprint
from storage import files
from tasks.units import RAW_SUFFIXES, PrepareUnit

Item = dict[str, Any]  # a row of a unit's items
Row = dict[str, Any]  # a row of its ledger


def streams(audio: AudioSpec, items: Iterable[Item], channels: int) -> Iterator[Item]:
    """The items, or with `channels: each` every channel of them as a piece; an item that names its channel has one."""
    for item in items:
        if audio.channels != "each" or channels == 1 or item["channel"] is not None:
            yield item
            continue
        for channel in range(channels):
            yield {**item, "channel": channel, "piece": f"ch{channel}", "pieces": channels}


def span_of(item: Item, sample_rate: int) -> tuple[int, int | None]:
    """The item's start and length in source samples; None: to the recording's end."""
    length = None if item["seconds"] is None else round(item["seconds"] * sample_rate)
    return round((item["start"] or 0.0) * sample_rate), length


def refuse(item: Item) -> None:
    """Raise the item's problem where one is known before it is prepared."""
    if "problem" in item:
        raise item["problem"]


def samples_there(item: Item, total: int, sample_rate: int) -> int:
    """How much of a recording of `total` samples the item takes: of a span that goes on beyond the end, what is there."""
    start, length = span_of(item, sample_rate)
    there = max(0, total - start)
    return there if length is None else min(length, there)


def row_of(unit: PrepareUnit, item: Item, sha256: str, recording: Any, prepared: Any) -> Row:
    """The row of a prepared item (`Prepared` or `LongPrepared`) of a recording (`Decoded` or `LongRecording`).

    Raises AudioError where the item was erased.
    """
    start, _ = span_of(item, recording.sample_rate)
    key = digest(sha256, start, prepared.source_samples, item["channel"], *_read_as(unit, item["uri"]))
    unit.refuse_erased("key", key)
    return {
        **{
            name: item.get(name)
            for name in ("id", "place", "uri", "stamp", "channel", "piece", "pieces", "left_out_samples")
        },
        "key": key,
        "sha256": sha256,
        "start": start,
        "num_samples": prepared.source_samples,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "container": recording.container,
        "header_samples": recording.header_samples,
        "peak": prepared.peak,
        "rms": prepared.rms,
        "clipped_share": prepared.clipped_share,
        "dc": prepared.dc,
        "pcm_hash": prepared.pcm_hash,
        "trimmed_samples": prepared.trimmed_samples,
        **{name: getattr(prepared.signal, name) for name in prepared.signal.__slots__},
        "signal_format": SIGNAL_FORMAT,
        "audio_spec": unit.audio_spec,
        "audio_key": digest(key, unit.audio_spec),
        "prepared_rate": prepared.sample_rate,
        "prepared_samples": prepared.num_samples,
    }


def _read_as(unit: PrepareUnit, uri: str) -> tuple[str, ...]:
    """What belongs to a headerless file's identity besides its bytes, which do not say how they are to be read."""
    return (fingerprint(unit.raw),) if unit.raw and files.suffix(uri) in RAW_SUFFIXES else ()
