"""Gather what the page of a comparison shows: the utterances that changed most, with their sound, within a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.report.comparison import ComparisonPage, Heard, Kind
from storage.layout import Store
from tasks.sounds import Sounds

MOST: Mapping[Kind, int] = {"better": 120, "worse": 120, "otherwise": 60}  # utterances on the page
SOUND_BYTES = 12 << 20  # of them all; the page is a third larger


def comparison_page(found: Mapping[str, Any], table: pa.Table | None, store: Store | None) -> ComparisonPage:
    """The page of what `sorigil compare --json` prints. `table`: the rows of either score, for speakers and sounds;
    without a `store` there is no sound."""
    chosen = _chosen([_heard(change) for change in found["changes"]])
    rows = {} if table is None else _rows(table, [each.id for each in chosen])
    sounds = None if store is None else Sounds(store=store, budget=SOUND_BYTES)
    told = [_told(each, rows.get(each.id), sounds) for each in chosen]
    return ComparisonPage(found=found, heard=tuple(told), silence={} if sounds is None else sounds.without)


def _heard(change: Mapping[str, Any]) -> Heard:
    return Heard(**{name: change[name] for name in ("id", "errors_a", "errors_b", "columns")})


def _chosen(found: Sequence[Heard]) -> list[Heard]:
    """Of each kind those that changed most, in the order of what B mended."""
    kept = [
        each
        for kind, most in MOST.items()
        for each in sorted((each for each in found if each.kind == kind), key=lambda each: -abs(each.gain))[:most]
    ]
    return sorted(kept, key=lambda each: -each.gain)


def _rows(table: pa.Table, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    columns = [each for each in ("id", "speaker", "seconds", "audio_part", "audio_row") if each in table.column_names]
    there = table.select(columns).filter(pc.is_in(table.column("id"), pa.array(list(ids), pa.string())))
    return {row["id"]: row for row in there.to_pylist()}


def _told(each: Heard, row: Mapping[str, Any] | None, sounds: Sounds | None) -> Heard:
    if row is None:
        return each
    flac = sounds.of(row) if sounds is not None else None
    return replace(each, speaker=row["speaker"], seconds=row.get("seconds"), audio_flac=flac)
