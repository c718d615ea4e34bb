"""Writing Parquet parts, a row group at a time: prepared audio and features, written once, never changed.

Audio follows the Hugging Face convention (`audio: struct<bytes, path>`), so `datasets.load_dataset("parquet", …)` hears
it. Features are a flat list of numbers a row, `num_frames × dim` in frame order. Long items lie in several rows, so that
nobody needs a giant one: `CHUNK_FRAMES` frames, `CHUNK_SECONDS` of audio. The spec that made a part is in its metadata.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sorigil.features.half import to_half
from sorigil.types import Part
from storage.layout import Store
from storage.streams import NewFile

CHUNK_FRAMES = 3000
CHUNK_SECONDS = 600
ROW_GROUP_BYTES = 2 << 20  # shuffled reading takes whole row groups, in random order
_PART_FORMAT = "1"
_HUGGINGFACE = {"info": {"features": {"audio": {"_type": "Audio"}}}}


class _PartWriter(ABC):
    """What both kinds share: rows are gathered until they fill a row group; `commit` makes the part visible, whole.

    Nothing is on disk before the first row. Whoever does not come to `commit` calls `abandon`.
    """

    stage: str
    options: Mapping[str, Any]

    def __init__(self, store: Store, uri: str, schema: pa.Schema, spec: Any, fingerprint: str) -> None:
        self._store, self.uri, self.fingerprint = store, uri, fingerprint
        described = {**(schema.metadata or {}), "sorigil.format": _PART_FORMAT, "sorigil.spec": json.dumps(spec)}
        self._schema = schema.with_metadata(described)
        self._file: NewFile | None = None
        self._writer: pq.ParquetWriter | None = None
        self._held = 0  # bytes
        self._gathered = 0  # rows
        self.rows = 0

    def _make_room(self, size: int) -> None:
        """Call before a row of `size` bytes is gathered."""
        if self._gathered and self._held + size > ROW_GROUP_BYTES:
            self._flush()
        self.rows += 1
        self._gathered += 1
        self._held += size

    def _flush(self) -> None:
        if self._writer is None:
            self._file = NewFile(self._store.path(self.uri))
            self._writer = pq.ParquetWriter(self._file.path, self._schema, use_dictionary=False, **self.options)
        table = pa.Table.from_arrays(self._columns(), schema=self._schema)
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._held = self._gathered = 0

    @abstractmethod
    def _columns(self) -> list[pa.Array]:
        """The rows gathered since the last time, as columns; they are forgotten."""

    def commit(self, samples: int) -> Part:
        """Finish the part. `samples` is the length of the items' audio, for the books."""
        if self._gathered or self._writer is None:
            self._flush()
        assert self._writer is not None and self._file is not None
        self._writer.close()
        sha256 = self._file.commit()
        return Part(
            stage=self.stage,
            fingerprint=self.fingerprint,
            uri=self.uri,
            rows=self.rows,
            samples=samples,
            sha256=sha256,
        )

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            self._writer.close()
        if self._file is not None:
            self._file.abandon()


class AudioWriter(_PartWriter):
    """A part of prepared audio: FLAC bytes a row."""

    stage = "audio"
    options: Mapping[str, Any] = {"compression": "none"}

    def __init__(self, store: Store, uri: str, spec: Any, fingerprint: str, sample_rate: int) -> None:
        audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = [
            ("key", pa.string()), ("audio", audio), ("sample_rate", pa.int32()), ("num_samples", pa.int64()),
            ("chunk", pa.int32()),
        ]  # fmt: skip
        schema = pa.schema(columns, {"huggingface": json.dumps(_HUGGINGFACE)})
        super().__init__(store, uri, schema, spec, fingerprint)
        self._sample_rate = sample_rate
        self._files: list[tuple[str, bytes, int, int]] = []

    def add(self, key: str, flacs: Iterable[tuple[bytes, int]]) -> int:
        """One item: its audio as FLAC files with their lengths in samples, to be joined. Returns its first row."""
        first = self.rows
        for chunk, (flac, num_samples) in enumerate(flacs):
            self._make_room(len(flac))
            self._files.append((key, flac, num_samples, chunk))
        return first

    def _columns(self) -> list[pa.Array]:
        keys, flacs, lengths, chunks = zip(*self._files, strict=True) if self._files else ((), (), (), ())
        self._files = []
        paths = [f"{key}.{chunk}.flac" if chunk else f"{key}.flac" for key, chunk in zip(keys, chunks, strict=True)]
        audio = pa.StructArray.from_arrays(
            [pa.array(flacs, pa.binary()), pa.array(paths, pa.string())], ["bytes", "path"]
        )
        rates = pa.array([self._sample_rate] * len(keys), pa.int32())
        return [
            pa.array(keys, pa.string()), audio, rates, pa.array(lengths, pa.int64()), pa.array(chunks, pa.int32()),
        ]  # fmt: skip


class FeatureWriter(_PartWriter):
    """A part of one feature, stored as `dtype` (float16 or float32)."""

    stage = "features"
    # Measured on log-mel 80: byte-stream-split makes float16 a quarter smaller; without statistics of the values, which
    # nobody asks for, writing is a quarter faster; values that cannot be null are read a third faster.
    options: Mapping[str, Any] = {
        "compression": "zstd",
        "compression_level": 1,
        "column_encoding": {"values.list.element": "BYTE_STREAM_SPLIT"},
        "write_statistics": ["key", "chunk", "num_frames", "dim"],
    }

    def __init__(self, store: Store, uri: str, spec: Any, fingerprint: str, dtype: str) -> None:
        number = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
        columns = [
            pa.field("key", pa.string()), pa.field("chunk", pa.int32()), pa.field("num_frames", pa.int32()),
            pa.field("dim", pa.int32()), pa.field("values", pa.list_(number), nullable=False),
        ]  # fmt: skip
        super().__init__(store, uri, pa.schema(columns), spec, fingerprint)
        self._dtype = np.dtype(dtype)
        self._keys: list[str] = []
        self._numbers: list[int] = []
        self._chunks: list[NDArray[Any]] = []

    def add(self, key: str, blocks: Iterable[NDArray[np.float32]]) -> tuple[int, int]:
        """One item: its (T, F) matrix, whole or in several blocks. Returns its first row and the number of frames."""
        first, frames = self.rows, 0
        for chunk in chunked(blocks, CHUNK_FRAMES):
            stored = to_half(chunk) if self._dtype == np.float16 else chunk.astype(self._dtype)
            number = self.rows - first
            self._make_room(stored.nbytes)
            self._keys.append(key)
            self._numbers.append(number)
            self._chunks.append(stored)
            frames += len(stored)
        return first, frames

    def _columns(self) -> list[pa.Array]:
        keys, numbers, chunks = self._keys, self._numbers, self._chunks
        self._keys, self._numbers, self._chunks = [], [], []
        flat = np.concatenate([chunk.ravel() for chunk in chunks]) if chunks else np.zeros(0, self._dtype)
        offsets = np.concatenate([[0], np.cumsum([chunk.size for chunk in chunks])]).astype(np.int32)
        return [
            pa.array(keys, pa.string()),
            pa.array(numbers, pa.int32()),
            pa.array([len(chunk) for chunk in chunks], pa.int32()),
            pa.array([chunk.shape[1] for chunk in chunks], pa.int32()),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=self._schema.field("values").type),
        ]


def chunked(blocks: Iterable[NDArray[Any]], size: int) -> Iterator[NDArray[Any]]:
    """The same rows in pieces of `size`, the last one shorter; at least one, be it empty."""
    held: list[NDArray[Any]] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count > size:
            whole = np.concatenate(held)
            last = (count - 1) // size * size
            yield from np.split(whole[:last], range(size, last, size))
            held, count = [whole[last:]], count - last
    yield held[0] if len(held) == 1 else np.concatenate(held)
