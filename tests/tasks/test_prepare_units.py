"""Units of work: what they write, under which names, and that nothing else is left."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from conftest import LOG_MEL, RATE, World, tone

from flows.units import featurize_units
from sorigil.audio.augment import WaveAugment
from sorigil.audio.prepare import decode_flac
from sorigil.audio.spec import AudioSpec, NoNormalize
from sorigil.features import LogMel, compute
from sorigil.fingerprint import digest, fingerprint
from storage import ledger, parts
from storage.dataset import StoredRows, open_dataset, with_features
from tasks.breadcrumb import crumb_of
from tasks.featurize import featurize_unit
from tasks.prepare import prepare_unit
from tasks.units import FeaturizeUnit, PrepareUnit, feature_spec_key

WIDE = LogMel(n_fft=4096, win_length=4096, hop_length=80, n_mels=20, center=False)  # 0.512 s


def one_unit(world: World, **options: Any) -> PrepareUnit:
    """All that is planned, in a single unit."""
    units = world.plan(**options).units
    items = pa.concat_tables([unit.items for unit in units]).combine_chunks()
    return dataclasses.replace(units[0], unit="one", items=items)


def rows_of(unit: PrepareUnit | FeaturizeUnit) -> dict[str, dict[str, Any]]:
    found = parts.read_table(unit.store.path(unit.ledger)).to_pylist()
    return {row["id"] or row["key"]: row for row in found}


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- identity ---------------------------------------------------------------------------------------------------------


def test_keys_are_made_of_content_and_parameters_as_the_design_says(world: World) -> None:
    path = world.add("whole", text="no part of it", label="nor this")
    world.rows.append({"id": "span", "audio": "whole.wav", "start": 0.1, "end": 0.2, "channel": 0})
    unit = one_unit(world)
    prepare_unit(unit)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = rows_of(unit)
    for name, key in (("whole", digest(sha256, 0, 2400, None)), ("span", digest(sha256, 800, 800, 0))):
        row = rows[name]
        audio_key = digest(key, fingerprint(unit.audio))
        assert (row["sha256"], row["key"], row["audio_key"]) == (sha256, key, audio_key)
        (feature,) = row["features"]
        assert feature["feature_key"] == digest(audio_key, feature_spec_key(unit.audio, LOG_MEL))
        assert feature["spec"] == feature_spec_key(unit.audio, LOG_MEL)


def test_the_same_bytes_under_another_name_are_the_same_and_other_bytes_are_not(world: World) -> None:
    path = world.add("a", 1)
    (world.source / "b.flac").write_bytes(path.read_bytes())
    soundfile.write(world.source / "c.flac", tone(1), RATE, subtype="PCM_16")  # the same samples in another container
    world.rows += [{"id": "b", "audio": "b.flac"}, {"id": "c", "audio": "c.flac"}]
    unit = one_unit(world)
    prepare_unit(unit)
    rows = rows_of(unit)
    assert rows["a"]["key"] == rows["b"]["key"] != rows["c"]["key"]


def test_a_feature_key_depends_on_everything_that_changes_its_values() -> None:
    audio, other = AudioSpec(), AudioSpec(sample_rate=8000)
    augment = WaveAugment()
    names = [
        feature_spec_key(audio, LOG_MEL), feature_spec_key(other, LOG_MEL), feature_spec_key(audio, LogMel()),
        feature_spec_key(audio, LOG_MEL, augment, 0, 1), feature_spec_key(audio, LOG_MEL, augment, 0, 2),
        feature_spec_key(audio, LOG_MEL, augment, 1, 1), feature_spec_key(audio, LOG_MEL, WaveAugment(gain_p=0.0), 0, 1),
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert feature_spec_key(audio, dataclasses.replace(LOG_MEL, name="mine")) == names[0]


# -- prepare_unit ------------------------------------------------------------------------------------------------------


def test_a_unit_reports_what_it_did_and_its_parts_are_as_reported(world: World) -> None:
    world.add("a", seconds=0.5)
    world.add("b", seconds=0.25)
    world.add_bytes("bad", b"nothing")
    unit = one_unit(world, features=(LOG_MEL, LogMel(n_mels=12)))
    report = prepare_unit(unit)
    assert (report.unit, report.items, report.audio_seconds) == ("one", 3, 0.75)
    assert [(each.id, each.uri, each.stage, each.reason) for each in report.rejections] == [
        ("bad", "bad.wav", "decode", "not_audio"),
    ]  # fmt: skip
    assert report.rejections[0].sha256 == hashlib.sha256(b"nothing").hexdigest()
    assert set(report.seconds) == {"read", "decode", "resample", "features", "write"}
    assert all(value >= 0 for value in report.seconds.values())
    assert [part.stage for part in report.parts] == ["audio", "features", "features"]
    for part in report.parts:
        data = Path(unit.store.path(part.uri)).read_bytes()
        assert part.sha256 == hashlib.sha256(data).hexdigest() and part.rows == 2 and part.samples == 6000
    store = world.folder / "store"
    assert [name for name in files_below(store) if "catalog" not in name] == sorted(
        [part.uri for part in report.parts] + [unit.ledger]
    )


def test_features_are_of_exactly_the_audio_that_is_stored(world: World) -> None:
    world.add("a", rate=44100)
    unit = one_unit(world, audio=AudioSpec(sample_rate=16000))
    prepare_unit(unit)
    (row,) = rows_of(unit).values()
    stored = parts.read_table(unit.store.path(row["audio_part"])).to_pylist()[row["audio_row"]]
    assert stored["key"] == row["audio_key"] and stored["num_samples"] == row["prepared_samples"] == 4800
    samples = decode_flac(stored["audio"]["bytes"]).astype(np.float32) / 32768
    (expected,) = compute([LOG_MEL], samples, 16000)
    (feature,) = row["features"]
    found = parts.read_table(unit.store.path(feature["part"])).to_pylist()[feature["row"]]
    assert found["key"] == feature["feature_key"] and found["num_frames"] == feature["num_frames"] == len(expected)
    assert np.array_equal(np.array(found["values"], np.float32), expected.astype(np.float16).astype(np.float32).ravel())


def test_what_the_catalogue_says_of_a_recording_is_measured(world: World) -> None:
    left = np.zeros(2000, np.float32)
    left[::2] = 0.5
    soundfile.write(world.source / "a.wav", np.stack([left, -left / 2], 1), RATE, subtype="FLOAT")
    world.rows += [{"id": "mix", "audio": "a.wav"}, {"id": "right", "audio": "a.wav", "channel": 1}]
    unit = one_unit(world, audio=AudioSpec(sample_rate=RATE, normalize=NoNormalize()))
    prepare_unit(unit)
    rows = rows_of(unit)
    mix, right = rows["mix"], rows["right"]
    assert (mix["channels"], mix["channel"], mix["container"], mix["sample_rate"]) == (2, None, "WAV/FLOAT", RATE)
    assert (mix["peak"], mix["dc"]) == pytest.approx((0.125, 0.0625)) and right["peak"] == pytest.approx(0.25)
    assert right["channel"] == 1 and mix["key"] != right["key"]


def test_a_unit_done_twice_gives_the_same_rows(world: World) -> None:
    """A retried or a doubly scheduled unit overwrites its own work with the same."""
    world.add("a")
    world.add("b")
    unit = one_unit(world)
    first, rows = prepare_unit(unit), rows_of(unit)
    second = prepare_unit(unit)
    assert first.parts == second.parts and rows_of(unit) == rows


def test_a_unit_of_broken_files_only_writes_its_ledger_and_no_part(world: World) -> None:
    world.add_bytes("x", b"")
    world.add_bytes("y", b"y")
    unit = one_unit(world)
    report = prepare_unit(unit)
    assert report.parts == () and len(report.rejections) == 2 and report.audio_seconds == 0
    assert {row["reason"] for row in rows_of(unit).values()} == {"empty_file", "not_audio"}


def test_too_little_memory_is_no_verdict_on_the_item(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be remembered, and the item lost on the larger machine too."""

    def hungry(*_: Any, **__: Any) -> Any:
        raise MemoryError

    world.add("a")
    unit = one_unit(world)
    for place in ("sorigil.audio.decode.open_audio", "sorigil.audio.prepare.prepare"):
        with monkeypatch.context() as patched:
            patched.setattr(place, hungry)
            with pytest.raises(MemoryError):
                prepare_unit(unit)
    assert not Path(unit.store.path(unit.ledger)).exists()


def test_the_breadcrumb_goes_when_a_unit_ends_in_any_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("a")
    unit = one_unit(world)
    seen = []
    real = parts.files.open_input

    def looking(uri: str) -> Any:
        if uri.endswith(".wav"):
            seen.append(crumb_of(os.getpid()))
        return real(uri)

    monkeypatch.setattr(parts.files, "open_input", looking)
    prepare_unit(unit)
    (crumb,) = seen
    assert crumb is not None and (crumb.unit, crumb.item) == (unit.unit, "a.wav")
    size = (world.source / "a.wav").stat().st_size
    assert crumb.allowed == unit.deadline.of(size) > unit.deadline.seconds
    assert crumb_of(os.getpid()) is None


# -- featurize_unit --------------------------------------------------------------------------------------------------------


def featurize(world: World, *specs: Any, workers: int = 1, **made: Any) -> list[FeaturizeUnit]:
    version = world.catalog.version("tiny")
    assert version is not None
    return featurize_units(world.work(), open_dataset(world.catalog, version), specs, workers, **made)


def read_features(world: World, units: list[FeaturizeUnit], name: str) -> dict[str, np.ndarray[Any, Any]]:
    version = world.catalog.version("tiny")
    assert version is not None
    rows = [ledger.features_of(parts.read_table(unit.store.path(unit.ledger))) for unit in units]
    table = with_features(open_dataset(world.catalog, version), pa.concat_tables(rows), name)
    stored = StoredRows(world.store, table)
    return {identity: stored.features(index) for index, identity in enumerate(table.column("id").to_pylist())}


def test_augmented_copies_do_not_depend_on_how_the_work_was_divided(world: World) -> None:
    for number in range(6):
        world.add(f"u{number}")
    world.run()
    made = {"augment": WaveAugment(), "seed": 3, "copy": 1}
    name = feature_spec_key(world.work().audio, LOG_MEL, *made.values())
    found = []
    for workers in (1, 5):
        units = featurize(world, LOG_MEL, workers=workers, **made)
        for unit in units:
            report = featurize_unit(unit)
            assert report.items == len(unit.items) and report.parts[0].fingerprint == name
        found.append((len(units), read_features(world, units, name)))
    (few, one), (many, other) = found
    assert few < many and set(one) == set(other) and len(one) == 6
    assert all(np.array_equal(one[key], other[key]) for key in one)
    copy = featurize(world, LOG_MEL, **{**made, "copy": 2})
    for unit in copy:
        featurize_unit(unit)
    second = read_features(world, copy, feature_spec_key(world.work().audio, LOG_MEL, made["augment"], 3, 2))
    assert all(one[key].shape != second[key].shape or not np.array_equal(one[key], second[key]) for key in one)


def test_what_is_too_short_for_a_feature_is_a_rejection_with_its_key(world: World) -> None:
    world.add("long", seconds=0.8)
    world.add("short", seconds=0.3)
    world.run()
    keys = {name: row["key"] for name, row in world.kept().items()}
    units = featurize(world, WIDE)
    reports = [featurize_unit(unit) for unit in units]
    (rejection,) = [each for report in reports for each in report.rejections]
    assert (rejection.id, rejection.stage, rejection.reason) == (keys["short"], "features", "too_short")
    rows = {row["key"]: row for unit in units for row in parts.read_table(unit.store.path(unit.ledger)).to_pylist()}
    assert set(rows) == set(keys.values())
    assert rows[keys["short"]]["reason"] == "too_short" and rows[keys["short"]]["features"] is None
    assert rows[keys["long"]]["reason"] is None and len(rows[keys["long"]]["features"]) == 1


def test_units_over_prepared_audio_are_named_by_it(world: World) -> None:
    world.add("a")
    world.run()
    (one,) = featurize(world, LOG_MEL)
    (same,) = featurize(world, LOG_MEL)
    (other,) = featurize(world, WIDE)
    (augmented,) = featurize(world, LOG_MEL, augment=WaveAugment(), seed=1, copy=1)
    assert one.unit == same.unit and one.ledger == same.ledger
    assert len({one.ledger, other.ledger, augmented.ledger}) == 3
