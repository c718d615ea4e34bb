"""The proof of an erasure: read every file under the root again, and look for what named the person.

Long random names (keys, hashes) are looked for as bytes anywhere, in the decoded columns of Parquet and in the
unpacked blocks of Avro; names that people gave (ids, places, addresses) as whole values.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage import files, tables
from storage.layout import Store
from storage.traces import Traces, array

_BOUND = 16  # letters of a value that Iceberg keeps in its manifests


@dataclass(kw_only=True, slots=True)
class Proof:
    """What was read, and where something was found after all."""

    files: int = 0
    bytes: int = 0
    names: int = 0
    found: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.found


class Needles:
    """What is looked for, made ready for each kind of file."""

    def __init__(self, traces: Traces) -> None:
        self.values = array(traces.secrets() | traces.names())
        self._texts = {json.dumps(name, ensure_ascii=False) for name in traces.names()}
        self._texts |= {f">{name}<" for name in traces.names()}
        self._anywhere = _any_of(name.encode() for name in traces.secrets())
        self._quoted = _any_of(text.encode() for text in self._texts)
        self._bounds = _any_of(name[:_BOUND].encode() for name in traces.secrets())

    def in_bytes(self, data: bytes) -> bool:
        return bool(self._anywhere.search(data))

    def in_text(self, data: bytes) -> bool:
        return self.in_bytes(data) or bool(self._quoted.search(data))

    def in_manifest(self, data: bytes) -> bool:
        return bool(self._bounds.search(data))


def _any_of(needles: Iterator[bytes] | Any) -> re.Pattern[bytes]:
    found = b"|".join(re.escape(each) for each in sorted(needles))
    return re.compile(found or b"(?!)")


def prove(store: Store, traces: Traces) -> Proof:
    """Look for the person in every file under the root."""
    needles = Needles(traces)
    proof = Proof(names=len(needles.values))
    for entry in (*files.walk(store.root), *files.leftovers(store.root)):
        proof.files += 1
        proof.bytes += entry.size
        if in_file(entry.uri, needles):
            proof.found.append(files.relative_to(entry.uri, store.root))
    return proof


def in_file(uri: str, needles: Needles) -> bool:
    data = files.read_bytes(uri)
    if uri.endswith(".parquet"):
        return needles.in_bytes(data) or _in_columns(data, needles)
    if uri.endswith(".avro"):
        return any(needles.in_manifest(block) for block in _avro_blocks(data))
    if uri.endswith((".json", ".html", ".txt", ".csv", ".now", ".yaml", ".md")):
        return needles.in_text(data)
    return needles.in_bytes(data)


def _in_columns(data: bytes, needles: Needles) -> bool:
    """Whether any text in a Parquet file, at whatever depth, is one of the values; one that cannot be read is suspect."""
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError):
        return True
    return any(_in_column(column, needles) for column in table.columns)


def _in_column(column: Any, needles: Needles) -> bool:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return not pa.types.is_primitive(kind.value_type) and _in_column(pc.list_flatten(column), needles)
    if pa.types.is_struct(kind):
        return any(_in_column(pc.struct_field(column, [place]), needles) for place in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _in_column(column.cast(kind.value_type), needles)
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return False
    return bool(pc.any(tables.isin(column.cast(pa.string()), needles.values)).as_py())


def _avro_blocks(data: bytes) -> Iterator[bytes]:
    """The file itself, and each block unpacked: between the marks that end every block lies one deflated stream."""
    yield data
    mark = data[-16:]
    for piece in data.split(mark)[1:]:
        for start in range(min(12, len(piece))):  # after two numbers of variable length
            try:
                yield zlib.decompress(piece[start:], -15)
                break
            except zlib.error:
                continue
