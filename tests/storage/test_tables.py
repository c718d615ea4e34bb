"""The arithmetic of tables, each against plain Python over dicts and lists."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from storage import tables
from storage.changes import changes, unchanged

SCHEMA = pa.schema(
    [("k", pa.string()), ("n", pa.int64()), ("f", pa.float32()), ("part", pa.string()), ("when", pa.string())]
)
_row = st.fixed_dictionaries(
    {
        "k": st.sampled_from([None, "", "a", "b", "c", "가"]),
        "n": st.sampled_from([None, 0, 1]),
        "f": st.sampled_from([None, 0.0, 0.1]),
        "part": st.sampled_from([None, "p", "q"]),
        "when": st.sampled_from([None, "now", "then"]),
    }
)
_rows = st.lists(_row, max_size=8)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def plain(found: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.to_pylist()]


@given(old=_rows, new=_rows, grown=st.booleans(), chunked=st.booleans(), step=st.sampled_from([1, 3, tables.SLICE]))
def test_changes_lead_from_old_to_new(old: list[Any], new: list[Any], grown: bool, chunked: bool, step: int) -> None:
    """Row for row, also where a key stands several times; null and "" are one key, but not one value."""
    was, now = table(old), table([*old, *new] if grown else new)
    was = tables.conform(was, tables.lean(SCHEMA))
    if chunked:
        was, now = (pa.concat_tables([one.slice(0, 2), one.slice(2)]) for one in (was, now))
    with patch.object(tables, "SLICE", step):
        added, removed = changes(was, now, ("k",), ignore=("when",))
        same = unchanged(was, now, ("k",), ignore=("when",)).to_pylist()
    assert [row for row, index in zip(plain(now), same, strict=True) if index is None] == plain(added)
    assert all(
        plain(was)[index][:4] == row[:4] for row, index in zip(plain(now), same, strict=True) if index is not None
    )
    by_key: dict[str, list[list[tuple[Any, ...]]]] = defaultdict(lambda: [[], []])
    for side, rows in enumerate((was, now)):
        for row in rows.to_pylist():
            by_key[row["k"] or ""][side].append((row["k"], row["n"], row["f"], row["part"]))
    expected_added: Counter[Any] = Counter()
    expected_removed = 0
    for before, after in by_key.values():
        same = sum(one == other for one, other in zip(before, after, strict=False))
        expected_removed += len(before) - same
        expected_added.update(row for index, row in enumerate(after) if index >= len(before) or row != before[index])
    assert Counter(row[:4] for row in plain(added)) == expected_added
    assert len(removed) == expected_removed
    assert not len(changes(now, now, ("k",))[0]) and not len(changes(now, now, ("k",))[1])


@given(rows=st.lists(_row, max_size=8, unique_by=lambda row: row["k"] or ""), other=_rows)
def test_removed_keys_are_the_keys_themselves_where_they_are_unique(rows: list[Any], other: list[Any]) -> None:
    """The catalogue deletes rows by them."""
    _, removed = changes(table(rows), table([]), ("k",))
    assert sorted(removed.to_pylist()) == sorted(row["k"] or "" for row in rows)


@given(rows=st.lists(st.tuples(_row, st.sampled_from([True, False, None])), max_size=12), step=st.integers(1, 5))
def test_where_is_a_filter_that_copies_no_slice_that_stays_whole(rows: list[Any], step: int) -> None:
    whole = pa.concat_tables([table([row for row, _ in half]) for half in (rows[:3], rows[3:])])
    with patch.object(tables, "SLICE", step):
        found = tables.where(whole, pa.array([there for _, there in rows], pa.bool_()))
    assert plain(found) == plain(table([row for row, there in rows if there])) and found.schema == SCHEMA


@given(rows=_rows, order=st.randoms(use_true_random=False), stretch=st.sampled_from([1, 2, 1000]))
def test_taken_is_a_take(rows: list[Any], order: Any, stretch: int) -> None:
    indices = np.array(
        sorted(range(len(rows)), key=lambda row: (order.random() < 0.3, row))[: order.randint(0, 8)], np.int64
    )
    with patch.object(tables, "_STRETCH", stretch):
        assert plain(tables.taken(table(rows), indices)) == plain(table(rows).take(pa.array(indices)))


@given(rows=_rows, values=st.lists(st.sampled_from(["a", "b", "x"]), max_size=4))
def test_only_and_without_share_the_rows(rows: list[Any], values: list[str]) -> None:
    among = pa.array(values, pa.string())
    only, without = tables.only(table(rows), "k", among), tables.without(table(rows), "k", among)
    assert plain(only) == [row for row in plain(table(rows)) if row[0] in values]
    assert plain(without) == [row for row in plain(table(rows)) if row[0] not in values]


@given(rows=_rows, values=st.lists(st.sampled_from(["a", "b", "x"]), max_size=4))
def test_lookup_gives_one_row_for_each_value_in_order(rows: list[Any], values: list[str]) -> None:
    found = tables.lookup(table(rows), "k", pa.array(values, pa.string())).to_pylist()
    first = {row["k"]: row for row in reversed(table(rows).to_pylist())}
    nothing = dict.fromkeys(SCHEMA.names)
    assert found == [first.get(value, nothing) for value in values]


@given(values=st.lists(st.sampled_from(["a", "b", "c"]), max_size=8))
def test_first_of_each(values: list[str]) -> None:
    found = tables.first_of_each(
        pa.chunked_array([pa.array(values[:3], pa.string()), pa.array(values[3:], pa.string())])
    )
    assert found.to_pylist() == [index for index, value in enumerate(values) if value not in values[:index]]


@given(left=st.tuples(*[st.text("ab,", max_size=3)] * 2), right=st.tuples(*[st.text("ab,", max_size=3)] * 2))
def test_joined_strings_are_equal_only_for_equal_columns(left: Any, right: Any) -> None:
    made = pa.table({"x": [left[0], right[0]], "y": [left[1], right[1]]})
    one, other = tables.joined(made, ("x", "y")).to_pylist()
    assert (one == other) == (left == right)


def test_conform_fills_orders_and_casts() -> None:
    found = tables.conform(pa.table({"n": pa.array([1], pa.int8()), "other": ["x"], "k": ["a"]}), SCHEMA)
    assert found.schema == SCHEMA and found.to_pylist() == [{"k": "a", "n": 1, "f": None, "part": None, "when": None}]
    assert tables.conform(tables.empty(pa.schema([])), SCHEMA).num_rows == 0


def test_every_tables_key_is_among_its_columns() -> None:
    assert set(tables.KEYS) == set(tables.SCHEMAS)
    assert all(set(key) <= set(tables.SCHEMAS[name].names) for name, key in tables.KEYS.items())
