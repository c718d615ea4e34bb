"""Audio files below a folder. The path says what it can; a `.txt` beside a file may hold its transcript."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa

from sorigil.audio.spec import RawAudio
from sorigil.errors import RequestError
from storage import files
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

    def __post_init__(self) -> None:
        if self.pattern is not None:
            compile_pattern(self.pattern)

    @property
    def base(self) -> str:
        return self.uri.rstrip("/")


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
    texts: dict[str, files.FileEntry] = {}
    audio: list[files.FileEntry] = []
    for entry in files.walk(source.base):
        suffix = files.suffix(entry.uri)
        if suffix in source.suffixes:
            audio.append(entry)
        elif suffix == ".txt":
            texts[entry.uri] = entry
    if not audio:
        raise RequestError(
            f"{source.base}: no audio below this folder (looked for {', '.join(source.suffixes[:6])}, …)"
        )
    for entry in audio:
        _add(builder, source, expression, texts, entry)
    return builder.table()


def _add(
    builder: ItemsBuilder,
    source: FolderSource,
    expression: re.Pattern[str] | None,
    texts: dict[str, files.FileEntry],
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
    found = expression.fullmatch(relative) if expression else None
    if expression and not found:
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


def _sidecar(texts: dict[str, files.FileEntry], uri: str) -> str | None:
    beside = uri[: len(uri) - len(files.suffix(uri))] + ".txt"
    if beside not in texts:
        return None
    return files.read_bytes(beside).decode("utf-8-sig").strip() or None
