"""What is computed and what is not: found by content, place and parameters, never by luck."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import LOG_MEL, RATE, World, tone

import tasks.prepare
import tasks.unit_output
from sorigil.audio.spec import AudioSpec, NoNormalize, RawAudio, RmsNormalize
from sorigil.errors import RunError
from sorigil.features import LogMel, Mfcc
from sorigil.filters import RangeFilter
from storage.catalog import CommitLostError
from storage.dataset import StoredRows, open_dataset
from tasks.prepare import prepare_unit
from tasks.units import feature_spec_key

WIDE = LogMel(n_fft=4096, win_length=4096, hop_length=80, n_mels=20, center=False)  # 0.512 s: longer than our sounds


def computed(world: World, **options: Any) -> list[str]:
    """The ids that a plan would compute."""
    units = world.plan(**options).units
    return sorted(identity for unit in units for identity in unit.items.column("id").to_pylist())


def features_of(world: World, spec: Any = LOG_MEL, audio: AudioSpec | None = None) -> dict[str, np.ndarray[Any, Any]]:
    version = world.catalog.version(world.dataset)
    assert version is not None
    name = feature_spec_key(audio or world.work().audio, spec)
    table = open_dataset(world.catalog, version, name)
    rows = StoredRows(world.store, table)
    return {identity: rows.features(index) for index, identity in enumerate(table.column("id").to_pylist())}


@pytest.fixture
def three(world: World) -> World:
    for name in "abc":
        world.add(name, text=f"text {name}", speaker=name)
    return world


# -- nothing new ---------------------------------------------------------------------------------------------------------


def test_the_first_run_computes_everything_and_the_second_nothing(three: World) -> None:
    first = three.run()
    assert (first.version.name, first.changed, first.state.new["items"]) == ("v1", True, 3)
    plan = three.plan()
    assert plan.units == [] and plan.reasons == {"in the catalogue": 3}
    second = three.do(plan)
    assert not second.changed and second.version.snapshot == first.version.snapshot
    assert (second.state.new["items"], second.state.reused["items"]) == (0, 3)
    assert [version.name for version in three.catalog.versions("tiny")] == ["v1"]


def test_every_kind_of_leftover_is_stable_from_run_to_run(world: World) -> None:
    """44.1 kHz on purpose: seconds of a remembered item must read the same as the first time."""
    world.add("good", 1, rate=44100, text="a")
    world.add("twin", 1, rate=44100, text="a")
    world.add("x", 2, label="x")
    world.add("y", 2, label="y")
    soundfile.write(world.source / "silent.wav", np.zeros(1001, np.int16), 44100)
    world.rows += [{"id": "silent", "audio": "silent.wav"}, {"id": "lost", "audio": "lost.wav"}, "{no json"]
    world.add_bytes("text", b"this is no sound, whatever its name says")
    world.add("short", 3, seconds=0.1)
    world.rows += [world.row("good"), world.row("good")]
    first = world.run(filters=(RangeFilter(over="seconds", min=0.2),))
    plan = world.plan(filters=(RangeFilter(over="seconds", min=0.2),))
    assert plan.units == []
    second = world.do(plan)
    assert not second.changed and second.state.books == first.state.books == second.version.books


def test_a_changed_count_of_equal_rows_is_noticed(world: World) -> None:
    world.add("a")
    world.rows += [world.rows[0]] * 2
    assert world.run().version.books["duplicate"]["items"] == 2
    world.rows.pop()
    version = world.run().version
    assert (version.name, version.books["duplicate"]["items"], len(world.read("quarantine"))) == ("v2", 1, 1)


# -- something new -------------------------------------------------------------------------------------------------------


def test_only_the_new_file_is_computed(three: World) -> None:
    three.run()
    before = three.kept()
    three.add("d")
    assert computed(three) == ["d"]
    assert three.run().version.name == "v2"
    after = three.kept()
    assert {name: after[name] for name in "abc"} == before and set(after) == set("abcd")


def test_only_the_changed_file_is_computed(three: World) -> None:
    three.run()
    before = three.kept()
    three.sound("b.wav", seed=99)
    plan = three.plan()
    assert [unit.items.column("id").to_pylist() for unit in plan.units] == [["b"]]
    assert plan.reasons == {"in the catalogue": 2, "changed": 1}
    three.do(plan)
    after = three.kept()
    assert after["b"]["key"] != before["b"]["key"] and after["b"]["sha256"] != before["b"]["sha256"]
    assert {name: after[name] for name in "ac"} == {name: before[name] for name in "ac"}
    assert three.kept("v1") == before
    assert {row["key"] for row in three.read("features")} == {row["key"] for row in after.values()}


def test_a_touched_file_keeps_its_identity(three: World) -> None:
    three.run()
    before, features = three.kept()["b"], three.read("features")
    os.utime(three.source / "b.wav", ns=(1, 1))
    assert computed(three) == ["b"]
    three.run()
    after = three.kept()["b"]
    for name in ("key", "audio_key", "sha256"):
        assert after[name] == before[name]
    by_key = {row["key"]: row for row in three.read("features")}
    assert by_key == {row["key"]: row for row in features}
    assert not computed(three)


def test_a_corrected_transcript_recomputes_nothing(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = three.run()
    before, utterances, features = three.texts(), three.read("utterances"), three.read("features")
    whens = {row["key"]: row["when"] for row in three.read("annotations")}
    monkeypatch.setattr("flows.assemble.now", lambda: "2099-01-01T00:00:00+00:00")
    three.row("b")["text"] = "corrected"
    plan = three.plan()
    assert plan.units == []
    version = three.do(plan).version
    assert version.name == "v2"
    assert three.texts() == {**before, "b": "corrected"} and three.texts("v1") == before
    assert three.read("features") == features
    key = lambda row: row["id"]  # noqa: E731
    assert sorted(three.read("utterances"), key=key) == sorted(utterances, key=key)
    for row in three.read("annotations"):
        assert row["when"] == ("2099-01-01T00:00:00+00:00" if row["value"] == "corrected" else whens[row["key"]])
    assert three.catalog.diff(first.version, version) == {
        "added": [], "removed": [], "changed": [], "relabelled": ["b"],
    }  # fmt: skip


def test_a_text_that_is_taken_away_and_other_words_about_a_row(three: World) -> None:
    three.run()
    del three.row("a")["text"]
    three.row("b")["speaker"] = "somebody else"
    assert not computed(three)
    assert three.run().version.name == "v2"
    assert set(three.texts()) == {"b", "c"} and three.kept()["b"]["speaker"] == "somebody else"


def test_a_removed_row_leaves_the_new_version_and_stays_in_the_old(three: World) -> None:
    first = three.run()
    del three.rows[0]
    assert not computed(three)
    second = three.run()
    assert set(three.kept()) == {"b", "c"} and set(three.kept("v1")) == {"a", "b", "c"}
    (gone,) = three.read("quarantine")
    assert (gone["id"], gone["reason"], gone["books"]) == ("a", "vanished", "vanished")
    assert second.version.books["scanned"]["items"] == 2 and second.version.books["quarantined"]["items"] == 0
    assert three.catalog.diff(first.version, second.version)["removed"] == ["a"]
    keys = {row["key"] for row in three.kept().values()}
    assert {row["key"] for row in three.read("annotations")} == {row["key"] for row in three.read("features")} == keys
    assert not three.run().changed  # it stays on the list, and is not counted again
    assert three.quarantine() == {"a": "vanished"}


def test_a_vanished_file_that_comes_back_is_found_again(three: World) -> None:
    three.run()
    row = three.rows.pop(0)
    three.run()
    three.rows.append(row)
    assert not computed(three), "its unit is in the ledger"
    three.run()
    assert set(three.kept()) == {"a", "b", "c"} and three.quarantine() == {}


def test_a_renamed_file_is_read_again_and_keeps_its_identity(three: World) -> None:
    three.run()
    before = three.kept()["b"]
    (three.source / "b.wav").rename(three.source / "z.wav")
    three.row("b")["audio"] = "z.wav"
    assert computed(three) == ["b"]
    three.run(max_vanished=0.0)
    assert three.quarantine() == {}
    after = three.kept()["b"]
    assert (after["key"], after["audio_key"], after["uri"]) == (before["key"], before["audio_key"], "z.wav")
    assert len(three.read("features")) == 3 and three.texts()["b"] == "text b"


# -- parameters ----------------------------------------------------------------------------------------------------------


def test_another_audio_spec_computes_all_again_and_the_first_one_nothing(three: World) -> None:
    three.run()
    before = three.kept()
    other = AudioSpec(sample_rate=RATE, normalize=RmsNormalize())
    assert computed(three, audio=other) == ["a", "b", "c"]
    three.run(audio=other)
    assert {row["key"] for row in three.kept().values()} == {row["key"] for row in before.values()}
    assert not {row["audio_key"] for row in three.kept().values()} & {row["audio_key"] for row in before.values()}
    assert not computed(three), "what was made by the first spec is in the ledger still"
    three.run()
    assert three.kept() == before


def test_a_feature_added_later_equals_one_pass_bit_for_bit(three: World, tmp_path: Path) -> None:
    more = (LOG_MEL, Mfcc(n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=13), LogMel(n_mels=12))
    three.run()
    before = three.kept()
    plan = three.plan(features=more)
    assert plan.units == []
    done = three.do(plan)
    assert done.version.name == "v2" and done.reports and three.kept() == before
    at_once = World(tmp_path / "at once", rows=three.rows)
    for path in three.source.glob("*.wav"):
        (at_once.source / path.name).write_bytes(path.read_bytes())
    at_once.run(features=more)
    for spec in more:
        one, other = features_of(three, spec), features_of(at_once, spec)
        assert set(one) == set(other) == set("abc")
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert {row["feature_key"] for row in three.read("features")} == {
        row["feature_key"] for row in at_once.read("features")
    }
    assert not three.run(features=more).changed


def test_a_feature_that_is_no_longer_asked_for_is_not_lost(three: World) -> None:
    three.run(features=(LOG_MEL, LogMel(n_mels=12)))
    done = three.run()
    assert not done.changed and len(three.read("features")) == 6


@pytest.mark.parametrize("later", [False, True])
def test_audio_too_short_for_a_feature_is_rejected_whenever_the_feature_comes(world: World, later: bool) -> None:
    world.add("long", seconds=0.8)
    world.add("short", seconds=0.3)
    if later:
        world.run()
    done = world.run(features=(LOG_MEL, WIDE))
    assert set(world.kept()) == {"long"} and world.quarantine() == {"short": "too_short"}
    (row,) = world.read("quarantine")
    assert (row["stage"], row["books"], row["seconds"]) == ("features", "quarantined", 0.3)
    assert done.version.books["quarantined"] == {"items": 1, "seconds": 0.3}
    assert len(world.read("features")) == 2
    plan = world.plan(features=(LOG_MEL, WIDE))
    assert plan.units == [] and not world.do(plan).changed
    world.run()  # without the feature nothing is wrong with it
    assert set(world.kept()) == {"long", "short"} and world.quarantine() == {}


def test_without_prepared_audio_only_features_are_stored(three: World) -> None:
    first = three.run(keep_audio=False)
    assert {part.stage for report in first.reports for part in report.parts} == {"features"}
    assert all(row["audio_part"] is None and row["audio_key"] for row in three.kept().values())
    assert not list((three.folder / "store").rglob("audio/*.parquet"))
    features = features_of(three)
    assert not three.run(keep_audio=False).changed
    assert computed(three, keep_audio=True) == ["a", "b", "c"], "prepared audio is asked for now"
    three.run(keep_audio=True)
    assert all(row["audio_part"] for row in three.kept().values())
    assert all(np.array_equal(features[name], again) for name, again in features_of(three).items())
    assert not computed(three, keep_audio=False), "having it does not hurt"


@pytest.mark.parametrize("committed", [True, False])
def test_a_feature_added_without_prepared_audio_goes_back_to_the_source(three: World, committed: bool) -> None:
    more = (LOG_MEL, LogMel(n_mels=12))
    if committed:
        three.run(keep_audio=False)
    else:
        for unit in three.plan(keep_audio=False).units:
            prepare_unit(unit)
    assert computed(three, keep_audio=False, features=more) == ["a", "b", "c"]
    three.run(keep_audio=False, features=more)
    assert len(three.read("features")) == 6 and set(features_of(three, more[1])) == set("abc")
    assert not three.run(keep_audio=False, features=more).changed


def test_headerless_audio_read_in_another_way_is_other_audio(world: World) -> None:
    pcm = (tone(1) * 32767).astype("<i2")
    (world.source / "a.RAW").write_bytes(pcm.tobytes())
    world.rows.append({"id": "a", "audio": "a.RAW"})
    world.add("b")
    slow, fast = RawAudio(sample_rate=RATE), RawAudio(sample_rate=2 * RATE)
    world.run(raw=slow)
    before = world.kept()
    assert not computed(world, raw=slow)
    assert computed(world, raw=fast) == ["a"]
    world.run(raw=fast)
    after = world.kept()
    assert after["b"] == before["b"] and after["a"]["key"] != before["a"]["key"]
    assert (before["a"]["sample_rate"], after["a"]["sample_rate"]) == (RATE, 2 * RATE)
    assert features_of(world)["a"].shape == (len(pcm) // 2 // 80 + 1, 20)


# -- spans of long recordings --------------------------------------------------------------------------------------------


def test_spans_share_one_decode_and_are_stretches_of_the_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tone(5, seconds=3.0)
    soundfile.write(world.source / "long.flac", whole, RATE, subtype="PCM_16")
    for number in range(5):
        world.rows.append({"id": f"s{number}", "audio": "long.flac", "start": number * 0.5, "end": number * 0.5 + 0.4})
    world.rows.append({"id": "rest", "audio": "long.flac", "offset": 2.5})
    world.rows.append({"id": "outside", "audio": "long.flac", "start": 2.5, "end": 9})
    world.add("other")
    decoded = []
    real = tasks.prepare._decode
    monkeypatch.setattr(tasks.prepare, "_decode", lambda data, uri, raw: decoded.append(uri) or real(data, uri, raw))
    done = world.run(audio=AudioSpec(sample_rate=RATE, normalize=NoNormalize()))
    assert sorted(decoded) == ["long.flac", "other.wav"]
    assert world.quarantine() == {"outside": "span_outside"}
    kept = world.kept()
    assert (kept["s3"]["start"], kept["s3"]["num_samples"]) == (round(1.5 * RATE), round(0.4 * RATE))
    assert kept["rest"]["num_samples"] == RATE // 2
    assert len({row["key"] for row in kept.values()}) == 7
    assert done.version.books["quarantined"] == {"items": 1, "seconds": 0.5}, "what is there of it, not what is claimed"
    version = world.catalog.version("tiny")
    assert version is not None
    table = open_dataset(world.catalog, version)
    rows = StoredRows(world.store, table, audio=True)
    samples = rows.samples(table.column("id").to_pylist().index("s3"))
    assert np.allclose(samples, whole[round(1.5 * RATE) : round(1.9 * RATE)], atol=1e-4)


def test_a_span_that_is_the_whole_file_is_the_same_audio(world: World) -> None:
    world.add("a", 1, text="a")
    world.rows.append({"id": "span", "audio": "a.wav", "start": 0, "end": 0.3, "text": "a"})
    world.run()
    assert set(world.kept()) == {"a"} and world.quarantine() == {"span": "duplicate"}


# -- remembered rejections ----------------------------------------------------------------------------------------------


def test_a_rejection_is_remembered_until_the_file_the_parameters_or_the_wish_change(three: World) -> None:
    three.add_bytes("bad", b"RIFF nothing follows")
    three.run()
    assert set(three.quarantine()) == {"bad"}
    when = three.read("quarantine")[0]["when"]
    plan = three.plan()
    assert plan.units == [] and plan.reasons == {"in the catalogue": 3, "rejected before": 1}
    assert not three.do(plan).changed and three.read("quarantine")[0]["when"] == when
    assert computed(three, retry=True) == ["bad"]
    assert computed(three, audio=AudioSpec(sample_rate=RATE, normalize=RmsNormalize())) == ["a", "b", "bad", "c"]
    three.sound("bad.wav", seed=77)
    assert computed(three) == ["bad"]
    three.run()
    assert set(three.kept()) == {"a", "b", "c", "bad"} and three.quarantine() == {}


def test_a_rejection_keeps_the_time_at_which_it_was_made(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    three.add_bytes("bad", b"RIFF nothing follows")
    three.run()
    (before,) = three.read("quarantine")
    monkeypatch.setattr("storage.quarantine.now", lambda: "2099-01-01T00:00:00+00:00")
    three.add_bytes("worse", b"RIFF nothing either")
    three.run()
    whens = {row["id"]: row["when"] for row in three.read("quarantine")}
    assert whens == {"bad": before["when"], "worse": "2099-01-01T00:00:00+00:00"}


def test_a_rejection_before_any_commit_is_remembered_by_the_ledger(three: World) -> None:
    three.add_bytes("bad", b"RIFF nothing follows")
    for unit in three.plan().units:
        prepare_unit(unit)
    plan = three.plan()
    assert plan.units == [] and plan.reasons == {"finished by an earlier run": 4}
    assert computed(three, retry=True) == ["bad"]


def test_what_was_rejected_and_kept_on_retry_stays_kept(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes, **_: Any) -> Any:
        raise ValueError("a bug that is mended later")

    with monkeypatch.context() as patched:
        patched.setattr("sorigil.audio.decode.open_audio", broken)
        three.run()
    assert set(three.quarantine().values()) == {"unexpected_error"} and not three.kept()
    three.run(retry=True)
    assert set(three.kept()) == set("abc") and three.quarantine() == {}
    assert not three.run().changed
    del three.rows[0]
    three.run()
    three.rows.insert(0, {"id": "a", "audio": "a.wav"})
    assert not computed(three)  # the ledger holds both verdicts now: the later, better one counts
    three.run()
    assert "a" in three.kept()


def test_a_file_that_could_not_be_read_is_tried_again(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk's bad hour says nothing about the content, and a rejection is remembered by content."""
    real = tasks.prepare.files.open_input

    def unwilling(uri: str) -> Any:
        if uri.endswith("b.wav"):
            raise OSError(5, "Input/output error")
        return real(uri)

    with monkeypatch.context() as patched:
        patched.setattr(tasks.prepare.files, "open_input", unwilling)
        three.run()
    assert three.quarantine() == {"b": "unreadable"}
    assert computed(three) == ["b"]
    three.run()
    assert set(three.kept()) == set("abc")


# -- red runs, killed runs, races -----------------------------------------------------------------------------------------


def test_too_many_rejections_publish_nothing_and_lose_nothing(three: World) -> None:
    three.add_bytes("bad", b"no sound")
    three.rows.append({"id": "lost", "audio": "lost.wav"})
    with pytest.raises(RunError, match=r"2 of 5 items were rejected \(1 \w+, 1 \w+\); the limit is max_rejected: 0.2"):
        three.run(max_rejected=0.2)
    assert three.catalog.version("tiny") is None
    assert not computed(three, max_rejected=0.2)
    assert three.run(max_rejected=0.4).version.books["quarantined"]["items"] == 2


def test_too_many_vanished_files_publish_nothing(three: World) -> None:
    first = three.run()
    del three.rows[:2]
    with pytest.raises(RunError, match=r"2 of 3 items are no longer in the source; the limit is max_vanished: 0.5"):
        three.run(max_vanished=0.5)
    assert three.catalog.version("tiny") == first.version
    three.run(max_vanished=0.7)
    assert three.run(max_vanished=0.0).version.name == "v2", "what vanished before is not counted again"


def test_a_vanished_row_counts_though_its_twin_is_in_the_quarantine(world: World) -> None:
    """Two rows of one place: the kept one and its duplicate."""
    world.add("a", text="a")
    world.rows.append({**world.rows[0], "id": "again"})
    world.add("b")
    world.run()
    assert world.quarantine() == {"again": "duplicate"}
    del world.rows[:2]
    with pytest.raises(RunError, match="1 of 2 items are no longer in the source"):
        world.run(max_vanished=0.3)


def test_a_run_killed_between_units_and_commit_is_taken_up_again(three: World) -> None:
    plan = three.plan(workers=2)
    assert len(plan.units) == 3
    prepare_unit(plan.units[1])
    assert three.catalog.version("tiny") is None
    again = three.plan(workers=2)
    assert {unit.unit for unit in again.units} == {plan.units[0].unit, plan.units[2].unit}
    assert again.reasons == {"finished by an earlier run": 1, "new": 2}
    done = three.do(again)
    assert set(three.kept()) == set("abc")
    assert (done.state.new["items"], done.state.reused["items"]) == (2, 1)


def test_a_part_without_its_ledger_is_not_taken_for_done(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (unit,) = three.plan(workers=1).units[:1]
    with monkeypatch.context() as patched:
        patched.setattr(tasks.unit_output.ledger, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare_unit(unit)
    assert list((three.folder / "store").rglob("parts/**/*.parquet"))
    assert computed(three) == ["a", "b", "c"]


def test_a_run_killed_within_the_commit_leaves_the_version_it_started_from(
    three: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = three.run()
    before = {name: three.read(name) for name in ("utterances", "annotations", "features", "quarantine")}
    three.add("d", text="new")
    real = type(three.catalog)._write

    def dying(self: Any, dataset: str, name: str, *rest: Any) -> Any:
        if name == "utterances":
            raise KeyboardInterrupt
        return real(self, dataset, name, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(type(three.catalog), "_write", dying)
        with pytest.raises(KeyboardInterrupt):
            three.run()
    assert three.catalog.versions("tiny") == [first.version]
    assert {name: three.read(name) for name in before} == before
    done = three.run()
    assert done.version.name == "v2" and done.state.new["items"] == 0
    for name in ("annotations", "features"):
        assert len(three.read(name)) == 4, f"what the dead run left in {name} is not counted twice"


def test_of_two_racing_runs_one_loses_and_can_plan_again(three: World) -> None:
    three.run()
    three.add("d", text="d")
    loser = three.plan()
    three.rows[-1] = {"id": "e", "audio": "d.wav", "text": "e"}
    winner = three.run()
    state = {name: three.read(name) for name in ("utterances", "annotations", "features", "quarantine")}
    with pytest.raises(CommitLostError, match="tiny: another run committed a version meanwhile"):
        three.do(loser)
    assert three.catalog.version("tiny") == winner.version
    assert {name: three.read(name) for name in state} == state
    three.add("f")
    assert three.run().version.name == "v3"
    assert set(three.kept()) == set("abcef") and set(three.texts()) == set("abce")


def test_two_first_runs_racing(three: World) -> None:
    loser = three.plan()
    three.run()
    with pytest.raises(CommitLostError):
        three.do(loser)
    assert [version.name for version in three.catalog.versions("tiny")] == ["v1"]


# -- units ----------------------------------------------------------------------------------------------------------------


def _sizes(plan: Any) -> Iterator[list[str]]:
    for unit in plan.units:
        yield unit.items.column("uri").to_pylist()


def test_units_are_balanced_by_bytes_and_tear_no_file_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        world.add(f"u{number}", seconds=0.05)
        world.rows.append({"id": f"v{number}", "audio": f"u{number}.wav", "start": 0.01, "end": 0.04})
    units = list(_sizes(world.plan(workers=2)))
    assert 8 <= len(units) <= 10 and max(map(len, units)) <= 12
    files = [set(unit) for unit in units]
    assert sum(map(len, files)) == len(set.union(*files)) == 40
    monkeypatch.setattr("flows.units.UNIT_ITEMS", 4)
    assert max(len(unit) for unit in _sizes(world.plan(workers=1))) <= 6  # 4, and what shares a file


def test_a_few_large_files_before_many_tiny_ones_make_no_giant_unit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        world.add(f"a{number}", seconds=2.0)
    for number in range(60):
        world.add(f"b{number}", seconds=0.01)
    monkeypatch.setattr("flows.units.UNIT_ITEMS", 10)
    assert max(len(unit) for unit in _sizes(world.plan(workers=1))) <= 11


def test_a_unit_is_named_by_what_goes_in(three: World) -> None:
    def names(**changes: Any) -> set[str]:
        return {unit.unit for unit in three.plan(workers=2, **changes).units}

    assert names() == names()
    assert not names() & names(features=(LogMel(n_mels=12),))
    assert not names() & names(audio=AudioSpec(sample_rate=16000))
    before = names()
    os.utime(three.source / "a.wav", ns=(1, 1))
    assert len(before & names()) == 2
