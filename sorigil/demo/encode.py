"""Samples to the bytes of a WAV, FLAC, OGG or MP3 file, always the same bytes; and files broken in known ways.

The encoders are libsndfile's. Two of them put something of the moment into the file (a random stream number in OGG, the
time of day in a float WAV), which is overwritten here, because a recording's identity is the hash of its bytes.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from sorigil.demo.corpus import Broken, Container

SUBTYPES: dict[str, tuple[str, ...]] = {
    "wav": ("PCM_16", "PCM_16", "PCM_24", "FLOAT"),
    "flac": ("PCM_16", "PCM_16", "PCM_24"),
    "ogg": ("VORBIS",),
    "mp3": ("MPEG_LAYER_III",),
}
_OGG_SERIAL = 0x534F5249  # "SORI"
_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedFile:
    """A file's bytes and the ending that its name should have."""

    data: bytes
    extension: str


def encode(samples: NDArray[np.float64], sample_rate: int, container: Container, subtype: str) -> bytes:
    """Encode samples [N, channels], full scale 1, as one file of `SUBTYPES[container]`."""
    file = io.BytesIO()
    with sf.SoundFile(file, "w", sample_rate, samples.shape[1], subtype=subtype, format=container.upper()) as stream:
        # Whole seconds at a time: libsndfile's Vorbis encoder overruns its stack when given minutes at once.
        for start in range(0, len(samples), sample_rate):
            stream.write(_quantise(samples[start : start + sample_rate], subtype))
    data = file.getvalue()
    if container == "ogg":
        return _with_fixed_serial(data)
    return _without_time(data) if subtype == "FLOAT" else data


def break_file(kind: Broken, samples: NDArray[np.float64], sample_rate: int, rng: np.random.Generator) -> EncodedFile:
    """Make a file broken in the way `kind` says, from samples [N, channels] that would have been a sound one."""
    if kind == "empty":
        return EncodedFile(data=b"", extension="wav")
    if kind == "text_as_wav":
        return EncodedFile(data=f"not audio: {rng.integers(10**9)}\n".encode(), extension="wav")
    if kind == "garbage_mp3":
        return EncodedFile(data=rng.bytes(4000), extension="mp3")
    if kind == "truncated_flac":
        data = encode(samples, sample_rate, "flac", "PCM_16")
        return EncodedFile(data=data[: len(data) // 2], extension="flac")
    if kind == "truncated_wav":
        data = encode(samples, sample_rate, "wav", "PCM_16")
        return EncodedFile(data=data[: len(data) * 2 // 5], extension="wav")
    if kind == "header_only":
        return EncodedFile(data=encode(samples[:0], sample_rate, "wav", "PCM_16"), extension="wav")
    if kind == "silent":
        return EncodedFile(data=encode(np.zeros_like(samples), sample_rate, "wav", "PCM_16"), extension="wav")
    bad = samples.copy()
    bad[len(bad) // 3 : len(bad) // 2] = np.nan
    return EncodedFile(data=encode(bad, sample_rate, "wav", "FLOAT"), extension="wav")


def ogg_checksum(page: bytes) -> int:
    """The CRC of an OGG page (RFC 3533: polynomial 0x04c11db7, most significant bit first, starts at 0).

    zlib's CRC has the same polynomial with every bit order reversed and both ends inverted, and runs in C.
    """
    crc = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def _quantise(
    samples: NDArray[np.float64], subtype: str
) -> NDArray[np.int16] | NDArray[np.int32] | NDArray[np.float32]:
    """Round here, once and for all, so that no encoder rounds in its own way."""
    if subtype == "PCM_24":
        return np.rint(samples * (2**23 - 1)).astype(np.int32) << 8
    if subtype == "FLOAT":
        return samples.astype(np.float32)
    samples_16 = np.rint(samples * (2**15 - 1)).astype(np.int16)
    if subtype == "PCM_16":
        return samples_16
    # libsndfile's MP3 encoder fills stereo with noise when it is given 16-bit integers (libsndfile pull request 1106).
    return samples_16.astype(np.float32) / np.float32(2**15)


def _with_fixed_serial(data: bytes) -> bytes:
    """Give every page of a single-stream OGG file the same stream number, and so the same checksum each time."""
    pages = bytearray(data)
    start = 0
    while start < len(pages):
        segments = pages[start + 26]
        body = start + 27 + segments
        end = body + sum(pages[start + 27 : body])
        pages[start + 14 : start + 18] = _OGG_SERIAL.to_bytes(4, "little")
        pages[start + 22 : start + 26] = bytes(4)  # the checksum counts itself as zero
        pages[start + 22 : start + 26] = ogg_checksum(bytes(pages[start:end])).to_bytes(4, "little")
        start = end
    return bytes(pages)


def _without_time(data: bytes) -> bytes:
    """Zero the time stamp in a float WAV's PEAK chunk (id, size, version, time stamp: four bytes each)."""
    place = data.find(b"PEAK", 0, 200)
    return data if place < 0 else data[: place + 12] + bytes(4) + data[place + 16 :]
