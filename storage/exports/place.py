"""The folder that an export is written to: it appears whole, or not at all.

Locally everything is written into a hidden folder beside it and renamed at the end; on an object store, where nothing can
be renamed, the marker is written last. A file that is there was finished, so an export that was killed goes on where it
was. Whoever writes the files is in the modules beside this one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from sorigil.errors import RequestError
from storage import files
from storage.streams import NewFile

MARKER = ".sorigil-export.json"  # hidden: other tools, and our own sources, take it for no data


def remove_export(output: str, dataset: str) -> bool:
    """Delete the export of a dataset with what a killed one left beside it; False where there is none.

    Raises OSError where a file cannot be deleted. A folder that holds something else is left alone.
    """
    with_marker = [
        folder for folder in _folders(output) if read_marker(folder).get("request", {}).get("dataset") == dataset
    ]
    for folder in with_marker:
        if not files.is_url(folder):
            shutil.rmtree(files.local_path(folder))
            continue
        for entry in list(files.walk(folder)):
            files.remove(entry.uri)
        files.remove(files.join(folder, MARKER))  # last: it says whose the others are
    return bool(with_marker)


def _folders(output: str) -> list[str]:
    """The export, and locally what is being written or put away beside it."""
    output = output.rstrip("/")
    beside = files.join(files.parent(output), f".{output.rsplit('/', 1)[-1]}")
    return [output] if files.is_url(output) else [output, f"{beside}.exporting", f"{beside}.replaced"]


def read_marker(folder: str) -> dict[str, Any]:
    """What an export says of itself; nothing where there is none."""
    address = files.join(folder, MARKER)
    try:
        found = json.loads(files.read_bytes(address)) if files.exists(address) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class ExportPlace:
    """`with` it, write, then `finish`. `request` says what is exported; its `dataset` and `format` own the folder."""

    def __init__(self, output: str, request: dict[str, Any]) -> None:
        self.output = output.rstrip("/")
        self._request = request
        self._remote = files.is_url(output)
        self._beside = files.join(files.parent(self.output), f".{self.output.rsplit('/', 1)[-1]}")
        self._folder = self.output if self._remote else f"{self._beside}.exporting"
        self._lock: int | None = None

    def __enter__(self) -> ExportPlace:
        """Raises RequestError where the folder holds something else, or is being written by another process."""
        self._check_owner()
        if not self._remote:
            files.local_path(self._folder).mkdir(parents=True, exist_ok=True)
            self._take_lock()
        if read_marker(self._folder).get("request") != self._request:
            self._empty()
            self._mark(complete=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def is_done(self) -> dict[str, Any] | None:
        """What `finish` was told when exactly this was exported here before; None where it was not."""
        marker = read_marker(self.output)
        done = marker.get("complete") and marker.get("request") == self._request
        facts: dict[str, Any] = marker.get("facts", {})
        return facts if done else None

    def has(self, name: str) -> bool:
        """Whether a file of this export is finished already."""
        return files.exists(files.join(self._folder, name))

    def address(self, name: str) -> str:
        """Where a file will be when the export is done."""
        return files.join(self.output, name)

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """A new file that can be sought in; it is there when the block ends, and not when an error ends it."""
        target = files.join(self._folder, name)
        if self._remote:
            new = NewFile(target)
            try:
                with new.path.open("w+b") as stream:
                    yield stream
                new.commit()
            finally:
                new.abandon()
            return
        path = files.local_path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("w+b") as stream:
                yield stream
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def finish(self, facts: dict[str, Any]) -> None:
        """Everything is written: put it where it belongs, in place of an older export of the same."""
        self._mark(complete=True, facts=facts)
        if self._remote:
            return
        os.sync()  # once for all files: a million single ones would take hours
        old, new, final = (files.local_path(name) for name in (self._old, self._folder, self.output))
        if final.exists():
            final.rename(old)
        new.rename(final)
        shutil.rmtree(old, ignore_errors=True)

    @property
    def _old(self) -> str:
        return f"{self._beside}.replaced"

    def _check_owner(self) -> None:
        old, final = files.local_path(self._old), files.local_path(self.output)
        if not self._remote and old.exists():  # killed while the folders were changed over
            shutil.rmtree(old) if final.exists() else old.rename(final)
        owner, mine = read_marker(self.output).get("request"), self._request
        if owner is None and self._holds_something():
            raise RequestError(
                f"{self.output}: there is something already that Sorigil did not export; name another folder"
            )
        if owner is not None and any(owner.get(key) != mine[key] for key in ("dataset", "format")):
            raise RequestError(
                f"{self.output}: holds the export of {owner.get('dataset')} to {owner.get('format')}; name another folder"
            )

    def _holds_something(self) -> bool:
        if self._remote:
            return bool(self._objects())
        path = files.local_path(self.output)
        return path.exists() and not (path.is_dir() and not any(path.iterdir()))

    def _objects(self) -> list[str]:
        try:
            return [entry.uri for entry in files.walk(self.output)]
        except RequestError:  # there is nothing yet
            return []

    def _take_lock(self) -> None:
        self._lock = os.open(files.local_path(self._folder), os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise RequestError(f"{self.output}: another process is writing this export; wait for it") from taken

    def _empty(self) -> None:
        if self._remote:
            for uri in self._objects():
                files.remove(uri)
            return
        for path in files.local_path(self._folder).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _mark(self, **state: Any) -> None:
        marker = {"request": self._request, **state}
        files.write_bytes(files.join(self._folder, MARKER), json.dumps(marker, ensure_ascii=False, indent=1).encode())
