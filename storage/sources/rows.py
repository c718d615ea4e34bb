"""Rows of a manifest as dicts, under the names that the field's tools use, made into items.

Shared by every source whose rows are JSON, CSV or Parquet. A row that cannot be used becomes an item with a problem; it
is never left out.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sorigil.splits import NAMES
from sorigil.text import tags
from storage import files
from storage.sources.items import ItemsBuilder

LONGEST_SECONDS = 1e9  # three decades: more is a mistake, and would not fit into sample counts
MOST_CHANNELS = 1024  # what libsndfile opens
EVERYTHING = "all"  # how an export calls the rows that are in no split

# The names under which the field's tools write these (Sorigil, Hugging Face, NeMo, Common Voice, …), first found wins.
Names = Mapping[str, tuple[str, ...]]
ALIASES: Names = {
    "id": ("id", "utt_id", "utterance_id"),
    "audio": ("audio", "audio_filepath", "path", "file", "wav", "uri"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "label": ("label", "class", "category", "labels"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "lang": ("lang", "language", "locale"),
    "split": ("split", "subset"),
    "start": ("start", "offset"),
    "end": ("end",),
    "seconds": ("length",),
    "channel": ("channel",),
}


SAID = {
    name: ALIASES[name] for name in ("id", "text", "label", "speaker", "lang", "split")
}  # all but the audio's place


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises ValueError where a source's `columns` maps from a name that is not ours."""
    unknown = sorted(set(columns) - set(ALIASES))
    if unknown:
        raise ValueError(f"columns names {', '.join(unknown)}; it maps from {', '.join(ALIASES)}")


def json_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any] | str]:
    """Each line as a dict, or a sentence about a line that is none. Lines end in a line feed and nothing else: text may
    hold other line separators (U+2028). Empty lines are left out."""
    for number, line in enumerate(lines):
        line = line if number else line.removeprefix(codecs.BOM_UTF8)
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


def add_row(
    builder: ItemsBuilder,
    row: dict[str, Any] | str,
    *,
    place: str,
    where: str,
    names: Names = ALIASES,
    folder: str = "",
    entry: files.FileEntry | None = None,
    defaults: Mapping[str, str | None] | None = None,
) -> None:
    """One row as an item.

    Args:
        row: its values, or a sentence about what it is instead.
        place: stands in for an id, and for the audio of a row that names none.
        where: names the row in messages, as in "row 3 of the manifest".
        names: our names, each with the row's that mean the same.
        folder: what the audio's path is relative to; the builder's base where it is empty.
        entry: the audio file as it was found, where it need not be looked up.
        defaults: of the fields that the row does not give (lang, split, …).
    """
    if isinstance(row, str):
        builder.add(id=place, uri=place, problem=f"{row}, {where}")
        return
    values, used = named(row, names)
    audio = values.pop("audio", None)
    identity = as_text(values.pop("id", None)) or place
    extras = {str(key): value for key, value in row.items() if key not in used and as_text(value) is not None}
    texts, defaults = ("text", "speaker", "lang", "split"), defaults or {}
    common: dict[str, Any] = {name: as_text(values.get(name)) or defaults.get(name) for name in texts}
    common["extras"] = extras
    if not audio or not isinstance(audio, str):
        builder.add(id=identity, uri=place, problem=f"bad_row: {where} names no audio file", **common)
        return
    try:
        common["label"] = as_label(values.get("label")) or defaults.get("label")
        common |= _span(values, row)
    except ValueError as wrong:
        common["problem"] = problem_of(wrong, where)
    builder.add(id=identity, uri=files.join(folder, audio) if folder else audio, entry=entry, **common)


def problem_of(wrong: ValueError, where: str) -> str:
    """The problem of a row that raised: `reason: where: sentence`. The reason is `bad_row` where the error names none."""
    reason, sentence = re.fullmatch(r"(?:([a-z]+_[a-z]+): )?(.*)", str(wrong), re.S).groups()  # type: ignore[union-attr]
    return f"{reason or 'bad_row'}: {where}: {sentence}"


def named(row: dict[str, Any], names: Names) -> tuple[dict[str, Any], set[str]]:
    """Our names → values, and the row's names that were used."""
    values: dict[str, Any] = {}
    used: set[str] = set()
    for name, aliases in names.items():
        for alias in aliases:
            if alias in row:
                values[name] = row[alias]
                used.add(alias)
                break
    return values, used


def split_in_name(path: str) -> str | None:
    """The split that a file's or folder's name speaks of, as in `train_clean` or `data/test-00000-of-00002.parquet`;
    the last name of the path that has such a word decides."""
    for part in reversed(path.split("/")):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in NAMES:
                return word
    return None


def as_text(value: Any) -> str | None:
    """A value as text; None where there is none (a missing value in a table of numbers is NaN)."""
    missing = value is None or value == "" or value != value
    return None if missing else str(value)


def as_label(value: Any) -> str | None:
    """A label as text; of a list of labels the annotation that tagging reads (`sorigil.text.tags`). Raises ValueError
    with a sentence where the list holds something else."""
    if not isinstance(value, list):
        return as_text(value)
    for each in value:
        if isinstance(each, list | dict):
            raise ValueError(f"label is a list that holds {str(each)[:40]}; it must hold texts")
    return tags.write(text for text in map(as_text, value) if text is not None)


def _span(values: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    start = number(values.get("start"), "start")
    end = number(values.get("end"), "end")
    seconds = number(values.get("seconds"), "length")
    if start is not None and end is None and seconds is None:
        seconds = number(row.get("duration"), "duration")
    if end is not None:
        seconds = end - (start or 0.0)
    if seconds is not None and seconds <= 0:
        raise ValueError(f"the span is {seconds:g} s long; it must be longer than 0")
    channel = number(values.get("channel"), "channel")
    if channel is not None and (channel != int(channel) or channel > MOST_CHANNELS):
        raise ValueError(f"channel is {channel:g}; it must be a whole number, at most {MOST_CHANNELS}")
    return {"start": start, "seconds": seconds, "channel": None if channel is None else int(channel)}


def number(value: Any, name: str) -> float | None:
    """A time or a channel as a number of at least 0; raises ValueError with a sentence where it is none."""
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}, not a number") from None
    if not 0 <= found <= LONGEST_SECONDS:
        raise ValueError(f"{name} is {found:g}; it must be 0 to {LONGEST_SECONDS:g}")
    return found
