"""FLAC, which many archives and our own parts are made of, by a decoder that is nearly twice as fast as libsndfile's.

dr_flac (through miniaudio) decodes a whole file in memory. It is believed only where it brings exactly the samples that the
header claims, each frame's checksum having been right: bit for bit what libsndfile brings. All else is left to libsndfile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.audio.headers import StreamInfo, stream_info

EXACT_BITS = (16, 24)  # as float32 too

Floats = npt.NDArray[np.float32]


def read_flac(data: bytes, info: StreamInfo) -> Floats | None:
    """Decode a whole file: float32 (num_samples, channels), full scale ±1. None where libsndfile is to be asked."""
    import miniaudio

    if not info.num_samples or info.bits not in EXACT_BITS:
        return None
    samples = _whole(miniaudio.flac_read_f32, data, info, np.float32)
    return None if samples is None else samples.reshape(-1, info.channels)


def read_flac_int16(data: bytes) -> npt.NDArray[np.int16] | None:
    """The same for mono of 16 bits, as it is: int16 (num_samples,)."""
    import miniaudio

    info = stream_info(data)
    if info is None or (info.channels, info.bits) != (1, 16):
        return None
    return _whole(miniaudio.flac_read_s16, data, info, np.int16)


def _whole(read: Callable[[bytes], Any], data: bytes, info: StreamInfo, dtype: type[Any]) -> npt.NDArray[Any] | None:
    """What `read` decodes, channels in turn; None unless it is all that the header claims."""
    import miniaudio

    try:
        found = read(data)
    except miniaudio.DecodeError:
        return None
    samples = np.frombuffer(found.samples, dtype)
    claimed = (info.channels, info.num_samples * info.channels)
    return samples if (found.nchannels, len(samples)) == claimed else None


def is_damaged(info: StreamInfo, samples: Floats) -> bool:
    """Whether decoded samples are others than those that were encoded, by the header's MD5; False where there is none."""
    if info.bits not in EXACT_BITS or not any(info.md5):
        return False
    values = np.round(samples * np.float32(1 << (info.bits - 1))).astype("<i4")  # exact: float32 holds 24 bits
    width = info.bits // 8
    packed = values.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return hashlib.md5(packed, usedforsecurity=False).digest() != info.md5
