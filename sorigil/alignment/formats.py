"""The alignments of one recording and their written forms: JSON, TextGrid (Praat) and CTM (NIST).

Pure rendering: values in, text out. Times are seconds from the recording's start; JSON and CTM hold them to the
millisecond. A recording may hold several utterances, each with its own text; they may overlap, as in a conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorigil.alignment.forced import Aligned
from sorigil.types import Rejection

SCHEMA = 1  # of the JSON form
CTM_CHANNEL = 1  # of an utterance that is no single channel's; NIST's tools count from 1

Interval = tuple[float, float, str]  # start, end, text


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignedUtterance:
    """A stretch of the recording with its text in its place. `channel` None: all of them, mixed."""

    id: str
    start: float
    end: float
    channel: int | None
    text: str
    aligned: Aligned


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """What is said when in one recording, by which model, and which of its utterances could not be aligned."""

    uri: str
    sha256: str
    seconds: float
    sample_rate: int
    model: str
    utterances: tuple[AlignedUtterance, ...]
    rejections: tuple[Rejection, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def to_json(alignment: Alignment) -> dict[str, Any]:
    """Return the alignment as plain JSON values."""
    return {
        "schema": SCHEMA,
        "uri": alignment.uri,
        "sha256": alignment.sha256,
        "seconds": round(alignment.seconds, 3),
        "sample_rate": alignment.sample_rate,
        "model": alignment.model,
        "settings": alignment.settings,
        "utterances": [_utterance_json(utterance) for utterance in alignment.utterances],
        "rejections": [
            {"id": rejection.id, "reason": rejection.reason, "detail": rejection.detail}
            for rejection in alignment.rejections
        ],
    }


def _utterance_json(utterance: AlignedUtterance) -> dict[str, Any]:
    aligned = utterance.aligned
    return {
        "id": utterance.id,
        **_times(utterance),
        "channel": utterance.channel,
        "text": utterance.text,
        "confidence": round(aligned.confidence, 4),
        "log_prob": round(aligned.log_prob, 4),
        "words": [
            {**_timed(word), "characters": [_timed(character) for character in word.characters]}
            for word in aligned.words
        ],
    }


def _timed(said: Any) -> dict[str, Any]:
    return {"text": said.text, **_times(said), "confidence": round(said.confidence, 4)}


def _times(said: Any) -> dict[str, float]:
    return {"start": round(said.start, 3), "end": round(said.end, 3)}


def to_ctm(alignment: Alignment) -> str:
    """Return NIST's CTM, a line for each word: recording, channel, start, duration, word, confidence; in order of time.

    The recording is its path with `_` for white space, so that files of several recordings can be put together.
    """
    name = "_".join(alignment.uri.split())
    rows = [
        (CTM_CHANNEL if utterance.channel is None else utterance.channel + 1, word)
        for utterance in alignment.utterances
        for word in utterance.aligned.words
    ]
    rows.sort(key=lambda row: (row[0], row[1].start))
    return "".join(
        f"{name} {channel} {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n"
        for channel, word in rows
    )


def to_textgrid(alignment: Alignment) -> str:
    """Return Praat's TextGrid: a tier of words and one of characters, whose intervals tile the recording.

    Utterances that overlap have tiers of their own (`words 2`), and so has each channel (`words, channel 1`).
    """
    tiers = list(_tiers(alignment))
    end = _number(max([alignment.seconds, *(times[-1][1] for _, times in tiers if times)]))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, start=1):
        tiled = list(_tiled(intervals, float(end)))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(tiled)}"]
        for place, (start, stop, text) in enumerate(tiled, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {_number(start)}"]
            lines += [f"            xmax = {_number(stop)}", f"            text = {_quoted(text)}"]
    return "\n".join(lines) + "\n"


def _tiers(alignment: Alignment) -> Iterator[tuple[str, list[Interval]]]:
    """Name and intervals of each tier; a tier of characters only where there are any."""
    channels = sorted(
        {each.channel for each in alignment.utterances}, key=lambda channel: (channel is not None, channel)
    )
    for channel in channels or [None]:
        own = [each for each in alignment.utterances if each.channel == channel]
        for number, layer in enumerate(_layers(own) or [[]], start=1):
            words = [word for utterance in layer for word in utterance.aligned.words]
            suffix = (f" {number}" if number > 1 else "") + ("" if channel is None else f", channel {channel}")
            yield f"words{suffix}", [(word.start, word.end, word.text) for word in words]
            characters = [each for word in words for each in word.characters]
            if characters:
                yield f"characters{suffix}", [(each.start, each.end, each.text) for each in characters]


def _layers(utterances: Sequence[AlignedUtterance]) -> list[list[AlignedUtterance]]:
    """Utterances in as many layers as it takes for none to overlap within one."""
    layers: list[list[AlignedUtterance]] = []
    for utterance in sorted(utterances, key=lambda each: each.start):
        for layer in layers:
            if layer[-1].end <= utterance.start:
                layer.append(utterance)
                break
        else:
            layers.append([utterance])
    return layers


def _tiled(intervals: Sequence[Interval], end: float) -> Iterator[Interval]:
    """The intervals, and empty ones in between."""
    reached = 0.0
    for start, stop, text in intervals:
        if _number(start) != _number(reached):
            yield reached, start, ""
        yield start, stop, text
        reached = stop
    if _number(reached) != _number(end):
        yield reached, end, ""


def _number(seconds: float) -> str:
    """Enough digits for any frame, and the same for the end of one interval and the start of the next."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
