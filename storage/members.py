"""What tar and zip readers share: the member as they list it, its name made safe, and bounded streams over bytes."""

from __future__ import annotations

import io
import re
import tempfile
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

MOST_RATIO = 200  # expanded to packed: audio reaches 3, speech with silences 20, a bomb 1,000
FREE_BYTES = 1 << 30  # so much may be expanded whatever the ratio
SPOOL_BYTES = 64 << 20  # a larger expanded member is held in a temporary file
_COPY_BYTES = 1 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LAST_BYTES = 1 << 17  # where a zip's last record lies, comment included


class ArchiveError(OSError):
    """An archive or a member that cannot be read, as a sentence. An OSError: to whoever reads, a file is unreadable."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive. `mark` changes with its content as far as the archive tells: time or checksum."""

    name: str
    offset: (
        int  # of its data (tar) or its header (zip) in the archive's bytes, expanded where it is compressed as a whole
    )
    size: int
    mark: str
    problem: str | None = None  # "reason: sentence without its subject" of a file that cannot be used


def clean_name(name: str) -> str:
    """A member's name as a relative path: `./a//b` and `/a/b` are `a/b`."""
    return "/".join(piece for piece in name.split("/") if piece not in ("", ".")) or "."


def name_problem(name: str) -> str | None:
    """Why a name cannot be used: it climbs out of its archive, or is no text."""
    if ".." in name and ".." in name.replace("\\", "/").split("/"):
        return "unsafe_name: leads out of its archive"
    if name == ".":
        return "unsafe_name: is a file without a name"
    if _CONTROL.search(name):
        return "unsafe_name: has control characters in its name"
    return None


def is_bomb(packed: int, expanded: int) -> bool:
    """Whether so few bytes claim to become so many that nobody's recordings do."""
    return expanded > FREE_BYTES and expanded > MOST_RATIO * packed


class HeaderReads:
    """A stream for a reader of headers: one that claims to be huge is refused before memory is given to it."""

    def __init__(self, stream: BinaryIO, largest: int | None) -> None:
        self.stream, self.largest = stream, largest

    def read(self, size: int = -1, /) -> bytes:
        if self.largest is not None and size > self.largest:
            raise ArchiveError(f"a header in it claims {size:,} bytes")
        return self.stream.read(_LAST_BYTES if self.largest is not None and size < 0 else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def seekable(self) -> bool:
        return True


class Window(io.RawIOBase):
    """A stretch of a stream as a stream that can seek. With `own` the stream is closed when this is."""

    def __init__(self, stream: BinaryIO, start: int, size: int, *, own: bool = False) -> None:
        self._stream, self._start, self._size, self._own = stream, start, size, own
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        self._stream.seek(self._start + self._at)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise ArchiveError(f"the archive ends {wanted - len(data)} bytes before the file in it does")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if self._own and not self.closed:
            self._stream.close()
        super().close()


def spooled(source: Any) -> BinaryIO:
    """All of a stream that seeks badly, as one that seeks well."""
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the reader closes it
    while block := source.read(_COPY_BYTES):
        file.write(block)
    file.seek(0)
    return cast(BinaryIO, file)
