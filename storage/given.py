"""Files of others that a configuration names: what they hold decides what is computed, not where they lie."""

from __future__ import annotations

import gzip
import zlib
from functools import lru_cache

from sorigil.errors import RequestError
from storage import files

_GZIP = b"\x1f\x8b"


def stamp_of(uri: str) -> str:
    """What changes when a file does; raises RequestError where there is none."""
    entry = files.entry(uri)
    if entry is None:
        raise RequestError(f"{uri}: there is no such file")
    return entry.stamp


def sha256_of(uri: str) -> str:
    """Of a file's bytes, which are read again only when it has changed. Raises RequestError where there is none."""
    return _sha256(uri, stamp_of(uri))


def text_of(data: bytes, uri: str) -> str:
    """UTF-8, plain or gzipped. Raises RequestError with the line where it is none."""
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as torn:
            raise RequestError(f"{uri}: cannot be unpacked ({torn}); is it whole?") from torn
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise RequestError(f"{uri}: line {line} is not UTF-8 (byte 0x{data[wrong.start]:02x})") from wrong


@lru_cache(maxsize=64)
def _sha256(uri: str, stamp: str) -> str:
    return files.sha256(uri)
