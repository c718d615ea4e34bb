"""What was recognised in one recording, and its four written forms: JSON, plain text, SRT and WebVTT.

Pure rendering: values in, text out; who writes the files is `storage`. Times are seconds from the recording's start.
JSON holds the times as measured; subtitles are made readable (see `cues`).
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorigil.types import Word

SCHEMA = 1  # of the JSON form
LINE_COLUMNS = 42  # a subtitle's line; a Hangul syllable or a Chinese character takes two columns
MIN_CUE_MS = 700  # a shorter cue cannot be read; it is held longer where nothing follows at once
ARROW = "-->"  # parts the two times of a cue, so it must never stand in its text


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A stretch of speech, a sentence or less."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """All that was recognised in one recording, and by what.

    `windows` are the stretches (start, end) that the recogniser was given: what lies outside them nobody listened to.
    """

    uri: str
    sha256: str
    seconds: float
    sample_rate: int
    segments: tuple[Segment, ...]
    model: str
    decoder: str
    settings: dict[str, Any] = field(default_factory=dict)
    windows: tuple[tuple[float, float], ...] = ()

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(_folded(segment.text) for segment in self.segments if _folded(segment.text))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cue:
    """A subtitle: its time in whole milliseconds and its lines."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def segments_from_words(
    words: Sequence[Word], max_seconds: float = 7.0, max_chars: int = 84, pause: float = 0.8
) -> tuple[Segment, ...]:
    """Group words, in order of time, into segments; no word is lost or split.

    A new one begins after a silence of at least `pause` seconds, and where the next word would make it longer than
    `max_seconds` or wider than `max_chars` columns. A single word that is longer stands alone.
    """
    groups: list[list[Word]] = []
    for word in words:
        if groups and _fits(groups[-1], word, max_seconds, max_chars, pause):
            groups[-1].append(word)
        else:
            groups.append([word])
    return tuple(_segment(group) for group in groups)


def _fits(group: list[Word], word: Word, max_seconds: float, max_chars: int, pause: float) -> bool:
    if word.start - group[-1].end >= pause or word.end - group[0].start > max_seconds:
        return False
    return columns(" ".join([*(each.text for each in group), word.text])) <= max_chars


def _segment(group: list[Word]) -> Segment:
    return Segment(
        start=group[0].start,
        end=group[-1].end,
        text=" ".join(word.text for word in group),
        words=tuple(group),
        confidence=sum(word.confidence for word in group) / len(group),
    )


def to_json(transcript: Transcript) -> dict[str, Any]:
    """Return the transcript as plain JSON values; times to the millisecond.

    `coverage` says how much of the recording was listened to and how much of it became segments.
    """
    return {
        "schema": SCHEMA,
        "uri": transcript.uri,
        "sha256": transcript.sha256,
        "seconds": _rounded(transcript.seconds),
        "sample_rate": transcript.sample_rate,
        "model": transcript.model,
        "decoder": transcript.decoder,
        "settings": transcript.settings,
        "text": transcript.text,
        "coverage": {
            "seconds": _rounded(transcript.seconds),
            "windows_seconds": _rounded(_union_seconds(transcript.windows)),
            "segments_seconds": _rounded(_union_seconds([(s.start, s.end) for s in transcript.segments])),
            "words": sum(len(segment.words) for segment in transcript.segments),
        },
        "windows": [[_rounded(start), _rounded(end)] for start, end in transcript.windows],
        "segments": [_segment_json(segment) for segment in transcript.segments],
    }


def _segment_json(segment: Segment) -> dict[str, Any]:
    timed = {"start": _rounded(segment.start), "end": _rounded(segment.end)}
    words = [
        {"text": w.text, "start": _rounded(w.start), "end": _rounded(w.end), "confidence": round(w.confidence, 4)}
        for w in segment.words
    ]
    return {**timed, "text": segment.text, "confidence": round(segment.confidence, 4), "words": words}


def to_txt(transcript: Transcript) -> str:
    """Return the bare text, one segment a line."""
    lines = [_folded(segment.text) for segment in transcript.segments]
    return "".join(f"{line}\n" for line in lines if line)


def to_srt(transcript: Transcript) -> str:
    """Return SubRip: cues numbered from 1, times as 00:00:00,000. Having no escapes, it gets `→` for an arrow."""
    blocks = []
    for number, cue in enumerate(cues(transcript), start=1):
        text = "\n".join(line.replace(ARROW, "→") for line in cue.lines)
        blocks.append(f"{number}\n{timestamp(cue.start_ms, ',')} {ARROW} {timestamp(cue.end_ms, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """Return WebVTT (W3C): times as 00:00:00.000; `&`, `<` and `>` are escaped, which takes care of arrows too."""
    blocks = ["WEBVTT\n"]
    for cue in cues(transcript):
        text = "\n".join(_escaped(line) for line in cue.lines)
        blocks.append(f"{timestamp(cue.start_ms, '.')} {ARROW} {timestamp(cue.end_ms, '.')}\n{text}\n")
    return "\n".join(blocks)


def cues(transcript: Transcript) -> list[Cue]:
    """Turn segments with text into subtitles: in order, at least 1 ms long and never overlapping.

    A cue shorter than `MIN_CUE_MS` is held on until then, the next cue or the recording's end. Lines are wrapped
    between words at about `LINE_COLUMNS`.
    """
    spoken = sorted((s for s in transcript.segments if _folded(s.text)), key=lambda s: (s.start, s.end))
    last_ms = _milliseconds(transcript.seconds)
    made, earliest = [], 0
    for segment, following in itertools.zip_longest(spoken, spoken[1:]):
        start = max(earliest, _milliseconds(segment.start))
        limit = _milliseconds(following.start) if following else max(last_ms, _milliseconds(segment.end))
        end = min(limit, max(_milliseconds(segment.end), start + MIN_CUE_MS))
        earliest = max(end, start + 1)
        made.append(Cue(start_ms=start, end_ms=earliest, lines=tuple(wrap(segment.text))))
    return made


def timestamp(milliseconds: int, mark: str) -> str:
    """Write a time as HH:MM:SS, the mark and three digits; hours take more than two digits when they must."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{rest:03d}"


def wrap(text: str, width: int = LINE_COLUMNS) -> list[str]:
    """Break a text between words into lines of at most `width` columns; a wider word has a line to itself."""
    return [" ".join(line) for line in _lines(text.split(), width)]


def _lines(words: list[str], width: int) -> Iterator[list[str]]:
    line: list[str] = []
    for word in words:
        if line and columns(" ".join([*line, word])) > width:
            yield line
            line = []
        line = [*line, word]
    if line:
        yield line


def columns(text: str) -> int:
    """Count the columns a text takes on screen: two for a wide (East Asian) character, none for a combining mark."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _folded(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _union_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """Add up stretches of time, counting what lies in several only once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
