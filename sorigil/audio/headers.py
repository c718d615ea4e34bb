"""What a file's own header claims about its length, read from the bytes.

libsndfile silently adapts a claim to what is there, so a file cut in half decodes without an error. These few readers
take the claim itself, for `decode` to compare with the samples that really came out. They decode nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, overload

_UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFFFFFFFFFF}  # written by programs that stream
_MP3_SIDE_INFO = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}  # (MPEG-1?, mono?) → bytes


_SPHERE_HEADER = 1 << 16  # bytes; 1,024 as a rule
_OGG_TAIL = 1 << 17  # bytes; an Ogg page is at most half as long


class FileBytes:
    """The bytes of a seekable file, read where they are looked at. It leaves the file's position changed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, part: int) -> int: ...

    @overload
    def __getitem__(self, part: slice) -> bytes: ...

    def __getitem__(self, part: slice | int) -> bytes | int:
        first, last, _ = (part if isinstance(part, slice) else slice(part, part + 1)).indices(self._size)
        self._file.seek(first)
        found = self._file.read(max(0, last - first))
        return found if isinstance(part, slice) else found[0]


Bytes = bytes | FileBytes


@dataclass(frozen=True, slots=True)
class PayloadClaim:
    """How many bytes of sound the header claims, and how many lie in the file."""

    claimed: int
    present: int


def payload_claim(data: Bytes) -> PayloadClaim | None:
    """Read the claim of an uncompressed container (RIFF, RIFX, RF64, W64, AIFF, AU, NIST, CAF); None: says nothing."""
    head = data[:4]
    if head in (b"RIFF", b"RIFX", b"RF64"):
        return _riff(data, "big" if head == b"RIFX" else "little")
    if head == b"FORM":
        return _first(data, b"SSND", _chunks(data, 12, 4, 4, "big"), extra=8)
    if head == b".snd":
        return _claim(data, int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big"))
    if head == b"NIST":
        return _nist(data)
    if head == b"caff":
        return _first(data, b"data", _chunks(data, 8, 4, 8, "big", pad=1))
    if head == b"riff":
        return _w64(data)
    return None


def claimed_samples(data: Bytes, decoded: int) -> int | None:
    """The same claim in samples per channel, where `decoded` of them came out of the bytes present."""
    claim = payload_claim(data)
    if claim is None:
        return None
    return round(decoded * claim.claimed / claim.present) if claim.present and decoded else claim.claimed


def mp3_samples(data: Bytes) -> int | None:
    """Samples claimed by the Xing/Info header of an MP3's first frame; None where there is none."""
    start = 0
    if data[:3] == b"ID3" and len(data) >= 10:  # its size is written in 7-bit bytes
        start = 10 + sum((data[6 + i] & 0x7F) << (21 - 7 * i) for i in range(4))
    if len(data) < start + 48 or data[start] != 0xFF or data[start + 1] & 0xE6 != 0xE2:
        return None
    mpeg1, mono = data[start + 1] & 0x18 == 0x18, data[start + 3] >> 6 == 3
    tag = start + 4 + _MP3_SIDE_INFO[mpeg1, mono]
    if data[tag : tag + 4] not in (b"Xing", b"Info") or not data[tag + 7] & 1:
        return None
    return int.from_bytes(data[tag + 8 : tag + 12], "big") * (1152 if mpeg1 else 576)


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


def flac_samples(data: Bytes) -> int | None:
    """Samples claimed by a FLAC file's STREAMINFO; None where it says "unknown" (0) or this is no FLAC."""
    info = stream_info(data)
    return info.num_samples or None if info is not None else None


def sphere_packing(data: Bytes) -> str | None:
    """The compressor of a NIST SPHERE file (shorten, shortpack, wavpack), from the second half of its sample_coding."""
    if data[:4] != b"NIST":
        return None
    found = re.search(rb"\nsample_coding\s+-s\d+\s+[^\s,]*,\s*embedded-(\w+)", data[:_SPHERE_HEADER])
    return found[1].decode() if found else None


def ogg_is_cut(data: Bytes) -> bool:
    """Whether the last page of an Ogg file ends beyond the file: it was cut. (Ogg states no total length.)"""
    if data[:4] != b"OggS":
        return False
    tail = data[max(0, len(data) - _OGG_TAIL) : len(data)]
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if len(tail) < page + 27:
        return True
    segments = tail[page + 26]
    return page + 27 + segments + sum(tail[page + 27 : page + 27 + segments]) > len(tail)


def _riff(data: Bytes, order: str) -> PayloadClaim | None:
    size64 = None
    for name, start, size in _chunks(data, 12, 4, 4, order):
        if name == b"ds64":  # RF64 keeps the true sizes here
            size64 = int.from_bytes(data[start + 8 : start + 16], "little")
        if name == b"data":
            return _claim(data, start, size64 if size == 0xFFFFFFFF and size64 is not None else size)
    return None


def _w64(data: Bytes) -> PayloadClaim | None:
    # Sony Wave64: 16-byte names, 8-byte sizes that count their own 24-byte header, chunks aligned to 8.
    at = 40
    while at + 24 <= len(data):
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if data[at : at + 4] == b"data":
            return _claim(data, at + 24, size - 24)
        at += max(24, (size + 7) // 8 * 8)
    return None


def _nist(data: Bytes) -> PayloadClaim | None:
    fields = {}
    for line in data[:1024].split(b"\n"):
        parts = line.split(None, 2)
        if len(parts) == 3 and parts[1] == b"-i" and parts[2].strip().isdigit():
            fields[parts[0]] = int(parts[2])
    if not {b"sample_count", b"sample_n_bytes"} <= fields.keys():
        return None
    frame = fields[b"sample_n_bytes"] * fields.get(b"channel_count", 1)
    header = data[8:16].strip()
    return _claim(data, int(header) if header.isdigit() else 1024, fields[b"sample_count"] * frame)


def _chunks(data: Bytes, at: int, name: int, size: int, order: str, pad: int = 2) -> Iterator[tuple[bytes, int, int]]:
    """Walk (name, start of the content, size); a chunk's length is padded to a multiple of `pad`."""
    while at + name + size <= len(data):
        start = at + name + size
        length = int.from_bytes(data[at + name : start], "big" if order == "big" else "little")
        yield data[at : at + name], start, length
        at = start + -(-length // pad) * pad


def _first(data: Bytes, wanted: bytes, chunks: Iterator[tuple[bytes, int, int]], extra: int = 0) -> PayloadClaim | None:
    for name, start, size in chunks:
        if name == wanted:
            return _claim(data, start + extra, size - extra if size > extra else 0)
    return None


def _claim(data: Bytes, start: int, claimed: int) -> PayloadClaim | None:
    if claimed in _UNKNOWN_SIZES or claimed < 0:
        return None
    return PayloadClaim(claimed, max(0, min(claimed, len(data) - start)))
