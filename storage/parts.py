"""Reading Parquet: the rows of parts, from anywhere in them, and small tables whole. `part_writers.py` writes parts."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage import files
from storage.layout import Store


def open_parquet(uri: str) -> pq.ParquetFile:
    if not files.is_url(uri):
        return pq.ParquetFile(files.local_path(uri), memory_map=False)
    system, path = files.filesystem(uri)
    return pq.ParquetFile(path, filesystem=system)


def open_bytes(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data))


def read_table(uri: str, columns: Iterable[str] | None = None) -> pa.Table:
    """A small table whole. Raises RequestError where the file is damaged, OSError where it cannot be read."""
    try:
        return open_parquet(uri).read(columns=list(columns) if columns is not None else None)
    except pa.ArrowException as broken:
        raise files.damaged(uri, broken) from broken


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

    def flacs(self, part: str, row: int, num_samples: int) -> Iterator[bytes]:
        """The prepared audio of an item, `num_samples` long, from its first row on: FLAC files to be joined, in order."""
        left = num_samples
        while left > 0:  # whatever the length of chunks was when they were written
            (found,) = self.rows(part, row)
            yield bytes(found["audio"]["bytes"].as_py())
            left -= found["num_samples"].as_py()
            row += 1

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
