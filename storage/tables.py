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
KEYS = {
    "utterances": ("id",),
    "annotations": ("key", "tier"),
    "features": ("feature_key",),
    "quarantine": ("place", "id"),
}


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
    return pc.is_in(column, value_set=values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)


def where(table: pa.Table, mask: Any) -> pa.Table:
    """The rows for which `mask` holds; where it holds for all, the table itself and not a copy: it may be large."""
    return table if pc.all(mask, skip_nulls=False).as_py() else table.filter(mask)


def without(table: pa.Table, column: str, values: Any) -> pa.Table:
    """The rows whose `column` is not among `values`."""
    return where(table, pc.invert(isin(table.column(column), values)))


def only(table: pa.Table, column: str, values: Any) -> pa.Table:
    """The rows whose `column` is among `values`."""
    return where(table, isin(table.column(column), values))


def lookup(table: pa.Table, column: str, values: Any) -> pa.Table:
    """One row of `table` for each of `values`, in their order; nulls where `column` does not hold the value."""
    index = pc.index_in(values, value_set=table.column(column).combine_chunks())
    return table.take(index)


def first_of_each(column: Any) -> Any:
    """The indices, ascending, at which each value of a column stands for the first time."""
    codes = np.asarray(_flat(column).dictionary_encode().indices)
    return pa.array(np.sort(np.unique(codes, return_index=True)[1]))


def changes(
    old: pa.Table, new: pa.Table, key: tuple[str, ...], *, ignore: tuple[str, ...] = ()
) -> tuple[pa.Table, Any]:
    """What leads from `old` to `new`: the rows to add, and the key values (joined) of the rows to remove.

    A changed row is removed and added. Columns in `ignore` do not make a row a changed one. Of rows with the same key the
    first is held against the first, the second against the second, and so on.
    """
    old_keys, new_keys = _numbered(joined(old, key)), _numbered(joined(new, key))
    gone = old_keys.filter(pc.invert(isin(old_keys, new_keys)))
    fresh = pc.invert(isin(new_keys, old_keys))
    position = pc.index_in(new_keys, value_set=_flat(old_keys))
    before = old.take(position)
    differs = fresh
    for name in new.column_names:
        if name not in ignore:
            differs = pc.or_(differs, _differs(before.column(name), new.column(name)))
    changed = new_keys.filter(pc.and_(differs, pc.invert(fresh)))
    return new.filter(differs), pa.chunked_array([*gone.chunks, *changed.chunks], type=pa.string())


def _numbered(keys: Any) -> Any:
    """The keys, with a number behind each that has stood before."""
    codes = np.asarray(_flat(keys).dictionary_encode().indices)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    if len(starts) == len(codes):
        return keys
    times = np.empty(len(codes), np.int64)
    times[order] = np.arange(len(codes)) - np.repeat(starts, np.diff(starts, append=len(codes)))
    numbered = pc.binary_join_element_wise(keys, pa.array(times).cast(pa.string()), "\x1f")
    return pc.if_else(pa.array(times > 0), numbered, keys)


def _flat(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _differs(left: Any, right: Any) -> Any:
    """Element-wise inequality in which null equals null."""
    unequal = pc.fill_null(pc.not_equal(left, right), False)
    return pc.or_(unequal, pc.xor(pc.is_null(left), pc.is_null(right)))
