"""Transcribe recordings with a recogniser: one file after the other, each committed as it is done.

A recording is decoded, prepared as the model's bundle says, cut at quiet points into windows, recognised window by
window and joined again. It is done when its files are written; the JSON says what made them, and a recording is
skipped only if its bytes, the model and every setting are the same.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import pyarrow as pa

from sorigil import transcripts
from sorigil.errors import AudioError
from sorigil.fingerprint import digest, fingerprint, to_dict
from sorigil.types import Rejection, Report
from storage import bundles, erased, files
from storage.layout import Store
from tasks.breadcrumb import Breadcrumb, Deadline
from tasks.heap import keep_freed_memory
from tasks.recordings import opened, raw_of, surprises_told

if TYPE_CHECKING:
    from tasks.listening import Sound

log = logging.getLogger("sorigil")

WRITERS = {
    "txt": transcripts.to_txt,
    "srt": transcripts.to_srt,
    "vtt": transcripts.to_vtt,
}
TRANSCRIBE_FORMAT = 2  # raised when the same recording would give another transcript
WORD_PAUSE_SECONDS = 0.3  # longer than any closure inside a word


@dataclass(frozen=True, kw_only=True)
class TranscribeUnit:
    """Some recordings; `items` has the columns id, uri, stamp, size. `output` is a folder; the files mirror the source's."""

    store: Store
    base: str
    unit: str
    model_key: str
    output: str
    formats: tuple[str, ...]
    max_seconds: float
    overlap_seconds: float
    decode: Any
    raw: Any
    items: pa.Table
    deadline: Deadline
    erased: frozenset[str] = frozenset()  # marks of recordings in which a person who was erased speaks
    threads: int = 1
    item_name: ClassVar[str] = "uri"

    @property
    def settings(self) -> dict[str, Any]:
        """What, besides the bytes, decides the result."""
        return {
            "format": TRANSCRIBE_FORMAT,
            "model": self.model_key,
            "max_seconds": self.max_seconds,
            "overlap_seconds": self.overlap_seconds,
            "decode": fingerprint(self.decode),
        }

    @property
    def key(self) -> str:
        return digest(json.dumps(self.settings, sort_keys=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcribed(Report):
    """A report with the transcripts that were written, or found to be there already."""

    transcripts: tuple[dict[str, Any], ...] = ()


def transcript_place(output: str, uri: str) -> str:
    """Where the files of a recording go, without their suffix: the whole name of the recording is kept, so that
    `a.wav` and `a.mp3` do not write over each other."""
    return files.join(output, uri.split("://", 1)[-1].lstrip("/"))


def transcribe_unit(unit: TranscribeUnit) -> Transcribed:
    """Do each recording of the unit; what cannot be transcribed is rejected, with its reason, and the rest goes on."""
    import torch

    torch.set_num_threads(unit.threads)
    keep_freed_memory()
    done: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    seconds: dict[str, float] = {}
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["uri"], item["size"])
            try:
                done.append(_recording(unit, item, seconds))
            except AudioError as wrong:
                log.warning("transcribe: %s: %s", item["uri"], wrong)
                where = {"id": item["id"], "uri": item["uri"], "stage": "transcribe"}
                rejections.append(Rejection(**where, reason=wrong.reason, detail=wrong.detail))
                if wrong.reason != "erased":  # it would name what is to be forgotten
                    _remember(unit, item["stamp"], rejections[-1])
    return Transcribed(
        unit=unit.unit,
        items=len(unit.items),
        audio_seconds=sum(row["seconds"] for row in done),
        rejections=tuple(rejections),
        seconds=seconds,
        transcripts=tuple(done),
    )


def reject_recordings(unit: TranscribeUnit, reason: str, detail: str) -> Transcribed:
    """Every recording of the unit is rejected, and remembered as such, unopened: it has ended workers."""
    rejections = []
    for item in unit.items.to_pylist():
        rejection = Rejection(id=item["id"], uri=item["uri"], stage="worker", reason=reason, detail=detail)
        _remember(unit, item["stamp"], rejection)
        rejections.append(rejection)
    return Transcribed(unit=unit.unit, items=len(rejections), audio_seconds=0.0, rejections=tuple(rejections))


def _rejection_place(unit: TranscribeUnit, uri: str) -> str:
    return unit.store.path(unit.store.transcript_rejection(digest(unit.output, uri)))


def _remember(unit: TranscribeUnit, stamp: str | None, rejection: Rejection) -> None:
    said = {"key": unit.key, "stamp": stamp, "rejection": to_dict(rejection)}
    files.write_bytes(_rejection_place(unit, rejection.uri), json.dumps(said, ensure_ascii=False).encode())


def found_rejection(unit: TranscribeUnit, uri: str, stamp: str | None) -> Rejection | None:
    """What an earlier run said of this very file by these settings, if it could not be transcribed."""
    try:
        said = json.loads(files.read_bytes(_rejection_place(unit, uri)))
    except (OSError, ValueError):
        return None
    return Rejection(**said["rejection"]) if (said["key"], said["stamp"]) == (unit.key, stamp) else None


def found_transcript(unit: TranscribeUnit, uri: str, stamp: str | None) -> dict[str, Any] | None:
    """The summary of a transcript that is there, complete, and made from this file by these settings."""
    place = transcript_place(unit.output, uri)
    if not all(files.exists(f"{place}.{suffix}") for suffix in unit.formats):
        return None
    try:
        written = json.loads(files.read_bytes(f"{place}.json"))
        settings = written["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if settings.get("key") != unit.key or settings.get("stamp") != stamp:
        return None
    return _summary(uri, place, unit.formats, written, reused=True)


def _recording(unit: TranscribeUnit, item: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    uri = item["uri"]
    clock = time.perf_counter()
    recogniser = _recogniser(unit.store, unit.model_key)
    with opened(files.join(unit.base, uri)) as source, _heard(unit, uri, source.file, recogniser.audio) as sound:
        _refuse_erased(unit, source.sha256)
        clock = _note(seconds, "decode", clock)
        words, windows = recogniser.hear(sound, unit)
        clock = _note(seconds, "recognise", clock)
    transcript = transcripts.Transcript(
        uri=uri,
        sha256=source.sha256,
        seconds=sound.seconds,
        sample_rate=recogniser.audio.sample_rate,
        segments=transcripts.segments_from_words(words),
        model=unit.model_key,
        decoder=unit.decode.kind,
        settings={**unit.settings, "stamp": item["stamp"], "key": unit.key},
        windows=tuple(windows),
    )
    place = transcript_place(unit.output, uri)
    written = transcripts.to_json(transcript)
    for suffix in sorted(unit.formats, key=lambda name: name == "json"):  # the JSON last: it says the rest is there
        text = json.dumps(written, ensure_ascii=False, indent=1) if suffix == "json" else WRITERS[suffix](transcript)
        files.write_bytes(f"{place}.{suffix}", text.encode())
    _note(seconds, "write", clock)
    return _summary(uri, place, unit.formats, written, reused=False)


def _refuse_erased(unit: TranscribeUnit, sha256: str) -> None:
    if unit.erased and unit.erased.intersection(erased.marks("recording", [sha256])):
        raise AudioError("erased", "a person who was erased on request speaks in these bytes")


def _note(seconds: dict[str, float], step: str, since: float) -> float:
    now = time.perf_counter()
    seconds[step] = seconds.get(step, 0.0) + now - since
    return now


def _summary(uri: str, place: str, formats: Sequence[str], written: dict[str, Any], *, reused: bool) -> dict[str, Any]:
    return {
        "uri": uri,
        "files": [f"{place}.{suffix}" for suffix in formats],
        "seconds": written["seconds"],
        "words": written["coverage"]["words"],
        "text": written["text"][:400],
        "reused": reused,
    }


@contextmanager
def _heard(unit: TranscribeUnit, uri: str, file: BinaryIO, audio: Any) -> Iterator[Sound]:
    from tasks.listening import listening

    with ExitStack() as closing:
        with surprises_told(uri):
            sound = closing.enter_context(listening(file, audio, name=uri, raw=raw_of(unit.raw, uri)))
        yield sound


@lru_cache(maxsize=2)
def _recogniser(store: Store, key: str) -> Recogniser:
    """A worker loads a model once."""
    return Recogniser(bundles.load(store, key))


class Recogniser:
    """A CTC model ready to hear long recordings."""

    def __init__(self, bundle: bundles.Bundle) -> None:
        self.audio = bundle.audio
        self._bundle = bundle
        self._network = bundle.network()
        self._tokenizer = bundle.tokenizer()
        self._road = bundle.road()

    def hear(self, sound: Sound, unit: TranscribeUnit) -> tuple[tuple[Any, ...], list[tuple[float, float]]]:
        """The words of a recording with their times, and the windows (in seconds) they were heard in."""
        from sorigil.audio.segment import QuietFinder
        from sorigil.decoding.stitch import Window, stitch

        rate, limit = self.audio.sample_rate, unit.max_seconds
        finder = QuietFinder(rate)
        for block in sound.blocks():
            finder.add(block)
        windows = finder.windows(
            max_seconds=limit,
            min_seconds=min(3.0, limit / 4),
            search_seconds=min(3.0, limit / 4),
            pause_seconds=WORD_PAUSE_SECONDS,
            overlap_seconds=unit.overlap_seconds,
        )
        speaker = self._speaker(sound, windows)
        heard = [
            Window(
                core_start=window.core_start / rate,
                core_end=window.core_end / rate,
                words=self._window(sound.window(window.start, window.end), window.start / rate, unit, speaker),
            )
            for window in windows
        ]
        return stitch(heard), [(window.core_start / rate, window.core_end / rate) for window in windows]

    def _features(self, samples: Any) -> Any:
        """features_TF of a window; None for a last one shorter than one frame, which holds no word."""
        from sorigil.training.inputs import compute_input

        try:
            return compute_input(self._bundle.feature, samples, self.audio.sample_rate)
        except AudioError:
            return None

    def _speaker(self, sound: Sound, windows: Sequence[Any]) -> Any:
        """For a model that is used to statistics of a speaker: those of the recording, in a sweep of its own."""
        from sorigil.features.cmvn import GlobalStats

        if self._road.cmvn != "speaker":
            return None
        found = (self._features(sound.window(window.start, window.end)) for window in windows)
        return GlobalStats.merge_all(GlobalStats.of(features_TF) for features_TF in found if features_TF is not None)

    def _window(self, samples: Any, offset: float, unit: TranscribeUnit, speaker: Any) -> tuple[Any, ...]:
        import torch

        from sorigil.decoding.ctc import decode
        from sorigil.training.inputs import hop_length

        rate = self.audio.sample_rate
        features_TF = self._features(samples)
        if features_TF is None:
            return ()
        features_TF = self._road.finish(features_TF, "", speaker=speaker)
        with torch.no_grad():
            log_probs, lengths = self._network(torch.from_numpy(features_TF)[None], torch.tensor([len(features_TF)]))
        seconds_per_frame = hop_length(self._bundle.feature) / rate * self._network.stride
        (hypothesis,) = decode(
            log_probs.numpy(),
            lengths.numpy(),
            self._tokenizer,
            unit.decode,
            seconds_per_frame,
            offsets_B=[offset],
            pause_seconds=WORD_PAUSE_SECONDS,
        )
        return hypothesis.words
