"""What a unit of work has made so far, and its parts, which are written as it goes and finished before its ledger.

Whoever is killed before the ledger leaves nothing that could be mistaken for done. Nothing is decoded or computed here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import AudioError, RunError
from sorigil.fingerprint import digest, fingerprint, to_dict
from sorigil.types import Part, Rejection, Report
from storage import ledger
from storage.part_writers import CHUNK_SECONDS, AudioWriter, FeatureWriter, chunked
from tasks.units import FeaturizeUnit, PrepareUnit, feature_spec_key

log = logging.getLogger("sorigil")


class Output:
    """A unit's ledger rows, rejections, times and open parts. `with` it: what is not finished leaves no file."""

    def __init__(self, unit: PrepareUnit | FeaturizeUnit) -> None:
        self._unit = unit
        self.rows: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.rejections: list[Rejection] = []
        self.seconds: dict[str, float] = {}
        self.audio_seconds = 0.0
        self._prepared_samples = 0
        self._audio = _audio_writer(unit) if isinstance(unit, PrepareUnit) and unit.keep_audio else None
        self._features = _feature_writers(unit)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in (self._audio, *self._features):
            if writer is not None:
                writer.abandon()

    def time(self, step: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - since
        return now

    def keep(self, row: dict[str, Any], audio_seconds: float, prepared_samples: int) -> None:
        """An item is done; its audio and features have been written."""
        self.rows.append(row)
        self.kept.append(row)
        self.audio_seconds += audio_seconds
        self._prepared_samples += prepared_samples

    def write_audio(self, row: dict[str, Any], pcm: Iterable[NDArray[np.int16]]) -> None:
        """Store the prepared audio of the item of `row`, whole or in several blocks."""
        from sorigil.audio.prepare import encode_flac

        if self._audio is None:
            return
        clock = time.perf_counter()
        rate = row["prepared_rate"]
        row["audio_part"] = self._audio.uri
        pieces = chunked(pcm, round(CHUNK_SECONDS * rate))
        row["audio_row"] = self._audio.add(
            row["audio_key"], ((encode_flac(piece, rate), len(piece)) for piece in pieces)
        )
        self.time("write", clock)

    def listen(self, row: dict[str, Any], pieces: Iterable[NDArray[np.float32]]) -> None:
        """Add the acoustic fingerprint of the item's prepared audio, if the unit is to make one."""
        if not self._unit.acoustic:
            return
        from sorigil.audio.acoustic import acoustic_fingerprint

        clock = time.perf_counter()
        row["acoustic_fingerprint"] = acoustic_fingerprint(pieces, self._unit.audio.sample_rate)
        self.time("acoustic", clock)

    def write_feature(self, row: dict[str, Any], number: int, blocks: Iterable[NDArray[np.float32]]) -> None:
        """Store the item's feature of the unit's spec `number`."""
        clock = time.perf_counter()
        writer = self._features[number]
        key = digest(row["audio_key"], writer.fingerprint)
        first, frames = writer.add(key, blocks)
        entry = {"feature_key": key, "spec": writer.fingerprint, "part": writer.uri, "row": first, "num_frames": frames}
        row.setdefault("features", []).append(entry)
        self.time("write", clock)

    def reject(
        self, item: dict[str, Any], sha256: str | None, stage: str, wrong: AudioError, **known: int | str
    ) -> None:
        copied = {name: item.get(name) for name in ("id", "place", "uri", "stamp", "piece", "pieces")}
        found = {"stage": stage, "reason": wrong.reason, "detail": wrong.detail}
        self.rows.append({**copied, "key": item.get("key"), "sha256": sha256, **found, **known})
        self.rejections.append(Rejection(id=item["id"], uri=item["uri"], sha256=sha256, **found))

    def finish(self) -> Report:
        """Commit the parts, then the ledger: from here on the unit is done."""
        clock = time.perf_counter()
        written: list[Part] = []
        if self.kept and self._audio is not None:
            written.append(self._audio.commit(self._prepared_samples))
            for row in self.kept:
                row["audio_part_sha256"] = written[0].sha256
        for number, writer in enumerate(self._features if self.kept else ()):
            written.append(writer.commit(self._prepared_samples))
            for row in self.kept:
                row["features"][number]["part_sha256"] = written[-1].sha256
        ledger.write(self._unit.store, self._unit.ledger, self.rows)
        self.time("write", clock)
        return Report(
            unit=self._unit.unit,
            items=len(self.rows),
            audio_seconds=self.audio_seconds,
            parts=tuple(written),
            rejections=tuple(self.rejections),
            seconds=self.seconds,
        )


def _audio_writer(unit: PrepareUnit) -> AudioWriter:
    name = fingerprint(unit.audio)
    uri = unit.store.audio_part(unit.dataset, name, unit.unit)
    return AudioWriter(unit.store, uri, to_dict(unit.audio), name, unit.audio.sample_rate)


def _feature_writers(unit: PrepareUnit | FeaturizeUnit) -> list[FeatureWriter]:
    changed = (unit.augment, unit.seed, unit.copy) if isinstance(unit, FeaturizeUnit) else ()
    writers = []
    for spec in unit.features:
        name = feature_spec_key(unit.audio, spec, *changed)
        uri = unit.store.feature_part(unit.dataset, name, unit.unit)
        writers.append(FeatureWriter(unit.store, uri, to_dict(spec), name, spec.dtype))
    return writers


def unexpected(bug: Exception, item: str) -> AudioError:
    """A surprise is one item's, not the archive's; but too little memory or disk says nothing about the item."""
    if isinstance(bug, MemoryError | RunError):
        raise bug
    log.error("%s failed in an unforeseen way", item, exc_info=bug)
    return AudioError("unexpected_error", f"{type(bug).__name__}: {bug}")
