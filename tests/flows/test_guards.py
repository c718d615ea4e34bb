"""A version that leaks or drifts is not published, says why, and is published once that is allowed."""

from __future__ import annotations

import json
from collections import Counter
from unittest.mock import patch

import pyarrow as pa
import pytest
import soundfile
from conftest import RATE, World, tone
from hypothesis import given
from hypothesis import strategies as st
from voices import babble

from flows.guards import profiles
from flows.pages import diff_text, version_text
from sorigil.drift import DriftSpec
from sorigil.duplicates import DuplicatesSpec
from sorigil.errors import RunError
from sorigil.leaks import LeakSpec
from sorigil.split_specs import GroupSplit
from storage import tables


def test_the_same_sound_in_train_and_test_publishes_nothing(world: World) -> None:
    for name, split, gain in (("a", "train", 1.0), ("b", "test", 0.4)):
        soundfile.write(world.source / f"{name}.wav", gain * babble(7)[::2], RATE)
        world.rows.append({"id": name, "audio": f"{name}.wav", "split": split, "speaker": name})
    keep = DuplicatesSpec(near="keep")
    with pytest.raises(
        RunError, match=r"1 sounds are on both sides of the split \(1 items\): a \(train\) and b \(test\)"
    ):
        world.run(duplicates=keep)
    assert world.catalog.version("tiny") is None
    done = world.run(duplicates=keep, leaks=LeakSpec(duplicates="warn"))
    assert done.version.facts["leaks"]["duplicates"]["examples"] == ["a (train) and b (test)"]
    dropped = world.run(duplicates=DuplicatesSpec(near="drop"))
    assert set(world.kept()) == {"a"} and dropped.version.facts["leaks"] == {}


def test_stretches_of_one_recording_and_speakers_on_both_sides(world: World) -> None:
    world.sound("long.wav", seconds=1.0)
    for number, split in enumerate(("train", "test")):
        span = {"start": 0.5 * number, "end": 0.5 * number + 0.4}
        world.rows.append({"id": split, "audio": "long.wav", "split": split, "speaker": "s", **span})
    with pytest.raises(RunError, match=r"1 recordings are on both sides.*split by recording"):
        world.run()
    done = world.run(leaks=LeakSpec(recordings="allow"))
    assert {kind: row["groups"] for kind, row in done.version.facts["leaks"].items()} == {
        "recordings": 1,
        "speakers": 1,
    }
    whole = world.run(split=GroupSplit(field="recording", test=0.5, dev=0.2))
    assert whole.version.name == done.version.name, "another split is no other version"


def test_a_drift_beyond_the_limit_publishes_nothing_until_it_is_accepted(world: World) -> None:
    for number in range(40):
        world.add(f"old{number}", seconds=0.2, speaker=f"s{number % 2}")
    world.run()
    for number in range(40):
        world.add(f"new{number}", seconds=0.4, speaker=f"t{number % 2}")
    with pytest.raises(RunError) as refused:
        world.run(drift=DriftSpec(max_shift=0.4, max_change=0.9))
    for said in (
        "items went from 40 to 80 (+100 %)",
        "seconds shifted by 0.50",
        "speaker shifted by 0.50",
        "max_shift=null",
    ):
        assert said in str(refused.value)
    assert len(world.kept()) == 40
    done = world.run()
    drift = done.version.facts["drift"]
    assert drift["from"] == "v1" and drift["amounts"]["speakers"] == {"old": 2, "new": 4, "change": 1.0}
    row = {
        "dataset": "tiny",
        "version": "v2",
        "created": "",
        "tags": [],
        "books": done.version.books,
        "measures": {},
        "headers": {"recordings": 0},
    }
    shown = version_text({**row, "facts": json.loads(json.dumps(done.version.facts))})
    assert "drift from v1" in shown and "distribution" in shown
    found = {"groups": 2, "items": 5, "examples": ["u1 (train) and u2 (test)"]}
    twins = {
        "near": "keep",
        "dropped": {"duplicate_pcm": 3},
        "kept_groups": 1,
        "kept_items": 2,
        "examples": [["a", "b"]],
    }
    shown = version_text({**row, "facts": {"leaks": {"speakers": found}, "duplicates": twins, "odd": [1]}})
    assert "2 speakers on both sides (5 items)" in shown and "[1]" in shown
    assert "3 dropped (duplicate_pcm), 1 groups of near-duplicates kept (a = b)" in shown
    assert "drift from v1" in diff_text({"added": ["a"], "drift": drift})
    assert world.run(drift=DriftSpec(max_shift=0.4)).changed is False, "what is published is where drift begins"


def test_what_cannot_be_split_leaks_nothing(world: World) -> None:
    soundfile.write(world.source / "a.wav", tone(1), RATE)
    world.rows.append({"id": "a", "audio": "a.wav"})
    assert world.run(split=GroupSplit(field="site", test=("x",))).version.facts["leaks"] == {}


_texts = st.lists(st.sampled_from([None, "", "one", "one two", " two  three ", "drei"]), max_size=9)


@given(old=_texts, new=_texts, step=st.sampled_from([1, 2, tables.SLICE]))
def test_what_is_counted_of_two_versions_is_in_one_order(
    old: list[str | None], new: list[str | None], step: int
) -> None:
    """Against counting by hand: speakers as they are, transcripts by their words."""

    def state(texts: list[str | None]) -> dict[str, pa.Table]:
        rows = [{"key": str(at), "id": str(at), "speaker": text, "rms": 0.1} for at, text in enumerate(texts)]
        said = [{"key": str(at), "tier": "reference", "value": text} for at, text in enumerate(texts)]
        made = {"utterances": rows, "annotations": said}
        return {
            name: tables.conform(pa.Table.from_pylist(made[name], pa.schema(
                [field for field in tables.SCHEMAS[name] if made[name] and field.name in made[name][0]]
            )), tables.LEAN[name])
            for name in made
        }  # fmt: skip

    with patch.object(tables, "SLICE", step):
        one, other = profiles(state(old), state(new))
    for name, split in (("speaker", lambda text: [text]), ("words", str.split)):
        expected = [Counter(word for text in texts if text is not None for word in split(text)) for texts in (old, new)]
        found = list(zip(one.names[name].tolist(), other.names[name].tolist(), strict=True))
        assert Counter(found) == Counter(
            (expected[0][word], expected[1][word]) for word in {*expected[0], *expected[1]}
        )
    assert one.amounts["different words"] == len({word for text in old for word in (text or "").split()})
    assert (len(one.numbers["rms_db"]), len(one.numbers["seconds"])) == (len(old), 0)
