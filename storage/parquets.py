"""Recordings that lie in a column of a Parquet file, as Hugging Face stores them: `data.parquet!audio/17` is row 17.

The column is a struct with `bytes`, or bytes themselves. Rows are read a few at a time, so whoever asks for them in order
reads each part of the file once, whatever the size of its row groups.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage import files
from storage.members import ArchiveError, Member

PARQUET_SUFFIXES = (".parquet",)
_ROWS_AT_ONCE = 16


class Parquet:
    """An open Parquet file; its members are called `COLUMN/ROW`."""

    def __init__(self, uri: str, size: int) -> None:
        self._lock = threading.Lock()
        self.file = opened(uri)
        metadata = self.file.metadata
        sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._average = size // max(1, metadata.num_rows)
        self._place = ("", -1)  # column, and the row that the next batch begins with
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._held: pa.Array = pa.array([], pa.binary())

    def members(self) -> Iterator[Member]:
        for column in audio_columns(self.file.schema_arrow):
            for row in range(self.file.metadata.num_rows):
                yield Member(f"{column}/{row}", row, self._average, "")

    def read(self, name: str) -> bytes:
        column, _, row = name.rpartition("/")
        missing = FileNotFoundError(2, "the Parquet file holds no such recording", name)
        if column not in audio_columns(self.file.schema_arrow) or not (row.isascii() and row.isdecimal()):
            raise missing
        if int(row) >= self.file.metadata.num_rows:
            raise missing
        with self._lock:
            value = self._value(column, int(row)).as_py()
        if value is None:
            raise missing
        return bytes(value)

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))

    def _value(self, column: str, row: int) -> Any:
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        first = self._place[1] - len(self._held)  # of the rows that are held
        try:
            if self._place[0] != column or row < first or self._starts[group] >= self._place[1]:
                self._batches = self.file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[column])
                self._place, self._held = (column, int(self._starts[group])), pa.array([], pa.binary())
            while row >= self._place[1]:
                found = next(self._batches).column(column)
                self._held = found.field("bytes") if pa.types.is_struct(found.type) else found
                self._place = (column, self._place[1] + len(found))
        except (pa.ArrowException, OSError) as broken:
            raise ArchiveError(f"the Parquet file is damaged ({broken})") from broken
        return self._held[row - self._place[1] + len(self._held)]


def opened(uri: str) -> pq.ParquetFile:
    """Raises OSError: ArchiveError where it is no Parquet file."""
    try:
        return pq.ParquetFile(files.open_input(uri), pre_buffer=False)
    except (pa.ArrowException, ValueError) as wrong:
        raise ArchiveError(f"it is no Parquet file, or damaged ({wrong})") from wrong


def audio_columns(schema: pa.Schema) -> list[str]:
    """The columns that hold recordings: structs with `bytes` and `path`, and bytes called `audio`."""
    return [field.name for field in schema if _holds_audio(field)]


def _holds_audio(field: pa.Field) -> bool:
    if pa.types.is_struct(field.type):
        names = {field.type.field(index).name for index in range(field.type.num_fields)}
        return {"bytes", "path"} <= names
    return bool(field.name == "audio" and (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)))
