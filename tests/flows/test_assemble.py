"""The fate of each item, and the books: whatever comes in, every item is in exactly one line."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from conftest import RATE, World, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.assemble import State, assemble, check_limits, finished_rows, merge_features
from flows.plan import make_plan
from flows.work import Work
from sorigil.audio.spec import AudioSpec, SilenceTrim
from sorigil.errors import RunError
from sorigil.filters import RangeFilter
from storage import ledger, tables
from storage.layout import Store
from storage.sources.items import ItemsBuilder

SHORT = (RangeFilter(over="seconds", min=0.2),)
LINES = ("kept", "filtered", "duplicate", "quarantined")


def balanced(books: dict[str, dict[str, float]], scanned: int) -> bool:
    items = sum(books[line]["items"] for line in LINES)
    seconds = sum(books[line]["seconds"] for line in LINES)
    return items == scanned == books["scanned"]["items"] and abs(seconds - books["scanned"]["seconds"]) < 1e-6


def wav(samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


# -- broken input ----------------------------------------------------------------------------------------------------------

_NAN = tone(3)
_NAN[100] = np.nan
BROKEN = {
    "zero_bytes": (b"", "empty_file", "decode"),
    "text": ("안녕하세요, this is a text file\n".encode() * 20, "not_audio", "decode"),
    "header_only": (wav(np.zeros(0, np.int16)), "no_samples", "decode"),
    "cut_in_the_header": (wav(tone(1))[:20], "bad_header", "decode"),
    "truncated": (wav(tone(1))[:-2000], "truncated", "decode"),
    "silent": (wav(np.zeros(2000, np.int16)), "silent", "prepare"),
    "not_a_number": (wav(_NAN, subtype="FLOAT"), "not_finite", "prepare"),
    "a_click": (wav(tone(2)[:3]), "too_short", "prepare"),
}


def test_each_broken_file_gets_its_reason_and_the_rest_is_done(world: World) -> None:
    for name, (data, _, _) in BROKEN.items():
        world.add_bytes(name, data)
    (world.source / "folder.wav").mkdir()
    world.rows += [
        {"id": "missing", "audio": "missing.wav"},
        {"id": "folder", "audio": "folder.wav"},
        {"id": "nameless"},
        {"id": "backwards", "audio": "good.wav", "start": 0.2, "end": 0.1},
        {"id": "channel", "audio": "good.wav", "channel": 3},
        '{"id": "broken line", "audio":',
        "[1, 2]",
    ]
    world.add("good", 50, text="good")
    done = world.run()
    expected = {name: reason for name, (_, reason, _) in BROKEN.items()}
    expected |= {"missing": "missing_file", "folder": "unreadable", "nameless": "bad_row", "backwards": "bad_row"}
    expected |= {"channel": "bad_channel", "manifest:14": "bad_row", "manifest:15": "bad_row"}
    assert world.quarantine() == expected and set(world.kept()) == {"good"}
    rows = {row["id"]: row for row in world.read("quarantine")}
    for name, (_, _, stage) in BROKEN.items():
        assert rows[name]["stage"] == stage and rows[name]["sha256"], "a rejected file is told by its content"
    for row in rows.values():
        assert row["detail"] and row["books"] == "quarantined" and row["uri"] and row["when"]
    assert {name for name, row in rows.items() if row["seconds"] is None} == set(expected) - {
        "silent", "not_a_number", "a_click", "channel",
    }  # fmt: skip
    assert balanced(done.version.books, 16)
    assert world.plan().new_items == 1, "only what could not be read at all (a folder) is tried again"


def test_an_unforeseen_error_is_one_items_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import sorigil.audio.prepare

    world.add("a")
    world.add("b", seconds=0.5)
    real = sorigil.audio.prepare.prepare

    def surprising(decoded: Any, *rest: Any, **named: Any) -> Any:
        if decoded.num_samples == RATE // 2:
            raise ZeroDivisionError("a bug of ours")
        return real(decoded, *rest, **named)

    monkeypatch.setattr(sorigil.audio.prepare, "prepare", surprising)
    world.run()
    assert set(world.kept()) == {"a"} and world.quarantine() == {"b": "unexpected_error"}
    (row,) = world.read("quarantine")
    assert row["detail"] == "ZeroDivisionError: a bug of ours" and row["seconds"] == 0.5


# -- filters, duplicates, conflicts ------------------------------------------------------------------------------------------


def test_filters_count_apart_and_change_without_any_work(world: World) -> None:
    for number, seconds in enumerate((0.1, 0.2, 0.3, 0.4)):
        world.add(f"s{number}", seconds=seconds)
    done = world.run(filters=(RangeFilter(over="seconds", min=0.2, max=0.3),))
    assert set(world.kept()) == {"s1", "s2"}, "the limits themselves are inside"
    assert world.quarantine() == {"s0": "seconds_below_min", "s3": "seconds_above_max"}
    books = done.version.books
    assert books["filtered"] == {"items": 2, "seconds": 0.5} and books["quarantined"]["items"] == 0
    assert balanced(books, 4)
    plan = world.plan(filters=(RangeFilter(over="seconds", min=0.15),))
    assert plan.units == []
    world.do(plan)
    assert set(world.kept()) == {"s1", "s2", "s3"}


def test_the_same_audio_under_the_same_words_is_a_duplicate(world: World) -> None:
    world.add("a", 1, text="one", label="x", speaker="s")
    world.add("b", 1, text="one", label="x", speaker="t")
    world.add("c", 2, text="one", label="x")
    done = world.run()
    assert set(world.kept()) == {"a", "c"} and world.quarantine() == {"b": "duplicate"}
    assert done.version.books["duplicate"] == {"items": 1, "seconds": 0.3} and balanced(done.version.books, 3)
    (row,) = world.read("quarantine")
    assert row["detail"] == "the same audio as a" and row["books"] == "duplicate"
    del world.rows[0]
    assert world.plan().units == []
    world.run()
    assert set(world.kept()) == {"b", "c"}, "the twin takes its place"


@pytest.mark.parametrize("field", ["text", "label"])
def test_the_same_audio_under_other_words_is_a_conflict_of_all(world: World, field: str) -> None:
    world.add("a", 1, **{field: "one"})
    world.add("b", 1, **{field: "one"})
    world.add("c", 1, **{field: "two"})
    world.add("d", 2, **{field: "two"})
    done = world.run()
    assert set(world.kept()) == {"d"} and world.quarantine() == dict.fromkeys("abc", "label_conflict")
    assert done.version.books["quarantined"] == {"items": 3, "seconds": 0.9} and balanced(done.version.books, 4)
    details = {row["id"]: row["detail"] for row in world.read("quarantine")}
    assert all(
        f"the same audio as {other}, under" in details[name] for name, other in (("a", "c"), ("b", "c"), ("c", "a"))
    )
    world.row("c")[field] = "one"
    plan = world.plan()
    assert plan.units == [], "a conflict that is settled needs no work"
    world.do(plan)
    assert set(world.kept()) == {"a", "d"} and world.quarantine() == {"b": "duplicate", "c": "duplicate"}


def test_an_id_for_two_things_is_refused_for_both_and_an_equal_row_is_a_duplicate(world: World) -> None:
    world.add("same", 1, text="one")
    world.rows.append(dict(world.rows[0]))
    world.add("clash", 2, text="two")
    world.add("clash", 3, name="other.wav", text="three")
    world.add("split", 4, split="train")
    world.rows.append({**world.rows[-1], "split": "test"})
    done = world.run()
    assert set(world.kept()) == {"same"}
    counts = Counter((row["id"], row["reason"], row["books"]) for row in world.read("quarantine"))
    assert counts == {
        ("same", "duplicate_row", "duplicate"): 1,
        ("clash", "duplicate_id", "quarantined"): 2,
        ("split", "duplicate_id", "quarantined"): 2,
    }
    assert balanced(done.version.books, 6)


def test_trimmed_seconds_have_their_own_line(world: World) -> None:
    quiet = np.zeros(RATE, np.float32)
    soundfile.write(world.source / "a.wav", np.concatenate([quiet, tone(1, 1.0), quiet]), RATE, subtype="PCM_16")
    world.rows.append({"id": "a", "audio": "a.wav"})
    books = world.run(audio=AudioSpec(sample_rate=RATE, trim=SilenceTrim())).version.books
    assert books["kept"] == {"items": 1, "seconds": 3.0}
    assert books["trimmed"]["items"] == 1 and 1.5 < books["trimmed"]["seconds"] < 2.0


def test_what_models_and_people_added_stays_with_its_audio(world: World) -> None:
    world.add("a", text="a")
    world.add("b", text="b")
    version = world.run().version
    state = {name: world.catalog.read(version, name) for name in tables.SCHEMAS}
    keys = {name: row["key"] for name, row in world.kept().items()}
    more = [
        {"key": keys["a"], "tier": "whisper", "value": "A", "source": "model", "confidence": 0.5, "when": "2026-01-01"},
        {"key": keys["b"], "tier": "review", "value": "ok", "source": "person", "when": "2026-01-02"},
    ]
    added = tables.conform(pa.Table.from_pylist(more, tables.ANNOTATIONS), tables.ANNOTATIONS)
    state["annotations"] = pa.concat_tables([state["annotations"], added])
    world.catalog.commit("tiny", version, state, books=version.books, facts={})
    world.row("a")["text"] = "corrected"
    world.add("c", text="c")
    world.run()
    assert world.texts(tier="whisper") == {"a": "A"} and world.texts(tier="review") == {"b": "ok"}
    assert world.texts() == {"a": "corrected", "b": "b", "c": "c"}
    world.sound("b.wav", seed=88)
    world.run()
    assert world.texts(tier="review") == {}, "it was said of other audio"


# -- the books, over anything ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A row of the source, and what would be found in its file."""

    id: str
    file: int
    text: str | None
    problem: bool
    start: float | None


_items = st.builds(
    Item,
    id=st.sampled_from([f"i{number}" for number in range(12)]),
    file=st.integers(0, 9),
    text=st.sampled_from([None, "x", "y"]),
    problem=st.sampled_from([False] * 5 + [True]),
    start=st.sampled_from([None, None, 0.5]),
)
# Of each file: (seconds, content, rejected); seconds None: nothing could be decoded.
_files = st.lists(
    st.tuples(st.sampled_from([None, 0.123456789, 1.0, 2.5]), st.integers(0, 3), st.sampled_from([False, False, True])),
    min_size=10,
    max_size=10,
)


def _fates(items: list[Item], files: list[Any], limits: tuple[float | None, float | None]) -> Counter[str]:
    """The oracle: the rules as one would say them, item by item."""
    fates: Counter[str] = Counter()
    by_id: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.problem:
            fates["quarantined"] += 1
        else:
            by_id[item.id].append(item)
    by_audio: dict[Any, list[Item]] = defaultdict(list)
    for same in by_id.values():
        if len(set(same)) > 1:
            fates["quarantined"] += len(same)
            continue
        fates["duplicate"] += len(same) - 1
        seconds, content, rejected = files[same[0].file]
        if rejected or seconds is None:
            fates["quarantined"] += 1
        elif (limits[0] and seconds < limits[0]) or (limits[1] and seconds > limits[1]):
            fates["filtered"] += 1
        else:
            by_audio[content, same[0].start, seconds].append(same[0])
    for twins in by_audio.values():
        agree = len({item.text for item in twins}) == 1
        fates["kept"] += agree
        fates["duplicate" if agree else "quarantined"] += len(twins) - agree
    return +fates


def _ledger_row(item: dict[str, Any], files: list[Any]) -> dict[str, Any]:
    seconds, content, rejected = files[int(item["uri"])]
    row = {name: item[name] for name in ("id", "place", "uri", "stamp")} | {"sha256": f"sha{content}"}
    if seconds is not None:
        row |= {"num_samples": round(seconds * 44100), "sample_rate": 44100}
    if rejected or seconds is None:
        return {**row, "stage": "decode", "reason": "bad", "detail": "bad"}
    key = f"{content}/{item['start']}/{seconds}"
    feature = {"feature_key": f"f{key}", "spec": "f", "part": "p", "row": 0, "num_frames": 1}
    return {**row, "key": key, "trimmed_samples": 0, "features": [feature]}


def _content(state: State) -> Any:
    rows = {
        name: sorted(json.dumps({**row, "when": None}) for row in table.to_pylist())
        for name, table in state.tables.items()
    }
    return rows, state.books, state.new, state.reused


@given(
    items=st.lists(_items, min_size=1, max_size=25),
    files=_files,
    limits=st.sampled_from([(None, None), (0.5, None), (0.5, 2.0)]),
)
@settings(max_examples=60)
def test_every_item_is_in_exactly_one_line_of_the_books(items: list[Item], files: list[Any], limits: Any) -> None:
    builder = ItemsBuilder("/source")
    for item in items:
        builder.columns["id"].append(item.id)
        given = {"uri": str(item.file), "stamp": "1", "size": 10, "start": item.start, "text": item.text}
        given["problem"] = "bad_row: it is bad" if item.problem else None
        for name in builder.columns.keys() - {"id"}:
            builder.columns[name].append(given.get(name))
    store = Store(root="/nowhere/at/all", catalog="", mlflow="")
    work = Work(
        store=store, dataset="d", base_uri="/source", audio=AudioSpec(), features=(),
        filters=() if limits == (None, None) else (RangeFilter(over="seconds", min=limits[0], max=limits[1]),),
        max_rejected=1.0,
    )  # fmt: skip
    nothing = {name: tables.empty(schema) for name, schema in tables.SCHEMAS.items()}
    plan = make_plan(work, builder.table(), None, nothing, workers=1)
    rows = [_ledger_row(item, files) for unit in plan.units for item in unit.items.to_pylist()]
    known = tables.conform(pa.Table.from_pylist(rows, ledger.ROWS), ledger.ROWS)
    state = assemble(plan, known)
    turned = assemble(plan, known.take(pa.array(range(len(known))[::-1], pa.int64())))
    assert _content(turned) == _content(state), "what stays is decided by the order of the source, not of the rows"
    books = state.books
    assert balanced(books, len(items))
    assert +Counter({line: int(books[line]["items"]) for line in LINES}) == _fates(items, files, limits)
    utterances = state.tables["utterances"]
    for column in ("id", "key"):
        values = utterances.column(column).to_pylist()
        assert len(set(values)) == len(values) == books["kept"]["items"] and None not in values
    for name in ("annotations", "features"):
        assert set(state.tables[name].column("key").to_pylist()) <= set(utterances.column("key").to_pylist())
    assert state.tables["features"].num_rows == len(utterances)
    assert len(state.tables["quarantine"]) == len(items) - len(utterances)


@given(
    kinds=st.lists(st.sampled_from([*BROKEN, "good", "twin", "other words", "short", "gone"]), min_size=1, max_size=9)
)
@settings(max_examples=8)
def test_the_books_balance_on_real_files_and_again_on_the_next_run(
    kinds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(tmp_path_factory.mktemp("books"), settings={"filters": SHORT})
    for number, kind in enumerate(kinds):
        if kind in BROKEN:
            world.add_bytes(f"i{number}", BROKEN[kind][0])
        elif kind == "gone":
            world.rows.append({"id": f"i{number}", "audio": "gone.wav"})
        else:
            seed = 100 + number if kind == "good" else 1
            world.add(f"i{number}", seed, seconds=0.1 if kind == "short" else 0.3, text=kind)
    done = world.run()
    assert balanced(done.version.books, len(kinds)) and done.state.new["items"] + kinds.count("gone") == len(kinds)
    again = world.plan()
    assert again.units == []
    assert not world.do(again).changed


# -- what must not pass ------------------------------------------------------------------------------------------------------


def test_a_unit_without_a_ledger_and_an_item_missing_in_it_are_noticed(world: World) -> None:
    world.add("a")
    world.add("b")
    plan = world.plan()
    with pytest.raises(RunError, match="was called done but left no ledger"):
        finished_rows(plan, plan.units)
    row = {"place": world.items().column("place")[0].as_py(), "key": "k", "num_samples": 1, "sample_rate": 1}
    with pytest.raises(RunError, match="1 of 2 items were never done"):
        assemble(plan, tables.conform(pa.Table.from_pylist([row]), ledger.ROWS))


def test_books_that_do_not_balance_are_refused(world: World) -> None:
    world.add("a")
    plan = world.plan()
    world.do(plan)
    plan.items = pa.concat_tables([plan.items, plan.items])
    with pytest.raises(RunError, match="the books do not balance: 2 items scanned, 1 accounted for"):
        assemble(plan, finished_rows(plan, plan.units))


@pytest.mark.parametrize(("limit", "red"), [(0.0, True), (0.4, True), (0.5, False), (1.0, False)])
def test_the_limit_of_rejections_is_a_share_of_what_was_scanned(world: World, limit: float, red: bool) -> None:
    world.add("a")
    world.add("short", seconds=0.1)  # filtered: not rejected
    world.add_bytes("bad", b"bad")
    world.rows.append({"id": "x"})
    plan = world.plan(max_rejected=limit, filters=SHORT)
    world.do(world.plan(filters=SHORT))
    state = assemble(plan, finished_rows(plan, plan.units))
    if red:
        with pytest.raises(RunError, match="2 of 4 items were rejected"):
            check_limits(plan, state)
    else:
        check_limits(plan, state)


def test_merged_features_are_each_once_and_the_catalogues_own_first() -> None:
    def table(*rows: tuple[str, str, str]) -> pa.Table:
        made = [
            {"key": key, "feature_key": name, "spec": "s", "part": part, "row": 0, "num_frames": 1}
            for key, name, part in rows
        ]
        return pa.Table.from_pylist(made, tables.FEATURES)

    base = table(("a", "fa", "old"), ("gone", "fg", "old"))
    fresh = table(("a", "fa", "new"), ("b", "fb", "new"), ("b", "fb", "newer"))
    merged = merge_features(base, fresh, pa.array(["a", "b"]))
    assert [(row["feature_key"], row["part"]) for row in merged.to_pylist()] == [("fa", "old"), ("fb", "new")]
