"""Opening, listing and committing files, on a local disk or behind a URL (`s3://`, `gs://`, `az://`, …).

Everything that reads or writes bytes goes through here. A local path takes the short way (the operating system); a URL
goes through pyarrow's file systems, or fsspec's where pyarrow has none (`s3` says what is particular to S3). A file
appears whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from sorigil.errors import RequestError
from storage import s3

URL_BUFFER_BYTES = 4 << 20  # of a stream behind a URL: every refill is a request
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+://")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as a listing shows it; `stamp` changes when the file does: size with mtime, or with S3's entity tag."""

    uri: str
    size: int
    stamp: str
    modified: float = math.inf  # seconds since 1970; the end of time where the store does not say
    offset: int | None = None  # of a file inside an archive: where in it it lies
    problem: str | None = None  # "reason: sentence" of one that is there but cannot be used


def is_url(uri: str) -> bool:
    return bool(_SCHEME.match(uri)) and not uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path of a local uri (`file://` or plain)."""
    return Path(uri.removeprefix("file://"))


def local_uri(path: str) -> str:
    """The `file://` address of a local path as pyarrow and pyiceberg read one: nothing in it is escaped."""
    return f"file://{local_path(path).absolute()}"


def join(base: str, relative: str) -> str:
    """`relative` as seen from `base`; an absolute path or a URL stays what it is."""
    if is_url(relative) or relative.startswith(("/", "file://")):
        return relative
    if is_url(base):
        return f"{base.rstrip('/')}/{relative}"
    return f"{_folder(base)}/{relative}"


@lru_cache(maxsize=64)
def _folder(uri: str) -> str:
    """A local folder's path; remembered, because pathlib costs more than opening a short clip."""
    return str(local_path(uri))


def absolute(uri: str) -> str:
    """A path as seen from the current folder; a URL stays what it is."""
    return uri.rstrip("/") if is_url(uri) else str(local_path(uri).expanduser().absolute())


def parent(uri: str) -> str:
    return uri.rsplit("/", 1)[0] if is_url(uri) else str(local_path(uri).parent)


def relative_to(uri: str, base: str) -> str:
    """`uri` as seen from `base` where it lies below it, else unchanged."""
    prefix = base.rstrip("/") + "/"
    below = uri.removeprefix(prefix)
    tidy = not below.startswith(("/", "./")) and "/./" not in below and "//" not in below
    if base and len(below) < len(uri) and tidy:
        return below  # the most frequent case by far, and it needs no path to be taken apart
    if not is_url(base) and not is_url(uri):
        uri, base = str(local_path(uri)), str(local_path(base))  # "./a" and "a" are the same folder
    prefix = base.rstrip("/") + "/"
    return uri.removeprefix(prefix)


@lru_cache(maxsize=64)
def _filesystem(prefix: str) -> Any:
    from pyarrow import fs

    try:
        return fs.FileSystem.from_uri(prefix)[0]
    except Exception as first:
        try:
            import fsspec

            return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(prefix.split("://", 1)[0])))
        except Exception as second:
            raise RequestError(f"{prefix}: no file system answers for this address ({first}; {second})") from second


def filesystem(url: str) -> tuple[Any, str]:
    """The pyarrow file system that holds `url`, and the path inside it."""
    scheme, rest = url.split("://", 1)
    bucket = rest.split("/", 1)[0]
    if url.startswith(s3.SCHEME):
        return s3.filesystem(s3.split(url)[0]), rest
    return _filesystem(f"{scheme}://{bucket}"), url if scheme in ("http", "https") else rest


def read_bytes(uri: str) -> bytes:
    """The whole file. Raises OSError (FileNotFoundError where it is missing)."""
    if not is_url(uri):
        return local_path(uri).read_bytes()
    system, path = filesystem(uri)
    with system.open_input_stream(path) as stream:
        return bytes(stream.read())


def read_json(uri: str) -> Any:
    """What a file of JSON that was made by this program holds. Raises RequestError where it is damaged, else as `read_bytes`."""
    try:
        return json.loads(read_bytes(uri))
    except ValueError as torn:
        raise damaged(uri, torn) from torn


def damaged(uri: str, why: Exception) -> RequestError:
    """What to say of a file of ours that cannot be read."""
    return RequestError(
        f"{uri}: damaged ({why}); delete it and run again: what is computed from other files is made anew"
    )


def open_input(uri: str) -> BinaryIO:
    """The file opened for reading; it can seek. Raises OSError (FileNotFoundError where it is missing)."""
    if not is_url(uri):
        return local_path(uri).open("rb")
    system, path = filesystem(uri)
    return cast("BinaryIO", io.BufferedReader(system.open_input_file(path), URL_BUFFER_BYTES))


def exists(uri: str) -> bool:
    if not is_url(uri):
        return local_path(uri).exists()
    system, path = filesystem(uri)
    return bool(system.get_file_info(path).type.name != "NotFound")


def entry(uri: str) -> FileEntry | None:
    """Size and stamp of one file, or None where there is none."""
    if not is_url(uri):
        try:
            status = local_path(uri).stat()
        except (OSError, ValueError):  # ValueError: a name that no file can have, with a zero byte in it
            return None
        stamp = f"{status.st_size}-{status.st_mtime_ns}"
        return FileEntry(uri, status.st_size, stamp, modified=status.st_mtime)
    if uri.startswith(s3.SCHEME):
        found = s3.head(uri)
        return None if found is None else _object(uri, found["ContentLength"], found)
    system, path = filesystem(uri)
    info = system.get_file_info(path)
    return None if info.type.name == "NotFound" else _informed(uri, info)


def _object(uri: str, size: int, said: Any) -> FileEntry:
    """Of an object in S3: an entity tag is another one when the bytes are, within the same second too."""
    return FileEntry(uri, size, f"{size}-{said['ETag'].strip(chr(34))}", modified=said["LastModified"].timestamp())


def _informed(uri: str, info: Any) -> FileEntry:
    modified = math.inf if info.mtime_ns is None else info.mtime_ns / 1e9
    return FileEntry(uri, info.size or 0, f"{info.size}-{info.mtime_ns}", modified=modified)


def walk(uri: str) -> Iterator[FileEntry]:
    """Every file below a folder, in a stable order. Raises RequestError where a local folder is missing; an object store
    has no folders, and nothing below a prefix is no error there."""
    if is_url(uri):
        base = uri.rstrip("/")
        return (found for found in _walk_url(base) if "/." not in found.uri.removeprefix(base))  # hidden, as on a disk
    if not local_path(uri).is_dir():
        raise RequestError(f"{uri}: no such folder; check the source's uri")
    return iter(sorted(_walk_local(str(local_path(uri))), key=lambda found: found.uri))


def _walk_url(uri: str) -> Iterator[FileEntry]:
    """The same behind a URL, what is hidden included."""
    if uri.startswith(s3.SCHEME):
        bucket = s3.split(uri)[0]
        for said in s3.listing(uri, below=True):
            if not said["Key"].endswith("/"):  # what some tools make to show a folder
                yield _object(f"{s3.SCHEME}{bucket}/{said['Key']}", said["Size"], said)
        return
    from pyarrow import fs

    system, path = filesystem(uri)
    scheme = uri.split("://", 1)[0]
    below = fs.FileSelector(path, recursive=True, allow_not_found=True)
    for info in sorted(system.get_file_info(below), key=lambda found: str(found.path)):
        if info.is_file:
            yield _informed(f"{scheme}://{info.path.lstrip('/')}", info)


def listed(folder: str) -> dict[str, FileEntry] | None:
    """What lies in a folder and no deeper, by address, where one request tells of a thousand files (S3); None elsewhere."""
    if not folder.startswith(s3.SCHEME):
        return None
    bucket = s3.split(folder)[0]
    found = s3.listing(folder, below=False)
    entries = (_object(f"{s3.SCHEME}{bucket}/{said['Key']}", said["Size"], said) for said in found)
    return {entry.uri: entry for entry in entries}


def _walk_local(folder: str, above: tuple[str, ...] = ()) -> Iterator[FileEntry]:
    """In the order of the addresses, though a folder at a time: a million files need not be held to be sorted.

    `above` are the real places of the folders we are in: a link that leads back up is not followed.
    """
    here = (*above, os.path.realpath(folder))
    with os.scandir(folder) as entries:
        below = sorted((each for each in entries if not each.name.startswith(".")), key=_in_an_address)
    for found in below:
        if found.is_dir():
            if not found.is_symlink() or os.path.realpath(found.path) not in here:
                yield from _walk_local(found.path, here)
        elif (file := entry(found.path)) is not None:  # else it went away meanwhile
            yield file


def _in_an_address(found: os.DirEntry[str]) -> str:
    return f"{found.name}/" if found.is_dir() else found.name


def leftovers(folder: str) -> Iterator[FileEntry]:
    """Temporary files that a killed `write_bytes` left below a local folder. An object store has none."""
    if is_url(folder) or not local_path(folder).is_dir():
        return
    for found in sorted(local_path(folder).rglob(".*")):
        if _TEMPORARY.fullmatch(found.name) and (file := entry(str(found))) is not None:
            yield file


def upload(uri: str, path: Path) -> None:
    """Put a local file behind a URL: it appears whole or not at all, and memory does not grow with it."""
    if uri.startswith(s3.SCHEME):
        s3.upload(uri, str(path))
        return
    from pyarrow import memory_map

    with memory_map(str(path)) as mapped:
        write_bytes(uri, mapped.read_buffer())


def write_bytes(uri: str, data: bytes) -> None:
    """Commit a file: it appears whole or not at all, whatever is killed when.

    Locally: a temporary file in the same folder, fsync, rename, fsync the folder. On an object store one PUT of the
    whole: a stream abandoned half-way there would publish a torn object.
    """
    if is_url(uri):
        system, path = filesystem(uri)
        with system.open_output_stream(path) as stream:
            stream.write(data)
        return
    path_ = local_path(uri)
    path_.parent.mkdir(parents=True, exist_ok=True)
    temporary = path_.with_name(f".{path_.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path_)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path_.parent)


def try_write(uri: str) -> None:
    """Find out whether a file can be written here: one beside it is, and removed again. Raises OSError where not."""
    if not is_url(uri) and local_path(uri).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), uri)
    trial = join(parent(uri), f".trial.{uuid.uuid4().hex[:8]}.tmp")
    write_bytes(trial, b"")
    remove(trial)


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(uri: str) -> None:
    """Delete one file if it is there."""
    if is_url(uri):
        system, path = filesystem(uri)
        if system.get_file_info(path).is_file:
            system.delete_file(path)
    else:
        local_path(uri).unlink(missing_ok=True)


def stem(uri: str) -> str:
    return PurePosixPath(uri).stem


def suffix(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower()


def sha256(uri: str) -> str:
    """The hash of a file's bytes, read in pieces. Raises OSError (FileNotFoundError where it is missing)."""
    with open_input(uri) as stream:
        return hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()


def move(uri: str, to: str) -> None:
    """Put a file somewhere else in the same store; a kill leaves it in one place or in both."""
    if is_url(uri):
        write_bytes(to, read_bytes(uri))
        remove(uri)
        return
    local_path(to).parent.mkdir(parents=True, exist_ok=True)
    local_path(uri).replace(local_path(to))
