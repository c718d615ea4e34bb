"""What a unit of work gathers and writes: its parts first, its ledger last.

Whoever is killed in between leaves nothing that could be mistaken for done. Nothing is decoded or computed here.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.audio.spec import AudioSpec
from sorigil.errors import AudioError
from sorigil.fingerprint import digest, to_dict
from sorigil.types import Part, Rejection, Report
from storage import ledger, parts
from tasks.units import FeaturizeUnit, PrepareUnit, feature_spec_key

log = logging.getLogger("sorigil")


@dataclass(slots=True)
class Output:
    """What a unit gathers before it writes: prepared audio, features by spec, ledger rows."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    pcm: list[NDArray[np.int16]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    features: list[list[NDArray[np.float32]]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    audio_seconds: float = 0.0

    def time(self, step: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - since
        return now


def unexpected(bug: Exception, item: str) -> AudioError:
    """A surprise is one item's, not the archive's; but too little memory says nothing about the item."""
    if isinstance(bug, MemoryError):
        raise bug
    log.error("%s failed in an unforeseen way", item, exc_info=bug)
    return AudioError("unexpected_error", f"{type(bug).__name__}: {bug}")


def reject(
    output: Output, item: dict[str, Any], sha256: str | None, stage: str, wrong: AudioError, **known: int
) -> None:
    copied = {name: item[name] for name in ("id", "place", "uri", "stamp")}
    output.rows.append(
        {
            **copied,
            "key": item.get("key"),
            "sha256": sha256,
            "stage": stage,
            "reason": wrong.reason,
            "detail": wrong.detail,
            **known,
        }
    )
    output.rejections.append(
        Rejection(id=item["id"], uri=item["uri"], stage=stage, reason=wrong.reason, detail=wrong.detail, sha256=sha256)
    )


def finish(unit: PrepareUnit | FeaturizeUnit, output: Output, written: list[Part], clock: float) -> Report:
    """The ledger, after the parts: from here on the unit is done."""
    ledger.write(unit.store, unit.ledger, output.rows)
    output.time("write", clock)
    return Report(
        unit=unit.unit,
        items=len(output.rows),
        audio_seconds=output.audio_seconds,
        parts=tuple(written),
        rejections=tuple(output.rejections),
        seconds=output.seconds,
    )


def write_audio(unit: PrepareUnit, output: Output, audio_spec: str) -> Part:
    from sorigil.audio.prepare import encode_flac

    uri = unit.store.audio_part(unit.dataset, audio_spec, unit.unit)
    rate = unit.audio.sample_rate
    keys = [row["audio_key"] for row in output.kept]
    flacs = [encode_flac(pcm, rate) for pcm in output.pcm]
    lengths = [len(pcm) for pcm in output.pcm]
    part = parts.write_audio(unit.store, uri, to_dict(unit.audio), audio_spec, rate, keys, flacs, lengths)
    for number, row in enumerate(output.kept):
        row["audio_part"], row["audio_row"], row["audio_part_sha256"] = uri, number, part.sha256
    return part


def write_features(
    unit: PrepareUnit | FeaturizeUnit,
    rows: list[dict[str, Any]],
    features: list[list[NDArray[np.float32]]],
    audio: AudioSpec,
    clips: int,
    **augmented: Any,
) -> list[Part]:
    """One part a feature; each row's `features` then says where its own are."""
    written: list[Part] = []
    for spec, matrices in zip(unit.features, features, strict=True):
        name = feature_spec_key(audio, spec, **augmented)
        keys = [digest(row["audio_key"], name) for row in rows]
        uri = unit.store.feature_part(unit.dataset, name, unit.unit)
        found = parts.write_features(unit.store, uri, to_dict(spec), name, spec.dtype, keys, matrices, clips)
        written.append(found.part)
        for row, key, first, frames in zip(rows, keys, found.rows, found.num_frames, strict=True):
            entry = {"feature_key": key, "spec": name, "part": uri, "row": first, "num_frames": frames}
            entry["part_sha256"] = found.part.sha256
            row.setdefault("features", []).append(entry)
    return written
