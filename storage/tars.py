"""Tar archives, plain or compressed by gzip, bzip2 or xz; the content decides which, never the name.

A plain tar is read in place at the offsets its headers give. A compressed one can only be read from its beginning: its
members cost one pass when they are asked for in the archive's order, and a new pass whenever one goes back.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from storage import files
from storage.members import ArchiveError, HeaderReads, Member, Window, clean_name, is_bomb, name_problem, spooled

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MAGIC: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZSTD = b"\x28\xb5\x2f\xfd"
_LARGEST_HEADER = 1 << 20  # a long name takes a few hundred bytes
_BLOCK = 512
_AFTER_END = 128 * _BLOCK  # how far to look for something after the end: tar pads with 20 blocks of zeros


class Tar:
    """An open tar. Its headers are read as far as they are needed, once."""

    def __init__(self, uri: str, size: int) -> None:
        self._uri, self._size = uri, size
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, int]] = {}
        raw = files.open_input(uri)
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(_ZSTD):
            raise ArchiveError("it is compressed by zstd, which is not read; make it a plain .tar")
        expand = next((kind for known, kind in _MAGIC.items() if magic.startswith(known)), None)
        self._compressed = expand is not None
        self._stream: BinaryIO = raw if expand is None else expand(raw)
        headers = cast(Any, HeaderReads(self._stream, _LARGEST_HEADER))
        with _translated():
            self._tar = tarfile.open(fileobj=headers, mode="r:", encoding="utf-8")  # noqa: SIM115 - kept open

    def members(self) -> Iterator[Member]:
        """Every file, by a reading of its own from the beginning."""
        another = Tar(self._uri, self._size)
        while (header := another._next()) is not None:
            if not header.isdir():
                yield self._member(header)

    def read(self, name: str) -> bytes:
        with self._lock, _translated():
            start, size = self._find(name)
            self._stream.seek(start)
            data = self._stream.read(size)
        if len(data) < size:
            raise ArchiveError(f"the archive ends {size - len(data)} bytes before the file in it does")
        return data

    def open(self, name: str) -> BinaryIO:
        with self._lock, _translated():
            start, size = self._find(name)
            if self._compressed:
                return spooled(Window(self._stream, start, size))
        return io.BufferedReader(Window(files.open_input(self._uri), start, size, own=True), 1 << 16)

    def _find(self, name: str) -> tuple[int, int]:
        """Where a file's bytes begin and how many they are, reading headers until it comes."""
        while name not in self._known:
            header = self._next()
            if header is None:
                raise FileNotFoundError(2, "the archive holds no such file", name)
            if header.isreg() and not header.issparse():
                self._known[clean_name(header.name)] = (header.offset_data, header.size)
        return self._known[name]

    def _next(self) -> tarfile.TarInfo | None:
        with _translated():
            header = self._tar.next()
            cast(Any, self._tar).members.clear()  # it would keep all of them
            if header is None:
                self._check_end()
            elif header.size < 0:
                raise ArchiveError(f"{header.name!r} claims a negative size")
            elif self._compressed and is_bomb(self._size, header.offset_data + header.size):
                raise ArchiveError(f"{self._size:,} bytes expand to more than {header.offset_data + header.size:,}")
            return header

    def _check_end(self) -> None:
        """tarfile takes a damaged header for the end, and does not look behind the end."""
        self._stream.seek(self._tar.offset)
        if any(self._stream.read(_AFTER_END)):
            raise ArchiveError(f"after {self._tar.offset:,} bytes comes more that cannot be read as tar")

    def _member(self, header: tarfile.TarInfo) -> Member:
        name = clean_name(header.name)
        problem = name_problem(name)
        if header.issym() or header.islnk():
            problem = f"link_member: is a link to {header.linkname!r}; links in archives are not followed"
        elif not header.isreg() or header.issparse():
            problem = "special_member: is no plain file in its archive (a device, or a file with holes)"
        elif not self._compressed and header.offset_data + header.size > self._size:
            problem = "truncated: goes on beyond the end of its archive, which was cut"
        readable = name.encode(errors="backslashreplace").decode()
        if readable != name:
            problem = "bad_name: is no UTF-8 name"
        return Member(readable, header.offset_data, header.size, f"{header.mtime:.0f}", problem)


@contextmanager
def _translated() -> Iterator[None]:
    """What the libraries raise for damaged bytes, as one kind of error with the cause as its sentence."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as broken:
        raise ArchiveError(f"it is damaged or cut ({broken})") from broken
