"""Align the texts of recordings with their sound: when is each word said? One recording after the other, as in `transcribe`.

A recording may hold several utterances, each a stretch (of one channel) with a text of its own. An utterance's log
posteriors are computed window by window, as a recording is transcribed, and put together on one grid of frames: half an
hour is aligned as a whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sorigil.alignment import formats
from sorigil.audio.segment import QuietFinder, Window
from sorigil.errors import AudioError
from sorigil.fingerprint import digest
from sorigil.types import Rejection
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
from tasks.recogniser import Recogniser, quiet_windows, recogniser
from tasks.recordings import opened

if TYPE_CHECKING:
    from tasks.listening import Sound

ALIGN_FORMAT = 1  # raised when the same recording would be aligned otherwise
WRITERS = {"TextGrid": formats.to_textgrid, "ctm": formats.to_ctm}

UTTERANCE = pa.struct(
    [
        pa.field("id", pa.string()),
        pa.field("start", pa.float64()),  # seconds into the recording; null: from its beginning
        pa.field("seconds", pa.float64()),  # null: to its end
        pa.field("channel", pa.int32()),  # null: all, mixed as the model's AudioSpec says
        pa.field("text", pa.string()),
    ]
)

Utterance = dict[str, Any]  # a row of `UTTERANCE`


@dataclass(frozen=True, kw_only=True)
class AlignUnit(RecordingsUnit):
    """Some recordings; `items` has the column `utterances` (lists of `UTTERANCE`) besides."""

    stage: ClassVar[str] = "align"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "format": ALIGN_FORMAT,
            "model": self.model_key,
            "max_seconds": self.max_seconds,
            "overlap_seconds": self.overlap_seconds,
        }

    def key_of(self, utterances: Sequence[Utterance]) -> str:
        """Of the settings and of the texts with their stretches: another text is another alignment."""
        return digest(self.key, json.dumps(list(utterances), sort_keys=True))


def align_unit(unit: AlignUnit) -> Written:
    """Write the alignment of each recording of the unit."""
    return do_recordings(unit, _recording)


def found_alignment(unit: AlignUnit, item: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of an alignment that is there, complete, and of this file, these texts and these settings."""
    written = found_record(unit, item["uri"], item["stamp"], unit.key_of(item["utterances"]))
    return None if written is None else _summary(item["uri"], addresses(unit, item["uri"]), written, reused=True)


def _recording(unit: AlignUnit, item: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    uri, clock = item["uri"], time.perf_counter()
    model = recogniser(unit.store, unit.model_key)
    found: list[formats.AlignedUtterance] = []
    rejections: list[Rejection] = []
    utterances = sorted(item["utterances"], key=_channel)
    for channel, several in groupby(utterances, key=lambda utterance: utterance["channel"]):
        with (
            opened(files.join(unit.base, uri)) as source,
            heard(unit, uri, source.file, model.audio, channel) as sound,
        ):
            refuse_erased(unit, source.sha256)
            clock = note(seconds, "decode", clock)
            aligner = _Aligner(unit, model, sound)
            for utterance in several:
                try:
                    found.append(aligner.align(utterance))
                except AudioError as wrong:
                    where = {"id": utterance["id"], "uri": uri, "stage": unit.stage}
                    rejections.append(Rejection(**where, reason=wrong.reason, detail=wrong.detail))
            clock = note(seconds, "align", clock)
    alignment = formats.Alignment(
        uri=uri,
        sha256=source.sha256,
        seconds=sound.seconds,
        sample_rate=model.audio.sample_rate,
        model=unit.model_key,
        utterances=tuple(sorted(found, key=lambda utterance: utterance.start)),
        rejections=tuple(rejections),
        settings={**unit.settings, "stamp": item["stamp"], "key": unit.key_of(item["utterances"])},
    )
    written = formats.to_json(alignment)
    render = {suffix: partial(write, alignment) for suffix, write in WRITERS.items()}
    places = write_record(unit, uri, written, render)
    note(seconds, "write", clock)
    return _summary(uri, places, written, reused=False)


def _channel(utterance: Utterance) -> int:
    return -1 if utterance["channel"] is None else int(utterance["channel"])


def _summary(uri: str, places: Sequence[str], written: dict[str, Any], *, reused: bool) -> dict[str, Any]:
    utterances = written["utterances"]
    sure = [utterance["confidence"] for utterance in utterances]
    return {
        "uri": uri,
        "files": list(places),
        "seconds": written["seconds"],
        "utterances": len(utterances),
        "words": sum(len(utterance["words"]) for utterance in utterances),
        "confidence": round(float(np.mean(sure)), 4) if sure else None,
        "rejections": written["rejections"],
        "reused": reused,
    }


class _Aligner:
    """Aligns stretches of one sound."""

    def __init__(self, unit: AlignUnit, model: Recogniser, sound: Sound) -> None:
        from sorigil.text.normalize import normalizer

        self._unit, self._model, self._sound = unit, model, sound
        self._clean = normalizer(model.normalizer)
        finder = QuietFinder(model.audio.sample_rate)
        for block in sound.blocks():
            finder.add(block)
        self._loudness = finder.loudness()
        self._speaker = model.speaker(sound, self._windows(0, sound.num_samples)) if model.by_speaker else None

    def align(self, utterance: Utterance) -> formats.AlignedUtterance:
        """Raises AudioError: span_outside, and what `sorigil.alignment.forced:align` raises."""
        from sorigil.alignment.boundaries import settle
        from sorigil.alignment.forced import align

        model, rate = self._model, self._model.audio.sample_rate
        start, end = self._span(utterance["start"] or 0.0, utterance["seconds"])
        aligned = align(
            self._log_probs(start, end),
            utterance["text"] or "",
            model.tokenizer,
            self._clean,
            model.seconds_per_frame,
            offset=start / rate,
        )
        words = settle(aligned.words, self._loudness, start / rate, end / rate)
        return formats.AlignedUtterance(
            id=utterance["id"],
            start=start / rate,
            end=end / rate,
            channel=utterance["channel"],
            text=utterance["text"],
            aligned=replace(aligned, words=words),
        )

    def _span(self, start: float, seconds: float | None) -> tuple[int, int]:
        """A stretch in samples. Half a frame is forgiven at its end, where rates and headers differ."""
        rate, total = self._model.audio.sample_rate, self._sound.num_samples
        first = round(start * rate)
        last = total if seconds is None else round((start + seconds) * rate)
        if first >= total or last - total > rate // 100:
            said = f"{start:.3f} s to {last / rate:.3f} s"
            raise AudioError("span_outside", f"its stretch, {said}, is not in the recording of {total / rate:.3f} s")
        return first, min(last, total)

    def _windows(self, start: int, end: int) -> list[Window]:
        unit, rate = self._unit, self._model.audio.sample_rate
        if end - start <= unit.max_seconds * rate:  # as in training: whole
            return [Window(start, end, start, end)]
        cuts = {"max_seconds": unit.max_seconds, "overlap_seconds": unit.overlap_seconds}
        return quiet_windows(self._sound, rate, start=start, end=end, **cuts)

    def _log_probs(self, start: int, end: int) -> NDArray[np.float32]:
        """The posteriors_TV of a stretch, frame 0 at `start`: each window is begun at a whole frame and gives its core's."""
        step = self._model.samples_per_frame
        windows = self._windows(start, end)
        parts = []
        for window in windows:
            first = (window.start - start) // step
            core = (window.core_start - start) // step - first
            samples = self._sound.window(start + first * step, min(end, window.end + 2 * step))
            found_TV = self._model.log_probs(samples, self._speaker)
            if window is not windows[-1]:
                found_TV = _of_length(found_TV, (window.core_end - start) // step - first)
            parts.append(found_TV[core:])
        return np.concatenate(parts)


def _of_length(log_probs_TV: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """So many frames: a network that does not pad its input drops some at the recording's end."""
    missing = frames - len(log_probs_TV)
    return log_probs_TV[:frames] if missing <= 0 else np.pad(log_probs_TV, ((0, missing), (0, 0)), mode="edge")
