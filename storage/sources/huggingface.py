"""Hugging Face data sets as Parquet: a row an utterance, its recording in a column of the type `Audio`.

The recordings stay in the Parquet files and are read there (`storage.parquets`). A scan reads all other columns, but not
those of lists, structures and bytes: these are no text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.errors import RequestError
from storage import archives, files, parquets
from storage.sources.items import ItemsBuilder
from storage.sources.rows import SAID, add_row, check_columns, split_in_name

_BATCH = 4096
_EXTRAS = "extras"  # where our own export puts them: a JSON object


@dataclass(frozen=True, kw_only=True, slots=True)
class HuggingFaceSource:
    """`uri` is a Parquet file, or a folder: then every one below it. `columns` maps our names to the table's.

    A row that names no split has the one its file's name speaks of, as in `data/train-00000-of-00002.parquet`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["huggingface"] = "huggingface"
    uri: str
    columns: dict[str, str] = field(default_factory=dict)
    lang: str | None = None

    def __post_init__(self) -> None:
        check_columns(self.columns)

    @property
    def base(self) -> str:
        return files.parent(self.uri) if _is_parquet(self.uri) else self.uri.rstrip("/")


def _is_parquet(uri: str) -> bool:
    return uri.lower().endswith(parquets.PARQUET_SUFFIXES)


def scan_huggingface(source: HuggingFaceSource) -> pa.Table:
    """Every row. Raises RequestError where there is no Parquet file, or one has no column of recordings."""
    one = files.entry(source.uri) if _is_parquet(source.uri) else None
    if _is_parquet(source.uri) and one is None:
        raise RequestError(f"{source.uri}: no such file; check the source's uri")
    tables = [one] if one else [entry for entry in files.walk(source.base) if _is_parquet(entry.uri)]
    if not tables:
        raise RequestError(f"{source.uri}: no Parquet file below this folder")
    builder = ItemsBuilder(source.base)
    for entry in tables:
        try:
            _scan_file(builder, source, entry)
        except (pa.ArrowException, OSError) as wrong:
            raise RequestError(f"{entry.uri}: cannot be read as Parquet ({wrong})") from wrong
    return builder.table()


def _scan_file(builder: ItemsBuilder, source: HuggingFaceSource, entry: files.FileEntry) -> None:
    file = parquets.opened(entry.uri)
    schema = file.schema_arrow
    audio = _audio_column(source, entry.uri, schema)
    relative = files.relative_to(entry.uri, source.base)
    names = {**SAID, "audio": (audio,), **{name: (column,) for name, column in source.columns.items()}}
    defaults = {"lang": source.lang, "split": split_in_name(relative)}
    size = entry.size // max(1, file.metadata.num_rows)
    inside = audio in parquets.audio_columns(schema)
    labels = next((name for name in names["label"] if name in schema.names), None)
    for number, row in enumerate(_rows(file, schema, labels)):
        if inside:
            row[audio] = f"{entry.uri}{archives.SEPARATOR}{audio}/{number}"
        found = files.FileEntry(row[audio], size, entry.stamp, offset=number) if inside else None
        add_row(
            builder, row, place=f"{relative}:{number}", where=f"row {number} of {relative}", names=names,
            folder=files.parent(entry.uri), entry=found, defaults=defaults,
        )  # fmt: skip


def _audio_column(source: HuggingFaceSource, uri: str, schema: pa.Schema) -> str:
    """The column of recordings: the one that `columns` names, or the only one."""
    there = parquets.audio_columns(schema)
    wanted = source.columns.get("audio")
    if wanted is not None and wanted in schema.names:
        return wanted
    if wanted is None and len(there) == 1:
        return there[0]
    seen = f"has several: {', '.join(there)}" if there else f"has none; its columns are {', '.join(schema.names)}"
    raise RequestError(f"{uri}: which column holds the recordings? it {seen}; name one as columns: {{audio: …}}")


def _rows(file: Any, schema: pa.Schema, labels: str | None) -> Iterator[dict[str, Any]]:
    """The rows as dicts, with the names of classes instead of their numbers, and our own export's extras. Of nested
    columns only `labels` is read, where it is a list."""
    classes = _class_names(schema)
    columns = [each.name for each in schema if _is_plain(each.type) or (each.name == labels and _is_list(each.type))]
    for batch in file.iter_batches(_BATCH, columns=columns):
        for row in batch.to_pylist():
            for name, names in classes.items():
                row[name] = _named(row.get(name), names)
            extras = row.get(_EXTRAS)
            if isinstance(extras, str) and extras.startswith("{"):
                row = _with_extras(row, extras)
            yield row


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None  # -1: not labelled
    return value


def _with_extras(row: dict[str, Any], extras: str) -> dict[str, Any]:
    try:
        found = json.loads(extras)
    except ValueError:
        return row
    rest = {name: value for name, value in row.items() if name != _EXTRAS}
    return {**found, **rest} if isinstance(found, dict) else row


def _is_plain(kind: pa.DataType) -> bool:
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (pa.types.is_nested(kind) or binary)


def _is_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and _is_plain(kind.value_type)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of each ClassLabel column's classes, also of a list of them, from the metadata that Hugging Face writes."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata["info"]["features"]
        return {
            name: list(map(str, each["names"]))
            for name, feature in features.items()
            for each in [_element(feature)]
            if isinstance(each, dict) and each.get("_type") == "ClassLabel" and "names" in each
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _element(feature: Any) -> Any:
    """What a list of it holds, in each of the ways in which versions of `datasets` write a list; itself if it is none."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return feature.get("feature", feature) if isinstance(feature, dict) else feature
