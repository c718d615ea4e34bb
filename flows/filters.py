"""Filters carried out: columns in, what stays and what is left out with its reason, out.

Each filter looks at what the ones before it left, so that an item is counted once, under the first reason that it
meets. Arrow all the way: a million rows are a handful of vector operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.filters import AlphabetFilter, FilterSpec, RangeFilter
from storage import tables
from storage.quarantine import quarantine_rows

SHOWN = 20  # characters outside the alphabet that a detail repeats


def leave_out(filters: Sequence[FilterSpec], rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that pass every filter, and quarantine rows of the others, counted as `filtered`.

    `rows` has the columns of a ledger, `text` and `seconds`.
    """
    left_out = [tables.empty(tables.QUARANTINE)]
    for spec in filters:
        reason, detail = _outside(spec, rows) if isinstance(spec, AlphabetFilter) else _beyond(spec, rows)
        out = pc.is_valid(reason)
        chosen = rows.filter(out)
        left_out.append(quarantine_rows(chosen, "filter", reason.filter(out), detail.filter(out), books="filtered"))
        rows = rows.filter(pc.invert(out))
    return rows, pa.concat_tables(left_out)


def _beyond(spec: RangeFilter, rows: pa.Table) -> tuple[Any, Any]:
    """The reason of each row, null where it passes, and the detail. What a number is not known for does not pass."""
    values = number(spec.over, rows)
    reason = pc.if_else(pc.is_null(values), f"{spec.over}_unknown", pa.scalar(None, pa.string()))
    if spec.min is not None:
        low = pc.fill_null(pc.less(values, pa.scalar(spec.min, values.type)), False)
        reason = pc.if_else(low, f"{spec.over}_below_min", reason)
    if spec.max is not None:
        high = pc.fill_null(pc.greater(values, pa.scalar(spec.max, values.type)), False)
        reason = pc.if_else(high, f"{spec.over}_above_max", reason)
    shown = pc.fill_null(pc.cast(pc.round(pc.cast(values, pa.float64()), 4), pa.string()), "not known")
    return reason, pc.binary_join_element_wise(f"{spec.over} is ", shown, f"; the filter asks for {spec.bounds}", "")


def _outside(spec: AlphabetFilter, rows: pa.Table) -> tuple[Any, Any]:
    """The same for a text; white space of any kind is in every alphabet."""
    text = _text(rows)
    inside = rf"\s\p{{Z}}{spec.characters}"
    wrong = pc.match_substring_regex(text, pattern=f"[^{inside}]")
    others = pc.if_else(wrong, text, "")  # only these are searched again, for what to show
    shown = pc.utf8_slice_codeunits(pc.replace_substring_regex(others, pattern=f"[{inside}]", replacement=""), 0, SHOWN)
    reason = pc.if_else(wrong, "text_outside_alphabet", pa.scalar(None, pa.string()))
    return reason, pc.binary_join_element_wise("the text has characters outside the alphabet: ", shown, "")


def number(name: str, rows: pa.Table) -> Any:
    """A column that a filter may be over, as floating point; a missing text has no characters."""
    if name in rows.column_names:
        column = rows.column(name)
        return column if pa.types.is_floating(column.type) else pc.cast(column, pa.float64())
    what, _, per_second = name.partition("_per_")
    text = _text(rows)
    count = pc.utf8_length(text) if what == "characters" else pc.count_substring_regex(text, pattern=r"\S+")
    count = pc.cast(count, pa.float64())
    return pc.divide(count, rows.column("seconds")) if per_second else count


def _text(rows: pa.Table) -> Any:
    """The text in NFC, without white space around it."""
    text = pc.fill_null(rows.column("text"), "")
    if not pc.all(pc.string_is_ascii(text)).as_py():  # by Python: the NFC of pyarrow 25 is NFD
        text = pa.chunked_array([[normalize("NFC", each) for each in text.to_pylist()]], pa.string())
    return pc.utf8_trim_whitespace(text)
