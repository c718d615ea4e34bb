"""Files of JSON lines, plain or gzipped, read as a stream: what the manifests of Lhotse and NeMo are made of."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from sorigil.errors import RequestError
from storage import files
from storage.sources.rows import json_lines

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".ndjson")


def is_file(uri: str) -> bool:
    """Whether a source's uri names one manifest, not a folder of them."""
    return uri.lower().endswith(SUFFIXES)


def base_of(uri: str) -> str:
    """The folder that a manifest, or a folder of manifests, speaks from."""
    return files.parent(uri) if is_file(uri) else uri.rstrip("/")


def found(uri: str) -> list[str]:
    """The manifest itself, or every one below a folder. Raises RequestError where there is none."""
    if is_file(uri):
        return [uri]
    below = [entry.uri for entry in files.walk(uri.rstrip("/")) if is_file(entry.uri)]
    if not below:
        raise RequestError(f"{uri}: no manifest below this folder (looked for {', '.join(SUFFIXES)})")
    return below


def read(uri: str) -> Iterator[dict[str, Any] | str]:
    """Each line as a dict, or a sentence about one that is none. Raises RequestError where the file cannot be read."""
    try:
        with files.open_input(uri) as stream:
            if uri.lower().endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield from json_lines(unpacked)
            else:
                yield from json_lines(stream)
    except (OSError, EOFError, zlib.error) as wrong:  # gzip's own errors are OSErrors
        raise RequestError(f"{uri}: the manifest cannot be read ({wrong}); check the source's uri") from wrong
