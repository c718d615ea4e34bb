"""Kaldi data folders, one for each split: wav.scp, segments, text, utt2spk, spk2utt, utt2dur, utt2lang, utt2label.

Sorted by bytes, as `LC_ALL=C sort` does. Names hold no white space: it is written as in an address (%20). `utt2label` is
ours; Kaldi's scripts leave it alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from storage.exports.place import ExportPlace
from storage.exports.sound import Sound
from storage.exports.table import by_split, stream
from storage.sources.kaldi import UNDETERMINED

# What Kaldi's validate_text.pl and awk take for white space, besides the blank.
_SPACES = [chr(code) for code in (*range(9, 14), *range(28, 32), 133, 160, 5760, *range(8192, 8203), 8232, 8233)]
_SPACES += ["\u202f", "\u205f", "\u3000"]


def write_kaldi(place: ExportPlace, table: pa.Table, sound: Sound) -> list[str]:
    """The folders; returns what the format could not carry."""
    if sound.in_place and table.column("channel").null_count < len(table):
        raise RequestError("a Kaldi folder takes one channel of a file only by a command; export with --audio wav")
    table, notes = _as_kaldi(table)
    for split, rows in by_split(table):
        _write_audio(place, split, rows, sound)
        _write_tables(place, split, rows, sound)
        talkers = rows.column("talker")
        if not talkers.equals(talkers.take(pc.array_sort_indices(talkers))):
            notes.append(
                f"{split}: speakers are no prefixes of ids, so utt2spk is not sorted by speaker: validate_data_dir.sh "
                "needs --no-spk-sort"
            )
    if sound.in_place and (strange := _count(pc.invert(pc.starts_with(table.column("container"), "WAV")))):
        notes.append(f"{strange} utterances are not in WAV files: Kaldi itself opens those only by a command")
    return notes


def _as_kaldi(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """The table with names and texts as Kaldi can hold them, sorted by name; and what had to be changed."""
    notes = []
    named = {"name": _quoted(table.column("id")), "talker": _quoted(table.column("speaker"))}
    for column, said in (("name", "ids"), ("talker", "speakers")):
        given = table.column("id" if column == "name" else "speaker")
        if changed := _count(pc.not_equal(given, named[column])):
            notes.append(
                f"{changed} {said} are written as in an address (%20), because they or others hold white space"
            )
    for column in ("text", "label", "lang"):
        plain = _replaced(table.column(column), dict.fromkeys(_SPACES, " "))
        if changed := _count(pc.not_equal(table.column(column), plain)):
            notes.append(f"{changed} times {column} holds a line break or unusual white space: a blank stands for it")
        table = table.set_column(table.column_names.index(column), column, plain)
    if extras := len(table) - table.column("extras").null_count:
        notes.append(f"{extras} utterances have extras, for which Kaldi has no file")
    talker = pc.coalesce(named["talker"], named["name"])  # Kaldi's way to say that it is not known
    table = table.append_column("name", named["name"]).append_column("talker", talker)
    return table.sort_by("name"), notes


def _quoted(names: Any) -> Any:
    """Names without white space; unchanged where none has any."""
    spaces = {space: quote(space) for space in (" ", *_SPACES)}
    if not any(_count(pc.match_substring(names, space)) for space in spaces):
        return names
    return _replaced(pc.replace_substring(names, "%", "%25"), spaces)


def _replaced(texts: Any, replacements: dict[str, str]) -> Any:
    for old, new in replacements.items():
        texts = pc.replace_substring(texts, old, new)
    return texts


def _count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _write_audio(place: ExportPlace, split: str, rows: pa.Table, sound: Sound) -> None:
    """`wav.scp`; with `segments` where utterances are stretches of recordings."""
    if not sound.in_place:
        with place.create(f"{split}/wav.scp") as file:
            for row in stream(rows):
                file.write(f"{row['name']} {sound.clip(row).address}\n".encode())
        return
    with place.create(f"{split}/segments") as file:
        for row in stream(rows):
            clip = sound.clip(row)
            file.write(f"{row['name']} {quote(clip.recording)} {clip.start!r} {clip.start + clip.seconds!r}\n".encode())
    names = {quote(uri): uri for uri in pc.unique(rows.column("uri")).to_pylist()}
    with place.create(f"{split}/wav.scp") as file:
        for name in sorted(names, key=str.encode):
            file.write(f"{name} {sound.address(names[name])}\n".encode())


def _write_tables(place: ExportPlace, split: str, rows: pa.Table, sound: Sound) -> None:
    has = {column: rows.column(column).null_count < len(rows) for column in ("lang", "label")}
    with ExitStack() as opened:
        text, speakers, lengths = (
            opened.enter_context(place.create(f"{split}/{name}")) for name in ("text", "utt2spk", "utt2dur")
        )
        languages = opened.enter_context(place.create(f"{split}/utt2lang")) if has["lang"] else None
        labels = opened.enter_context(place.create(f"{split}/utt2label")) if has["label"] else None
        for row in stream(rows):
            name = row["name"]
            text.write(f"{name} {row['text'] or ''}\n".encode())
            speakers.write(f"{name} {row['talker']}\n".encode())
            lengths.write(f"{name} {sound.clip(row).seconds!r}\n".encode())
            if languages is not None:
                languages.write(f"{name} {row['lang'] or UNDETERMINED}\n".encode())
            if labels is not None and row["label"] is not None:
                labels.write(f"{name} {row['label']}\n".encode())
    with place.create(f"{split}/spk2utt") as file:
        ordered = stream(rows.select(["talker", "name"]).sort_by([("talker", "ascending"), ("name", "ascending")]))
        for talker, found in groupby(ordered, key=lambda row: row["talker"]):
            file.write(f"{talker} {' '.join(row['name'] for row in found)}\n".encode())
