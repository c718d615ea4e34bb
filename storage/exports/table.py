"""A version as the table that every export is written from, and the ways to walk through it.

Rows leave as small batches: of a million utterances a few thousand are Python objects at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.catalog import Catalog
from storage.dataset import TOGETHER, open_dataset
from storage.sources.rows import EVERYTHING
from storage.versions import Version

_MORE = (*TOGETHER, "start", "channel", "channels", "container")  # columns of `utterances` besides those of a dataset
_BATCH = 4096


def export_table(catalog: Catalog, version: Version) -> pa.Table:
    """One row per utterance, ordered by id (by its UTF-8 bytes): what `open_dataset` gives, and the place in the source.
    `text` is the reference transcript; `split` is as the source gives it."""
    table = open_dataset(catalog, version, more=_MORE)
    names = {"reference": "text"}
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def by_split(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each split under its name; those in no split are called `all`."""
    names = pc.fill_null(table.column("split"), EVERYTHING)
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, table.filter(pc.equal(names, pa.scalar(name)))


def stream(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows one after the other."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


def in_part_order(table: pa.Table) -> pa.Table:
    """As the prepared audio lies in its parts, so that each is read once, from front to back."""
    return table.sort_by([("audio_part", "ascending"), ("audio_row", "ascending")])


def shards(table: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    """Stretches of the table that hold about `most_bytes` of prepared audio each, counted as 16-bit samples."""
    if len(table):
        ends = np.cumsum(2 * np.asarray(table.column("prepared_samples").to_numpy(), np.int64))
        bounds = np.flatnonzero(np.diff((ends - 1) // most_bytes)) + 1
        starts = [0, *bounds.tolist(), len(table)]
        yield from (table.slice(low, high - low) for low, high in pairwise(starts))


def said_of(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of a row besides its audio, under our names, without what is not known."""
    known = {name: row[name] for name in ("id", "text", "label", "speaker", "lang", "split")}
    return {name: value for name, value in known.items() if value is not None}


def extras_of(row: dict[str, Any], taken: frozenset[str]) -> dict[str, Any]:
    """The row's extras, without those whose names mean something else in the format."""
    found = json.loads(row["extras"]) if row["extras"] else {}
    return {name: value for name, value in found.items() if name not in taken}
