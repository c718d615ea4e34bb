"""WebDataset: tar files whose neighbours with one name up to the first dot are one sample.

Of a sample `clip.flac`, `clip.json`, `clip.txt` and `clip.cls` are read as the sound, what is said of it, its text and its
class. The sound stays in the tar and is read there (`storage.archives`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.errors import RequestError
from storage import archives, files
from storage.sources.folder import AUDIO_SUFFIXES
from storage.sources.items import ItemsBuilder
from storage.sources.rows import SAID, add_row, json_lines, split_in_name
from storage.tars import TAR_SUFFIXES

_NAME = re.compile(
    r"((?:.*/)?[^./]+)\.([^/]*)"
)  # WebDataset's rule: a key ends at the first dot, the rest is the extension
_MOST_BYTES = 1 << 24  # of a sample's JSON or text
_AUDIO = "\0audio"  # our own name: a sample's JSON may well have an `audio` or a `path` that means something else
_NAMES = {**SAID, "audio": (_AUDIO,)}


@dataclass(frozen=True, kw_only=True, slots=True)
class WebDatasetSource:
    """`uri` is a tar file, or a folder: then every one below it. A sample that names no split has the one its tar's name
    speaks of, as in `train-000000.tar`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["webdataset"] = "webdataset"
    uri: str
    lang: str | None = None

    @property
    def base(self) -> str:
        return files.parent(self.uri) if _is_tar(self.uri) else self.uri.rstrip("/")


def _is_tar(uri: str) -> bool:
    return uri.lower().endswith(TAR_SUFFIXES)


def scan_webdataset(source: WebDatasetSource) -> pa.Table:
    """Every sample. Raises RequestError where there is no tar file, or none holds a sample."""
    if _is_tar(source.uri):
        tars = [source.uri]
        if not files.exists(source.uri):
            raise RequestError(f"{source.uri}: no such file; check the source's uri")
    else:
        tars = [entry.uri for entry in files.walk(source.base) if _is_tar(entry.uri)]
    builder = ItemsBuilder(source.base)
    for tar in tars:
        defaults = {"lang": source.lang, "split": split_in_name(files.relative_to(tar, source.base))}
        for key, members in _samples(tar):
            _add(builder, source, f"{tar}{archives.SEPARATOR}{key}", members, defaults)
    table = builder.table()
    if not len(table):
        raise RequestError(f"{source.uri}: no tar file with samples in this place")
    return table


def _samples(tar: str) -> Iterator[tuple[str, dict[str, files.FileEntry]]]:
    """Each sample's key, and its files by extension; what is wrong with the tar itself under the extension `tar`."""
    named = []
    for uri, entry in archives.entries(tar).items():
        member = uri.removeprefix(tar).removeprefix(archives.SEPARATOR)
        parts = _NAME.fullmatch(member) if member else None
        if parts is not None:
            named.append((parts[1], parts[2].lower(), entry))
        elif not member:
            named.append(("", "tar", entry))
    for key, members in groupby(named, key=lambda each: each[0]):
        yield key, {extension: entry for _, extension, entry in members}


def _add(
    builder: ItemsBuilder, source: WebDatasetSource, address: str, members: dict[str, files.FileEntry], defaults: Any
) -> None:
    place = files.relative_to(address, source.base)
    if "tar" in members:
        tar = members["tar"]
        builder.add(id=files.relative_to(tar.uri, source.base), uri=tar.uri, problem=tar.problem)
        return
    row: dict[str, Any] | str = _said(members)
    sounds = [entry for extension, entry in members.items() if f".{extension.rpartition('.')[2]}" in AUDIO_SUFFIXES]
    if isinstance(row, dict):
        if len(sounds) != 1:
            said = ", ".join(members)
            row = f"bad_row: the sample has {len(sounds) or 'no'} sounds, one was expected (it has {said})"
        else:
            row[_AUDIO] = sounds[0].uri
    add_row(
        builder,
        row,
        place=place,
        where=f"sample {place}",
        names=_NAMES,
        entry=sounds[0] if sounds else None,
        defaults=defaults,
    )


def _said(members: dict[str, files.FileEntry]) -> dict[str, Any] | str:
    """What the files beside the sound say, or what is wrong with them."""
    row: dict[str, Any] = {}
    try:
        if "json" in members:
            (found,) = json_lines([_read(members["json"]).replace(b"\n", b" ")])
            if isinstance(found, str):
                return found
            row = {name: value for name, value in found.items() if name != "duration"}  # decoding tells
        for extension, name in (("txt", "text"), ("cls", "label")):
            if extension in members and row.get(name) in (None, ""):
                row[name] = _read(members[extension]).decode("utf-8-sig").strip() or None
    except UnicodeDecodeError as wrong:
        return f"bad_text: a text of the sample is not UTF-8 ({wrong.reason})"
    except (OSError, ValueError) as wrong:
        return f"bad_row: what is said of the sample cannot be read ({wrong})"
    return row


def _read(entry: files.FileEntry) -> bytes:
    if entry.problem is not None:
        raise ValueError(entry.problem)
    if entry.size > _MOST_BYTES:
        raise ValueError(f"{entry.uri} has {entry.size:,} bytes; at most {_MOST_BYTES:,} are read")
    return archives.read_bytes(entry.uri)
