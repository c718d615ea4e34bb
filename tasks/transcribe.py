"""Transcribe recordings with a recogniser: one file after the other, each committed as it is done.

A recording is decoded, prepared as the model's bundle says, cut at quiet points into windows, recognised window by
window and joined again. When it is done, and what is remembered of it, is in `by_recording`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from sorigil import transcripts
from sorigil.fingerprint import fingerprint
from storage import files
from tasks.by_recording import (
    RecordingsUnit,
    Written,
    addresses,
    do_recordings,
    found_record,
    heard,
    note,
    refuse_erased,
    write_record,
)
from tasks.language_model import fusion_of
from tasks.recogniser import WORD_PAUSE_SECONDS, Recogniser, quiet_windows, recogniser
from tasks.recordings import opened

if TYPE_CHECKING:
    from tasks.listening import Sound

WRITERS = {
    "txt": transcripts.to_txt,
    "srt": transcripts.to_srt,
    "vtt": transcripts.to_vtt,
}
TRANSCRIBE_FORMAT = 2  # raised when the same recording would give another transcript


@dataclass(frozen=True, kw_only=True)
class TranscribeUnit(RecordingsUnit):
    """Some recordings, and how their posteriors become text."""

    stage: ClassVar[str] = "transcribe"
    decode: Any

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "format": TRANSCRIBE_FORMAT,
            "model": self.model_key,
            "max_seconds": self.max_seconds,
            "overlap_seconds": self.overlap_seconds,
            "decode": fingerprint(self.decode),
        }


def transcribe_unit(unit: TranscribeUnit) -> Written:
    """Write the transcript of each recording of the unit."""
    return do_recordings(unit, _recording)


def found_transcript(unit: TranscribeUnit, uri: str, stamp: str | None) -> dict[str, Any] | None:
    """The summary of a transcript that is there, complete, and made from this file by these settings."""
    written = found_record(unit, uri, stamp, unit.key)
    return None if written is None else _summary(uri, addresses(unit, uri), written, reused=True)


def _recording(unit: TranscribeUnit, item: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    uri = item["uri"]
    clock = time.perf_counter()
    model = recogniser(unit.store, unit.model_key)
    with opened(files.join(unit.base, uri)) as source, heard(unit, uri, source.file, model.audio) as sound:
        refuse_erased(unit, source.sha256)
        clock = note(seconds, "decode", clock)
        words, windows = _hear(model, sound, unit)
        clock = note(seconds, "recognise", clock)
    transcript = transcripts.Transcript(
        uri=uri,
        sha256=source.sha256,
        seconds=sound.seconds,
        sample_rate=model.audio.sample_rate,
        segments=transcripts.segments_from_words(words),
        model=unit.model_key,
        decoder=unit.decode.kind,
        settings={**unit.settings, "stamp": item["stamp"], "key": unit.key},
        windows=tuple(windows),
    )
    written = transcripts.to_json(transcript)
    render = {suffix: partial(write, transcript) for suffix, write in WRITERS.items()}
    places = write_record(unit, uri, written, render)
    note(seconds, "write", clock)
    return _summary(uri, places, written, reused=False)


def _summary(uri: str, places: Sequence[str], written: dict[str, Any], *, reused: bool) -> dict[str, Any]:
    return {
        "uri": uri,
        "files": list(places),
        "seconds": written["seconds"],
        "words": written["coverage"]["words"],
        "text": written["text"][:400],
        "reused": reused,
    }


def _hear(model: Recogniser, sound: Sound, unit: TranscribeUnit) -> tuple[tuple[Any, ...], list[tuple[float, float]]]:
    """The words of a recording with their times, and the windows (in seconds) they were heard in."""
    from sorigil.decoding.stitch import Window, stitch

    rate = model.audio.sample_rate
    windows = quiet_windows(sound, rate, max_seconds=unit.max_seconds, overlap_seconds=unit.overlap_seconds)
    speaker = model.speaker(sound, windows)
    recognised = [
        Window(
            core_start=window.core_start / rate,
            core_end=window.core_end / rate,
            words=_words(
                model, model.log_probs(sound.window(window.start, window.end), speaker), window.start / rate, unit
            ),
        )
        for window in windows
    ]
    return stitch(recognised), [(window.core_start / rate, window.core_end / rate) for window in windows]


def _words(model: Recogniser, log_probs_TV: Any, offset: float, unit: TranscribeUnit) -> tuple[Any, ...]:
    from sorigil.decoding.ctc import decode

    (hypothesis,) = decode(
        log_probs_TV[None],
        [len(log_probs_TV)],
        model.tokenizer,
        unit.decode,
        model.seconds_per_frame,
        offsets_B=[offset],
        pause_seconds=WORD_PAUSE_SECONDS,
        fusion=fusion_of(unit.store, unit.model_key, unit.decode),
    )
    return hypothesis.words
