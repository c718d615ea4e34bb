"""FLAC, which many archives and our own parts are made of, by a decoder that is nearly twice as fast as libsndfile's.

dr_flac (through miniaudio) decodes a whole file in memory. It is believed only where it brings exactly the samples that the
header claims, each frame's checksum having been right: bit for bit what libsndfile brings. All else is left to libsndfile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorigil.audio.headers import Bytes

EXACT_BITS = (16, 24)  # as float32 too

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a FLAC file says of itself."""

    sample_rate: int
    channels: int
    bits: int
    num_samples: int  # per channel; 0 where it does not say
    md5: bytes  # of the samples; zeros where it does not say


def stream_info(data: Bytes) -> StreamInfo | None:
    """The header of a native FLAC file (RFC 9639, section 8.2); None where this is none."""
    if data[:4] != b"fLaC" or len(data) < 42:
        return None
    packed = int.from_bytes(data[18:26], "big")  # 20, 3, 5 and 36 bits
    channels, bits = (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    return StreamInfo(packed >> 44, channels, bits, packed & 0xFFFFFFFFF, data[26:42])


def read_flac(data: bytes, info: StreamInfo) -> Floats | None:
    """Decode a whole file: float32 (num_samples, channels), full scale ±1. None where libsndfile is to be asked."""
    import miniaudio

    if not info.num_samples or info.bits not in EXACT_BITS:
        return None
    try:
        found = miniaudio.flac_read_f32(data)
    except miniaudio.DecodeError:
        return None
    samples = np.frombuffer(found.samples, np.float32)
    if (found.nchannels, len(samples)) != (info.channels, info.num_samples * info.channels):
        return None
    return samples.reshape(-1, info.channels)


def read_flac_int16(data: bytes) -> npt.NDArray[np.int16] | None:
    """The same for mono of 16 bits, as it is: int16 (num_samples,)."""
    import miniaudio

    info = stream_info(data)
    if info is None or (info.channels, info.bits) != (1, 16):
        return None
    try:
        samples = np.frombuffer(miniaudio.flac_read_s16(data).samples, np.int16)
    except miniaudio.DecodeError:
        return None
    return samples if len(samples) == info.num_samples else None


def is_damaged(info: StreamInfo, samples: Floats) -> bool:
    """Whether decoded samples are others than those that were encoded, by the header's MD5; False where there is none."""
    if info.bits not in EXACT_BITS or not any(info.md5):
        return False
    values = np.round(samples * np.float32(1 << (info.bits - 1))).astype("<i4")  # exact: float32 holds 24 bits
    width = info.bits // 8
    packed = values.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return hashlib.md5(packed, usedforsecurity=False).digest() != info.md5
