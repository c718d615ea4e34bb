"""Recorded room responses for augmentation: audio files below a folder, or those that a manifest names.

`resolve` reads them all before a training, names those that cannot be used, and puts the hash of what they hold into the
augmentation's spec: that, and not where they lie, decides what is computed. `read` gives the responses themselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache

import numpy as np

from sorigil.audio.augment import WaveAugment
from sorigil.audio.room import Floats, recorded_response
from sorigil.errors import AudioError, RequestError
from sorigil.fingerprint import digest
from storage import archives, files
from storage.sources import FolderSource, ManifestSource, scan

MOST_BYTES = 256 << 20  # of all responses in memory: every loader process holds them
LARGEST_FILE = 64 << 20  # bytes; a response is a few seconds long
SHOWN = 5  # files in a message
_MANIFESTS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def resolve(augment: WaveAugment | None, sample_rate: int) -> WaveAugment | None:
    """The spec with the hash of its room responses; one without `rooms` as it is.

    Raises:
        RequestError: there are none, or some cannot be used; names the first of them.
    """
    if augment is None or not augment.rooms:
        return augment
    return replace(augment, rooms_hash=_load(augment.rooms, _stamp(augment.rooms), sample_rate)[0])


def read(augment: WaveAugment | None, sample_rate: int) -> tuple[Floats, ...]:
    """The responses of a resolved spec at this rate, in the order of their hashes; none where it names no place.

    Raises:
        RequestError: they are others than when the spec was resolved.
    """
    if augment is None or not augment.rooms:
        return ()
    found, responses = _load(augment.rooms, _stamp(augment.rooms), sample_rate)
    if found != augment.rooms_hash:
        raise RequestError(f"{augment.rooms}: the room responses are others than when the run began; start it again")
    return responses


def _stamp(place: str) -> tuple[tuple[str, str], ...]:
    """The files, each with what changes when it does."""
    is_manifest = files.suffix(place) in _MANIFESTS
    source = ManifestSource(uri=place) if is_manifest else FolderSource(uri=place)
    try:
        table = scan(source)
    except RequestError as wrong:
        why = str(wrong).removeprefix(f"{place}: ").partition(";")[0]
        expected = "`rooms` is a folder of audio files, or a manifest that names them"
        raise RequestError(f"{place}: {why}; {expected}") from wrong
    spans = sum(table.column(name).null_count < len(table) for name in ("start", "seconds", "channel"))
    if spans:
        raise RequestError(f"{place}: a row names a part of a recording; a room response is a whole file")
    bad = [f"{row['uri']}: {row['problem']}" for row in table.select(["uri", "problem"]).to_pylist() if row["problem"]]
    if bad:
        raise RequestError(_unusable(place, bad, len(table)))
    rows = table.select(["uri", "stamp"]).to_pylist()
    return tuple((files.join(source.base, row["uri"]), row["stamp"]) for row in rows)


@lru_cache(maxsize=4)
def _load(place: str, stamps: tuple[tuple[str, str], ...], sample_rate: int) -> tuple[str, tuple[Floats, ...]]:
    found: dict[str, Floats] = {}
    bad: list[str] = []
    held = 0  # bytes
    for uri, _ in stamps:
        try:
            name, response = _response(uri, sample_rate)
            held += 0 if name in found else response.nbytes
            found[name] = response
        except (AudioError, OSError, ValueError) as wrong:
            bad.append(f"{files.relative_to(uri, place)}: {wrong}")
        if held > MOST_BYTES:
            raise RequestError(f"{place}: room responses of more than {MOST_BYTES >> 20} MiB; name fewer of them")
    if bad:
        raise RequestError(_unusable(place, bad, len(stamps)))
    return digest("rooms", *sorted(found)), tuple(found[name] for name in sorted(found))


def _response(uri: str, sample_rate: int) -> tuple[str, Floats]:
    """The hash of a file, and the response in its first channel."""
    from sorigil.audio.decode import decode
    from sorigil.audio.resample import resample

    entry = files.entry(uri)
    if entry is not None and entry.size > LARGEST_FILE:
        raise ValueError(f"has {entry.size:,} bytes; a room response has at most {LARGEST_FILE:,}")
    data = archives.read_bytes(uri)
    decoded = decode(data, name=uri)
    samples = resample(np.ascontiguousarray(decoded.samples[:, 0]), decoded.sample_rate, sample_rate)
    return hashlib.sha256(data).hexdigest(), recorded_response(samples, sample_rate)


def _unusable(place: str, bad: list[str], total: int) -> str:
    more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return (
        f"{place}: {len(bad)} of {total} room responses cannot be used: {'; '.join(bad[:SHOWN])}{more}; take them away"
    )
