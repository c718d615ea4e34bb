"""Small files of this machine's own, for processes that may die: in the temporary folder, never in the store.

They are named by the process that writes them and are worth nothing after it, so nothing here is committed or synced.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sorigil.errors import RunError


def folder() -> Path:
    """A folder that only this user can read. Raises RunError where somebody else has put something in its place."""
    place = Path(tempfile.gettempdir()) / f"sorigil-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RunError(f"{place} is not a folder of ours; remove it, or set TMPDIR to a folder that is")
    return place


class Slate:
    """A file of this process that is written over again and again, with one system call a time.

    What is shorter than what was there before is filled up with spaces, which JSON does not mind.
    """

    def __init__(self, kind: str) -> None:
        self._path = folder() / f"{os.getpid()}.{kind}"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size = max(self._size, len(data))
        os.pwrite(self._file, data.ljust(self._size), 0)

    def fileno(self) -> int:
        return self._file

    def remove(self) -> None:
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def read(pid: int, kind: str) -> bytes:
    """What a process has written; empty where there is nothing."""
    try:
        return (folder() / f"{pid}.{kind}").read_bytes()
    except FileNotFoundError:
        return b""


def dead(kind: str) -> Iterator[int]:
    """The processes that have left a file of this kind and are no more."""
    for path in sorted(folder().glob(f"*.{kind}")):
        if path.stem.isdigit() and not _alive(int(path.stem)):
            yield int(path.stem)


def remove(pid: int) -> None:
    """Forget what a process has left, of every kind."""
    for path in folder().glob(f"{pid}.*"):
        path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
