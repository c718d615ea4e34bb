"""Lhotse manifests: recordings, supervisions and cuts of each split, as gzipped JSON lines.

An utterance is a supervision and a cut of the same name. Label, split and extras are in the supervision's `custom`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import IO, Any, cast

import pyarrow as pa

from storage import files
from storage.exports.place import ExportPlace
from storage.exports.sound import Clip, Sound
from storage.exports.table import by_split, extras_of, stream

_CUSTOM = frozenset(("label", "split"))


def write_lhotse(place: ExportPlace, table: pa.Table, sound: Sound) -> list[str]:
    """The manifests; returns what the format could not carry."""
    guessed = 0
    for split, rows in by_split(table):
        with (
            _lines(place, f"recordings_{split}.jsonl.gz") as recordings,
            _lines(place, f"supervisions_{split}.jsonl.gz") as supervisions,
            _lines(place, f"cuts_{split}.jsonl.gz") as cuts,
        ):
            for _, found in groupby(_by_recording(rows, sound), key=lambda each: each[1].recording):
                members = list(found)
                recording, is_guess = _recording([clip for _, clip in members])
                guessed += is_guess
                _put(recordings, recording)
                for row, clip in members:
                    supervision = _supervision(row, clip)
                    _put(supervisions, supervision)
                    _put(cuts, _cut(row, clip, recording, supervision))
    said = "recordings have a header without a length: the manifest gives the end of their last utterance"
    return [f"{guessed} {said}"] if guessed else []


def _by_recording(rows: pa.Table, sound: Sound) -> Iterator[tuple[dict[str, Any], Clip]]:
    order = [(name, "ascending") for name in ("uri", "start", "id")] if sound.in_place else [("id", "ascending")]
    for row in stream(rows.sort_by(order)):
        yield row, sound.clip(row)


def _recording(clips: Sequence[Clip]) -> tuple[dict[str, Any], bool]:
    """The file that the clips lie in, and whether its length is a guess."""
    first = clips[0]
    length = next((clip.num_samples for clip in clips if clip.whole), None) or _header_length(first.address)
    num_samples = length or max(clip.start_sample + clip.num_samples for clip in clips)
    channels = list(range(first.channels))
    kind = "url" if files.is_url(first.address) else "file"
    return {
        "id": first.recording,
        "sources": [{"type": kind, "channels": channels, "source": first.address}],
        "sampling_rate": first.sample_rate,
        "num_samples": num_samples,
        "duration": num_samples / first.sample_rate,
        "channel_ids": channels,
    }, length is None


def _header_length(address: str) -> int | None:
    from sorigil.audio.clip import claimed_length

    try:
        with files.open_input(address) as file:
            return claimed_length(file)
    except OSError:  # gone since the version was made; the other tool will say so
        return None


def _supervision(row: dict[str, Any], clip: Clip) -> dict[str, Any]:
    """The utterance in its recording's time."""
    custom = {name: row[name] for name in ("label", "split") if row[name] is not None} | extras_of(row, _CUSTOM)
    said = {"text": row["text"], "language": row["lang"], "speaker": row["speaker"], "custom": custom or None}
    return {
        "id": row["id"],
        "recording_id": clip.recording,
        "start": clip.start,
        "duration": clip.seconds,
        "channel": _channel(clip),
        **{name: value for name, value in said.items() if value is not None},
    }


def _cut(row: dict[str, Any], clip: Clip, recording: dict[str, Any], supervision: dict[str, Any]) -> dict[str, Any]:
    channel = _channel(clip)
    return {
        "id": row["id"],
        "start": clip.start,
        "duration": clip.seconds,
        "channel": channel,
        "supervisions": [{**supervision, "start": 0.0}],
        "recording": recording,
        "type": "MultiCut" if isinstance(channel, list) else "MonoCut",
    }


def _channel(clip: Clip) -> int | list[int]:
    if clip.channel is not None:
        return clip.channel
    return 0 if clip.channels == 1 else list(range(clip.channels))


@contextmanager
def _lines(place: ExportPlace, name: str) -> Iterator[IO[bytes]]:
    with (
        place.create(name) as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
    ):
        yield cast("IO[bytes]", packed)


def _put(file: IO[bytes], row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
