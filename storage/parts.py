"""Parquet parts: prepared audio and features, written once, never changed.

Audio follows the Hugging Face convention (`audio: struct<bytes, path>`), so `datasets.load_dataset("parquet", …)` hears
it. Features are a flat list of numbers a row, `num_frames × dim` in frame order, cut into chunks of at most
`CHUNK_FRAMES` frames so that a long recording needs no giant row. The spec that made a part is in its metadata.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sorigil.types import Part
from storage import files
from storage.layout import Store

CHUNK_FRAMES = 3000
ROW_GROUP_BYTES = 2 << 20  # shuffled reading takes whole row groups, in random order
_PART_FORMAT = "1"
_HUGGINGFACE = {"info": {"features": {"audio": {"_type": "Audio"}}}}


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureRows:
    """Where the features of each item of one part went: first row and number of frames, in the items' order."""

    part: Part
    rows: list[int]
    num_frames: list[int]


def write_audio(
    store: Store,
    uri: str,
    spec: Any,
    fingerprint: str,
    sample_rate: int,
    keys: Sequence[str],
    flacs: Sequence[bytes],
    num_samples: Sequence[int],
) -> Part:
    """One part of prepared audio: FLAC bytes a row."""
    audio = pa.StructArray.from_arrays(
        [pa.array(flacs, pa.binary()), pa.array([f"{key}.flac" for key in keys], pa.string())], ["bytes", "path"]
    )
    table = pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "audio": audio,
            "sample_rate": pa.array([sample_rate] * len(keys), pa.int32()),
            "num_samples": pa.array(num_samples, pa.int64()),
        }
    ).replace_schema_metadata(
        {"huggingface": json.dumps(_HUGGINGFACE), "sorigil.format": _PART_FORMAT, "sorigil.spec": json.dumps(spec)}
    )
    average = sum(map(len, flacs)) // max(1, len(flacs)) + 1
    data = _serialise(table, max(1, ROW_GROUP_BYTES // average), compression="none")
    return _commit(store, "audio", uri, fingerprint, data, len(keys), sum(num_samples))


def write_features(
    store: Store,
    uri: str,
    spec: Any,
    fingerprint: str,
    dtype: str,
    keys: Sequence[str],
    features: Sequence[NDArray[np.float32]],
    num_samples: int,
) -> FeatureRows:
    """One part of one feature. `features` are (T, F) arrays; stored as `dtype` (float16 or float32)."""
    chunks: list[NDArray[np.float32]] = []
    chunk_keys: list[str] = []
    chunk_numbers: list[int] = []
    rows: list[int] = []
    for key, matrix_TF in zip(keys, features, strict=True):
        rows.append(len(chunks))
        for number, start in enumerate(range(0, max(1, len(matrix_TF)), CHUNK_FRAMES)):
            chunks.append(matrix_TF[start : start + CHUNK_FRAMES])
            chunk_keys.append(key)
            chunk_numbers.append(number)
    sizes = [chunk.size for chunk in chunks]
    flat = np.concatenate([chunk.ravel() for chunk in chunks]).astype(dtype)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    table = pa.table(
        {
            "key": pa.array(chunk_keys, pa.string()),
            "chunk": pa.array(chunk_numbers, pa.int32()),
            "num_frames": pa.array([len(chunk) for chunk in chunks], pa.int32()),
            "dim": pa.array([chunk.shape[1] for chunk in chunks], pa.int32()),
            "values": pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)),
        }
    ).replace_schema_metadata({"sorigil.format": _PART_FORMAT, "sorigil.spec": json.dumps(spec)})
    average = flat.nbytes // max(1, len(chunks)) + 1
    # Measured on log-mel 80: byte-stream-split makes float16 a quarter smaller, and reading a little faster.
    data = _serialise(
        table,
        max(1, ROW_GROUP_BYTES // average),
        compression="zstd",
        compression_level=1,
        column_encoding={"values.list.element": "BYTE_STREAM_SPLIT"},
    )
    part = _commit(store, "features", uri, fingerprint, data, len(chunks), num_samples)
    return FeatureRows(part=part, rows=rows, num_frames=[len(matrix) for matrix in features])


def _serialise(table: pa.Table, row_group_rows: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=row_group_rows, use_dictionary=False, **options)
    return buffer.getvalue()


def _commit(store: Store, stage: str, uri: str, fingerprint: str, data: bytes, rows: int, samples: int) -> Part:
    files.write_bytes(store.path(uri), data)
    return Part(
        stage=stage,
        fingerprint=fingerprint,
        uri=uri,
        rows=rows,
        samples=samples,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def open_parquet(uri: str) -> pq.ParquetFile:
    if not files.is_url(uri):
        return pq.ParquetFile(files.local_path(uri), memory_map=False)
    system, path = files.filesystem(uri)
    return pq.ParquetFile(path, filesystem=system)


def read_table(uri: str, columns: Iterable[str] | None = None) -> pa.Table:
    return open_parquet(uri).read(columns=list(columns) if columns is not None else None)


def write_table(uri: str, table: pa.Table) -> None:
    """Any small table (a unit's ledger, per-utterance scores), committed whole."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    files.write_bytes(uri, buffer.getvalue())


class PartReader:
    """Reads single rows of many parts, a row group at a time, keeping the last ones used up to `cache_bytes`.

    Not thread-safe; every process and thread has its own.
    """

    def __init__(self, store: Store, columns: tuple[str, ...], cache_bytes: int = 512 << 20) -> None:
        self._store = store
        self._columns = list(columns)
        self._limit = cache_bytes
        self._held = 0
        self._groups: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()
        self._starts: dict[str, NDArray[np.int64]] = {}

    def group_of(self, part: str, row: int) -> int:
        """The row group of `part` that holds `row`."""
        return int(np.searchsorted(self._row_starts(part), row, side="right")) - 1

    def rows(self, part: str, row: int, count: int = 1) -> list[dict[str, Any]]:
        """`count` consecutive rows, each a dict of Arrow scalars by column."""
        return [self._row(part, index) for index in range(row, row + count)]

    def _row(self, part: str, row: int) -> dict[str, Any]:
        group = self.group_of(part, row)
        table = self._group(part, group)
        offset = row - int(self._row_starts(part)[group])
        return {name: table.column(name)[offset] for name in self._columns}

    def _row_starts(self, part: str) -> NDArray[np.int64]:
        if part not in self._starts:
            metadata = open_parquet(self._store.path(part)).metadata
            sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
            self._starts[part] = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        return self._starts[part]

    def _group(self, part: str, group: int) -> pa.Table:
        place = (part, group)
        if place in self._groups:
            self._groups.move_to_end(place)
            return self._groups[place]
        table = open_parquet(self._store.path(part)).read_row_group(group, columns=self._columns).combine_chunks()
        self._groups[place] = table
        self._held += table.nbytes
        while self._held > self._limit and len(self._groups) > 1:
            _, dropped = self._groups.popitem(last=False)
            self._held -= dropped.nbytes
        return table
