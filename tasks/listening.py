"""The prepared audio of a whole recording for those who go through it window by window: held, or set aside when it is long.

Nothing is trimmed here: times in a transcript are the recording's own.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sorigil.audio.decode import Decoded, LongRecording, open_audio
from sorigil.audio.level import to_int16
from sorigil.audio.prepare import prepare, to_float
from sorigil.audio.prepare_long import LongPrepared, LongSpan
from sorigil.audio.spec import AudioSpec, NoTrim, RawAudio
from storage.streams import Spool

Floats = NDArray[np.float32]


class Sound(ABC):
    """Prepared audio, float32, full scale being 1. `seconds` are the recording's."""

    num_samples: int
    seconds: float

    @abstractmethod
    def blocks(self) -> Iterator[Floats]:
        """All samples, from the first to the last."""

    @abstractmethod
    def window(self, start: int, end: int) -> Floats:
        """The samples from `start` to `end`, of which there is at least one."""


class HeldSound(Sound):
    """Of a short recording: in memory."""

    def __init__(self, samples: Floats, seconds: float) -> None:
        self._samples, self.num_samples, self.seconds = samples, len(samples), seconds

    def blocks(self) -> Iterator[Floats]:
        yield self._samples

    def window(self, start: int, end: int) -> Floats:
        return self._samples[start:end]


class LongSound(Sound):
    """Of a long recording: in a temporary file."""

    def __init__(self, prepared: LongPrepared, seconds: float) -> None:
        self._prepared, self.num_samples, self.seconds = prepared, prepared.num_samples, seconds

    def blocks(self) -> Iterator[Floats]:
        return map(to_float, self._prepared.pcm())

    def window(self, start: int, end: int) -> Floats:
        first = self._prepared.first
        (block,) = self._prepared.aside.blocks(end - start, first + start, first + end)
        return to_float(to_int16(block, self._prepared.gain))


@contextmanager
def listening(
    file: BinaryIO, audio: AudioSpec, *, name: str, raw: RawAudio | None, channel: int | None = None
) -> Iterator[Sound]:
    """Decode and prepare a recording, or one of its channels. Raises AudioError, as `open_audio` and `prepare` do."""
    audio = dataclasses.replace(audio, trim=NoTrim())
    recording = open_audio(file, name=name, raw=raw)
    if isinstance(recording, Decoded):
        yield _held(recording, audio, channel)
        return
    span = LongSpan(audio, recording.sample_rate, start=0, length=None, channel=channel, set_aside=Spool)
    try:
        yield _long(recording, span)
    finally:
        span.close()


def _held(decoded: Decoded, audio: AudioSpec, channel: int | None) -> HeldSound:
    return HeldSound(to_float(prepare(decoded, audio, channel=channel).pcm), decoded.num_samples / decoded.sample_rate)


def _long(recording: LongRecording, span: LongSpan) -> LongSound:
    at = 0
    for block in recording:
        span.add(block, at)
        at += len(block)
    return LongSound(span.finish(at), at / recording.sample_rate)
