"""Decoding by FFmpeg through PyAV (the optional extra `formats`): m4a, mp4, aac, webm, mka and damaged FLAC.

Only `decode` comes here, and only with what libsndfile cannot open.
"""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from sorigil.audio.decode import Decoded, check_rate
from sorigil.audio.headers import claimed_samples, flac_samples, payload_claim
from sorigil.errors import AudioError

_STATES_DURATION = ("mov", "matroska")  # others only guess theirs from the bit rate
_MAX_ERRORS_DETAIL = 200


def decode_with_ffmpeg(data: bytes, label: str, failure: AudioError) -> Decoded:
    """Decode the first audio stream. `failure` is what libsndfile said: raised when FFmpeg knows no better."""
    try:
        container = av.open(io.BytesIO(data), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise _without_advice(failure, error) from error
    with container:
        if not container.streams.audio:
            raise AudioError("not_audio", f"{label} ({container.format.name}) has no audio stream")
        return _decode_stream(container, data, label, failure)


def _decode_stream(container: Any, data: bytes, label: str, failure: AudioError) -> Decoded:
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise AudioError("unsupported_encoding", f"{label} holds an encoding that FFmpeg does not read either")
    check_rate(stream.rate or 0, label)
    samples, broke = _read(container, stream)
    container_name = f"{container.format.name.split(',')[0]}/{stream.codec_context.name}"
    claimed = _claimed(container, stream, data, len(samples))
    if broke is not None and (claimed is None or not len(samples)):
        raise AudioError("decode_failed", f"{label} ({container_name}) broke off: {str(broke)[:_MAX_ERRORS_DETAIL]}")
    return Decoded(samples=samples, sample_rate=stream.rate, container=container_name, header_samples=claimed)


def _read(container: Any, stream: Any) -> tuple[npt.NDArray[np.float32], Exception | None]:
    """Decode until the end or the first error: (num_samples, channels) and that error."""
    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)  # planar float, nothing else
    blocks: list[npt.NDArray[np.float32]] = []
    broke: Exception | None = None
    try:
        for frame in container.decode(stream):
            blocks.extend(part.to_ndarray() for part in resampler.resample(frame))
        blocks.extend(part.to_ndarray() for part in resampler.resample(None))
    except (av.error.FFmpegError, ValueError) as error:
        broke = error
    if not blocks:
        return np.zeros((0, max(1, stream.channels)), dtype=np.float32), broke
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).T, dtype=np.float32), broke


def _claimed(container: Any, stream: Any, data: bytes, decoded: int) -> int | None:
    if data.startswith(b"fLaC"):
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
