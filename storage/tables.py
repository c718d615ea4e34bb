"""The schemas of the catalogue's tables, and the arithmetic of Arrow tables that the catalogue needs.

Kept apart from `catalog.py` so that the columns, which are a promise to whoever reads the store in ten years, can be
read on one page. Times are seconds from the start of the recording; lengths are samples at the source's rate unless
the name says otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

UTTERANCES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),  # H(sha256, start, length, channel): what it is
        pa.field("id", pa.string(), nullable=False),  # the user's name for it
        pa.field("place", pa.string(), nullable=False),  # where it was read: uri, start, length, channel
        pa.field("uri", pa.string(), nullable=False),  # of the recording, relative to the source where it lies below it
        pa.field("stamp", pa.string()),  # of the file when it was read: a change means read again
        pa.field("sha256", pa.string()),  # of the file's bytes
        pa.field("start", pa.int64()),  # samples into the recording
        pa.field("num_samples", pa.int64()),  # length of the span
        pa.field("channel", pa.int32()),  # null: all, mixed as the AudioSpec says
        pa.field("sample_rate", pa.int32()),
        pa.field("channels", pa.int32()),
        pa.field("container", pa.string()),
        pa.field("speaker", pa.string()),
        pa.field("lang", pa.string()),
        pa.field("split", pa.string()),  # as the source gives it
        pa.field("extras", pa.string()),  # JSON object: whatever else the source says
        pa.field("peak", pa.float32()),
        pa.field("rms", pa.float32()),
        pa.field("clipped_share", pa.float32()),
        pa.field("dc", pa.float32()),
        pa.field("trimmed_samples", pa.int64()),
        pa.field("audio_spec", pa.string()),  # fingerprint of the AudioSpec
        pa.field("audio_key", pa.string()),  # H(key, AudioSpec)
        pa.field("audio_part", pa.string()),  # null: prepared audio is not kept
        pa.field("audio_row", pa.int32()),
        pa.field("audio_part_sha256", pa.string()),  # of the part's bytes
        pa.field("prepared_rate", pa.int32()),
        pa.field("prepared_samples", pa.int64()),
        pa.field("lufs", pa.float32()),  # integrated loudness of the span
        pa.field("snr_db", pa.float32()),
        pa.field("silence_share", pa.float32()),
        pa.field("speech_share", pa.float32()),
        pa.field("bandwidth_hz", pa.float32()),  # the highest frequency in use
        pa.field("signal_format", pa.int32()),  # of the code that measured the five above; null: it knew them not yet
        pa.field("piece", pa.string()),  # of an item that became several utterances: which one, as in ch0
        pa.field("pieces", pa.int32()),  # how many they are; null: one
        pa.field("header_samples", pa.int64()),  # length of the recording as its header claims; null: it claims none
        pa.field("pcm_hash", pa.string()),  # of the span's decoded samples, mixed, at the source's rate
        pa.field("acoustic_fingerprint", pa.binary()),  # null: not asked for; empty: nothing stands out
        pa.field("near_group", pa.string()),  # shared by near-duplicates that were kept; null: there are none
        pa.field("left_out_samples", pa.int64()),  # of the recording, what is in no segment: at the first of its pieces
    ]
)

ANNOTATIONS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field(
            "tier", pa.string(), nullable=False
        ),  # "reference": transcript; "label": class; a model's name: its words
        pa.field("value", pa.string()),
        pa.field("start", pa.float64()),  # null: the whole utterance
        pa.field("end", pa.float64()),
        pa.field("source", pa.string()),  # "person" or "model"
        pa.field("confidence", pa.float32()),
        pa.field("when", pa.string()),  # ISO 8601, UTC: when it entered
    ]
)

FEATURES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("feature_key", pa.string(), nullable=False),  # H(audio key, FeatureSpec[, WaveAugment, seed, copy])
        pa.field("spec", pa.string(), nullable=False),  # the same for all rows made in one way
        pa.field("part", pa.string(), nullable=False),
        pa.field("part_sha256", pa.string()),  # of the part's bytes
        pa.field("row", pa.int32(), nullable=False),  # of the first chunk
        pa.field("num_frames", pa.int32(), nullable=False),
    ]
)

QUARANTINE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("stamp", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("books", pa.string()),  # the line it is counted in: quarantined, filtered, duplicate, vanished
        pa.field("seconds", pa.float64()),  # null: unknown, nothing could be decoded
        pa.field("code", pa.string()),  # what decided: fingerprint of AudioSpec and code format
        pa.field("when", pa.string()),
        pa.field("piece", pa.string()),  # as in utterances
        pa.field("pieces", pa.int32()),
    ]
)

SCHEMAS = {"utterances": UTTERANCES, "annotations": ANNOTATIONS, "features": FEATURES, "quarantine": QUARANTINE}
_STRETCH = 1 << 8  # rows on average from which a stretch is worth a piece of its own
SLICE = 1 << 16  # rows that are copied, compared or written at a time
KEYS = {
    "utterances": ("id",),
    "annotations": ("key", "tier"),
    "features": ("feature_key",),
    "quarantine": ("place", "id"),
}


# Long words that very many rows share: in memory each is there once, and a row has its number. That is a third less.
_SHARED = {"container", "audio_spec", "audio_part", "audio_part_sha256", "tier", "source", "when", "spec", "part"}
_SHARED |= {"part_sha256"}
_WORD = pa.dictionary(pa.int32(), pa.string())


def lean(schema: pa.Schema) -> pa.Schema:
    """The same columns as they are best held in memory."""
    return pa.schema([field.with_type(_WORD) if field.name in _SHARED else field for field in schema])


LEAN = {**{name: lean(schema) for name, schema in SCHEMAS.items()}, "quarantine": QUARANTINE}


def empty(schema: pa.Schema) -> pa.Table:
    return schema.empty_table()


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns in the schema's order and types; a missing column becomes nulls."""
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def joined(table: pa.Table, columns: tuple[str, ...]) -> Any:
    """One string a row from several columns (separated by a unit separator, which no id holds)."""
    parts = [pc.fill_null(table.column(name).cast(pa.string()), "") for name in columns]
    return pc.binary_join_element_wise(*parts, "\x1f")


def isin(column: Any, values: Any) -> Any:
    values = flat(values)
    return pc.is_in(column, value_set=values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values)


def where(table: pa.Table, mask: Any) -> pa.Table:
    """The rows for which `mask` holds. A stretch of rows for which it holds throughout is not copied: it may be large."""
    mask = pc.fill_null(flat(mask), False)
    if pc.all(mask).as_py():
        return table
    kept, start = [], 0
    for batch in table.to_batches(max_chunksize=SLICE):
        these = mask.slice(start, len(batch))
        kept.append(batch if pc.all(these).as_py() else batch.filter(these))
        start += len(batch)
    return pa.Table.from_batches(kept, schema=table.schema)


def taken(table: pa.Table, indices: NDArray[np.int64]) -> pa.Table:
    """`table.take`, which copies nothing where the indices are a few stretches of rows that follow one another."""
    starts = np.flatnonzero(np.diff(indices, prepend=-2) != 1)
    if len(starts) * _STRETCH > len(indices):
        return table.take(pa.array(indices))
    lengths = np.diff(starts, append=len(indices))
    stretches = zip(indices[starts].tolist(), lengths.tolist(), strict=True)
    return pa.concat_tables([table.slice(0, 0), *(table.slice(start, length) for start, length in stretches)])


def without(table: pa.Table, column: str, values: Any) -> pa.Table:
    """The rows whose `column` is not among `values`."""
    return where(table, pc.invert(isin(table.column(column), values)))


def only(table: pa.Table, column: str, values: Any) -> pa.Table:
    """The rows whose `column` is among `values`."""
    return where(table, isin(table.column(column), values))


def lookup(table: pa.Table, column: str, values: Any) -> pa.Table:
    """One row of `table` for each of `values`, in their order; nulls where `column` does not hold the value."""
    index = pc.index_in(values, value_set=flat(table.column(column)))
    return table.take(index)


def first_of_each(column: Any) -> Any:
    """The indices, ascending, at which each value of a column stands for the first time."""
    first = first_alike(column)
    return pa.array(np.flatnonzero(first == np.arange(len(first))))


def first_alike(column: Any) -> NDArray[np.int64]:
    """For each row the index of the first one with the same value (null being one too)."""
    column = flat(column)
    return np.asarray(pc.index_in(column, value_set=column)).astype(np.int64)


def flat(column: Any) -> Any:
    """A column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
