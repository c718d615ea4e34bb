"""Items that are the same sound: who stays, who is in conflict, and what is kept together, whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from conftest import RATE, World
from hypothesis import given
from hypothesis import strategies as st
from voices import babble

from flows.twins import settle
from sorigil.duplicates import DuplicatesSpec
from storage import tables

WHOLE = "\x1f\x1f\x1f"
KEEP, DROP = DuplicatesSpec(near="keep"), DuplicatesSpec(near="drop")


def print_of(sound: int) -> bytes:
    """The fingerprint of the sound of that number."""
    codes = np.random.default_rng(sound).integers(0, 1 << 20, 30).astype("<u8")
    return (codes << np.uint64(32) | np.arange(30, dtype="<u8")).tobytes()


def rows(*given: dict[str, Any]) -> pa.Table:
    """Kept rows as `assemble` has them; `sound` and `pcm` say what is the same."""
    made = [
        {
            "key": row["id"],
            "place": row["id"] + WHOLE,
            "uri": row["id"],
            "text": None,
            "label": None,
            "acoustic_fingerprint": print_of(row["sound"]) if "sound" in row else None,
            "pcm_hash": row.get("pcm"),
            "prepared_samples": RATE,
            "prepared_rate": RATE,
            "seconds": 1.0,
            "rank": rank,
            **{name: value for name, value in row.items() if name not in ("sound", "pcm")},
        }
        for rank, row in enumerate(given)
    ]
    besides = {"text": pa.string(), "label": pa.string(), "seconds": pa.float64(), "rank": pa.int64()}
    schema = pa.schema([*tables.UTTERANCES, *(pa.field(name, kind) for name, kind in besides.items())])
    return tables.conform(pa.Table.from_pylist(made, schema=schema), schema)


def fates(good: pa.Table, spec: DuplicatesSpec, base: pa.Table | None = None) -> dict[str, str]:
    settled = settle(good, tables.empty(tables.UTTERANCES) if base is None else base, spec)
    found = dict.fromkeys(settled.good.column("id").to_pylist(), "kept")
    return found | {row["id"]: row["reason"] for row in settled.quarantine.to_pylist()}


def groups(good: pa.Table, spec: DuplicatesSpec, base: pa.Table | None = None) -> dict[str, str | None]:
    kept = settle(good, tables.empty(tables.UTTERANCES) if base is None else base, spec).good
    return dict(zip(kept.column("id").to_pylist(), kept.column("near_group").to_pylist(), strict=True))


def test_each_kind_of_sameness_has_its_reason_and_its_switch() -> None:
    good = rows(
        {"id": "a", "sound": 1, "pcm": "p"}, {"id": "b", "key": "a", "sound": 1, "pcm": "p"},
        {"id": "c", "sound": 1, "pcm": "p"}, {"id": "d", "sound": 1, "pcm": "q"}, {"id": "e", "sound": 2, "pcm": "r"},
    )  # fmt: skip
    kept = {"a": "kept", "e": "kept", "b": "duplicate"}
    assert fates(good, DROP) == {**kept, "c": "duplicate_pcm", "d": "near_duplicate"}
    assert fates(good, KEEP) == {**kept, "c": "duplicate_pcm", "d": "kept"}
    assert fates(good, DuplicatesSpec()) == {**kept, "c": "duplicate_pcm", "d": "kept"}
    assert fates(good, DuplicatesSpec(pcm="keep")) == {**kept, "c": "kept", "d": "kept"}
    assert groups(good, DuplicatesSpec(pcm="keep")) == {"a": "a", "c": "a", "d": None, "e": None}
    settled = settle(good, tables.empty(tables.UTTERANCES), KEEP)
    assert settled.facts["dropped"] == {"duplicate": 1, "duplicate_pcm": 1}
    assert (settled.facts["kept_groups"], settled.facts["kept_items"]) == (1, 2)
    assert settled.facts["examples"] == [["a", "d"]]
    details = {row["id"]: (row["detail"], row["books"]) for row in settled.quarantine.to_pylist()}
    assert details["c"] == ("the same samples as a, in another container", "duplicate")


def test_another_text_is_a_conflict_of_all_and_no_text_is_not_an_empty_one() -> None:
    good = rows(
        {"id": "a", "pcm": "p", "text": "x"}, {"id": "b", "pcm": "p", "text": "y"}, {"id": "c", "pcm": "p", "text": "x"}
    )
    assert fates(good, DROP) == dict.fromkeys("abc", "label_conflict")
    (one, other, third) = settle(good, tables.empty(tables.UTTERANCES), DROP).quarantine.sort_by("id").to_pylist()
    assert one["detail"] == third["detail"] == "the same audio as b, under another text or label"
    assert other["detail"] == "the same audio as a, under another text or label" and other["books"] == "quarantined"
    good = rows({"id": "a", "pcm": "p", "text": ""}, {"id": "b", "pcm": "p", "text": None})
    assert fates(good, DROP) == dict.fromkeys("ab", "label_conflict")


def test_who_was_there_before_stays_and_gives_its_group_a_name() -> None:
    base = rows({"id": "z"})
    good = rows({"id": "a", "sound": 1}, {"id": "z", "sound": 1})
    assert fates(good, DROP, base) == {"z": "kept", "a": "near_duplicate"}
    assert groups(good, KEEP) == {"a": "a", "z": "a"}
    assert groups(good, KEEP, base) == {"a": "z", "z": "z"}


def test_what_joins_two_old_groups_moves_neither() -> None:
    base = rows({"id": "m"}, {"id": "n", "near_group": "old"})
    good = rows({"id": "m", "pcm": "p"}, {"id": "n", "pcm": "p"}, {"id": "a", "pcm": "p"})
    found = groups(good, DuplicatesSpec(pcm="keep"), base)
    assert (found["m"], found["n"], found["a"]) == ("m", "old", "m")


def test_stretches_of_one_recording_come_along_with_a_twin() -> None:
    good = rows(
        {"id": "a", "uri": "r", "place": "r\x1f0\x1f1\x1f", "sound": 1}, {"id": "b", "uri": "r", "place": "r\x1f1\x1f1\x1f"},
        {"id": "c", "sound": 1}, {"id": "d"},
    )  # fmt: skip
    assert groups(good, KEEP) == {"a": "c", "b": "c", "c": "c", "d": None}


@given(
    items=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["x", "y"])), max_size=10),
    order=st.randoms(),
)
def test_the_order_of_rows_decides_only_which_of_equals_stays(items: list[tuple[int, int, str]], order: Any) -> None:
    made = [
        {"id": f"i{number}", "sound": sound, "pcm": f"{sound}-{pcm}", "text": text}
        for number, (sound, pcm, text) in enumerate(items)
    ]
    shuffled = list(made)
    order.shuffle(shuffled)
    one, other = fates(rows(*made), DROP), fates(rows(*shuffled), DROP)
    texts: dict[int, set[str]] = {}
    for sound, _, text in items:
        texts.setdefault(sound, set()).add(text)
    for found in (one, other):
        assert set(found) == {row["id"] for row in made}
        for row in made:
            assert (found[row["id"]] == "label_conflict") == (len(texts[row["sound"]]) == 2)
        kept = sorted(row["sound"] for row in made if found[row["id"]] == "kept")
        assert kept == sorted(sound for sound, said in texts.items() if len(said) == 1)


def test_the_same_recording_in_many_files(world: World) -> None:
    """End to end: another container is a duplicate; a louder copy is found once that is asked for, without decoding."""
    sound = np.rint(babble(5, seconds=1.0)[::2] * 10000).astype(np.int16)
    for name, samples, kind in (
        ("a.wav", sound, "PCM_16"),
        ("b.flac", sound, "PCM_16"),
        ("c.wav", 2 * sound[700:], "PCM_16"),
    ):
        soundfile.write(world.source / name, samples, RATE, subtype=kind)
        world.rows.append({"id": name, "audio": name, "text": "same"})
    world.add("other.wav", name="other.wav", text="same")
    done = world.run()
    assert world.quarantine() == {"b.flac": "duplicate_pcm"} and set(world.kept()) == {"a.wav", "c.wav", "other.wav"}
    assert done.version.books["duplicate"] == {"items": 1, "seconds": 1.0}
    plan = world.plan(duplicates=DROP)
    assert plan.units == [], "the prepared audio is there"
    world.do(plan)
    assert world.quarantine() == {"b.flac": "duplicate_pcm", "c.wav": "near_duplicate"}
    assert world.do(world.plan(duplicates=DROP)).changed is False
    assert world.do(world.plan(duplicates=DROP)).version.facts["duplicates"]["dropped"] == {
        "duplicate_pcm": 1, "near_duplicate": 1,
    }  # fmt: skip
    world.run(duplicates=KEEP)
    kept = world.kept()
    assert kept["a.wav"]["near_group"] == kept["c.wav"]["near_group"] == kept["a.wav"]["key"]
    assert kept["other.wav"]["near_group"] is None
