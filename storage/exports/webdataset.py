"""WebDataset: tar files of samples, each `KEY.flac` with `KEY.json` (all that is said of it) and `KEY.txt` (its text).

KEY is the utterance's key, because a sample's name ends at its first dot and an id may hold any; the id is in the JSON.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import IO, Any

import pyarrow as pa

from storage.exports.clips import Clips
from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.exports.table import by_split, extras_of, in_part_order, said_of, shards, stream
from storage.sources.rows import SAID

SHARD_BYTES = 256 << 20  # of prepared audio, counted as 16-bit samples
_TAKEN = frozenset(("duration", "sample_rate", *(alias for aliases in SAID.values() for alias in aliases)))


def write_webdataset(place: ExportPlace, table: pa.Table, sound: Sound) -> list[str]:
    """The tar files; loses nothing but extras that are called as our own fields are."""
    for split, rows in by_split(table):
        for number, part in enumerate(shards(in_part_order(rows), SHARD_BYTES)):
            name = f"{split}-{number:06d}.tar"
            if not place.has(name):
                with (
                    place.create(name) as file,
                    tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
                ):
                    for row in stream(part):
                        _add(tar, row, sound.clips)
    return []


def _add(tar: tarfile.TarFile, row: dict[str, Any], clips: Clips) -> None:
    with clips.opened(row) as clip:
        size = clip.seek(0, io.SEEK_END)
        clip.seek(0)
        _put(tar, f"{row['key']}.{clips.form}", clip, size)
    duration = row["prepared_samples"] / row["prepared_rate"]
    said = {**said_of(row), "duration": duration, "sample_rate": row["prepared_rate"], **extras_of(row, _TAKEN)}
    _put_bytes(tar, f"{row['key']}.json", json.dumps(said, ensure_ascii=False).encode())
    if row["text"]:
        _put_bytes(tar, f"{row['key']}.txt", row["text"].encode())


def _put_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _put(tar, name, io.BytesIO(data), len(data))


def _put(tar: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    header = tarfile.TarInfo(name)  # no owner and no time: the same export is the same bytes
    header.size = size
    tar.addfile(header, file)
