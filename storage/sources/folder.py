"""Audio files below a folder. The path says what it can; a `.txt` beside a file may hold its transcript."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.audio.spec import RawAudio
from sorigil.errors import RequestError
from storage import archives, files
from storage.sources.items import ItemsBuilder

AUDIO_SUFFIXES = (
    *(
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aiff",
        ".aif",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
    ),
    *(".sph", ".nist", ".m4a", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".mov", ".wma", ".raw", ".pcm"),
)
_FIELDS = ("id", "label", "speaker", "lang", "split", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSource:
    """`pattern` reads fields out of the path below `uri`, as in `{split}/{label}/{speaker}_{id}.wav`.

    A field matches anything but `/`; `*` and `**` match without a name, `**` also across folders. Names other than id,
    label, speaker, lang, split and text become extras. With `text: sidecar` the transcript is in a `.txt` beside the file.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["folder"] = "folder"
    uri: str
    pattern: str | None = None
    suffixes: tuple[str, ...] = AUDIO_SUFFIXES
    text: Literal["none", "sidecar"] = "none"
    lang: str | None = None
    raw: RawAudio | None = None  # what headerless files (.raw, .pcm) hold
    archives: bool = True  # look into tar and zip archives

    def __post_init__(self) -> None:
        if self.pattern is not None:
            compile_pattern(self.pattern)

    @property
    def base(self) -> str:
        return files.parent(self.uri) if archives.is_archive(self.uri) else self.uri.rstrip("/")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a path pattern. Raises ValueError where a field is named twice or is no name."""
    names = re.findall(r"\{([^}]*)\}", pattern)
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"pattern {pattern!r}: {{{name}}} is not a field name (letters, digits, underscore)")
        if names.count(name) > 1:
            raise ValueError(f"pattern {pattern!r}: {{{name}}} stands in it twice")
    pieces = re.split(r"(\{[^}]*\}|\*\*/?|\*)", pattern)
    return re.compile("".join(_expression(piece) for piece in pieces))


def _expression(piece: str) -> str:
    if piece.startswith("{"):
        return f"(?P<{piece[1:-1]}>[^/]+?)"
    return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece))


def scan_folder(source: FolderSource) -> pa.Table:
    """Every audio file below the folder, one utterance each."""
    expression = compile_pattern(source.pattern) if source.pattern else None
    builder = ItemsBuilder(source.base)
    found: Iterable[files.FileEntry] = _walk(source)
    texts: set[str] = set()
    if source.text == "sidecar":  # which may come after its recording
        found = list(found)
        texts = {entry.uri for entry in found if files.suffix(entry.uri) == ".txt"}
    for entry in found:
        if files.suffix(entry.uri) in source.suffixes or archives.is_archive(entry.uri):
            _add(builder, source, expression, texts, entry)
    if builder.empty:
        raise RequestError(
            f"{source.base}: no audio below this folder (looked for {', '.join(source.suffixes[:6])}, …)"
        )
    return builder.table()


def _walk(source: FolderSource) -> Iterator[files.FileEntry]:
    """The files, and those in archives in place of these; an archive that cannot be read whole comes too, as a problem."""
    one = files.entry(source.uri) if archives.is_archive(source.uri) else None
    if one is None and archives.is_archive(source.uri):
        raise RequestError(f"{source.uri}: no such archive; check the source's uri")
    for entry in files.walk(source.base) if one is None else [one]:
        if not archives.is_archive(entry.uri):
            yield entry
        elif source.archives or one is not None:
            yield from (found for found in archives.entries(entry.uri).values() if not _hidden(found.uri))


def _hidden(uri: str) -> bool:
    """Whether a file in an archive, or a folder it is in, has a name that begins with a dot."""
    inside = archives.parted(uri)
    return inside is not None and any(re.match(r"\.[^.]", piece) for piece in inside[1].split("/"))


def _add(
    builder: ItemsBuilder,
    source: FolderSource,
    expression: re.Pattern[str] | None,
    texts: set[str],
    entry: files.FileEntry,
) -> None:
    relative = files.relative_to(entry.uri, builder.base)
    try:
        relative.encode()
    except UnicodeEncodeError:
        readable = relative.encode(errors="backslashreplace").decode()
        builder.add(
            id=readable, uri=readable, problem=f"bad_name: {readable} is not a UTF-8 file name; rename the file"
        )
        return
    values: dict[str, Any] = {"lang": source.lang}
    found = expression.fullmatch(relative.replace(archives.SEPARATOR, "/")) if expression else None
    if expression and not found and entry.problem is None:
        values["problem"] = f"pattern_mismatch: {relative} does not match the pattern {source.pattern}"
    fields = found.groupdict() if found else {}
    values.update({name: value for name, value in fields.items() if name in _FIELDS})
    extras = {name: value for name, value in fields.items() if name not in _FIELDS}
    if source.text == "sidecar":
        try:
            values["text"] = _sidecar(texts, entry.uri)
        except UnicodeDecodeError as wrong:
            values["problem"] = f"bad_text: the transcript beside {relative} is not UTF-8 ({wrong.reason})"
    identity = values.pop("id", None) or relative
    builder.add(id=identity, uri=relative, entry=entry, extras=extras, **values)


def _sidecar(texts: set[str], uri: str) -> str | None:
    beside = uri[: len(uri) - len(files.suffix(uri))] + ".txt"
    if beside not in texts:
        return None
    return archives.read_bytes(beside).decode("utf-8-sig").strip() or None
