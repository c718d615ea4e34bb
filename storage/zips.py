"""Zip archives: found by their directory, read member by member, checked against their checksums."""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from storage import files
from storage.members import ArchiveError, HeaderReads, Member, clean_name, is_bomb, name_problem, spooled

ZIP_SUFFIXES = (".zip",)
_LARGEST_DIRECTORY = 128 << 20  # a million names
_IS_UTF8 = 0x800
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Zip:
    """An open zip with its whole directory in memory."""

    def __init__(self, uri: str, size: int) -> None:
        stream = HeaderReads(files.open_input(uri), _LARGEST_DIRECTORY)
        with _translated():
            self._zip = zipfile.ZipFile(cast(Any, stream))
        stream.largest = None  # from here on it reads members
        if sum(info.compress_size for info in self._zip.infolist()) > size:
            raise ArchiveError("its members claim more bytes than it has: they overlap")
        self._infos = {_name(info): info for info in self._zip.infolist()}

    def members(self) -> Iterator[Member]:
        """Every file, in the directory's order."""
        for info in self._zip.infolist():
            if not info.is_dir():
                name = _name(info)
                problem = name_problem(name) or _problem(info)
                yield Member(name, info.header_offset, info.file_size, f"{info.CRC:08x}", problem)

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> BinaryIO:
        info = self._infos.get(name)
        if info is None:
            raise FileNotFoundError(2, "the archive holds no such file", name)
        if (problem := _problem(info)) is not None:
            raise ArchiveError(problem.partition(": ")[2])
        with _translated(), self._zip.open(info) as file:
            return spooled(file)


def _name(info: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without setting the flag that says so; only what cannot be UTF-8 is the old code page."""
    name = info.filename
    if not info.flag_bits & _IS_UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return clean_name(name)


def _problem(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & 1:
        return "encrypted_member: is encrypted; unpack it, or pack it without a password"
    if info.compress_type not in _READ:
        return f"unsupported_member: is compressed by method {info.compress_type}, which is not read; pack it anew"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link_member: is a link; links in archives are not followed"
    if is_bomb(info.compress_size, info.file_size):
        return f"unsafe_member: has {info.compress_size:,} bytes that claim to become {info.file_size:,}"
    return None


@contextmanager
def _translated() -> Iterator[None]:
    """What the libraries raise for damaged bytes, as one kind of error with the cause as its sentence."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as broken:
        raise ArchiveError(f"it is damaged or cut ({broken})") from broken
