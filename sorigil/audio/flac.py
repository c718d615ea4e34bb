"""FLAC, which many archives and our own parts are made of, by a decoder that is nearly twice as fast as libsndfile's.

dr_flac (through miniaudio) decodes a whole file in memory. It is believed only where it brings exactly the samples that the
header claims, each frame's checksum having been right: bit for bit what libsndfile brings. All else is left to libsndfile.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.audio.headers import StreamInfo, stream_info

EXACT_BITS = (16, 24)  # as float32 too

Floats = npt.NDArray[np.float32]


def read_flac(data: bytes, info: StreamInfo) -> Floats | None:
    """Decode a whole file: float32 (num_samples, channels), full scale ±1. None where libsndfile is to be asked."""
    if not info.num_samples or info.bits not in EXACT_BITS:
        return None
    samples = np.empty((info.num_samples, info.channels), np.float32)
    return samples if _fill(samples, data, "f32", "float[]") else None


def read_flac_int16(data: bytes) -> npt.NDArray[np.int16] | None:
    """The same for mono of 16 bits, as it is: int16 (num_samples,)."""
    info = stream_info(data)
    if info is None or (info.channels, info.bits) != (1, 16):
        return None
    samples = np.empty((info.num_samples, 1), np.int16)
    return samples[:, 0] if _fill(samples, data, "s16", "ma_int16[]") else None


def _fill(samples: npt.NDArray[Any], data: bytes, kind: str, c_type: str) -> bool:
    """Decode into an array (num_samples, channels); False where that is not what the file holds.

    miniaudio's own functions copy what they decode twice, which costs as much as a tenth of the decoding.
    """
    from miniaudio import ffi, lib

    decoder = lib.ma_dr_flac_open_memory(data, len(data), ffi.NULL)
    if decoder == ffi.NULL:
        return False
    try:
        if decoder.channels != samples.shape[1]:
            return False
        read = getattr(lib, f"ma_dr_flac_read_pcm_frames_{kind}")
        return bool(read(decoder, len(samples), ffi.from_buffer(c_type, samples)) == len(samples))
    finally:
        lib.ma_dr_flac_close(decoder)


def is_damaged(info: StreamInfo, samples: Floats) -> bool:
    """Whether decoded samples are others than those that were encoded, by the header's MD5; False where there is none."""
    if info.bits not in EXACT_BITS or not any(info.md5):
        return False
    values = np.round(samples * np.float32(1 << (info.bits - 1))).astype("<i4")  # exact: float32 holds 24 bits
    width = info.bits // 8
    packed = values.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return hashlib.md5(packed, usedforsecurity=False).digest() != info.md5
