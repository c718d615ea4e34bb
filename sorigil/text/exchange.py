"""Texts by id from the files that recognisers and scorers exchange: JSON lines, NIST's TRN and CTM, plain lines.

A file is read whole and refused whole: every mistake is named with its line. Which of them are the same utterances is
decided in `joined`; nothing is normalised or scored here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sorigil.errors import RequestError

Format = Literal["jsonl", "trn", "ctm", "lines"]
Value = Literal["text", "label"]
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".trn": "trn", ".ctm": "ctm"}
MOST_SHOWN = 5  # mistakes, ids

_TRN_LINE = re.compile(r"(?P<text>.*?)\s*\((?P<id>[^()\s]+)\)\s*")
_SPEAKER = re.compile(r"([^-_]+)[-_]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One utterance of a file."""

    line: int
    id: str
    text: str  # or the label
    speaker: str | None = None
    confidence: float | None = None  # 0 to 1; of a CTM the mean of its words'


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """A file's utterances in its order. Of plain `lines` the ids are the numbers of the lines."""

    name: str
    format: Format
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """The utterances of several files side by side, in the order of the first.

    `speakers` is None where not all are known or there is only one. `silent`: ids that a CTM lacks, one tuple a file.
    """

    ids: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    speakers: tuple[str, ...] | None
    silent: tuple[tuple[str, ...], ...]


def read(data: bytes, name: str, value: Value = "text") -> Texts:
    """Read a file's bytes. What it holds is told by the suffix of its name, else by its lines. With `value` "label" the
    rows of JSON lines have that instead of a text.

    Raises RequestError with each mistake's line: not UTF-8, no id, no text, an id twice, lines of another format.
    """
    try:
        lines = data.decode("utf-8-sig").removesuffix("\n").split("\n") if data else []  # not at U+2028, as splitlines
    except UnicodeDecodeError as wrong:
        line = data[: wrong.start].count(b"\n") + 1
        raise RequestError(f"{name}:{line}: not UTF-8 text ({wrong.reason}); convert the file first") from None
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise RequestError(f"{name}:{line}: a zero byte, which no text has (UTF-16?); convert the file to UTF-8 first")
    lines = [line.removesuffix("\r") for line in lines]
    format = _format_of(name, lines)
    faults: list[str] = []
    entries = list(_json_lines(lines, faults, value) if format == "jsonl" else READERS[format](lines, faults))
    faults += _twice(entries) if format != "ctm" else []
    if faults:
        more = f"\n… and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        said = "\n".join(f"{name}:{fault}" for fault in faults[:MOST_SHOWN])
        listed = format == "jsonl" and data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
        hint = "\nIt is one list; write each of its objects on a line of its own" if listed else ""
        raise RequestError(f"{name} cannot be read as {_NAMES[format]}:\n{said}{more}{hint}")
    return Texts(name=name, format=format, entries=_recordings(entries) if format == "ctm" else tuple(entries))


def joined(reference: Texts, *others: Texts) -> Joined:
    """Put each utterance of the reference beside what the other files have for it.

    Raises RequestError where they do not hold the same ids. A CTM cannot say that nothing was heard: ids that it lacks
    are empty texts, and named in `silent`.
    """
    silent = tuple(_checked(reference, other) for other in others)
    ids = tuple(entry.id for entry in reference.entries)
    texts = [{entry.id: entry.text for entry in each.entries} for each in (reference, *others)]
    speakers = tuple(entry.speaker or "" for entry in reference.entries)
    return Joined(
        ids=ids,
        columns=tuple(tuple(by_id.get(each, "") for each in ids) for by_id in texts),
        speakers=speakers if all(speakers) and len(set(speakers)) > 1 else None,
        silent=silent,
    )


def _format_of(name: str, lines: Sequence[str]) -> Format:
    for suffix, format in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return format
    there = [line for line in lines if line.strip()]
    if there and there[0].lstrip().startswith("{"):
        return "jsonl"
    return "trn" if there and all(_TRN_LINE.fullmatch(line) for line in there) else "lines"


def value_of(data: bytes) -> Value:
    """What the rows of JSON lines have, by the first of them; all other formats have texts."""
    first = next((line for line in data.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()), b"")
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return "text"
    return "label" if isinstance(row, dict) and "label" in row and "text" not in row else "text"


def _json_lines(lines: Sequence[str], faults: list[str], value: Value = "text") -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as wrong:
            faults.append(f"{number}: not JSON ({wrong})")
            continue
        if said := _wrong_row(row, value):
            faults.append(f"{number}: {said}")
            continue
        speaker = row.get("speaker")
        yield Entry(
            line=number,
            id=str(row["id"]),
            text=row[value],
            speaker=None if speaker is None else str(speaker),
            confidence=_share(row.get("confidence")),
        )


def _wrong_row(row: Any, value: Value) -> str:
    if not isinstance(row, dict):
        return "JSON but not an object"
    if isinstance(row.get("id"), bool) or not isinstance(row.get("id"), str | int):
        return 'no "id" (text or a whole number)'
    if not isinstance(row.get(value), str):
        none = row.get(value) is None
        seen = f'no "{value}"' if none else f"the {value} {json.dumps(row[value])[:40]}, which is no text"
        return f'{row["id"]} has {seen}; where nothing is said it is ""'
    if isinstance(row.get("speaker"), dict | list):
        return f"the speaker of {row['id']} is {json.dumps(row['speaker'])[:40]}; it must be text"
    if any("\ud800" <= character <= "\udfff" for character in f"{row['id']}{row[value]}"):
        return f"{row['id']!r} has half of a surrogate pair, which is no text"
    return ""


def _trn(lines: Sequence[str], faults: list[str]) -> Iterator[Entry]:
    """`the words (speaker-utterance)`; the speaker is what stands before the first hyphen or underscore, as in sclite."""
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        found = _TRN_LINE.fullmatch(line)
        if found is None:
            faults.append(f"{number}: no (id) at the end of the line")
        elif "{" in found["text"].split():
            faults.append(f"{number}: alternatives {{ … / … }} are not scored; choose one")
        else:
            speaker = _SPEAKER.match(found["id"])
            yield Entry(line=number, id=found["id"], text=found["text"], speaker=speaker[1] if speaker else None)


def _ctm(lines: Sequence[str], faults: list[str]) -> Iterator[Entry]:
    """`recording channel start duration word [confidence]`: here still one entry a word, by start within its recording."""
    words = []
    channels: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        if len(fields) not in (5, 6) or (start := _seconds(fields[2])) is None or _seconds(fields[3]) is None:
            faults.append(f"{number}: not `recording channel start duration word [confidence]`")
        elif fields[4].upper().startswith("<ALT"):
            faults.append(f"{number}: alternatives <ALT…> are not scored; choose one")
        elif channels.setdefault(fields[0], fields[1]) != fields[1]:
            faults.append(f"{number}: {fields[0]} has a second channel; give each a name of its own")
        else:
            sure = _share(_seconds(fields[5])) if len(fields) == 6 else None
            words.append((start, Entry(line=number, id=fields[0], text=fields[4], confidence=sure)))
    yield from (entry for _, entry in sorted(words, key=lambda word: word[0]))


def _seconds(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _share(value: Any) -> float | None:
    """A confidence; None where it is no number from 0 to 1."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _recordings(words: Sequence[Entry]) -> tuple[Entry, ...]:
    """One entry a recording, in the order of the file."""
    by_id: dict[str, list[Entry]] = {}
    for word in words:
        by_id.setdefault(word.id, []).append(word)
    found = [
        Entry(
            line=min(each.line for each in said),
            id=name,
            text=" ".join(each.text for each in said),
            confidence=_mean([each.confidence for each in said]),
        )
        for name, said in by_id.items()
    ]
    return tuple(sorted(found, key=lambda entry: entry.line))


def _mean(shares: Sequence[float | None]) -> float | None:
    """None unless all are known."""
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if len(known) == len(shares) else None


def _plain(lines: Sequence[str], faults: list[str]) -> Iterator[Entry]:
    return (Entry(line=number, id=str(number), text=line) for number, line in enumerate(lines, start=1))


READERS: dict[Format, Callable[[Sequence[str], list[str]], Iterator[Entry]]] = {
    "jsonl": _json_lines,
    "trn": _trn,
    "ctm": _ctm,
    "lines": _plain,
}
_NAMES = {"jsonl": "JSON lines", "trn": "TRN", "ctm": "CTM", "lines": "plain lines"}


def _twice(entries: Sequence[Entry]) -> list[str]:
    first: dict[str, int] = {}
    return [
        f"{entry.line}: the id {entry.id} is on line {first[entry.id]} already"
        for entry in entries
        if first.setdefault(entry.id, entry.line) != entry.line
    ]


def _checked(reference: Texts, other: Texts) -> tuple[str, ...]:
    """The ids that the other file lacks and may lack. Raises RequestError where it may not."""
    if (reference.format == "lines") != (other.format == "lines"):
        plain, named = (reference, other) if reference.format == "lines" else (other, reference)
        raise RequestError(
            f"{plain.name} has plain lines without ids, {named.name} is {_NAMES[named.format]} with ids; give both ids, or neither"
        )
    if reference.format == "lines" and len(reference.entries) != len(other.entries):
        raise RequestError(
            f"{reference.name} has {len(reference.entries):,} lines, {other.name} has {len(other.entries):,}; "
            "line by line they must match"
        )
    wanted, there = (Counter(entry.id for entry in each.entries) for each in (reference, other))
    missing, unknown = tuple(wanted - there), tuple(there - wanted)
    faults = []
    if missing and other.format != "ctm":
        faults.append(f"{_some(missing)} of {reference.name} not in {other.name}")
    if unknown:
        faults.append(f"{_some(unknown)} of {other.name} not in {reference.name}")
    if faults:
        raise RequestError(f"the two files do not hold the same utterances: {'; '.join(faults)}")
    return missing


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:MOST_SHOWN]) + (", …" if len(ids) > MOST_SHOWN else "")
    return f"{len(ids):,} {'id' if len(ids) == 1 else 'ids'} ({shown})"
