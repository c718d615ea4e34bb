"""What is too large to hold in memory: sources hashed as they are read, new files that appear whole, arrays set aside.

Small files go the short way, through `files.read_bytes` and `files.write_bytes`. What is set aside lies in the folder for
temporary files (`TMPDIR`), has no name there and is gone with the process.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sorigil.errors import RunError
from storage import archives, files

IN_MEMORY = 32 << 20  # bytes of a source up to which it is simply read
_COPY = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An opened file, or a file in an archive: a seekable `file`, and the sha256 of the content."""

    file: BinaryIO
    sha256: str


@contextmanager
def open_source(uri: str) -> Iterator[Source]:
    """Read a small file; open a large one, behind a URL after one download into a temporary file.

    Raises OSError (FileNotFoundError where it is missing).
    """
    with ExitStack() as opened:
        whole_object = files.is_url(uri) and archives.parted(uri) is None
        file = opened.enter_context(_downloaded(uri) if whole_object else archives.open_input(uri))
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= IN_MEMORY:
            data = file.read()
            yield Source(file=io.BytesIO(data), sha256=hashlib.sha256(data).hexdigest())
        else:
            yield Source(file=file, sha256=_sha256(file))


def _downloaded(url: str) -> BinaryIO:
    """What lies behind a URL, read once from front to back: in memory, or in a temporary file when it is large."""
    system, path = files.filesystem(url)
    with system.open_input_stream(path) as remote:
        head = remote.read(IN_MEMORY + 1)
        if len(head) <= IN_MEMORY:
            return io.BytesIO(head)
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        file.write(head)
        shutil.copyfileobj(remote, file, _COPY)
        return file


def _sha256(file: BinaryIO) -> str:
    """Of the whole content; the file is left at its beginning."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return sha256


class NewFile:
    """A file under construction at the local `path`: it appears whole at `commit`, and `abandon` leaves nothing."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._remote = files.is_url(uri)
        if self._remote:
            handle, name = tempfile.mkstemp(suffix=".tmp")
            os.close(handle)
            self.path = Path(name)
        else:
            final = files.local_path(uri)
            final.parent.mkdir(parents=True, exist_ok=True)
            self.path = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.tmp")

    def commit(self) -> str:
        """Put the file in its place, and return the sha256 of its bytes."""
        with self.path.open("rb") as file:
            sha256 = _sha256(file)
            if not self._remote:
                os.fsync(file.fileno())
        if self._remote:
            files.upload(self._uri, self.path)
            self.abandon()
        else:
            final = files.local_path(self._uri)
            self.path.replace(final)
            files.sync_folder(final.parent)
        return sha256

    def abandon(self) -> None:
        self.path.unlink(missing_ok=True)


class Spool:
    """Rows of numbers, appended to a temporary file and read back in order. Raises RunError when the disk is full.

    With `width` a row is that many numbers and blocks are (rows, width); without it they are (rows,).
    """

    def __init__(self, dtype: DTypeLike = np.float32, width: int | None = None) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = () if width is None else (width,)
        self._bytes = self._dtype.itemsize * (width or 1)
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the spool)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: NDArray[Any]) -> None:
        if not rows.size:
            return
        left = np.ascontiguousarray(rows, dtype=self._dtype).data.cast("B")
        try:
            self._file.seek(0, os.SEEK_END)
            while left:
                left = left[self._file.write(left) :]
        except OSError as full:
            folder = tempfile.gettempdir()
            raise RunError(
                f"{folder}: a long recording could not be set aside there ({full.strerror}); "
                "free some space, or set TMPDIR to a folder with more"
            ) from full
        self._rows += len(rows)

    def blocks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[Any]]:
        """The rows from `start` to `stop`, `size` at a time (the last block may be shorter), each in new memory."""
        stop = self._rows if stop is None else stop
        for first in range(start, stop, size):
            yield self._read(first, min(size, stop - first))

    def _read(self, first: int, rows: int) -> NDArray[Any]:
        block = np.empty((rows, *self._shape), self._dtype)
        left = block.data.cast("B")
        self._file.seek(first * self._bytes)
        while left:
            left = left[self._file.readinto(left) :]
        return block

    def close(self) -> None:
        self._file.close()
