"""Files that lie inside tar and zip archives and Parquet files, read where they are: nothing is unpacked to disk.

`calls/day1.tar!a/7.wav` names the member `a/7.wav` of the archive `calls/day1.tar`. Every function here takes a plain
file's address as well, so whoever reads audio reads it through this module. An archive is hostile until it is read: what
it claims is bounded, and a member that cannot be used is a row with a problem, not an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage import files, s3
from storage.members import ArchiveError, Member, clean_name
from storage.parquets import PARQUET_SUFFIXES, Parquet
from storage.tars import TAR_SUFFIXES, Tar
from storage.zips import ZIP_SUFFIXES, Zip

SEPARATOR = "!"
MOST_MEMBERS = 1_000_000


class Archive(Protocol):
    """What a kind of archive must be able to do; safe to use from several threads."""

    def members(self) -> Iterator[Member]: ...

    def read(self, name: str) -> bytes: ...

    def open(self, name: str) -> BinaryIO: ...


_KINDS: dict[tuple[str, ...], Callable[[str, int], Archive]] = {
    TAR_SUFFIXES: Tar,
    ZIP_SUFFIXES: Zip,
    PARQUET_SUFFIXES: Parquet,
}
_LOOKED_INTO = (*TAR_SUFFIXES, *ZIP_SUFFIXES)  # a Parquet file is a table; its recordings are read where they are named
_SUFFIXES = tuple(suffix for kind in _KINDS for suffix in kind)
_INSIDE = rf"(?is)^(?P<archive>.+?(?:{'|'.join(map(re.escape, _SUFFIXES))})){SEPARATOR}(?P<member>.+)$"
_PATTERN = re.compile(_INSIDE)


def is_archive(uri: str) -> bool:
    """Whether the name is that of an archive that we look into."""
    return uri.lower().endswith(_LOOKED_INTO)


def parted(uri: str) -> tuple[str, str] | None:
    """`a.tar!b/c.wav` → (`a.tar`, `b/c.wav`); None: a file of its own."""
    found = _PATTERN.fullmatch(uri) if SEPARATOR in uri else None
    return (found["archive"], clean_name(found["member"])) if found else None


def tidy(uri: str) -> str:
    """The one way to write an address: `a.tar!./b.wav` and `a.tar!/b.wav` are `a.tar!b.wav`."""
    inside = parted(uri)
    return uri if inside is None else SEPARATOR.join(inside)


def reading_order(uris: Any, offsets: Any) -> NDArray[np.int64]:
    """The rows of two Arrow columns, those of a file or an archive together, an archive's from front to back."""
    archive = pc.struct_field(pc.extract_regex(uris, _INSIDE), "archive")
    place = pc.coalesce(archive, uris).combine_chunks().dictionary_encode().indices
    return np.lexsort((pc.fill_null(offsets, 0).to_numpy(), place.to_numpy()))


def read_bytes(uri: str) -> bytes:
    """The whole file or member. Raises OSError: FileNotFoundError where it is missing, ArchiveError for a bad archive."""
    inside = parted(uri)
    return files.read_bytes(uri) if inside is None else _open(inside[0]).read(inside[1])


def open_input(uri: str) -> BinaryIO:
    """The file or member as a stream that can seek; close it. Raises OSError as `read_bytes` does.

    Of a plain tar the member is read in place. A compressed member is held in memory while it is small, else in an unnamed
    temporary file that goes when the stream is closed.
    """
    inside = parted(uri)
    return files.open_input(uri) if inside is None else _open(inside[0]).open(inside[1])


def entry(uri: str) -> files.FileEntry | None:
    """Size and stamp of a file or a member, or None where there is none. Lists the archive: for many use `entries`."""
    inside = parted(uri)
    if inside is None:
        return files.entry(uri)
    found = entries(inside[0])
    return found.get(SEPARATOR.join(inside)) or found.get(inside[0])


def entries(archive: str) -> dict[str, files.FileEntry]:
    """Every file in an archive by its address, in the archive's order; an archive that is missing has none.

    A member that cannot be used has its `problem`. Of an archive that breaks off what could be read is there, and the
    archive itself, under its own address, with what is wrong with it.
    """
    container = files.entry(archive)
    if container is None:
        return {}
    found: dict[str, files.FileEntry] = {}
    try:
        for member in _opened(archive, container.size, container.stamp).members():
            uri = f"{archive}{SEPARATOR}{member.name}"
            found[uri] = _entry(uri, member, container.stamp, doubled=uri in found)
            if len(found) > MOST_MEMBERS:
                raise ArchiveError(f"it holds more than {MOST_MEMBERS:,} files")
    except OSError as wrong:
        if s3.is_outage(wrong):
            raise
        said = f"bad_archive: {archive}: {wrong.strerror or wrong}"
        found[archive] = files.FileEntry(archive, container.size, container.stamp, problem=said)
    return found


def _entry(uri: str, member: Member, stamp: str, *, doubled: bool) -> files.FileEntry:
    problem = member.problem
    if doubled:
        problem = f"doubled_member: {uri} is in the archive more than once; which one is meant cannot be told"
    elif problem is None and is_archive(member.name):
        problem = f"nested_archive: {uri} is an archive in an archive; it is not opened, unpack it beside the other"
    elif problem is not None:
        reason, _, detail = problem.partition(": ")
        problem = f"{reason}: {uri} {detail}"
    place = f"{stamp}{SEPARATOR}{member.offset}-{member.size}-{member.mark}"
    return files.FileEntry(uri, member.size, place, offset=member.offset, problem=problem)


def _open(archive: str) -> Archive:
    container = files.entry(archive)
    if container is None:
        raise FileNotFoundError(2, "the archive does not exist", archive)
    return _opened(archive, container.size, container.stamp)


@lru_cache(maxsize=4)
def _opened(archive: str, size: int, stamp: str) -> Archive:
    """Kept open, because the next file is most often from the same archive; the stamp is there to notice a new one."""
    for suffixes, kind in _KINDS.items():
        if archive.lower().endswith(suffixes):
            return kind(archive, size)
    raise AssertionError(archive)
