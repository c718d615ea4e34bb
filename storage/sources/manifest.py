"""A manifest: one row per utterance in JSONL, CSV, TSV or Parquet, naming its audio relative to the manifest itself."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.audio.spec import RawAudio
from sorigil.errors import RequestError
from storage import files
from storage.sources.items import ItemsBuilder

LONGEST_SECONDS = 1e9  # three decades: more is a mistake, and would not fit into sample counts
MOST_CHANNELS = 1024  # what libsndfile opens

# The names under which the field's tools write these (Sorigil, Hugging Face, NeMo, Common Voice, …), first found wins.
_ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "utt_id", "utterance_id"),
    "audio": ("audio", "audio_filepath", "path", "file", "wav", "uri"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "label": ("label", "class", "category"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "lang": ("lang", "language", "locale"),
    "split": ("split", "subset"),
    "start": ("start", "offset"),
    "end": ("end",),
    "seconds": ("length",),
    "channel": ("channel",),
}


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
        unknown = sorted(set(self.columns) - set(_ALIASES))
        if unknown:
            raise ValueError(f"columns names {', '.join(unknown)}; it maps from {', '.join(_ALIASES)}")


def scan_manifest(source: ManifestSource) -> pa.Table:
    """Every row of the manifest. Raises RequestError where the manifest is missing, empty or unreadable as a whole."""
    try:
        data = files.read_bytes(source.uri)
    except OSError as missing:
        raise RequestError(
            f"{source.uri}: the manifest cannot be read ({missing}); check the source's uri"
        ) from missing
    builder = ItemsBuilder(files.parent(source.uri))
    number = 0
    columns: set[str] = set()
    for number, row in enumerate(_rows(source, data), start=1):
        columns |= set() if isinstance(row, str) else row.keys()
        _add(builder, source, number, row)
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
        return _json_rows(data)
    if kind in ("csv", "tsv", "parquet"):
        return _table_rows(source, kind, data)
    raise RequestError(
        f"{source.uri}: cannot tell the manifest's format from its name; set format: jsonl, csv, tsv or parquet"
    )


def _json_rows(data: bytes) -> Iterator[dict[str, Any] | str]:
    for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n"):  # text may hold other line separators (U+2028)
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
            if b"\\ud" in line or b"\\uD" in line:
                json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except (UnicodeDecodeError, UnicodeEncodeError) as wrong:
            yield f"bad_row: not UTF-8 text ({wrong.reason})"
        except json.JSONDecodeError as wrong:
            yield f"bad_row: not JSON ({wrong.msg} at column {wrong.colno})"
        except (ValueError, RecursionError) as wrong:
            yield f"bad_row: not JSON that can be read ({wrong})"
        else:
            yield row if isinstance(row, dict) else "bad_row: the line is JSON but not an object"


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


def _add(builder: ItemsBuilder, source: ManifestSource, number: int, row: dict[str, Any] | str) -> None:
    place = f"{files.stem(source.uri)}:{number}"
    if isinstance(row, str):
        builder.add(id=place, uri=place, problem=f"{row}, row {number} of the manifest")
        return
    values, used = _named(source, row)
    audio = values.pop("audio", None)
    identity = _text(values.pop("id", None)) or place
    extras = {str(key): value for key, value in row.items() if key not in used and _text(value) is not None}
    texts = {name: _text(values.get(name)) for name in ("text", "label", "speaker", "split")}
    common: dict[str, Any] = {**texts, "lang": _text(values.get("lang")) or source.lang, "extras": extras}
    if not audio or not isinstance(audio, str):
        builder.add(
            id=identity, uri=place, problem=f"bad_row: row {number} of the manifest names no audio file", **common
        )
        return
    try:
        common |= _span(values, row)
    except ValueError as wrong:
        common["problem"] = f"bad_row: row {number} of the manifest: {wrong}"
    builder.add(id=identity, uri=audio, **common)


def _named(source: ManifestSource, row: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Our names → values, and the manifest's columns that were used."""
    values: dict[str, Any] = {}
    used: set[str] = set()
    for name, aliases in _ALIASES.items():
        for alias in (source.columns[name],) if name in source.columns else aliases:
            if alias in row:
                values[name] = row[alias]
                used.add(alias)
                break
    return values, used


def _text(value: Any) -> str | None:
    """A value as text; None where there is none (a missing value in a table of numbers is NaN)."""
    missing = value is None or value == "" or value != value
    return None if missing else str(value)


def _span(values: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    start = _number(values.get("start"), "start")
    end = _number(values.get("end"), "end")
    seconds = _number(values.get("seconds"), "length")
    if start is not None and end is None and seconds is None:
        seconds = _number(row.get("duration"), "duration")
    if end is not None:
        seconds = end - (start or 0.0)
    if seconds is not None and seconds <= 0:
        raise ValueError(f"the span is {seconds:g} s long; it must be longer than 0")
    channel = _number(values.get("channel"), "channel")
    if channel is not None and (channel != int(channel) or channel > MOST_CHANNELS):
        raise ValueError(f"channel is {channel:g}; it must be a whole number, at most {MOST_CHANNELS}")
    return {"start": start, "seconds": seconds, "channel": None if channel is None else int(channel)}


def _number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}, not a number") from None
    if not 0 <= number <= LONGEST_SECONDS:
        raise ValueError(f"{name} is {number:g}; it must be 0 to {LONGEST_SECONDS:g}")
    return number
