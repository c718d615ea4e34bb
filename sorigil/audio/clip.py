"""Prepared audio as one FLAC or WAV file, for other tools; the pieces that a long recording is stored in are joined."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import chain
from typing import IO, Literal

import soundfile

Form = Literal["flac", "wav"]


def write_clip(pieces: Iterable[bytes], file: IO[bytes], sample_rate: int, form: Form) -> None:
    """Join FLAC files, each mono and of `sample_rate` Hz, into one file of 16-bit samples; the samples stay as they are.

    Args:
        pieces: at least one, in order; one is held at a time. A single one is copied when FLAC is asked for.
        file: written from its present place on; it must be able to seek.
    """
    rest = iter(pieces)
    first = next(rest)
    second = next(rest, None)
    if second is None and form == "flac":
        file.write(first)
        return
    found = chain([first], [] if second is None else [second], rest)
    with soundfile.SoundFile(file, "w", sample_rate, 1, "PCM_16", format=form.upper()) as written:
        for piece in found:
            written.write(soundfile.read(io.BytesIO(piece), dtype="int16")[0])


def claimed_length(file: IO[bytes]) -> int | None:
    """The samples per channel that a file's header claims, without decoding; None where libsndfile cannot tell."""
    try:
        with soundfile.SoundFile(file) as sound:
            return int(sound.frames) if sound.frames < 1 << 40 else None  # libsndfile gives 2^63 - 1 for "unknown"
    except (soundfile.SoundFileError, RuntimeError, ValueError):
        return None
