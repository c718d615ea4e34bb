"""Decoding by FFmpeg through PyAV (the optional extra `formats`): m4a, mp4, aac, webm, mka and damaged FLAC.

Only `decode` comes here, and only with what libsndfile cannot open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt

from sorigil.audio.decode import Reader, check_rate
from sorigil.audio.headers import Bytes, claimed_samples, flac_samples, payload_claim
from sorigil.errors import AudioError

_STATES_DURATION = ("mov", "matroska")  # others only guess theirs from the bit rate
_MAX_ERRORS_DETAIL = 200
_GATHER = 512  # frames of 1,024 samples or so: a block


def read_with_ffmpeg(file: BinaryIO, data: Bytes, label: str, failure: AudioError) -> Reader:
    """Open the first audio stream. `failure` is what libsndfile said: raised when FFmpeg knows no better."""
    try:
        container = av.open(file, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise _without_advice(failure, error) from error
    if not container.streams.audio:
        raise AudioError("not_audio", f"{label} ({container.format.name}) has no audio stream")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise AudioError("unsupported_encoding", f"{label} holds an encoding that FFmpeg does not read either")
    check_rate(stream.rate or 0, label)
    name = f"{container.format.name.split(',')[0]}/{stream.codec_context.name}"

    def claim(decoded: int) -> int | None:
        return _claimed(container, stream, data, decoded)

    return Reader(
        sample_rate=stream.rate,
        channels=max(1, stream.channels),
        container=name,
        blocks=_read(container, stream, claim, f"{label} ({name})"),
        claim=claim,
    )


def _read(
    container: Any, stream: Any, claim: Callable[[int], int | None], label: str
) -> Iterator[npt.NDArray[np.float32]]:
    """Decode until the end or the first error, in blocks of (num_samples, channels).

    An error is no more than the end where the container says how much there should be: the count will show it.
    """
    decoded = 0
    try:
        for block in _gathered(_frames(container, stream)):
            decoded += len(block)
            yield block
    except (av.error.FFmpegError, ValueError) as broke:
        if not decoded or claim(decoded) is None:
            raise AudioError("decode_failed", f"{label} broke off: {str(broke)[:_MAX_ERRORS_DETAIL]}") from broke


def _frames(container: Any, stream: Any) -> Iterator[npt.NDArray[np.float32]]:
    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)  # planar float, nothing else
    for frame in container.decode(stream):
        for part in resampler.resample(frame):
            yield part.to_ndarray()
    for part in resampler.resample(None):
        yield part.to_ndarray()


def _gathered(frames: Iterator[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    """(channels, few samples) → (many samples, channels); what came before an error comes before the error."""
    held: list[npt.NDArray[np.float32]] = []
    broke: Exception | None = None
    while broke is None:
        try:
            held.append(next(frames))
        except StopIteration:
            break
        except (av.error.FFmpegError, ValueError) as error:
            broke = error
        if len(held) >= _GATHER:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)
    if broke is not None:
        raise broke


def _joined(held: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(np.concatenate(held, axis=1).T, dtype=np.float32)


def _claimed(container: Any, stream: Any, data: Bytes, decoded: int) -> int | None:
    if data[:4] == b"fLaC":
        return flac_samples(data)
    if payload_claim(data) is not None:
        return claimed_samples(data, decoded)
    if not container.format.name.startswith(_STATES_DURATION):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return int(stream.duration * stream.time_base * stream.rate)
    if container.duration is not None and len(container.streams) == 1:
        return int(container.duration / av.time_base * stream.rate)
    return None


def _without_advice(failure: AudioError, error: Exception) -> AudioError:
    if failure.reason != "needs_formats":
        return failure
    said = str(error)[:_MAX_ERRORS_DETAIL]
    return AudioError("decode_failed", f"it looks like m4a, mp4, aac, webm or mka but FFmpeg cannot open it: {said}")
