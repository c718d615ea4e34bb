"""Kaldi's data folders: `wav.scp`, `segments`, `text`, `utt2spk`, `utt2lang`, joined as columns.

No command of a `wav.scp` is ever run. `flac -c -d -s FILE |`, `sph2pipe … FILE |` and `cat FILE |` are understood as the
file that they would decode; any other ends in the quarantine as `command_refused`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from storage import files, tables
from storage.sources.items import ItemsBuilder
from storage.sources.rows import EVERYTHING, MOST_CHANNELS, number, problem_of, split_in_name

_BATCH = 8192
_COLUMNS = {"text": "text", "utt2spk": "speaker", "utt2lang": "lang", "utt2label": "label"}  # file → our name
# Commands that only decode a file → their options that change nothing else, and whether each has a value.
_PLAIN: dict[str, dict[str, bool]] = {
    "cat": {},
    "flac": {"-c": False, "-d": False, "-s": False, "-dcs": False, "-cds": False, "-sdc": False},
    "sph2pipe": {"-f": True, "-p": False, "-c": True},
}
UNDETERMINED = "und"  # ISO 639; utt2lang must name every utterance
_ARCHIVE = re.compile(r".+\.ark:\d+(\[.*\])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class KaldiSource:
    """`uri` is a data folder, or a folder of data folders (`train`, `dev`, `test`): each is then a split.

    Paths in `wav.scp` are relative to `root`, the folder that the recipe runs in; by default to the data folder itself.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["kaldi"] = "kaldi"
    uri: str
    root: str | None = None
    lang: str | None = None

    @property
    def base(self) -> str:
        return self.uri.rstrip("/")


def scan_kaldi(source: KaldiSource) -> pa.Table:
    """Every utterance. Raises RequestError where there is no `wav.scp`, or a file is no table of Kaldi's."""
    folders = [files.parent(entry.uri) for entry in files.walk(source.base) if entry.uri.endswith("/wav.scp")]
    if not folders:
        raise RequestError(f"{source.uri}: no wav.scp in this folder or below it")
    builder = ItemsBuilder(source.base)
    for folder in folders:
        _scan_folder(builder, source, folder)
    return builder.table()


def _scan_folder(builder: ItemsBuilder, source: KaldiSource, folder: str) -> None:
    relative = files.relative_to(folder, source.base)
    alone = relative == folder
    split = split_in_name(folder.rsplit("/", 1)[-1] if alone else relative)
    defaults = {"split": split or (None if alone or relative == EVERYTHING else relative), "lang": source.lang}
    for batch in _joined(folder).to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            _add(builder, row, "" if alone else f"{relative}/", source.root or folder, defaults)


def _joined(folder: str) -> pa.Table:
    """One row for each utterance: where it stands, its audio and what the other files say of it."""
    recordings = _read(folder, "wav.scp")
    if len(recordings) == 0:
        raise RequestError(f"{folder}/wav.scp: has no lines")
    segments = _read(folder, "segments")
    if len(segments):
        names = pc.replace_substring_regex(segments.column("value"), r"\s.*$", "")
        audio = tables.lookup(recordings, "key", names).column("value")
        table = segments.rename_columns(["id", "segment", "where", "problem"]).append_column("audio", audio)
    else:
        table = recordings.rename_columns(["id", "audio", "where", "problem"])
        table = table.append_column("segment", pa.nulls(len(table), pa.string()))
    text = _read(folder, "text")
    lost = tables.without(text, "key", table.column("id")).rename_columns(["id", "text", "where", "problem"])
    for file, column in _COLUMNS.items():
        said = text if file == "text" else _read(folder, file)
        found = tables.lookup(said, "key", table.column("id"))
        table = table.append_column(column, found.column("value"))
        twice = pc.is_in(table.column("id"), value_set=_repeated(said))
        problem = pc.if_else(twice, pa.scalar(f"bad_row: {file} has several lines for it"), found.column("problem"))
        table = table.set_column(3, "problem", pc.coalesce(table.column("problem"), problem))
    said = "missing_file: it has a text, but neither segments nor wav.scp names it"
    lost = lost.set_column(3, "problem", pc.coalesce(lost.column("problem"), pa.scalar(said)))
    return pa.concat_tables([table, lost], promote_options="default")


def _read(folder: str, name: str) -> pa.Table:
    """A file of Kaldi's as columns key, value, where (file and line), problem; no rows where there is no such file.

    The lines are views of the file's bytes: a million of them are no Python objects.
    """
    uri = files.join(folder, name)
    data = files.read_bytes(uri) if files.exists(uri) else b""
    data += b"" if data.endswith(b"\n") else b"\n"
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    offsets = pa.py_buffer(np.concatenate([[0], ends]).astype(np.int64))
    lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(data)])
    parts = pc.extract_regex(lines, r"^\s*(?P<key>\S+)\s*(?P<value>(?:.*\S)?)\s*$")
    numbers = pa.array(np.arange(1, len(lines) + 1)).cast(pa.string())
    where = pc.binary_join_element_wise("line ", numbers, f" of {name}", "")
    key, bad_key = _as_text(pc.struct_field(parts, "key"))
    value, bad_value = _as_text(pc.struct_field(parts, "value"))
    problem = pc.if_else(pc.or_(bad_key, bad_value), pa.scalar(f"bad_text: its line in {name} is not UTF-8"), None)
    table = pa.table({"key": key, "value": value, "where": where, "problem": problem.cast(pa.string())})
    return table.filter(pc.is_valid(table.column("key")))


def _as_text(column: Any) -> tuple[Any, Any]:
    """Bytes as text, and which of them are none."""
    try:
        return column.cast(pa.string()), pa.array(np.zeros(len(column), bool))
    except pa.ArrowInvalid:
        values = column.to_pylist()
        texts = [None if value is None else value.decode(errors="backslashreplace") for value in values]
        return pa.array(texts, pa.string()), pc.fill_null(
            pc.not_equal(column, pa.array(texts).cast(column.type)), False
        )


def _repeated(table: pa.Table) -> Any:
    counts = pc.value_counts(table.column("key"))
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _add(builder: ItemsBuilder, row: dict[str, Any], place: str, folder: str, defaults: dict[str, Any]) -> None:
    speaker = row["speaker"] if row["speaker"] != row["id"] else None  # Kaldi's way to say that it is not known
    values = {
        "text": row["text"] or None,
        "label": row["label"] or None,
        "speaker": speaker or None,
        "lang": row["lang"] if row["lang"] not in (None, "", UNDETERMINED) else defaults["lang"],
        "split": defaults["split"],
    }
    try:
        if row["problem"]:
            raise ValueError(row["problem"])
        span = _span(row["segment"]) if row["segment"] is not None else {}
        if row["audio"] is None:
            raise ValueError("bad_row: wav.scp does not have its recording")
        uri, channel = _file(row["audio"])
        span["channel"] = span.get("channel") if channel is None else channel
    except ValueError as wrong:
        where = f"{place}{row['where']}"
        builder.add(id=row["id"], uri=where, problem=problem_of(wrong, where), **values)
        return
    builder.add(id=row["id"], uri=files.join(folder, uri), **span, **values)


def _span(segment: str) -> dict[str, Any]:
    """`recording start end`, and a channel after them where Kaldi's extract-segments is to take one."""
    fields = segment.split()
    if len(fields) not in (3, 4):
        raise ValueError(f"it has {len(fields) + 1} fields; expected: utterance recording start end")
    start, channel = number(fields[1], "start"), None if len(fields) == 3 else fields[3]
    span: dict[str, Any] = {"start": start}
    if channel is not None:
        if not channel.isascii() or not channel.isdecimal() or int(channel) >= MOST_CHANNELS:
            raise ValueError(f"channel is {channel!r}; it must be a whole number below {MOST_CHANNELS}")
        span["channel"] = int(channel)
    if fields[2] == "-1":  # Kaldi's way to say: to the end
        return span
    end = number(fields[2], "end")
    assert start is not None and end is not None  # no field is empty
    if end <= start:
        raise ValueError(f"it ends at {end:g} s, before it begins at {start:g} s")
    return {**span, "seconds": end - start}


def _file(audio: str) -> tuple[str, int | None]:
    """The file that an extended filename of Kaldi's reads, and the channel taken out of it (None: all)."""
    if audio.endswith("|"):
        return _decoded_by(audio.removesuffix("|").strip())
    if audio.startswith("|") or audio == "-":
        raise ValueError(f"command_refused: {audio[:80]!r} is no file, and Sorigil runs no command")
    if _ARCHIVE.fullmatch(audio):
        raise ValueError(f"{audio[:80]!r} is a place in a Kaldi archive; write the audio as files (wav-copy) first")
    return audio, None


def _decoded_by(command: str) -> tuple[str, int | None]:
    """The file and the channel that a plain decoding command reads. Nothing is run; what is not plain is refused."""
    refused = f"command_refused: Sorigil runs no command: {command[:80]!r}; decode it to files, or name the file itself"
    try:
        name, *words = shlex.split(command)
    except ValueError:
        raise ValueError(refused) from None
    if set(command) & set("|&;<>$`(){}*?[]!\n"):
        raise ValueError(refused)
    options, inputs, channel = _PLAIN.get(name.rsplit("/", 1)[-1], {}), [], None
    rest = iter(words)
    for word in rest:
        if word in options:
            value = next(rest, "") if options[word] else ""
            channel = int(value) - 1 if word == "-c" and options[word] and value in ("1", "2") else channel
        elif word.startswith("-") and word != "-":
            raise ValueError(refused)
        else:
            inputs.append(word)
    if name.rsplit("/", 1)[-1] not in _PLAIN or len(inputs) != 1 or inputs[0] == "-":
        raise ValueError(refused)
    return inputs[0], channel
