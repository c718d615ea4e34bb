"""The table every source is scanned into, and the builder that the scanners share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from storage import archives, files, tables

ITEMS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("uri", pa.string()),  # relative to `base` where it lies below it
        pa.field("stamp", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("offset", pa.int64()),  # of a file inside an archive: where in it it lies
        pa.field("start", pa.float64()),  # seconds into the recording; null: from its beginning
        pa.field("seconds", pa.float64()),  # length of the span; null: to its end
        pa.field("channel", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("label", pa.string()),
        pa.field("speaker", pa.string()),
        pa.field("lang", pa.string()),
        pa.field("split", pa.string()),
        pa.field("extras", pa.string()),
        pa.field("problem", pa.string()),  # "reason: detail" of a row that cannot be used
        pa.field("place", pa.string()),
    ]
)


_SCANNED = pa.schema([field for field in ITEMS if field.name != "place"])
_BATCH = 8192  # rows that are Python objects at once
_REMEMBERED_FOLDERS = 16
_REMEMBERED = 1 << 16  # files that were looked up: rows of one file are mostly neighbours


def _columns() -> dict[str, list[Any]]:
    return {name: [] for name in _SCANNED.names}


@dataclass(slots=True)
class ItemsBuilder:
    """Collects rows as columns. `base` is what the uris are relative to."""

    base: str
    columns: dict[str, list[Any]] = field(default_factory=_columns)
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _entries: dict[str, files.FileEntry | None] = field(default_factory=dict)
    _folders: dict[str, dict[str, files.FileEntry] | None] = field(default_factory=dict)
    _listings: dict[str, dict[str, files.FileEntry]] = field(default_factory=dict)  # of archives

    def add(self, *, id: str, uri: str, entry: files.FileEntry | None = None, **values: Any) -> None:
        """One row. Where `entry` is not given the file is looked up, once for all rows that share it."""
        problem = values.pop("problem", None)
        full = archives.tidy(files.join(self.base, uri))
        if problem is None:
            entry = entry or self._entry(full)
            problem = entry.problem if entry else f"missing_file: {full} does not exist or cannot be read"
        row = {
            "id": id,
            "uri": files.relative_to(full, self.base),
            "stamp": entry.stamp if entry else None,
            "size": entry.size if entry else 0,
            "offset": entry.offset if entry else None,
            "problem": problem,
            **values,
        }
        extras = row.get("extras")
        row["extras"] = json.dumps(extras, ensure_ascii=False, sort_keys=True, default=str) if extras else None
        for name, column in self.columns.items():
            column.append(row.get(name))
        if len(self.columns["id"]) == _BATCH:
            self._flush()

    def _entry(self, full: str) -> files.FileEntry | None:
        inside = archives.parted(full)
        if inside is None:
            folder = self._folder(files.parent(full)) if files.is_url(full) else None
            if folder is not None:
                return folder.get(full)
            if full not in self._entries:
                if len(self._entries) == _REMEMBERED:
                    self._entries.clear()
                self._entries[full] = files.entry(full)
            return self._entries[full]
        archive = inside[0]
        if archive not in self._listings:
            self._listings[archive] = archives.entries(archive)
        return self._listings[archive].get(full) or self._listings[archive].get(archive)

    def _folder(self, folder: str) -> dict[str, files.FileEntry] | None:
        """What lies in it, where a listing tells of many files at once."""
        if folder not in self._folders:
            if len(self._folders) == _REMEMBERED_FOLDERS:
                self._folders.clear()
            self._folders[folder] = files.listed(folder)
        return self._folders[folder]

    def _flush(self) -> None:
        self._batches.append(pa.RecordBatch.from_pydict(self.columns, schema=_SCANNED))
        self.columns = _columns()

    @property
    def empty(self) -> bool:
        return not self._batches and not self.columns["id"]

    def table(self) -> pa.Table:
        self._flush()
        columns = pa.Table.from_batches(self._batches, schema=_SCANNED).columns
        self._batches.clear()
        for at, column in enumerate(columns):  # one after the other: the rows are not held twice
            columns[at] = column.combine_chunks()
        table = pa.Table.from_arrays(columns, schema=_SCANNED)
        place = tables.joined(table, ("uri", "start", "seconds", "channel"))
        return table.append_column("place", place)
