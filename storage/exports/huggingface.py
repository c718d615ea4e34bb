"""Hugging Face data sets: Parquet files with a column of the type `Audio`, for `datasets.load_dataset(FOLDER)`.

`data/SPLIT-00000-of-00002.parquet` is where that looks for splits; our dev is its validation. Extras are a JSON object in
a column of text.
"""

from __future__ import annotations

import json
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.exports.clips import Clips
from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.exports.table import by_split, in_part_order, shards, stream

SHARD_BYTES = 256 << 20  # of prepared audio, counted as 16-bit samples; FLAC takes about half
_GROUP_BYTES = 8 << 20  # readers hold a row group of it, or several
_THEIR_NAMES = {"dev": "validation"}
_TEXTS = ("text", "label", "speaker", "lang", "split", "extras")


def write_huggingface(place: ExportPlace, table: pa.Table, sound: Sound) -> list[str]:
    """The Parquet files; loses nothing."""
    clips = sound.clips
    for split, rows in by_split(table):
        parts = list(shards(in_part_order(rows), SHARD_BYTES))
        for number, part in enumerate(parts):
            name = f"data/{_THEIR_NAMES.get(split, split)}-{number:05d}-of-{len(parts):05d}.parquet"
            if not place.has(name):
                with place.create(name) as file:
                    _write(file, part, clips)
    return []


def _write(file: IO[bytes], rows: pa.Table, clips: Clips) -> None:
    (rate,) = set(rows.column("prepared_rate").unique().to_pylist())
    schema = _schema(rate)
    with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
        group: list[dict[str, Any]] = []
        held = 0
        for row in stream(rows):
            with clips.opened(row) as clip:
                data = clip.read()
            said = {name: row[name] for name in ("id", *_TEXTS)}
            duration = row["prepared_samples"] / row["prepared_rate"]
            group.append({**said, "audio": {"bytes": data, "path": f"{row['key']}.{clips.form}"}, "duration": duration})
            held += len(data)
            if held >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group, held = [], 0
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))


def _schema(sample_rate: int) -> pa.Schema:
    value = {"dtype": "string", "_type": "Value"}
    features: dict[str, Any] = {"id": value, "audio": {"sampling_rate": sample_rate, "_type": "Audio"}}
    features |= {"duration": {"dtype": "float64", "_type": "Value"}, **dict.fromkeys(_TEXTS, value)}
    audio = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
    types = {"audio": audio, "duration": pa.float64()}
    fields = [pa.field(name, types.get(name, pa.string())) for name in features]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
