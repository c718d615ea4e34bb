"""A manifest: one row per utterance in JSONL, CSV, TSV or Parquet, naming its audio relative to the manifest itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.audio.spec import RawAudio
from sorigil.errors import RequestError
from storage import files
from storage.sources.items import ItemsBuilder
from storage.sources.rows import ALIASES, add_row, check_columns, json_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestSource:
    """`columns` maps our names (id, audio, text, label, speaker, lang, split, start, end, channel) to the manifest's.

    `start` (or `offset`) and `end` are seconds into the recording. A column `duration` is the length of the span where
    there is a start or offset too (as NeMo writes it); otherwise it describes the file and is not needed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["manifest"] = "manifest"
    uri: str
    format: Literal["auto", "jsonl", "csv", "tsv", "parquet"] = "auto"
    columns: dict[str, str] = field(default_factory=dict)
    lang: str | None = None
    raw: RawAudio | None = None  # what headerless files (.raw, .pcm) hold

    def __post_init__(self) -> None:
        check_columns(self.columns)

    @property
    def base(self) -> str:
        return files.parent(self.uri)


def scan_manifest(source: ManifestSource) -> pa.Table:
    """Every row of the manifest. Raises RequestError where the manifest is missing, empty or unreadable as a whole."""
    try:
        data = files.read_bytes(source.uri)
    except OSError as missing:
        raise RequestError(
            f"{source.uri}: the manifest cannot be read ({missing}); check the source's uri"
        ) from missing
    builder = ItemsBuilder(source.base)
    names = {**ALIASES, **{name: (column,) for name, column in source.columns.items()}}
    number = 0
    columns: set[str] = set()
    for number, row in enumerate(_rows(source, data), start=1):
        columns |= set() if isinstance(row, str) else row.keys()
        place, where = f"{files.stem(source.uri)}:{number}", f"row {number} of the manifest"
        add_row(builder, row, place=place, where=where, names=names, defaults={"lang": source.lang})
    if not number:
        raise RequestError(f"{source.uri}: the manifest has no rows")
    _check_columns(source, columns)
    return builder.table()


def _check_columns(source: ManifestSource, found: set[str]) -> None:
    """A mistyped column name would be a dataset without texts."""
    for name, column in source.columns.items():
        if column not in found:
            raise RequestError(
                f"{source.uri}: columns maps {name} to {column}, which no row has; there are {', '.join(sorted(found))}"
            )


def _rows(source: ManifestSource, data: bytes) -> Iterator[dict[str, Any] | str]:
    """Each row as a dict, or a sentence about a line that is none."""
    kind = source.format if source.format != "auto" else files.suffix(source.uri).lstrip(".")
    if kind in ("jsonl", "json", "ndjson"):
        return json_lines(io.BytesIO(data))
    if kind in ("csv", "tsv", "parquet"):
        return _table_rows(source, kind, data)
    raise RequestError(
        f"{source.uri}: cannot tell the manifest's format from its name; set format: jsonl, csv, tsv or parquet"
    )


def _table_rows(source: ManifestSource, kind: str, data: bytes) -> Iterator[dict[str, Any] | str]:
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            yield from pq.read_table(io.BytesIO(data)).to_pylist()
        else:
            text = io.StringIO(data.decode("utf-8-sig"), newline="")
            # TSV knows no quoting: a transcript may begin with a quotation mark. In CSV a stray one swallows rows: refuse.
            tsv: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
            for row in csv.DictReader(text, **(tsv if kind == "tsv" else {"strict": True})):
                yield "bad_row: more columns than the header names" if None in row else row
    except (pa.ArrowException, csv.Error, ValueError) as wrong:
        raise RequestError(f"{source.uri}: cannot be read as {kind} ({wrong})") from wrong
