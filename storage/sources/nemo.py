"""NeMo's manifests: a JSON object a line, with `audio_filepath` relative to the manifest. Tarred sets are not read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.errors import RequestError
from storage import files
from storage.sources import jsonl
from storage.sources.items import ItemsBuilder
from storage.sources.rows import ALIASES, add_row, split_in_name

# What NeMo calls them (nemo.collections.common.parts.preprocessing.manifest), then the names every manifest may use.
NAMES = {
    **ALIASES,
    "audio": ("audio_filepath", "audio_filename", "audio_file"),
    "label": ("label", "command", "target"),
    "lang": ("lang", "source_lang", "language"),
    "start": ("offset",),
    "seconds": ("duration",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NemoSource:
    """`uri` is a manifest, or a folder: then every `.json` and `.jsonl` below it is one.

    `duration` is the length of the span where there is an `offset`; otherwise it describes the file. A row that names no
    split has the one its manifest's name speaks of, as in `train_manifest.json`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["nemo"] = "nemo"
    uri: str
    lang: str | None = None

    @property
    def base(self) -> str:
        return jsonl.base_of(self.uri)


def scan_nemo(source: NemoSource) -> pa.Table:
    """Every row of the manifests. Raises RequestError where one is missing or unreadable, or all are empty."""
    builder = ItemsBuilder(source.base)
    manifests = jsonl.found(source.uri)
    number = 0
    for manifest in manifests:
        relative, folder = files.relative_to(manifest, source.base), files.parent(manifest)
        defaults = {"lang": source.lang, "split": split_in_name(relative)}
        for line, row in enumerate(jsonl.read(manifest), start=1):
            number += 1
            place, where = f"{relative}:{line}", f"row {line} of {relative}"
            add_row(builder, _whole(row), place=place, where=where, names=NAMES, folder=folder, defaults=defaults)
    if not number:
        raise RequestError(f"{source.uri}: the manifest has no rows")
    return builder.table()


def _whole(row: dict[str, Any] | str) -> dict[str, Any] | str:
    """Without an offset, `duration` describes the file: it says nothing that decoding does not."""
    if isinstance(row, str) or row.get("offset") is not None:
        return row
    return {key: value for key, value in row.items() if key != "duration"}
