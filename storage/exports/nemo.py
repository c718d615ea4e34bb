"""NeMo manifests: one for each split, a JSON object a line. Paths of the export's own audio are relative to the manifest.

NeMo itself knows audio_filepath, offset, duration, text, lang, speaker and label; what else we say it carries along.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.exports.table import by_split, extras_of, said_of, stream
from storage.sources.nemo import NAMES

_TAKEN = frozenset(
    ("duration", *(alias for aliases in NAMES.values() for alias in aliases))
)  # what would be read as ours


def write_nemo(place: ExportPlace, table: pa.Table, sound: Sound) -> list[str]:
    """The manifests; returns what the format could not carry."""
    for split, rows in by_split(table):
        with place.create(f"{split}_manifest.jsonl") as file:
            for row in stream(rows):
                file.write(json.dumps(_line(row, sound), ensure_ascii=False).encode() + b"\n")
    notes = []
    if sound.in_place and (chosen := len(table) - table.column("channel").null_count):
        notes.append(
            f"{chosen} utterances are one channel of a file: NeMo takes it from its channel_selector, not from here"
        )
    return notes


def _line(row: dict[str, Any], sound: Sound) -> dict[str, Any]:
    clip = sound.clip(row)
    line = {"audio_filepath": sound.relative(clip), "duration": clip.seconds, "text": "", **said_of(row)}
    if not clip.whole:
        line["offset"] = clip.start
    if clip.channel is not None:
        line["channel"] = clip.channel
    return {**line, **extras_of(row, _TAKEN)}
