"""Filters over columns: what passes, the reason of what does not, and that nothing is computed for it."""

from __future__ import annotations

from typing import Any, get_args
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from conftest import RATE, World, tone
from hypothesis import given
from hypothesis import strategies as st

from flows.filters import leave_out, number
from sorigil.filters import AlphabetFilter, Column, RangeFilter
from storage import ledger, tables


def rows(**columns: list[Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    schema = pa.schema([*ledger.ROWS, ("text", pa.string()), ("seconds", pa.float64())])
    given = {"id": [f"r{i}" for i in range(count)], "place": [f"p{i}" for i in range(count)], **columns}
    types = {name: schema.field(name).type for name in given}
    return tables.conform(pa.table({name: pa.array(given[name], types[name]) for name in given}), schema)


def reasons(table: pa.Table, *filters: Any) -> dict[str, str]:
    kept, out = leave_out(filters, table)
    assert len(kept) + len(out) == len(table) and set(out.column("books").to_pylist()) <= {"filtered"}
    return {row["id"]: row["reason"] for row in out.to_pylist()}


def test_every_column_that_can_be_named_is_there() -> None:
    table = rows(text=["a b"], seconds=[2.0])
    for name in get_args(Column):
        assert pa.types.is_floating(number(name, table).type) and len(number(name, table)) == 1


def test_limits_are_inside_and_what_is_not_known_is_out() -> None:
    table = rows(snr_db=[9.99, 10.0, 20.0, 20.1, None])
    found = reasons(table, RangeFilter(over="snr_db", min=10, max=20))
    assert found == {"r0": "snr_db_below_min", "r3": "snr_db_above_max", "r4": "snr_db_unknown"}
    assert reasons(rows(clipped_share=[0.01, 0.011]), RangeFilter(over="clipped_share", max=0.01)) == {
        "r1": "clipped_share_above_max"
    }, "0.01 in single precision is 0.01 here too"


def test_the_detail_says_the_value_and_the_limit() -> None:
    _, out = leave_out([RangeFilter(over="snr_db", min=10)], rows(snr_db=[7.25, None]))
    assert out.column("detail").to_pylist() == [
        "snr_db is 7.25; the filter asks for at least 10",
        "snr_db is not known; the filter asks for at least 10",
    ]
    _, out = leave_out([AlphabetFilter(alphabet="a-z")], rows(text=["na\u00efve 42"]))
    assert out.column("detail").to_pylist() == ["the text has characters outside the alphabet: \u00ef42"]


def test_numbers_of_the_text() -> None:
    table = rows(
        text=[" one  two\n", "", None, "학\u1100\u1161", "\u3000"], seconds=[2.0] * 5
    )  # a syllable written as jamo
    assert number("characters", table).to_pylist() == [8, 0, 0, 2, 0]
    assert number("words", table).to_pylist() == [2, 0, 0, 1, 0]
    assert number("characters_per_second", table).to_pylist() == [4, 0, 0, 1, 0]
    assert number("words_per_second", table).to_pylist() == [1, 0, 0, 0.5, 0]
    empty = {"r1": "characters_below_min", "r2": "characters_below_min", "r4": "characters_below_min"}
    assert reasons(table, RangeFilter(over="characters", min=1)) == empty


def test_characters_outside_the_alphabet() -> None:
    table = rows(text=["it's fine", "Capital", "a-b", "caf\u0065\u0301", None, "[x]", "tab\tspace"])
    assert set(reasons(table, AlphabetFilter(alphabet="a-z'"))) == {"r1", "r2", "r3", "r5"}
    assert set(reasons(table, AlphabetFilter(alphabet="a-zA-Z\u00e9'[]-"))) == set()
    for alphabet in ("-ab", "ab-", "a-b-", "-"):
        assert ("r0" in reasons(rows(text=["a-b"]), AlphabetFilter(alphabet=alphabet))) == (alphabet == "-"), alphabet
    korean = rows(text=["안녕하세요 여러분", "\u1112\u1161\u11ab글", "hi", "漢字"])
    assert set(reasons(korean, AlphabetFilter(alphabet="가-힣"))) == {"r2", "r3"}


LETTERS = st.sampled_from("abcé\u0301가[]^\\&~|-.*$ \t\n")


@given(st.lists(st.text(LETTERS, max_size=6), min_size=1), st.text(st.sampled_from("abcé가[]^\\&~| "), min_size=1))
def test_the_alphabet_is_what_python_finds(texts: list[str], alphabet: str) -> None:
    found = reasons(rows(text=texts), AlphabetFilter(alphabet=alphabet))
    outside = [{*normalize("NFC", text)} - {*alphabet, *" \t\n"} for text in texts]
    assert set(found) == {f"r{place}" for place, others in enumerate(outside) if others}


def test_an_item_is_counted_once_under_the_first_filter_it_fails() -> None:
    table = rows(snr_db=[1.0, 1.0, 30.0], lufs=[-60.0, -20.0, -60.0])
    found = reasons(table, RangeFilter(over="snr_db", min=10), RangeFilter(over="lufs", min=-40))
    assert found == {"r0": "snr_db_below_min", "r1": "snr_db_below_min", "r2": "lufs_below_min"}


def test_no_filter_and_no_rows() -> None:
    assert leave_out([], rows(text=["a"]))[0].num_rows == 1
    kept, out = leave_out([RangeFilter(over="words", min=1), AlphabetFilter(alphabet="a")], rows(text=[]))
    assert (len(kept), len(out)) == (0, 0) and out.schema == tables.QUARANTINE


# -- in a dataset ---------------------------------------------------------------------------------------------------------


def test_what_is_measured_is_in_the_catalogue_and_can_be_filtered(world: World) -> None:
    world.add("clean", seconds=1.0)
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    soundfile.write(world.source / "noise.wav", noise, RATE)
    world.rows.append({"id": "noise", "audio": "noise.wav"})
    gap = np.concatenate([tone(1, 1.0), 0.001 * noise, tone(2, 1.0)])
    soundfile.write(world.source / "gap.wav", gap, RATE)
    world.rows.append({"id": "gap", "audio": "gap.wav", "text": "hello"})
    world.run()
    rows = world.kept()
    assert rows["gap"]["silence_share"] == pytest.approx(1 / 3, abs=0.03) and rows["gap"]["snr_db"] > 30
    assert rows["noise"]["bandwidth_hz"] == pytest.approx(RATE / 2) and rows["noise"]["speech_share"] == 0.0
    assert rows["clean"]["lufs"] == pytest.approx(-13.5, abs=4.0)
    plan = world.plan(filters=(RangeFilter(over="snr_db", min=20),))
    assert plan.units == [], "a filter asks for no work"
    version = world.do(plan).version
    assert set(world.kept()) == {"gap"} and version.books["filtered"]["items"] == 2
    world.run(filters=(RangeFilter(over="characters", min=1), RangeFilter(over="words_per_second", max=0.1)))
    assert world.quarantine() == {
        "clean": "characters_below_min", "noise": "characters_below_min", "gap": "words_per_second_above_max",
    }  # fmt: skip
    again = world.plan(filters=(RangeFilter(over="characters", min=1), RangeFilter(over="words_per_second", max=0.1)))
    assert again.units == [] and not world.do(again).changed
    world.run()
    assert set(world.kept()) == {"clean", "noise", "gap"}, "what was filtered comes back without work"


def test_rows_of_an_older_program_are_measured_when_a_filter_asks_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("a", seconds=1.0)
    world.add("b", seconds=1.0)
    world.add_bytes("bad", b"bad")
    with monkeypatch.context() as yesterday:
        import tasks.rows

        yesterday.setattr(tasks.rows, "SIGNAL_FORMAT", None)
        before = world.run()
    assert {row["signal_format"] for row in world.kept().values()} == {None}
    assert world.plan(filters=(RangeFilter(over="seconds", min=0.1),)).units == []
    asked = {"filters": (RangeFilter(over="bandwidth_hz", min=10),)}
    plan = world.plan(**asked)
    assert plan.new_items == 2 and plan.reasons == {"rejected before": 1, "to be measured for a filter": 2}
    after = world.do(plan)
    assert {row["signal_format"] for row in world.kept().values()} == {1} and after.changed
    assert world.plan(**asked).units == [] and not world.run(**asked).changed
    for version in (before.version, after.version):  # the parts of both are there and whole
        for row in world.read("utterances", version.name):
            assert (world.folder / "store" / row["audio_part"]).is_file()
